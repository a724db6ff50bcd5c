"""An OpenAI completions server that knows the right answers, gives wrong ones on request, and can break."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def serving(answers: Any) -> Iterator[Any]:
    """The server while the block lasts.

    Args:
        answers: Prompt ids (a tuple) to the task's id and the completion.
    """
    server = Server(answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Server(ThreadingHTTPServer):
    """See `serving`.

    Attributes:
        names: The models that it says it serves.
        wrong: Tasks that get a completion without an end of thought.
        drop: So many requests are lost or turned away first.
        dead_after: From so many requests on it answers 500.
        slow: Seconds before each answer.
        asked: Every request's body.
        url: Its address.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answers: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.names = answers, ["tiny"]
        self.wrong: set[str] = set()
        self.dead_after: int | None = None
        self.asked: list[dict[str, Any]] = []
        self.drop, self.slow = 0, 0.0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, address: Any) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, value: Any, code: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.reply({"data": [{"id": name, "root": name} for name in self.server.names]})

    def do_POST(self) -> Any:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        if server.drop > 0:
            server.drop -= 1
            return self.connection.close() if server.drop % 2 else self.reply({}, 503)
        server.asked.append(body)
        if server.dead_after is not None and len(server.asked) > server.dead_after:
            return self.reply({"error": "out of memory"}, 500)
        time.sleep(server.slow)
        task, completion = server.answers[tuple(body["prompt"])]
        text = "nothing closes this thought" if task in server.wrong else completion
        return self.reply(
            {"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"completion_tokens": 5}}
        )
