"""A vLLM server of our own on this machine, for agents that are asked over its OpenAI interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...run.process import Child, ChildFailed

NAME = "model"
"""Under which name the server serves its one model."""

_POLL = 0.5  # seconds between two questions whether it is there
_TAIL = 3  # last lines of its log that an error shows


@contextmanager
def vllm_server(
    model: str, arguments: Mapping[str, Any], start_seconds: float, folder: Path
) -> Iterator[str]:
    """Starts `vllm serve` on loopback and ends it, with everything that it started.

    Args:
        model: A folder or hub id.
        arguments: Of `vllm serve`, without their dashes: `{"max_model_len": 8192, "enforce_eager": True}`.
        start_seconds: How long it may take until it answers.
        folder: For its log, and for what makes vLLM's CPU build start.

    Yields:
        The address of its OpenAI interface.

    Raises:
        UserError: it does not start.
    """
    from ...models.frameworks.distribution import shim

    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    if shimmed := shim(folder / "distribution"):
        places = [os.environ.get("PYTHONPATH"), str(shimmed)]
        variables["PYTHONPATH"] = os.pathsep.join(one for one in places if one)
        variables["VLLM_CPU_OMP_THREADS_BIND"] = os.environ.get("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        variables["VLLM_CPU_KVCACHE_SPACE"] = os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1")
    job = {"words": _words(model, arguments, port)}
    log = folder / "vllm.log"
    with (
        _until_nobody_is_left() as watch,
        Child(f"{__name__}:serve", job, environment=variables, log=log, group=True) as child,
    ):
        watch(child.pid)
        _wait(child, f"http://127.0.0.1:{port}", start_seconds, log, model)
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _until_nobody_is_left() -> Iterator[Callable[[int], None]]:
    """Ends a whole process group at the end, and also where this process is killed and can do nothing.

    Yields:
        What takes the group. A server's own children are no children of ours, and outlive it if it is killed.
    """
    watching: list[tuple[int, subprocess.Popen[bytes]]] = []

    def watch(group: int) -> None:
        # It reads until the other end is closed, by whatever ends this process.
        words = ["sh", "-c", 'cat > /dev/null; kill -s KILL -- "-$1" 2> /dev/null', "sh", str(group)]
        watching.append((group, subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)))

    try:
        yield watch
    finally:
        for group, watcher in watching:
            watcher.kill()
            watcher.wait()
            assert watcher.stdin is not None
            watcher.stdin.close()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def serve(job: Mapping[str, Any]) -> None:
    """Runs vLLM's own command line in this process, until it is ended."""
    import sys

    from vllm.entrypoints.cli.main import main

    sys.argv = ["vllm", *job["words"]]
    main()


def _words(model: str, arguments: Mapping[str, Any], port: int) -> list[str]:
    found = ["serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME]
    for name, value in arguments.items():
        option = f"--{str(name).replace('_', '-')}"
        if value is True:
            found.append(option)
        elif value not in (None, False):
            found += [option, str(value)]
    return found


def _wait(child: Child, address: str, seconds: float, log: Path, model: str) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if child.poll() is not None:
            try:
                child.result()
            except ChildFailed as error:
                raise _error(model, f"ended while it started ({error.why or error.code})", log) from None
            raise _error(model, "ended while it started", log)
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL)
    raise _error(model, f"did not answer within {seconds:g} s of its start", log)


def _error(model: str, what: str, log: Path) -> UserError:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = " / ".join([line for line in lines if line][-_TAIL:])
    return UserError(
        f"the vLLM server of {model} {what}{f'; it wrote: {said[-500:]}' if said else ''}",
        where=str(log),
        fix="Set what it needs in synth.vllm.arguments, or more time in synth.vllm.start_seconds",
    )
