"""Servers that flood, babble, hang, show their environment, or have nothing to offer."""

import contextlib
import json
import os
import re
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


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("deaf-list", "did not answer within 2 s of its start$"),
        ("login", "did not answer within 9 s of its start; it wrote: Log in at https://notes.example/device"),
        ("endless", "does not start: its list of tools never ends, 4 so far$"),
        ("pages", "does not start: its list of tools never ends, 1002 so far$"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence_and_ends(tmp_path: Path, word: str, said: str) -> None:
    waits, others = {"deaf-list": 2, "login": 9}, _running()  # what answers at last has a minute for it
    load_servers(described(tmp_path, word, start_seconds=waits.get(word, 60)))
    with pytest.raises(UserError, match=said):
        make_environment("mcp/odd").tools()
    until = time.monotonic() + 300
    while _running().keys() - others and time.monotonic() < until:
        time.sleep(0.1)
    assert not _running().keys() - others


def _running() -> dict[str, str]:
    """The servers that this process started and that are left: their numbers and command lines."""
    found = {}
    for children in Path("/proc/self/task").glob("*/children"):
        for one in children.read_text().split():
            with contextlib.suppress(OSError):
                found[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
    return {one: line for one, line in found.items() if "hostile_server" in line}


def test_a_tool_whose_document_is_not_valid_costs_no_other_tool(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "no-schema"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    shown = {one["name"]: one["parameters"] for one in odd.tools()}
    assert shown.keys() == {"get_note", "set_note", "bare", "keep_note"}
    assert shown["bare"] == {"type": "object", "properties": {}} and shown["keep_note"]["required"] == [
        "note"
    ]
    assert "destructive" in odd.left_out()["wipe"], "of a hint that cannot be read the worst is believed"
    assert odd.call(Call("set_note", {"note": "a"})).ok and odd.call(Call("bare", {})).ok
    odd.close()


def test_an_error_of_the_servers_own_is_a_failed_call_whatever_its_code(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "busy"))
    odd: Any = make_environment("mcp/odd")
    odd.reset({})
    failed = odd.call(Call("set_note", {"note": "a"}))
    assert not failed.ok and "The notes are locked" in failed.text and odd.fault is None
    assert odd.call(Call("set_note", {"note": "a"})).ok
    odd.close()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"command": "python3 server.py"}, "there is no program python3 server.py; `command` is the program"),
        ({"command": sys.executable, "cwd": "nowhere"}, "its `cwd` .*nowhere is no folder"),
        ({"command": "./servers.json"}, "./servers.json may not be executed"),
        ({"command": sys.executable, "args": ["a\0b"]}, "hold what no program can be given"),
        ({"command": sys.executable, "env": {"A=B": "c"}}, "hold what no program can be given"),
    ],
)
def test_a_command_that_cannot_be_run_says_what_is_wrong_with_it(
    tmp_path: Path, server: dict[str, Any], said: str
) -> None:
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"odd": server}}))
    load_servers(tmp_path / "servers.json")
    with pytest.raises(UserError, match=said):
        make_environment("mcp/odd").tools()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_content", r"the answer is not valid MCP \(content: Field required\)"),
        ("unknown_part", r"the answer is not valid MCP \(content\.0"),
        ("a_long_line", "the answer has 2,000,000 characters"),
    ],
)
def test_an_answer_that_nobody_can_read_is_a_failed_call_and_the_session_goes_on(
    tmp_path: Path, name: str, said: str
) -> None:
    load_servers(described(tmp_path, "odd-answers"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    result = odd.call(Call(name, {}))
    assert not result.ok and re.search(said, result.text) and "\n" not in result.text
    assert odd.call(Call("set_note", {"note": "a"})).ok and odd.fault is None  # type: ignore[attr-defined]
    odd.close()


def test_an_answer_that_is_no_json_is_told_where_it_is_waited_for_in_vain(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "odd-answers", seconds=1))
    odd: Any = make_environment("mcp/odd")
    odd.reset({})
    assert not odd.call(Call("half_a_letter", {})).ok
    assert re.search(r"no answer to half_a_letter.*a message that is not valid MCP \(Invalid JSON", odd.fault)
    odd.close()


def test_values_that_no_json_holds_are_none(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "odd-answers"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    shown = odd.call(Call("not_a_number", {}))
    assert shown.text == '{"value": NaN}' and shown.value is None
    assert odd.call(Call("without_end", {})).value is None
    assert odd.call(Call("empty_list", {})).text == '{"items": []}'
    odd.close()


def test_a_look_up_that_finds_nothing_has_failed(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "finds"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    missed = odd.call(Call("find_note", {"words": "milk"}))
    assert not missed.ok and missed.text == "[]"
    assert odd.call(Call("list_notes", {})).ok and odd.call(Call("keep_all", {})).ok, "nothing was asked for"
    assert not odd.call(Call("create_notes", {"words": "milk"})).ok, "it lists what was made: nothing"
    assert odd.call(Call("create_notes", {"words": "silent"})).ok, "no answer says nothing"
    assert odd.call(Call("remove_notes", {"words": "milk"})).ok, "what is left may be nothing"
    odd.call(Call("set_note", {"note": "buy milk"}))
    assert odd.call(Call("create_notes", {"words": "milk"})).ok
    assert odd.call(Call("find_note", {"words": "milk"})).ok
    odd.close()


def test_a_server_that_dies_at_its_third_call_ends_that_conversation_alone(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "third"))
    odd: Any = make_environment("mcp/odd")
    for _ in range(2):
        odd.reset({})
        answers = [odd.call(Call("set_note", {"note": "a"})).ok for _ in range(4)]
        assert answers == [True, True, False, False] and "is gone" in odd.fault
    odd.close()


def test_names_of_any_letters_and_sixty_parameters_reach_the_server(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "odd-names"))
    odd = make_environment("mcp/odd")
    odd.reset({})
    shown = {one["name"]: one["parameters"] for one in odd.tools()}
    assert list(shown["files_read_all"]["properties"]) == ["a_b"]
    assert list(shown["größe_ändern"]["properties"]) == ["größe"]
    assert len(shown["configure"]["required"]) == 60
    for name, parameters in shown.items():
        wanted = {one: 1 if "integer" in str(part) else "x" for one, part in parameters["properties"].items()}
        assert odd.call(Call(name, wanted)).ok, name
    odd.close()


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


_LATE = '''
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

server, rows = MCPServer("rows"), ["a"]

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def list_rows() -> list[str]:
    """All rows."""
    if not rows:
        raise ToolError("there is no row left")
    return rows

@server.tool()
def clear() -> str:
    """Clears the rows."""
    rows.clear()
    return "cleared"

server.run(transport="stdio")
'''


def _late(tmp_path: Path, text: str, **rules: Any) -> Any:
    (tmp_path / "server.py").write_text(text)
    server = {"command": sys.executable, "args": ["server.py"], "session": {"ready": 0, **rules}}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"late": server}}))
    load_servers(tmp_path / "servers.json")
    return make_environment("mcp/late")


def test_what_an_observer_refuses_after_some_calls_is_the_state_then(tmp_path: Path) -> None:
    late = _late(tmp_path, _LATE, observe=["list_rows"])
    late.reset({})
    before = late.snapshot()
    assert late.call(Call("clear", {})).ok
    assert "there is no row left" in str(late.snapshot()) and late.compare(before)
    late.close()


def test_why_no_tool_shows_the_state_is_told(tmp_path: Path) -> None:
    late = _late(tmp_path, _LATE.replace('rows = MCPServer("rows"), ["a"]', 'rows = MCPServer("rows"), []'))
    late.reset({})
    with pytest.raises(ValueError, match=r"list_rows failed .*there is no row left"):
        late.snapshot()
    type(late).forget(["list_rows"])  # as the check before a run does with what cannot be compared
    with pytest.raises(ValueError, match=r"list_rows answers: .*there is no row left"):
        late.snapshot()
    late.close()
