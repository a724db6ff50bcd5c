"""Ray workers forked from a process that has imported the frameworks already.

On two cores an RL run spends most of its start in importing torch and what stands on it, once in each of a
dozen processes. The driver needs the same imports anyway: it makes them, forks a server that keeps that
state, and Ray's workers are forked from the server. `client.py` stands in for the Python executable (Ray's
runtime environment, `py_executable`): it hands its arguments, environment and streams to the server and
waits.

Safe because nothing has run yet that a fork would break: no OpenMP region, no second thread, and not Ray
itself, which reads the variables of one worker (its job, its raylet) as soon as it is imported.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import random
import runpy
import select
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ...run.process import end_with_parent
from .client import receive

#: How a job's runtime environment reaches Ray beside what `ray.init` is given (ray/_private/worker.py).
_RAY_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@contextmanager
def warm_workers(modules: Sequence[str]) -> Iterator[None]:
    """Imports `modules` and lets Ray's workers of this process's job start from there.

    Args:
        modules: What the workers need; imported in this order.
    """
    for module in modules:
        importlib.import_module(module)
    if (threads := _threads()) or "ray._raylet" in sys.modules:
        # Forking would leave the other threads' locks held forever.
        why = f"threads are running ({', '.join(threads)})" if threads else "Ray has been imported"
        print(f"workers start cold: {why}", file=sys.stderr)
        yield
        return
    # Removed by hand: a TemporaryDirectory would also be removed by the first fork that exits.
    folder = tempfile.mkdtemp(prefix="funreason-")
    path = os.path.join(folder, "workers")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(64)
    pid = os.fork()
    if pid == 0:
        _serve(server)
    server.close()
    client = [sys.executable, "-I", "-S", str(Path(__file__).with_name("client.py")), path]
    before = os.environ.get(_RAY_JOB_CONFIG)
    os.environ[_RAY_JOB_CONFIG] = json.dumps({"runtime_env": {"py_executable": shlex.join(client)}})
    try:
        yield
    finally:
        os.environ.pop(_RAY_JOB_CONFIG)
        if before is not None:
            os.environ[_RAY_JOB_CONFIG] = before
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _threads() -> list[str]:
    """The names of this process's other threads that a fork would not survive."""
    names = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    names.remove(Path("/proc/self/comm").read_text().strip())
    # jemalloc (in pyarrow) stops its thread before a fork and starts it again after.
    return [name for name in names if name != "jemalloc_bg_thd"]


def _serve(server: socket.socket) -> None:
    """Forks a worker for each client until this process is ended; never returns."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    clients: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([server], [], [], 0.2)
        if ready:
            connection, _ = server.accept()
            pid = os.fork()
            if pid == 0:
                server.close()
                _become_worker(connection)
            clients[pid] = connection
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(clients.pop(ended[0], None), os.waitstatus_to_exitcode(ended[1]))


def _tell(connection: socket.socket | None, code: int) -> None:
    if connection is not None:
        with suppress(OSError):
            connection.sendall(bytes([code & 0xFF]))
        connection.close()


def _become_worker(connection: socket.socket) -> None:
    """Turns this fork into the Python program that the client was asked to run; never returns."""
    code = 1
    try:
        request, files = receive(connection)
        connection.close()
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        random.seed()
        sys.argv = list(request["arguments"])
        sys.path[:0] = [os.path.dirname(sys.argv[0])]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
