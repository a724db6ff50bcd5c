"""Starting and ending the server of `agents=vllm`, with a program in its place that does as it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.synth.agents import server as module
from funreason_train.synth.agents.server import vllm_server

#: Stands in for vLLM's command line: what it does is told by the variable FAKE_VLLM.
FAKE = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

def main():
    how, words = os.environ["FAKE_VLLM"], sys.argv[1:]
    with open(os.environ["FAKE_LOG"], "a") as log:
        print(json.dumps({"pid": os.getpid(), "words": words}), file=log)
    port = int(words[words.index("--port") + 1])
    if how == "crash":
        print("ValueError: no such architecture: Wonder", flush=True)
        sys.exit(3)
    if how == "killed":
        os.kill(os.getpid(), 9)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    with open(os.environ["FAKE_LOG"], "a") as log:
        print(json.dumps({"pid": child.pid}), file=log)
    if how == "never":
        time.sleep(300)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503 if how == "unwell" else 200)
            self.end_headers()
        def log_message(self, *_):
            pass

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts the program in vLLM's place; gives how to tell it what to do, and what it wrote down."""
    package = tmp_path / "fake" / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").write_text("")
    (package / "main.py").write_text(FAKE)
    log = tmp_path / "fake.log"
    paths = [str(tmp_path / "fake"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setattr("funreason_train.models.frameworks.distribution.shim", lambda folder: None)

    class Fake:
        def does(self, how: str) -> None:
            monkeypatch.setenv("FAKE_VLLM", how)

        def wrote(self) -> list[dict[str, Any]]:
            return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    made = Fake()
    yield made
    assert not [one["pid"] for one in made.wrote() if is_there(one["pid"])], "it left a process behind"


def is_there(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_it_is_started_with_what_was_asked_for_and_ended_with_its_children(fake: Any, tmp_path: Path) -> None:
    fake.does("serve")
    arguments = {"max_model_len": 512, "enforce_eager": True, "enable_lora": False, "dtype": None}
    with vllm_server("some/model", arguments, 120, tmp_path / "logs") as address:
        assert address.startswith("http://127.0.0.1:") and address.endswith("/v1")
        (first, child) = fake.wrote()
        assert first["words"][:2] == ["serve", "some/model"]
        assert first["words"][-3:] == ["--max-model-len", "512", "--enforce-eager"]
        assert is_there_now(first["pid"]) and is_there_now(child["pid"])
    assert (tmp_path / "logs" / "vllm.log").exists()


def is_there_now(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_it_is_ended_when_the_work_fails(fake: Any, tmp_path: Path) -> None:
    fake.does("serve")
    with pytest.raises(ZeroDivisionError), vllm_server("m", {}, 120, tmp_path / "logs"):
        _ = 1 / 0


@pytest.mark.parametrize("how", ["crash", "killed"])
def test_a_crash_at_the_start_is_told_with_its_last_lines(fake: Any, tmp_path: Path, how: str) -> None:
    fake.does(how)
    with pytest.raises(UserError) as found, vllm_server("m", {}, 120, tmp_path / "logs"):
        pass
    assert "the vLLM server of m ended while it started" in found.value.what
    assert how == "killed" or "no such architecture: Wonder" in found.value.what
    assert found.value.where == str(tmp_path / "logs" / "vllm.log") and "synth.vllm" in str(found.value.fix)


@pytest.mark.parametrize("how", ["never", "unwell"])
def test_one_that_never_gets_ready_is_given_up_and_ended(fake: Any, tmp_path: Path, how: str) -> None:
    fake.does(how)
    with (
        pytest.raises(UserError, match="did not answer within 6 s of its start"),
        vllm_server("m", {}, 6, tmp_path / "logs"),
    ):
        pass


def test_a_port_that_somebody_else_takes_meanwhile_is_told(
    fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    fake.does("serve")
    words, taken = module._words, []

    def late(model: str, arguments: Any, port: int) -> list[str]:
        other = socket.create_server(("127.0.0.1", port))
        taken.append(other)
        return words(model, arguments, port)

    monkeypatch.setattr(module, "_words", late)
    try:
        with (
            pytest.raises(UserError, match="ended while it started"),
            vllm_server("m", {}, 60, tmp_path / "l"),
        ):
            pass
    finally:
        for one in taken:
            one.close()


_RUN = """
import sys
from pathlib import Path
from funreason_train.synth.agents.server import vllm_server
with vllm_server("m", {}, 120, Path(sys.argv[1])):
    print("ready", flush=True)
    import time
    time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_command_ends_the_server(fake: Any, tmp_path: Path, number: int) -> None:
    fake.does("serve")
    shimless = "import funreason_train.models.frameworks.distribution as v; v.shim = lambda folder: None\n"
    code = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{shimless}{_RUN}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "logs")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.wait(120)
