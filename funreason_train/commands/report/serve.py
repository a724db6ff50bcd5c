"""`report serve`: the report on this machine, refreshed while the run goes on.

The server sends the page, its blocks, and nothing else: no file of the run directory, no listing.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ...errors import UserError
from ...run.files import MISSHAPEN
from ...run.secrets import redacted
from ..display import say
from .build import Report

#: A look at the run's files is as fresh as so many seconds.
_FRESH = 5.0
_BLOCK = re.compile(r"/block/([\w-]+)")


class ReportServer(ThreadingHTTPServer):
    """Serves one report.

    Args:
        report: What is shown; its blocks are fetched one by one.
        host: The address to listen at.
        port: 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, report: Report, host: str, port: int) -> None:
        super().__init__((host, port), _Handler)
        self.report = report
        self._lock = threading.Lock()
        self._looked = 0.0
        #: Names that a request may call this server: a page of another name must not read it (DNS rebinding).
        self.names = {host, "localhost", "127.0.0.1", "[::1]"}

    def fresh(self) -> Report:
        """The report as it is now."""
        with self._lock:
            if not self._looked or time.monotonic() - self._looked > _FRESH:
                self.report.refresh()
                self._looked = time.monotonic()
            return self.report

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone, in the middle of an answer, is nothing to tell; all else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            sys.stderr.write(f"report serve: a request failed ({type(error).__name__}: {error})\n")


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    protocol_version = "HTTP/1.1"
    server_version = "funreason-train"
    sys_version = ""

    def do_GET(self) -> None:
        """The page or a block of it."""
        name = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        if self.server.names.isdisjoint({name}) and "0.0.0.0" not in self.server.names:
            self._send(403, "text/plain", "this server answers to its own name only")
        else:
            self._send(*self._answer(self.path.partition("?")[0]))

    do_HEAD = do_GET

    def _answer(self, path: str) -> tuple[int, str, str]:
        """Code, kind and text of what is asked for."""
        try:
            if path in ("/", "/report.html"):
                return 200, "text/html", self.server.fresh().page()
            if (found := _BLOCK.fullmatch(path)) and (block := self.server.fresh().blocks.get(found[1])):
                return 200, "text/plain", block
        except (OSError, *MISSHAPEN) as error:  # as when the run's folder is taken away meanwhile
            said = redacted(f"the report cannot be made now ({type(error).__name__}: {error})")
            return 503, "text/plain", said
        return 404, "text/plain", "the report is at /"

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode("utf-8", "backslashreplace")
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Nothing: the terminal shows where the report is, and stays readable."""


def serve(report: Report, host: str, port: int) -> None:
    """Serves until it is interrupted.

    Raises:
        UserError: if nothing can listen there.
    """
    try:
        server = ReportServer(report, host, port)
    except (OSError, TypeError, UnicodeError) as error:  # of a name that none can have
        said = error.strerror if isinstance(error, OSError) else "not a name of a machine"
        raise UserError(
            f"nothing can listen at {host}:{port} ({said})", fix="Choose another port=PORT or host=NAME"
        ) from None
    say(f"Report: http://{host}:{server.server_port}/ (Ctrl-C ends it)")
    with server:
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
