"""Hosts where namespaces are not permitted: each has an address of the loopback network, 127.77.0.N.

They share the machine's name, shared memory and ports, so less is rehearsed than with namespaces. A host's
processes are known by a mark in their environment.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from .host import MARK, end_marked, run_program


class LoopbackHost:
    """See `Host`."""

    def __init__(self, rank: int, mark: str) -> None:
        self.rank, self.mark = rank, mark
        self.name = os.uname().nodename
        self.address = f"127.77.0.{rank + 1}"

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Starts a command, which takes its address and interface from variables."""
        more = {
            MARK: self.mark,
            "FUNREASON_NODE_IP": self.address,
            "GLOO_SOCKET_IFNAME": "lo",
        }
        return run_program(command, {**environment, **more}, log)

    def power_off(self) -> None:
        """Ends the host's processes."""
        end_marked(self.mark)

    def power_on(self) -> None:
        """Nothing has to be made."""


class LoopbackHosts:
    """`count` hosts; leaving the context ends what still runs on them.

    Args:
        count: Hosts.
        mark: A word that no other rehearsal has.
    """

    def __init__(self, count: int, mark: str) -> None:
        self.hosts = [LoopbackHost(rank, f"{mark}.{rank}") for rank in range(count)]

    def __enter__(self) -> LoopbackHosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts:
            host.power_off()
