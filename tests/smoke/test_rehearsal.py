"""A cluster's path with the real frameworks on hosts that this machine plays; one of them fails and returns.

SFT alone takes two to four minutes, the whole pipeline some ten:

    FUNREASON_SLOW=1 python -m pytest tests/smoke/test_rehearsal.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from smoke.console import ROOT, console_environment

SMALL = ["+recipe=funreason_mt_4b", "rehearse=true", "rehearsal.hosts=2"]

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif(
        not os.environ.get("FUNREASON_SLOW"), reason="two to ten minutes each; set FUNREASON_SLOW=1"
    ),
]


def rehearse(tmp_path: Path, *words: str) -> dict[str, Any]:
    """Runs a rehearsal to its end and gives its record."""
    environment = console_environment(tmp_path)
    command = [sys.executable, "-m", "funreason_train", "pipeline", *SMALL, f"run_dir={tmp_path / 'run'}"]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=1800, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "run.rehearsal" / "rehearsal.json").read_text())
    assert record["done"]
    return {step["stage"]: step for step in record["steps"]}


def steps_done(tmp_path: Path, stage: str) -> list[int]:
    lines = (tmp_path / "run.rehearsal" / "run" / stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_sft_on_two_hosts_outlives_one_of_them(tmp_path: Path) -> None:
    # Without ZeRO: DeepSpeed's first use compiles C++ for two minutes.
    words = ["stages=[data,sft]", "sft.deepspeed=null", "rehearsal.fail=[sft]"]
    sft = rehearse(tmp_path, *words)["sft"]
    assert sft["failed_host"], "no host failed, so nothing was shown"
    steps = steps_done(tmp_path, "sft")
    assert max(steps) == 40
    assert (tmp_path / "run.rehearsal" / "run" / "sft" / "model" / "config.json").is_file()
    log = "".join(file.read_text() for file in (tmp_path / "run.rehearsal/run/logs").glob("*/sft.log"))
    assert "node_rank=1" in log, "both training processes were on one host"
    assert "the training workers failed and are started again" in log or sft["attempts"] > 1


def test_rl_on_two_hosts_outlives_one_of_them(tmp_path: Path) -> None:
    words = ["stages=[data,sft,rl]", "sft.deepspeed=null", "rehearsal.fail=[rl]"]
    rl = rehearse(tmp_path, *words)["rl"]
    assert rl["failed_host"] and rl["code"] == 0
    steps = steps_done(tmp_path, "rl")
    assert max(steps) == 6
    assert steps == sorted(steps), "a step was done again although its checkpoint was there"


def test_the_whole_pipeline_on_two_hosts_outlives_a_host_in_sft_and_one_in_rl(tmp_path: Path) -> None:
    found = rehearse(tmp_path, "rehearsal.fail=[sft,rl]")
    assert list(found) == ["synth", "data", "sft", "rl", "export", "eval"]
    assert found["sft"]["failed_host"] and found["rl"]["failed_host"]
    assert max(steps_done(tmp_path, "rl")) == 6
    report = (tmp_path / "run.rehearsal" / "rehearsal.md").read_text()
    for missing in ("bfloat16", "NCCL", "Salesforce/xlam-function-calling-60k", "enforce_eager"):
        assert missing in report, "the list of what was not rehearsed lacks it"
    assert "zero2" in (tmp_path / "run.rehearsal" / "recipe.yaml").read_text()
