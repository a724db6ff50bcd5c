"""Servers that flood, babble, hang, show their environment, or have nothing to offer."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments.mcp import load_servers
from funreason_train.environments.registry import environment_class, make_environment
from funreason_train.errors import UserError

SERVER = str(Path(__file__).with_name("hostile_server.py"))


def described(tmp_path: Path, *words: str, env: dict[str, str] | None = None, **rules: Any) -> Path:
    session = {"ready": 0, "seconds": 5, **rules}
    server = {"command": sys.executable, "args": [SERVER, *words], "session": session, "env": env or {}}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"odd": server, "other": server}}))
    return file


@pytest.mark.parametrize("words", [("flood",), ("garbage",), ("invalid-utf8",)])
def test_noise_beside_the_protocol_does_no_harm(words: tuple[str, ...], tmp_path: Path, capfd: Any) -> None:
    load_servers(described(tmp_path, *words))
    odd = make_environment("mcp/odd")
    odd.reset({})
    assert odd.call(Call("set_note", {"note": "a"})).ok and odd.snapshot()["get_note"] == {"note": "a"}
    odd.close()
    told = capfd.readouterr()
    assert not told.out and "Traceback" not in told.err


def test_a_server_without_tools_is_one_sentence(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "no-tools"))
    with pytest.raises(UserError, match="offers no tool that may be called"):
        make_environment("mcp/odd").tools()


def test_of_two_tools_of_one_name_the_first_is_offered_and_it_is_said(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "twice"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    assert [one["name"] for one in odd.tools()] == ["get_note", "set_note"]
    assert "2 tools have this name" in odd.left_out()["get_note"]
    assert odd.call(Call("get_note", {})).ok
    odd.close()


def test_two_servers_may_have_tools_of_one_name(tmp_path: Path) -> None:
    load_servers(described(tmp_path))
    one, two = make_environment("mcp/odd"), make_environment("mcp/other")
    for environment, note in ((one, "a"), (two, "b")):
        environment.reset({})
        environment.call(Call("set_note", {"note": note}))
    assert one.snapshot()["get_note"] == {"note": "a"} and two.snapshot()["get_note"] == {"note": "b"}
    one.close()
    two.close()


def test_a_tool_that_shows_the_servers_environment_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTE_TOKEN", "very-secret")
    load_servers(described(tmp_path, "dump", env={"TOKEN": "${NOTE_TOKEN}"}))
    odd = make_environment("mcp/odd")
    odd.reset({})
    result = odd.call(Call("dump_environment", {}))
    assert not result.ok and "NOTE_TOKEN" in result.text
    assert "very-secret" not in result.text and os.environ["PATH"] not in result.text
    odd.close()


def test_rules_that_name_no_tool_are_told_before_anything_is_made(tmp_path: Path) -> None:
    load_servers(described(tmp_path, allow=["set_nota"]))
    with pytest.raises(UserError, match=r"session\.allow names set_nota.*did you mean set_note"):
        make_environment("mcp/odd").tools()


def test_a_server_that_hangs_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    file = described(tmp_path, "deaf")
    code = f"""
        import os, signal
        from pathlib import Path
        from funreason_train.environments.mcp import read_servers
        from funreason_train.environments.mcp.session import Session
        session = Session("odd", read_servers(Path({str(file)!r}))["odd"]).start()
        children = Path("/proc/self/task")
        found = [p.read_text().split() for p in children.glob("*/children")]
        print(*[one for some in found for one in some], flush=True)
        import threading
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
        session.call("get_note", {{}})
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    servers = [int(one) for one in ended.stdout.split()]
    assert servers
    for _ in range(100):
        if not any(Path(f"/proc/{one}").exists() for one in servers):
            break
        time.sleep(0.1)
    assert not any(Path(f"/proc/{one}").exists() for one in servers)


def test_what_was_learnt_of_a_server_is_held_against_it_later(tmp_path: Path) -> None:
    load_servers(described(tmp_path))
    kind: Any = environment_class("mcp/odd")
    first = kind()
    first.tools()
    first.close()
    learnt = kind.learnt()
    learnt["tools"]["gone"] = "0123"
    kind.adopt(learnt)
    with pytest.raises(UserError, match=r"has changed its tools while it was used: it no longer offers gone"):
        kind().reset({})
