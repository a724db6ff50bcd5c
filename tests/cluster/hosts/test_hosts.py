"""Hosts that one machine plays, for real: namespaces where they are permitted, loopback addresses everywhere.

What is made lives in processes of its own, since the first process of a rack is the test's subject.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from funreason_train.cluster.hosts import LoopbackHosts, enter_rack, why_not
from funreason_train.cluster.hosts.host import marked

ROOT = os.getuid() == 0
#: Runs in a rack: two hosts, what they see of themselves and of each other, and what a failed one leaves.
PROGRAM = """
import json, os, subprocess, sys, time
from pathlib import Path
from funreason_train.cluster.hosts import NamespaceHosts
folder = Path(sys.argv[1])
SEE = (
    "uname -n; ip -o -4 addr show eth0 | tr -s ' ' | cut -d' ' -f4; "
    "ls /proc | grep -c '^[0-9]'; df --output=size /dev/shm | tail -1"
)
SERVE = "import socket; s = socket.create_server(('0.0.0.0', 7000)); s.accept()[0].sendall(b'here')"
ASK = "import socket; print(socket.create_connection(('10.77.0.2', 7000), 5).recv(9).decode())"
with NamespaceHosts(2, "8m") as rack:
    first, second = rack.hosts
    def run(host, *command):
        log = folder / "log"
        log.unlink(missing_ok=True)
        host.start(command, dict(os.environ), log).wait()
        return log.read_text().split()
    def reach():
        server = second.start([sys.executable, "-c", SERVE], dict(os.environ), folder / "server")
        for _ in range(100):
            time.sleep(0.1)
            found = run(first, sys.executable, "-c", ASK)
            if found[-1:] == ["here"]:
                return True
        return False
    told = {"first": run(first, "sh", "-c", SEE), "second": run(second, "sh", "-c", SEE), "reached": reach()}
    second.start(["sh", "-c", "setsid sleep 4711 & sleep 4712"], dict(os.environ), folder / "log")
    time.sleep(0.5)
    def sleeping():
        found = 0
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += file.read_bytes().startswith((b"sleep\\x004711", b"sleep\\x004712"))
            except OSError:
                pass
        return found
    told["before"] = sleeping()
    second.power_off()
    told["after"] = sleeping()
    second.power_on()
    told["again"] = reach()
    print(json.dumps(told), flush=True)
    if sys.argv[2:] == ["hold"]:
        first.start(["sleep", "4713"], dict(os.environ), folder / "log")
        time.sleep(600)
"""


def namespaces() -> bool:
    return why_not(ROOT) is None


def rack(tmp_path: Path, *words: str) -> list[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    return [*enter_rack(ROOT), sys.executable, str(program), str(tmp_path), *words]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "the expected state was not reached"
        time.sleep(0.05)


def running(*words: str) -> bool:
    """Whether a process runs exactly this."""
    wanted = "".join(f"{word}\0" for word in words).encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def test_hosts_have_names_addresses_processes_and_memory_of_their_own_and_reach_each_other(
    tmp_path: Path,
) -> None:
    if not namespaces():  # then a rehearsal plays hosts on loopback, tested below
        return
    interfaces = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    done = subprocess.run(rack(tmp_path), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for rank, name in enumerate(("first", "second")):
        host, address, processes, memory = told[name]
        assert (host, address) == (f"host{rank}", f"10.77.0.{rank + 1}/24")
        assert int(processes) < 12, "it sees processes that are not its own"
        assert memory == "8192"
    assert told["reached"]
    assert told["before"] == 2, "the sleepers did not start, so nothing was shown"
    assert not told["after"], "a host that was switched off left a process behind"
    assert told["again"], "a host that came back is not reached at its old address"
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout == interfaces


def test_killing_the_rack_outright_leaves_no_process_and_no_interface(tmp_path: Path) -> None:
    if not namespaces():
        return
    interfaces = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    with subprocess.Popen(rack(tmp_path, "hold"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        until(lambda: running("sleep", "4713"))
        process.send_signal(signal.SIGKILL)
    until(lambda: not running("sleep", "4713"))
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout == interfaces


def test_loopback_hosts_have_addresses_and_end_with_all_their_processes(tmp_path: Path) -> None:
    mark = f"test{os.getpid()}"
    log = tmp_path / "log"
    with LoopbackHosts(2, mark) as machines:
        first, second = machines.hosts
        assert first.address != second.address
        command = ["sh", "-c", "echo $FUNREASON_NODE_IP; setsid sleep 4714 & sleep 4715"]
        processes = [host.start(command, dict(os.environ), log) for host in machines.hosts]
        until(lambda: len(marked(f"{mark}.0")) >= 3 and len(marked(f"{mark}.1")) >= 3)
        second.power_off()
        assert not marked(f"{mark}.1")
        assert processes[1].wait() == -signal.SIGKILL
        assert marked(f"{mark}.0"), "the other host was ended as well"
        second.power_on()
        assert second.start(["true"], dict(os.environ), log).wait() == 0
    assert not marked(f"{mark}.0")
    assert sorted(log.read_text().split()) == [first.address, second.address]


def test_a_machine_without_the_tools_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    why = why_not(ROOT)
    assert why is not None and "unshare" in why
