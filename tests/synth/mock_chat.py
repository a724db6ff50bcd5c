"""An OpenAI chat server that answers what it is told to, and that can be late, refuse, stall and babble."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def serving(answer: Any, **attributes: Any) -> Iterator[Any]:
    """The server while the block lasts.

    Args:
        answer: Request's body -> the message's text; bytes are sent as the whole body instead.
        attributes: See `Server`.
    """
    server = Server(answer)
    for name, value in attributes.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Server(ThreadingHTTPServer):
    """See `serving`.

    Attributes:
        latency: Seconds before each answer.
        refuse: Number of the request (from 0) -> (HTTP status, body, headers), or None to serve it.
        raw: Number of the request -> (Content-Type, body, length that is promised), sent as it is before the
            connection is closed; or None.
        stall: Number of the request -> whether it gets no answer for a minute.
        usage: Tells the tokens; False: not.
        asked: Every request's body, in order.
        keys: The logins that came with them.
        most: The most requests that were under way at a time.
        url: Its address.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.latency, self.usage = answer, 0.0, True
        self.refuse, self.stall = (lambda number: None), (lambda number: False)
        self.raw: Any = lambda number: None
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def shutdown(self) -> None:
        self.ended.set()
        super().shutdown()

    def handle_error(self, request: Any, address: Any) -> None:
        """A client that gave up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, body: Any, code: int = 200, headers: Any = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.asked)
            server.asked.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            self.serve(server, number, body)
        finally:
            with server.lock:
                server.now -= 1

    def serve(self, server: Any, number: Any, body: Any) -> Any:
        if server.stall(number):
            server.ended.wait(60)
            return
        if server.latency:
            time.sleep(server.latency)
        if refused := server.refuse(number):
            code, said, headers = refused
            return self.reply(json.dumps(said).encode(), code, headers)
        if raw := server.raw(number):
            kind, content, length = raw
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")  # else the next request may still be sent over this one
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True
            return
        said = server.answer(body)
        if isinstance(said, bytes):
            return self.reply(said)
        value: dict[str, Any] = {
            "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]
        }
        if server.usage:
            sent = sum(len(one["content"]) for one in body["messages"]) // 4
            value["usage"] = {"prompt_tokens": sent, "completion_tokens": len(said) // 4}
        return self.reply(json.dumps(value).encode())
