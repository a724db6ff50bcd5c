"""A real training under supervision that is asked to stop, and one of whose workers then stops moving."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FAR = 900.0

pytestmark = pytest.mark.smoke


SECRETS = {"OPENAI_API_KEY": "sk-smoke-secret-41", "WANDB_API_KEY": "wandb-smoke-secret-42"}


class Command:
    """`funreason-train pipeline` of data and SFT, with secrets in its environment."""

    def __init__(self, run: Path, *words: str) -> None:
        self.run, self.log = run, run.parent / f"{run.name}.out"
        program = [sys.executable, "-m", "funreason_train", "pipeline"]
        command = [*program, "+recipe=quickstart_cpu", f"run_dir={run}"]
        settings = [
            "data.datasets=[apigen,funreason_mt]",
            f"data.apigen.path={FIXTURES / 'apigen_8rows.jsonl'}",
            f"data.funreason_mt.path={FIXTURES / 'funreason_mt_3rows.jsonl'}",
            "pipeline.stages=[data,sft]",
            *("sft.max_steps=400", "sft.save_steps=10", "sft.global_batch=2", "sft.per_device_batch=1"),
            *("cluster.sft.workers=2", "doctor.preflight=false"),
            *("supervise=true", "supervision.wait_seconds=1"),
        ]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*command, *settings, *words],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **SECRETS},
                start_new_session=True,
            )

    def step(self) -> int:
        """The last step with a line in the metrics."""
        file = self.run / "sft" / "metrics.jsonl"
        lines = file.read_text().splitlines() if file.is_file() else []
        return int(json.loads(lines[-1])["step"]) if lines else 0

    def reaches(self, step: int) -> None:
        """Waits until the training is there."""
        until = time.monotonic() + FAR
        while self.step() < step:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, "it takes too long"
            time.sleep(0.2)

    def workers(self) -> list[psutil.Process]:
        """The training processes."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in family if "RayTrainWorker" in " ".join(one.cmdline())]


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    started: list[Command] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            for process in psutil.Process(one.process.pid).children(recursive=True):
                process.kill()
            one.process.kill()


def test_a_stop_and_then_a_worker_that_stops_moving_cost_no_step(
    tmp_path: Path, commands: list[Command]
) -> None:
    run = tmp_path / "run"
    words = ["sft.max_steps=60", "sft.logging_steps=1"]
    first = Command(run, *words)
    commands.append(first)
    first.reaches(12)
    os.kill(first.process.pid, signal.SIGTERM)
    assert first.process.wait(FAR) == 75, first.log.read_text()[-3000:]
    reached = first.step()
    assert 12 <= reached < 50 and (run / "sft" / "checkpoints" / f"checkpoint-{reached}").is_dir()

    command = Command(run, *words, "supervision.hang_seconds=20", "supervision.start_seconds=600")
    commands.append(command)
    saved = 10 * (reached // 10 + 1)
    command.reaches(saved + 2)
    victim = command.workers()[1]
    victim.send_signal(signal.SIGSTOP)
    assert command.process.wait(FAR) == 0, command.log.read_text()[-3000:]
    (incident,) = [file.read_text() for file in (run / "incidents").glob("*-sft-*.md")]
    assert "kind **hang**" in incident and "training." in incident and "started again" in incident
    assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE, "nothing of it is left"
    (stacks,) = (run / "incidents").glob("*.stacks")
    assert len(list(stacks.glob("*.txt"))) >= 2
    said = "".join(file.read_text(errors="replace") for file in (run / "logs").rglob("sft*.log"))
    assert f"continuing from checkpoint-{reached}" in said and f"continuing from checkpoint-{saved}" in said
    steps = [json.loads(line)["step"] for line in (run / "sft" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 61)), "no step is lost or done twice"
    for file in [*run.rglob("*"), command.log]:
        if file.is_file() and file.stat().st_size < 50_000_000:
            written = file.read_bytes()
            for secret in SECRETS.values():
                assert secret.encode() not in written, f"a secret of the environment is in {file}"
