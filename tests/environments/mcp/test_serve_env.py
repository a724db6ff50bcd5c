"""`funreason-train serve-env`: our own MCP client plays in an environment that a process of ours serves."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from funreason_train.calls import Call
from funreason_train.commands.cli import main
from funreason_train.environments.mcp import check_isolation, load_servers
from funreason_train.environments.mcp.environment import McpEnvironment
from funreason_train.environments.protocol import Environment
from funreason_train.environments.registry import environment_class, make_environment

SHOP = [one["name"] for one in make_environment("shop").tools()]


def isolation_of(kind: type[Environment]) -> str:
    assert issubclass(kind, McpEnvironment)
    return check_isolation(kind)


def _tools_of_a_plain_client(url: Any) -> Any:
    """What the SDK's own client sees, which asks for a protocol without sessions first."""

    async def ask() -> Any:
        async with Client(url) as client:
            return [one.name for one in (await client.list_tools()).tools]

    return asyncio.run(ask())


def described(tmp_path: Path, *words: Any, **session: Any) -> Any:
    rules = {"ready": 0, "observe": ["environment_state"], **session}
    command = ["-m", "funreason_train", "serve-env", *words]
    server = {"command": sys.executable, "args": command, "session": rules, "env": dict(os.environ)}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"ours": server}}))
    return file


@pytest.fixture(scope="module")
def scenario() -> Any:
    return environment_class("shop").scenario(Random("serve/3"), 4)


def some_calls(scenario: Any) -> Any:
    """Calls, right and wrong ones, from what the scenario holds."""
    shop = make_environment("shop")
    shop.reset(scenario)
    found = []
    for document in shop.tools():
        names = document["parameters"].get("required", [])
        for table in scenario.values():
            if isinstance(table, dict):
                for key, record in table.items():
                    values = {"title": "x", **(record if isinstance(record, dict) else {})}
                    found.append(Call(document["name"], {name: values.get(name, key) for name in names}))
    return found


def test_a_served_environment_answers_as_it_does_here(tmp_path: Path, scenario: Any) -> None:
    load_servers(described(tmp_path, "shop", "seed=3", "state_tool=true"))
    served, here = make_environment("mcp/ours"), make_environment("shop")
    here.reset(scenario)
    try:
        served.reset({})
        known = {one["name"]: one["parameters"] for one in served.tools()}
        assert known.pop("environment_state") == {"type": "object", "properties": {}}
        assert known == {one["name"]: one["parameters"] for one in here.tools()}
        assert served.snapshot()["environment_state"] == here.snapshot()
        calls = some_calls(scenario)
        answers = [(served.call(call), here.call(call)) for call in calls]
        assert all(one.ok == two.ok and one.text == two.text for one, two in answers)
        assert {two.ok for _, two in answers} == {True, False}, "some calls must succeed and some fail"
        assert served.snapshot()["environment_state"] == here.snapshot() != scenario
        assert not served.call(Call("no_such_tool", {})).ok
        served.reset({})
        here.reset(scenario)
        assert served.snapshot()["environment_state"] == here.snapshot(), "a new connection starts afresh"
    finally:
        served.close()


def test_the_sdks_own_client_plays_over_stdio_and_every_session_starts_afresh(scenario: Any) -> None:
    command = ["-m", "funreason_train", "serve-env", "shop", "seed=3", "state_tool=true"]
    item = next(iter(scenario["items"]))

    async def play() -> tuple[list[str], str, str]:
        started = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(started) as client:
            tools = [one.name for one in (await client.list_tools()).tools]
            before = await client.call_tool("environment_state", {})
            set_to = await client.call_tool("set_price", {"item": item, "price": 7})
            assert not set_to.is_error, set_to
            after = await client.call_tool("environment_state", {})
            return tools, str(before.content), str(after.content)

    first, second = asyncio.run(play()), asyncio.run(play())
    assert first == second and first[0] == [*SHOP, "environment_state"]
    assert first[1] != first[2]


@contextmanager
def serving(*words: Any) -> Iterator[Any]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "funreason_train", "serve-env", *words, f"port={port}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None and str(port) in process.stderr.readline()
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(30)


def test_over_http_every_session_has_a_state_of_its_own(tmp_path: Path, scenario: Any) -> None:
    with serving("shop", "seed=3", "state_tool=true") as url:
        rules = {"ready": 0, "observe": ["environment_state"]}
        file = tmp_path / "servers.json"
        file.write_text(json.dumps({"mcpServers": {"web": {"url": url, "session": rules}}}))
        load_servers(file)
        kind = environment_class("mcp/web")
        one, two = kind(), kind()
        try:
            one.reset({})
            two.reset({})
            before = two.snapshot()
            for call in some_calls(scenario):
                one.call(call)
            assert one.snapshot() != before
            assert two.snapshot() == before
        finally:
            one.close()
            two.close()
        assert _tools_of_a_plain_client(url) == [*SHOP, "environment_state"]
        told = isolation_of(kind)
        assert any(words in told for words in ("not the other", "changed nothing", "none of the calls"))


def test_a_file_says_what_it_starts_from(tmp_path: Path, scenario: Any) -> None:
    file = tmp_path / "start.json"
    file.write_text(json.dumps(scenario))
    load_servers(described(tmp_path, "shop", f"start_from={file}", "state_tool=true"))
    served = make_environment("mcp/ours")
    try:
        served.reset({})
        here = make_environment("shop")
        here.reset(scenario)
        assert served.snapshot()["environment_state"] == here.snapshot()
    finally:
        served.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no environment is named"),
        (["shopp"], "there is no environment shopp"),
        (["shop", "start_from=nowhere.json"], "cannot be read"),
        (["shop", "start_from={list}"], "is a JSON object"),
        (["shop", "start_from={other}"], "does not start from this configuration"),
        (["shop", "port=0"], "serve_env.port"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "other.json").write_text('{"no_such_table": 3}')
    words = [word.format(list="list.json", other="other.json") for word in words]
    assert main(["serve-env", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err and not told.out and "Traceback" not in told.err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve-env", "shop", f"port={taken.getsockname()[1]}"]) == 2
    assert "port=PORT" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "shown"), [("192.0.2.1", "192.0.2.1"), ("'2001:db8::1'", "[2001:db8::1]")])
def test_an_address_of_another_machine(host: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It was answered with the advice to choose another port, and IPv6's stood there without brackets."""
    assert main(["serve-env", "shop", f"host={host}", "port=8123"]) == 2
    told = capsys.readouterr().err
    assert f"nothing can listen at {shown}:8123 " in told and "host=HOST" in told and "port=PORT" not in told


def test_help_lists_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve-env", "--help"]) == 0
    assert "state_tool" in capsys.readouterr().out


ROUGH = """
class Rough:
    def __init__(self):
        self.rings = 0

    def ring(self, times: int) -> int:
        print("ding " * times)
        self.rings += times
        return self.rings

    def leave(self):
        raise SystemExit("left")

    def stop(self):
        raise KeyboardInterrupt
"""


def test_a_class_that_prints_and_leaves_is_served_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "rough_desk.py").write_text(ROUGH)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
    words = ["-m", "funreason_train", "serve-env", "rough_desk:Rough"]
    server = StdioServerParameters(command=sys.executable, args=words, env=variables, cwd=tmp_path)

    async def ask() -> list[tuple[bool, str]]:
        async with Client(server) as client:
            asked = [("ring", {"times": 2}), ("leave", {}), ("stop", {}), ("ring", {"times": 1})]
            found = [await client.call_tool(name, arguments) for name, arguments in asked]
            return [(bool(one.is_error), getattr(one.content[0], "text", "")) for one in found]

    assert asyncio.run(ask()) == [
        (False, "2"),
        (True, "Error: SystemExit: left"),
        (True, "Error: KeyboardInterrupt"),
        (False, "3"),
    ]
