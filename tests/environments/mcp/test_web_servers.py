"""MCP servers over HTTP that refuse, at the start or in mid-run: a fault of theirs, and not of the call."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments.mcp import load_servers
from funreason_train.environments.registry import make_environment
from funreason_train.errors import UserError

TOOL = {
    "name": "set_note",
    "description": "Keeps a note.",
    "inputSchema": {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]},
}
PAGE = (200, "text/html", "<!doctype html><h1>Sign in</h1>")
JSON = "application/json"


class Site(ThreadingHTTPServer):
    """A server that answers with `refusal` from the start, or from its second call on."""

    daemon_threads = True

    def __init__(self, refusal: tuple[int, str, str], at_once: bool) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.refusal, self.at_once, self.calls = refusal, at_once, 0


class Answers(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        self.answer(405, JSON, "")

    def do_DELETE(self) -> None:
        self.answer(200, JSON, "")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls += asked["method"] == "tools/call"
        if self.server.at_once or self.server.calls > 1:
            return self.answer(*self.server.refusal)
        results: dict[str, dict[str, Any]] = {
            "tools/list": {"tools": [TOOL]},
            "tools/call": {"content": [{"type": "text", "text": "fine"}]},
        }
        if asked["method"] == "initialize":
            version = asked["params"]["protocolVersion"]
            results["initialize"] = {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "site", "version": "1"},
            }
        if "id" not in asked:
            return self.answer(202, JSON, "")
        told = {"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]}
        return self.answer(200, JSON, json.dumps(told))

    def answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    started: list[Site] = []

    def start(refusal: tuple[int, str, str], at_once: bool) -> Any:
        server = Site(refusal, at_once)
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/mcp"
        file = tmp_path / "servers.json"
        file.write_text(json.dumps({"mcpServers": {"web": {"url": address, "session": {"ready": 0}}}}))
        load_servers(file)
        return make_environment("mcp/web")

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


REFUSALS = [
    ((401, JSON, "{}"), "asks for a login"),
    ((404, JSON, "gone"), "answers with HTTP status 404"),
    ((429, JSON, "slow down"), "answers with HTTP status 429"),
    ((500, JSON, "boom"), "answers with HTTP status 500"),
    (PAGE, "answers with a web page, as of a login"),
]


@pytest.mark.parametrize(("refusal", "said"), REFUSALS)
def test_a_server_that_refuses_at_the_start_is_one_sentence(
    site: Callable[..., Any], refusal: tuple[int, str, str], said: str
) -> None:
    with pytest.raises(UserError, match=f"the MCP server web {said}"):
        site(refusal, at_once=True).tools()


@pytest.mark.parametrize(("refusal", "said"), REFUSALS)
def test_a_server_that_refuses_in_mid_run_has_failed_itself_and_not_the_call(
    site: Callable[..., Any], refusal: tuple[int, str, str], said: str
) -> None:
    web = site(refusal, at_once=False)
    web.reset({})
    assert web.call(Call("set_note", {"note": "a"})).ok and web.fault is None
    assert not web.call(Call("set_note", {"note": "b"})).ok
    assert said in str(web.fault), "the conversation then counts for nothing"
    web.close()


def test_a_call_that_the_server_finds_wrong_is_a_failed_call(site: Callable[..., Any]) -> None:
    web = site((400, JSON, "what is that?"), at_once=False)
    web.reset({})
    web.call(Call("set_note", {"note": "a"}))
    assert not web.call(Call("set_note", {"note": "b"})).ok and web.fault is None
    web.close()
