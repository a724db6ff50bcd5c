"""A real MCP server in a process of its own, with the faults that users' servers have."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments.mcp import check_isolation, load_servers, read_servers
from funreason_train.environments.mcp.environment import McpEnvironment
from funreason_train.environments.protocol import Environment
from funreason_train.environments.registry import environment_class, make_environment
from funreason_train.errors import UserError

SERVER = str(Path(__file__).with_name("bookshop_server.py"))


def isolation_of(kind: type[Environment]) -> str:
    assert issubclass(kind, McpEnvironment)
    return check_isolation(kind)


def described(tmp_path: Path, *words: Any, state: str = "{session}/state.json", **session: Any) -> Any:
    """A file that describes the bookshop."""
    rules = {"ready": 0, "observe": ["list_books", "list_orders"], **session}
    server = {"command": sys.executable, "args": [SERVER, state, *words], "session": rules}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"books": server}}))
    return file


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Any]:
    load_servers(described(tmp_path, seconds=3))
    environment = make_environment("mcp/books")
    yield environment
    environment.close()


def ask(environment: Any, name: Any, **arguments: Any) -> Any:
    return environment.call(Call(name, arguments))


def test_calls_are_executed_and_say_whether_they_failed(books: Any) -> None:
    books.reset({})
    made = ask(books, "add_book", title="Dune", price=9.5, stock=2)
    assert made.ok and made.value == {"book": "book_1"} and json.loads(made.text) == {"book": "book_1"}
    failed = ask(books, "order_book", book="book_7")
    assert not failed.ok and "there is no book book_7" in failed.text
    assert not ask(books, "add_book", title="Dune").ok, "a required argument is missing"
    assert not ask(books, "no_such_tool").ok
    assert books.fault is None
    assert books.snapshot()["list_books"] == {"book_1": {"title": "Dune", "price": 9.5, "stock": 2}}


def test_each_conversation_begins_in_the_first_state(books: Any) -> None:
    books.reset({})
    ask(books, "add_book", title="Dune", price=1.0)
    before = books.snapshot()
    books.reset({})
    assert books.snapshot()["list_books"] == {}
    assert any("list_books" in one for one in books.compare(before))


@pytest.mark.parametrize("failures", [1, 2])
def test_a_server_that_has_started_before_may_fail_to_once(
    books: Any, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    books.reset({})
    kind, left = type(books), [UserError("the MCP server does not start")] * failures
    start = kind.opener
    monkeypatch.setattr(kind, "opener", staticmethod(lambda: raised(left.pop()) if left else start()))
    if failures == 1:
        books.reset({})
        assert books.snapshot()["list_books"] == {}
    else:
        with pytest.raises(UserError, match="does not start"):
            books.reset({})


def raised(error: Exception) -> Any:
    raise error


def test_what_is_offered_follows_the_servers_annotations(tmp_path: Path, books: Any) -> None:
    documents = {one["name"]: one for one in books.tools()}
    names = list(documents)
    assert "close_shop" not in names, "destructive, and not allowed by name"
    assert names.index("list_orders") < names.index("add_book"), "those that only read come first"
    assert documents["add_book"]["parameters"]["required"] == ["title", "price"]
    assert documents["set_price"]["description"].startswith("Changes a price")
    load_servers(described(tmp_path, allow=["close_shop"], reset="reset_all"))
    allowed = make_environment("mcp/books")
    offered = {one["name"] for one in allowed.tools()}
    assert "close_shop" in offered and "reset_all" not in offered
    allowed.close()


def test_a_name_that_no_call_can_hold_reaches_the_server_under_its_own(books: Any) -> None:
    books.reset({})
    ask(books, "add_book", title="Dune", price=1.0)
    assert ask(books, "set_price", book="book_1", price=2.0).value == {"price": 2.0}


def test_a_call_that_hangs_ends_at_its_limit_and_the_conversation_counts_for_nothing(books: Any) -> None:
    books.reset({})
    result = ask(books, "hang")
    assert not result.ok and books.fault is not None and "hang" in books.fault
    assert not ask(books, "list_books").ok, "its state is unknown from here on"
    books.reset({})
    assert books.fault is None and ask(books, "list_books").ok


def test_a_server_that_dies_is_told_and_the_next_conversation_has_a_new_one(books: Any) -> None:
    books.reset({})
    assert not ask(books, "crash").ok
    assert not ask(books, "list_books").ok
    assert books.fault is not None
    books.reset({})
    assert ask(books, "list_books").ok


def test_ten_megabytes_are_a_failed_call(tmp_path: Path) -> None:
    load_servers(described(tmp_path, seconds=60))
    books = make_environment("mcp/books")
    books.reset({})
    result = ask(books, "big")
    assert not result.ok and "10,000,000 characters; at most 100,000" in result.text
    assert books.fault is None and ask(books, "list_books").ok
    books.close()


def test_a_tool_that_lies_about_its_schema_fails_as_a_call(books: Any) -> None:
    books.reset({})
    result = ask(books, "liar", book="book_1")
    assert not result.ok and "shelf" in result.text and books.fault is None


def test_sessions_that_are_apart_pass_the_check_and_a_clock_is_no_state(tmp_path: Path) -> None:
    load_servers(described(tmp_path, observe=None, seconds=1))
    kind = environment_class("mcp/books")
    assert "changed one session and not the other" in isolation_of(kind)
    environment = kind()
    environment.reset({})
    assert set(environment.snapshot()) == {"list_books", "list_orders", "{session}"}
    environment.close()


def test_a_shared_file_is_found_before_anything_is_built_on_it(tmp_path: Path) -> None:
    load_servers(described(tmp_path, state=str(tmp_path / "shared.json"), seconds=1))
    with pytest.raises(UserError, match="see each other's changes") as caught:
        isolation_of(environment_class("mcp/books"))
    assert "{session}" in str(caught.value)


def test_files_are_the_state_that_every_session_begins_with(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"books": {"book_9": {"title": "Emma"}}, "orders": {}}))
    load_servers(described(tmp_path, files=["state.json"]))
    environment = make_environment("mcp/books")
    for _ in range(2):
        environment.reset({})
        assert list(ask(environment, "list_books").value) == ["book_9"]
        ask(environment, "add_book", title="X", price=1.0)
    environment.close()
    assert json.loads((tmp_path / "state.json").read_text())["books"].keys() == {"book_9"}


@pytest.mark.parametrize(
    ("words", "session", "said"),
    [
        (["dies"], {}, "does not start.*the database is locked.*Run its command in a terminal"),
        (["old"], {}, "does not start.*AttributeError.*install 'mcp<2'"),
        (["slow-start"], {"start_seconds": 2}, "did not answer within 2 s of its start"),
    ],
)
def test_a_server_that_does_not_start_is_one_sentence(
    tmp_path: Path, words: list[str], session: dict[str, Any], said: str
) -> None:
    load_servers(described(tmp_path, *words, **session))
    with pytest.raises(UserError, match=said):
        make_environment("mcp/books").tools()


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"books": {"command": "/nowhere/server"}}}))
    load_servers(file)
    with pytest.raises(UserError, match="the MCP server books does not start"):
        make_environment("mcp/books").reset({})


def test_tools_that_change_in_mid_run_are_told(tmp_path: Path) -> None:
    load_servers(described(tmp_path, "changes", state=str(tmp_path / "state.json")))
    environment = make_environment("mcp/books")
    environment.reset({})
    with pytest.raises(UserError, match=r"has changed its tools.*no longer offers order_book"):
        environment.reset({})


def test_a_cassette_answers_without_the_server(tmp_path: Path) -> None:
    file = described(tmp_path)

    def conversations(environment: Any) -> Any:
        seen = []
        for title in ("Dune", "Emma"):
            environment.reset({})
            seen.append(ask(environment, "add_book", title=title, price=2.5))
            seen.append(ask(environment, "order_book", book="x"))
            seen.append(environment.snapshot())
        environment.close()
        return seen

    load_servers(file, record=tmp_path / "tape")
    live = make_environment("mcp/books")
    live.reset({})
    check = conversations(live)
    broken = json.loads(file.read_text())
    broken["mcpServers"]["books"]["command"] = "/nowhere"
    file.write_text(json.dumps(broken))
    load_servers(file, replay=tmp_path / "tape")
    played = make_environment("mcp/books")
    assert conversations(played) == check
    played.reset({})
    assert not ask(played, "add_book", title="Other", price=1.0).ok
    assert "no recorded session" in (played.fault or "")


def test_secrets_come_from_the_environment_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "servers.json"
    server = {"command": "true", "env": {"TOKEN": "${BOOKS_TOKEN}"}, "args": ["{session}/a"]}
    file.write_text(json.dumps({"mcpServers": {"books": server}}))
    described_server = read_servers(file)["books"]
    with pytest.raises(UserError, match="BOOKS_TOKEN"):
        described_server.filled(tmp_path)
    monkeypatch.setenv("BOOKS_TOKEN", "hush")
    filled = described_server.filled(Path("/s"))
    assert filled.env == {"TOKEN": "hush"} and filled.args == ("/s/a",)
    assert "hush" not in described_server.digest() and "hush" not in repr(described_server)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "no MCP servers"),
        ('{"mcpServers": {"a": {}}}', "either `command`"),
        ('{"mcpServers": {"a": {"command": "x", "session": {"secnds": 1}}}}', "mcpServers.a.session.secnds"),
        ('{"mcpServers": {"a": {"command": 3}}}', "mcpServers.a.command"),
        ('{"mcpServers": {"a b": {"command": "x"}}}', "cannot name an MCP server"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "does not begin with http"),
    ],
)
def test_a_wrong_description_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "servers.json"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        read_servers(file)


def test_a_server_over_http_is_reset_between_conversations(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = tmp_path / "state.json"
    process = subprocess.Popen(
        [sys.executable, SERVER, str(state), "http", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        file = tmp_path / "servers.json"
        server = {
            "url": f"http://127.0.0.1:{port}/mcp",
            "session": {"reset": "reset_all", "ready": 0, "observe": ["list_books"]},
        }
        file.write_text(json.dumps({"mcpServers": {"books": server}}))
        load_servers(file)
        environment = make_environment("mcp/books")
        for _ in range(2):
            environment.reset({})
            assert environment.snapshot()["list_books"] == {}
            assert ask(environment, "add_book", title="Dune", price=1.0).ok
        environment.close()
    finally:
        process.kill()
        process.wait()
    with pytest.raises(UserError, match="the MCP server books"):
        make_environment("mcp/books").reset({})


def test_what_asks_for_a_login_says_so(tmp_path: Path) -> None:
    import http.server
    import threading

    class Closed(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_DELETE = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "servers.json"
    url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
    file.write_text(json.dumps({"mcpServers": {"books": {"url": url, "session": {"ready": 0}}}}))
    load_servers(file)
    try:
        with pytest.raises(UserError, match="asks for a login"):
            make_environment("mcp/books").reset({})
    finally:
        server.shutdown()


def test_a_server_that_keeps_nothing_can_say_so(tmp_path: Path) -> None:
    load_servers(described(tmp_path, observe=[]))
    environment = make_environment("mcp/books")
    environment.reset({})
    assert environment.snapshot() == {}
    environment.close()


def test_the_time_that_importing_the_sdk_takes_is_none_of_the_servers(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from funreason_train.environments.mcp import read_servers, session

def started(coroutine, loop):
    coroutine.close()
    print([name in sys.modules for name in ("mcp.client.stdio", "mcp_types")])
    raise SystemExit

assert "mcp" not in sys.modules
asyncio.run_coroutine_threadsafe = started
session.Session("books", read_servers(Path(sys.argv[1]))["books"]).start()
"""
    words = [sys.executable, "-c", program, str(described(tmp_path))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[True, True]", done.stderr
