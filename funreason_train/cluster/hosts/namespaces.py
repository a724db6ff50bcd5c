"""Hosts as Linux namespaces: each has a network interface, processes, a name and shared memory of its own.

All of it lies inside one outer namespace, the rack, whose first process is the rehearsal itself: it holds the
bridge that joins the hosts, 10.77.0.254. Nothing of it has a name outside or reaches the machine's network,
and the kernel removes all of it with that process, however it ended. What hosts share is the file system.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .host import MARK, HostsError, run_program

_NETWORK = "10.77.0"
_BRIDGE = "rack"
_SECONDS = 20.0
#: The first process of a host. It waits for orphans, as a machine's does, and announces that it is there.
#: /dev/shm is a machine's own.
_FIRST = """
hostname "$1" && ip link set lo up && mount -t tmpfs -o "size=$2" shm /dev/shm && echo up || exit 1
while :; do sleep 1000 & wait $!; done
"""
_NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
#: A user who is not root becomes root of a namespace first, where the kernel permits it.
_AS_ROOT = ("--user", "--map-root-user")


def enter_rack(root: bool) -> list[str]:
    """The words before a command that make it the first process of a rack.

    Args:
        root: Whether the user is root.
    """
    return ["unshare", *(() if root else _AS_ROOT), *_NAMESPACES, "--"]


def why_not(root: bool) -> str | None:
    """Why this machine cannot make such hosts, in the words of the tool that failed, or None if it can.

    Args:
        root: Whether the user is root.
    """
    inside = (
        f"ip link set lo up && ip link add {_BRIDGE} type bridge && ip link add v0 type veth peer name v1 && "
        f"ip link set v0 master {_BRIDGE} && nsenter --version >/dev/null && unshare --uts hostname trial && "
        "unshare --mount mount -t tmpfs shm /dev/shm"
    )
    try:
        tried = subprocess.run(
            [*enter_rack(root), "sh", "-c", inside], capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = " ".join(tried.stderr.split())
    return None if tried.returncode == 0 else said or f"unshare ended with code {tried.returncode}"


class NamespaceHost:
    """See `Host`."""

    def __init__(self, rank: int, memory: str) -> None:
        self.rank, self.name, self.address = rank, f"host{rank}", f"{_NETWORK}.{rank + 1}"
        self._memory = memory
        self._ups = 0
        self._holder: subprocess.Popen[bytes] | None = None  # `unshare`, which goes with the first process
        self._first = 0

    def power_on(self) -> None:
        """Makes the namespaces and joins the host to the bridge.

        Raises:
            HostsError: if the system refuses.
        """
        self._holder = subprocess.Popen(
            ["unshare", "--uts", *_NAMESPACES, "--", "bash", "-c", _FIRST, "first", self.name, self._memory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != b"up\n":
            self._holder.kill()
            raise HostsError(f"{self.name}: {self._holder.stderr.read().decode(errors='replace').strip()}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._first = int(children[0])
        self._ups += 1
        near, hardware = f"v{self.rank}.{self._ups}", f"02:00:0a:4d:00:{self.rank + 1:02x}"
        _run(
            *("ip", "link", "add", near, "type", "veth", "peer", "name", "eth0"),
            *("address", hardware, "netns", str(self._first)),
        )
        _run("ip", "link", "set", near, "master", _BRIDGE, "up")
        inside = ("nsenter", "--target", str(self._first), "--net", "ip")
        _run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")

    def power_off(self) -> None:
        """Ends the host's first process, and the kernel every other one with it."""
        if self._holder is not None:
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._holder.communicate()  # which waits for it
            self._holder = None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Starts a command in the host's namespaces."""
        inside = ["nsenter", "--target", str(self._first), "--net", "--uts", "--mount", "--pid"]
        folder = f"--wd={Path.cwd()}"
        return run_program([*inside, folder, "--", *command], {**environment, MARK: str(self.rank)}, log)


class NamespaceHosts:
    """`count` hosts on one bridge, made by the first process of a rack; leaving the context ends them.

    Args:
        count: Hosts.
        memory: Shared memory of each (/dev/shm), as `mount` takes it.
    """

    def __init__(self, count: int, memory: str = "512m") -> None:
        self.hosts = [NamespaceHost(rank, memory) for rank in range(count)]

    def __enter__(self) -> NamespaceHosts:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", _BRIDGE, "type", "bridge")
        _run("ip", "link", "set", _BRIDGE, "up")
        _run("ip", "addr", "add", f"{_NETWORK}.254/24", "dev", _BRIDGE)
        try:
            for host in self.hosts:
                host.power_on()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts:
            host.power_off()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise HostsError(f"{' '.join(command)}: {done.stderr.strip() or f'code {done.returncode}'}")
