"""The file of MCP servers in other clients' dialects: read, or refused in one sentence; never passed over."""

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.environments.mcp import load_servers, read_servers
from funreason_train.environments.mcp.answers import renamed
from funreason_train.environments.mcp.servers import Unusable, ending_with_us
from funreason_train.environments.registry import environment_class
from funreason_train.errors import UserError


def written(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "servers.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "content",
    [
        '\ufeff{"mcpServers": {"a": {"command": "x", "args": ["http://h/b"]}}}',
        '{// mine\n"mcpServers": {/* one */ "a": {"command": "x", "args": ["http://h/b",],},}}',
        '{"servers": {"a": {"type": "stdio", "command": "x", "args": ["http://h/b"]}}, "inputs": []}',
        '{"mcp": {"servers": {"a": {"command": "x", "args": ["http://h/b"], "env": null, "cwd": null}}}}',
        '{"mcpServers": {"a": {"command": "x", "args": ["http://h/b"], "disabled": false, "timeout": 60}}}',
    ],
)
def test_files_of_other_clients_are_read(tmp_path: Path, content: str) -> None:
    server = read_servers(written(tmp_path, content))["a"]
    assert (server.command, server.args, server.env) == ("x", ("http://h/b",), {})


@pytest.mark.parametrize("key", ["url", "httpUrl", "serverUrl"])
@pytest.mark.parametrize("kind", ["http", "streamable-http", "streamableHttp"])
def test_an_address_under_whatever_key(tmp_path: Path, key: str, kind: str) -> None:
    file = written(tmp_path, {"mcpServers": {"a": {"type": kind, key: "http://h/mcp"}}})
    assert read_servers(file)["a"].url == "http://h/mcp"
    load_servers(file)
    assert environment_class("mcp/a").server.url == "http://h/mcp"  # type: ignore[attr-defined]


def test_variables_in_the_forms_of_other_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES_TOKEN", "very-secret")
    monkeypatch.delenv("NOTES_PORT", raising=False)
    words = ["${env:NOTES_TOKEN}", "${NOTES_PORT:-8080}", "${NOTES_TOKEN:-none}", "${NOTES_PORT:-}"]
    server = read_servers(written(tmp_path, {"mcpServers": {"a": {"command": "~/x", "args": words}}}))["a"]
    filled = server.filled(tmp_path)
    assert filled.args == ("very-secret", "8080", "very-secret", "")
    assert filled.command == str(Path("~/x").expanduser())
    assert server.hidden()["NOTES_TOKEN"] == "very-secret"


def test_a_folder_to_work_in_starts_from_the_files_own(tmp_path: Path) -> None:
    server = {"command": "x", "cwd": "inner"}
    found = read_servers(written(tmp_path, {"mcpServers": {"a": server}}))["a"]
    assert found.filled(Path("/s")).cwd == str(tmp_path / "inner")


def test_a_program_beside_the_file_is_found_from_whatever_folder_the_server_works_in(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "serve"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "inner").mkdir()
    described = {"command": "bin/serve", "cwd": "{session}"}
    server = read_servers(written(tmp_path, {"mcpServers": {"a": described}}))["a"]
    filled = server.filled(tmp_path / "inner")
    assert str(program) in ending_with_us([str(filled.command)], filled)
    with pytest.raises(Unusable, match=f"there is no program bin/none in {tmp_path}, the folder of the file"):
        ending_with_us(["bin/none"], filled)


def test_no_answer_shows_the_folders_of_a_machine(tmp_path: Path) -> None:
    (server,) = read_servers(written(tmp_path, {"mcpServers": {"a": {"command": "x"}}})).values()
    names = server.aliases(Path("/tmp/mcp-a-1"))
    assert renamed({"path": f"{tmp_path}/notes"}, names) == {"path": "/server-home/notes"}
    assert server.model_copy(update={"home": Path("/srv")}).aliases(Path("/tmp/mcp-a-1")) == {}
    told = server.model_copy(update={"args": ("{session}/db",)}).aliases(Path("/tmp/mcp-a-1"))
    assert renamed(["/tmp/mcp-a-1/db", str(tmp_path)], told) == ["/session/db", "/server-home"]


def test_what_only_an_editor_can_fill_is_told(tmp_path: Path) -> None:
    server = {"command": "x", "env": {"KEY": "${input:key}"}}
    found = read_servers(written(tmp_path, {"mcpServers": {"a": server}}))["a"]
    with pytest.raises(UserError, match=r"holds \$\{input:key\}, which only the client.*Write \$\{NAME\}"):
        found.filled(tmp_path)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"command": "x", "disabled": True}, "mcpServers.a is disabled"),
        ({"command": "x", "enabled": False}, "mcpServers.a is disabled"),
        ({"type": "sse", "url": "http://h/sse"}, r"mcpServers.a.type: SSE, .* is not spoken here"),
        ({"transport": "websocket", "url": "http://h"}, "there is no transport websocket"),
        (
            {"command": "x", "sesion": {"files": []}},
            r"a.sesion: there is no such key; did you mean session\?",
        ),
        ({"command": "x", "session": {"seconds": 1e999}}, "a.session.seconds: .*finite"),
        ({"command": "x", "args": "a b"}, "a.args: Input should be a valid list"),
    ],
)
def test_what_is_not_done_here_is_one_sentence(tmp_path: Path, server: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_servers(written(tmp_path, {"mcpServers": {"a": server}}))


def test_a_name_that_stands_twice_is_told(tmp_path: Path) -> None:
    twice = '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}'
    with pytest.raises(UserError, match="the key a stands twice"):
        read_servers(written(tmp_path, twice))


def test_what_is_wrong_with_a_server_matters_to_those_alone_who_use_it(tmp_path: Path) -> None:
    servers = {"good": {"command": "x"}, "My server": {"command": "y"}, "bad": {"disabled": True}}
    file = written(tmp_path, {"mcpServers": servers})
    load_servers(file)
    assert environment_class("mcp/good").name == "mcp/good"
    assert read_servers(file, ["good"]).keys() == {"good"}
    for name, said in (("bad", "is disabled"), ("My server", "cannot name an MCP server")):
        with pytest.raises(UserError, match=said):
            environment_class(f"mcp/{name}")
