"""Limits for the processes in which BFCL's functions run: time, memory, files, network, programs.

A model's calls can only name methods of BFCL's environments and pass literals, so nothing here is the first
line of defence; but legal calls can burn a machine (`power(base=10, exponent=100000000)`), and what holds at
the level of the operating system holds whatever a function does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

# System calls refused in a locked process, by machine: socket, connect, execve, execveat, io_uring_setup.
_REFUSED = {"x86_64": (41, 42, 59, 322, 425), "aarch64": (198, 203, 221, 281, 425)}
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_NETWORK = 2  # the first two of _REFUSED
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_LD, _JEQ, _JGE, _RET = 0x20, 0x15, 0x35, 0x06  # BPF: load a word, jumps, return


@dataclass(frozen=True)
class CallLimits:
    """What the calls of one session may take.

    Attributes:
        seconds: Processor time for one request; 0: no limit.
        wall: Seconds on the clock for one.
        memory: MiB that they all may add to what a fresh process has; 0: no limit, nor one of files.
    """

    seconds: float
    wall: float
    memory: int

    def to_json(self) -> dict[str, float]:
        """The limits as JSON's types."""
        return {"seconds": self.seconds, "wall": self.wall, "memory": self.memory}


class LimitReached(BaseException):
    """A call was stopped; not an `Exception`, so that no checker takes it for a call's own failure."""


def lock(network: bool) -> str:
    """Takes network (unless `network`) and new programs from this process and all it will fork.

    Returns:
        How: `seccomp` where the kernel refuses the system calls, else `python`: its socket module refuses.
    """
    if not network:
        socket.socket = _Refused  # type: ignore[misc,assignment]
        socket.create_connection = _refuse
        socket.getaddrinfo = _refuse
    return "seccomp" if _install_filter(network) else "python"


class _Refused:
    def __init__(self, *_: Any, **__: Any) -> None:
        _refuse()


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError("there is no network where a model's calls run")


def _install_filter(network: bool) -> bool:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCH:
        return False
    refused = _REFUSED[machine][_NETWORK if network else 0 :]
    end = len(refused) + 2  # from the instruction after the first check to the refusal, in instructions
    code = [(_LD, 0, 0, 4), (_JEQ, 0, end + 1, _ARCH[machine])]  # another architecture's call is refused
    code += [(_LD, 0, 0, 0), (_JGE, len(refused) + 1, 0, 0x40000000)]  # so is x32's
    code += [(_JEQ, len(refused) - n, 0, number) for n, number in enumerate(refused)]
    code += [(_RET, 0, 0, _ALLOW), (_RET, 0, 0, _EPERM)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))
    prctl, zero = ctypes.CDLL(None).prctl, ctypes.c_ulong(0)
    if prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0:
        return False
    return bool(prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), header, zero, zero) == 0)


def limit_memory(mebibytes: int) -> None:
    """Lets this process take so much memory beyond what it has, and write small files only."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + mebibytes * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Watchdog:
    """Ends this process when it works on one thing for too long.

    The kernel ends it by a signal that nobody handles: a computation in C, such as a power of ten with a
    hundred million digits, never gets back to the interpreter to handle one.

    Args:
        seconds: Processor time for one thing.
        wall: Seconds on the clock, for functions that wait.
    """

    def __init__(self, seconds: float, wall: float) -> None:
        self.seconds, self.wall = seconds, wall

    def arm(self) -> None:
        """Starts the clock, anew if it runs."""
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        signal.setitimer(signal.ITIMER_REAL, self.wall)

    def rest(self) -> None:
        """Stops the clock."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def cause_of_death(status: int) -> str:
    """What a wait status says, for a reason that a user reads."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGPROF, signal.SIGALRM):
            return "time_limit: a call, or checking the answer, took too long and was stopped"
        return f"crash: the process that ran the calls was ended by {signal.Signals(number).name}"
    return f"crash: the process that ran the calls ended with code {os.waitstatus_to_exitcode(status)}"
