"""The evaluation's end of a `host`: starts the process, sends and receives its lines."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import UserError
from .host import HostOptions

_REPOSITORY = Path(__file__).resolve().parents[3]  # what the host imports this package from


class HostFailed(Exception):
    """The host ended although nobody told it to."""


class HostClient:
    """A running host.

    Args:
        python: The interpreter of the environment that holds bfcl-eval.
        options: How the host is set up.
        messages: Where its messages are put, as `(entry's id, message)`; `("", None)` when it ends.

    Attributes:
        hello: What the host said of itself: see `host`.
    """

    def __init__(
        self, python: str, options: HostOptions, messages: queue.SimpleQueue[Any] | None = None
    ) -> None:
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue() if messages is None else messages
        # bfcl-eval makes folders where it thinks its project is: one root a host, gone with it.
        self._root = tempfile.TemporaryDirectory(prefix="bfcl-")
        self._process = subprocess.Popen(
            [python, "-m", f"{__package__}.host", json.dumps(asdict(options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(self._root.name),
        )
        self.hello = self._first_line()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> HostClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._root.cleanup()

    def open(self, name: str) -> None:
        """Begins an entry; its first `ask` follows."""
        self._send(name, {"open": None})

    def answer(self, name: str, text: str) -> None:
        """Hands over the completion that an entry asked for."""
        self._send(name, {"text": text})

    def stop(self, name: str, reason: str) -> None:
        """Gives an entry up; its `done` follows."""
        self._send(name, {"stop": reason})

    def _send(self, name: str, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{name}\t{json.dumps(message)}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise HostFailed(f"bfcl-eval's process ended with code {self._process.wait()}") from None

    def _first_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._root.cleanup()
            raise UserError(
                f"bfcl-eval cannot be started (code {code}; what it said is above)",
                where=str(self._process.args[0]),  # type: ignore[index]
                mend="Install the locked environment again (launch/bootstrap.sh), "
                "or remove this folder if it is bfcl-eval's own environment",
            )
        return dict(json.loads(line.partition(b"\t")[2]))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, _, text = line.partition(b"\t")
            self.messages.put((name.decode(), json.loads(text)))
        self.messages.put(("", None))


def _environment(root: str) -> dict[str, str]:
    """The variables of a host: no threads, and no secret but the one that web search needs."""
    kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "HF_HOME", "LD_LIBRARY_PATH"]
    if os.environ.get("SERPAPI_API_KEY"):  # then web search runs, and how the web is reached counts
        kept += ["SERPAPI_API_KEY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY"]
        kept += ["NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
    values = {name: os.environ[name] for name in kept if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        **values,
        **threads,
        "BFCL_PROJECT_ROOT": root,
        "PYTHONPATH": str(_REPOSITORY),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
    }
