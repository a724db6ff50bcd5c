"""The proof's driver: each step's end is recorded, and nothing of a step that hangs is left."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

GPU = Path(__file__).parents[2] / "proof" / "gpu"

#: Steps in place of the real ones; `proof.py` runs each in a process of its own.
STEPS = {
    "good": "job.note(speed_tokens=3)",
    "bad": "job.note(before=1)\n    raise RuntimeError('no luck')",
    # Begins a process that has left its group, ignores what is asked of it, and would live on.
    "slow": """job.note(began=True)
    import os, subprocess, sys, time
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
        start_new_session=True,
    )
    (job.work / "child").write_text(str(child.pid))
    time.sleep(600)""",
    "last": "job.note(came=True)",
}


@pytest.fixture
def scripts(tmp_path: Any) -> Any:
    """A copy of the driver with those steps."""
    folder = tmp_path / "gpu"
    (folder / "steps").mkdir(parents=True)
    for name in ("proof.py", "child.py", "record.py"):
        (folder / name).write_text((GPU / name).read_text())
    real = (GPU / "steps" / "__init__.py").read_text()
    listed = ", ".join(f'Step("{name}", "{name}", {3.0 if name == "slow" else 60.0})' for name in STEPS)
    head, _, tail = real.partition("STEPS = (")
    (folder / "steps" / "__init__.py").write_text(
        f"{head}STEPS = ({listed})\n{tail.partition(chr(10) + ')')[2]}"
    )
    for name, body in STEPS.items():
        (folder / "steps" / f"{name}.py").write_text(f"def run(job):\n    {textwrap.dedent(body)}\n")
    return folder


def prove(scripts: Any, out: Any, *words: Any) -> Any:
    line = [sys.executable, str(scripts / "proof.py"), "--out", str(out), "--device", "cpu", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    file = out / "proof.jsonl"
    return done, [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


def test_a_step_that_fails_or_hangs_costs_the_others_nothing(scripts: Any, tmp_path: Any) -> None:
    done, lines = prove(scripts, tmp_path / "out", "--seconds", "60")  # so that none is left over
    assert done.returncode == 1
    assert [(line["step"], line["status"]) for line in lines] == [
        ("good", "ok"),
        ("bad", "failed"),
        ("slow", "time"),
        ("last", "ok"),
    ]
    good, bad, slow, last = lines
    assert good["figures"] == {"speed_tokens": 3} and last["figures"] == {"came": True}
    assert bad["figures"] == {"before": 1} and "no luck" in bad["error"]
    assert slow["figures"] == {"began": True} and "killed after 3 s" in slow["error"]
    assert not psutil.pid_exists(int((tmp_path / "out" / "work" / "child").read_text()))
    shown = (tmp_path / "out" / "table.md").read_text()
    assert "| good | done |" in shown and "no luck" in shown and "stopped at its limit" in shown


def test_steps_that_are_done_are_not_done_again_unless_asked(scripts: Any, tmp_path: Any) -> None:
    out = tmp_path / "out"
    prove(scripts, out, "--steps", "good,bad")
    _, lines = prove(scripts, out, "--steps", "good,bad")
    assert [line["step"] for line in lines] == ["good", "bad", "bad"]
    done, lines = prove(scripts, out, "--steps", "good", "--again")
    assert [line["step"] for line in lines][-1] == "good" and done.returncode == 0
    # A record of other sizes does not count.
    _, lines = prove(scripts, out, "--steps", "good", "--tiny")
    assert (lines[-1]["step"], lines[-1]["tiny"]) == ("good", True)


def test_without_time_left_a_step_is_named_and_not_begun(scripts: Any, tmp_path: Any) -> None:
    done, lines = prove(scripts, tmp_path / "out", "--seconds", "2")
    assert done.returncode == 1
    assert [line["status"] for line in lines] == ["skipped"] * len(STEPS)


def test_an_unknown_step_is_an_error_that_lists_the_known_ones(scripts: Any, tmp_path: Any) -> None:
    done, _ = prove(scripts, tmp_path / "out", "--steps", "good,better")
    assert done.returncode == 2 and "there is no step better; there are good, bad, slow, last" in done.stderr


def test_the_real_steps_are_there_and_fit_the_time(beside: Any) -> None:
    import importlib

    from steps import BUDGET
    from steps import STEPS as real

    for step in real:
        assert (GPU / "steps" / f"{step.name}.py").is_file()
    # Half of the 15 minutes for which a card can be had, however small it is.
    assert sum(step.seconds for step in real) <= BUDGET <= 480
    assert [step.name for step in real][:2] == ["machine", "attention"]
    assert importlib.import_module("steps.machine").run


def test_a_step_is_sure_of_its_own_time_and_gets_what_was_left_over(beside: Any) -> None:
    from steps import BUDGET, limit
    from steps import STEPS as real

    names = [step.name for step in real]
    own = {step.name: step.seconds for step in real}
    left = BUDGET
    for name in names:  # each takes all that it may: none later gets less than its own
        seconds = limit(name, names, left)
        assert seconds >= own[name]
        left -= seconds
    assert left >= 0
    assert limit("rl", ["rl", "export"], BUDGET) == BUDGET - own["export"]
    assert limit("sft", names, 30.0) == 30.0, "never more than there is"
    early = BUDGET - own["machine"] - 5  # attention took 30 seconds less than it might
    assert limit("loss", names, early) > own["loss"]
