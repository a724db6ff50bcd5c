"""A small server that speaks as much of the hub's protocol as its client asks for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_aSecretThatNobodyShallSee"


class Hub:
    """What the hub holds.

    Attributes:
        repos: `models/OWNER/NAME` or `datasets/OWNER/NAME` -> file -> content.
        gated: Repositories whose files need TOKEN.
        cuts: How many answers with a file's content still end in the middle.
        asked: `METHOD path`, in order.
        sent: Bytes of file contents that were sent.
    """

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        self.repos = repos
        self.gated: set[str] = set()
        self.cuts = 0
        self.asked: list[str] = []
        self.sent = 0
        self.url = ""

    def find(self, path: str) -> tuple[str, str]:
        """The repository that a path is about, and what follows its name."""
        found = re.fullmatch(r"/(?:api/)?(?:(models|datasets)/)?([^/]+/[^/]+)(/.*)?", path)
        if found is None:
            return "", ""
        return f"{found[1] or 'models'}/{found[2]}", found[3] or ""


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """Runs the hub; yields its address for HF_ENDPOINT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_POST(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.asked.append(f"{self.command} {path}")
            name, rest = hub.find(path)
            files = hub.repos.get(name)
            if files is None:
                return self.refuse(404, "RepoNotFound", "Repository not found", body)
            admitted = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if name in hub.gated and not admitted and not path.startswith("/api"):
                code = 403 if self.headers.get("Authorization") else 401
                return self.refuse(code, "GatedRepo", "Access to this repo is restricted", body)
            if path.startswith("/api"):
                return self.api(name, rest, files, sent)
            found = re.fullmatch(r"/resolve/[^/]+/(.+)", rest)
            if found is None or found[1] not in files:
                return self.refuse(404, "EntryNotFound", "Entry not found", body)
            self.content(files[found[1]], body)

        def api(self, name: str, rest: str, files: dict[str, bytes], sent: bytes) -> None:
            entries = [
                {"type": "file", "path": file, "size": len(content), "oid": _etag(content)}
                for file, content in sorted(files.items())
            ]
            if rest.startswith("/paths-info"):
                asked = json.loads(sent)["paths"] if sent[:1] == b"{" else _fields(sent, "paths")
                return self.json([entry for entry in entries if entry["path"] in asked])
            if rest.startswith("/tree"):
                return self.json(entries)
            self.json(
                {
                    "id": name.partition("/")[2],
                    "sha": SHA,
                    "private": False,
                    "gated": False,
                    "tags": [],
                    "siblings": [{"rfilename": file} for file in sorted(files)],
                }
            )

        def content(self, content: bytes, body: bool) -> None:
            first = 0
            if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
                first = int(found[1])
            part = content[first : int(found[2]) + 1 if found and found[2] else None]
            self.send_response(206 if found else 200)
            if found:
                self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.send_header("ETag", f'"{_etag(content)}"')
            self.send_header("X-Repo-Commit", SHA)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if not body:
                return
            if hub.cuts and len(part) > 1000:
                hub.cuts -= 1
                part = part[: len(part) // 2]
                self.close_connection = True
            self.wfile.write(part)
            hub.sent += len(part)

        def json(self, value: Any) -> None:
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def refuse(self, code: int, kind: str, message: str, body: bool) -> None:
            text = json.dumps({"error": message}).encode()
            self.send_response(code)
            self.send_header("X-Error-Code", kind)
            self.send_header("X-Error-Message", message)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if body:
                self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub.url
    finally:
        server.shutdown()
        server.server_close()


def _fields(form: bytes, name: str) -> list[str]:
    return parse_qs(form.decode()).get(name, [])


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
