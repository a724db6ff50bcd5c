"""A run's record is read from the run, and holds no folder of the machine that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from run_record import record

SCORE = {"right": 4, "tasks": 8, "ci95": [0.2, 0.8], "categories": {}, "responses": 9, "cut_off": 0}


def written(path: Path, *values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values))


def test_a_record_holds_scores_curves_and_how_each_stage_was_made(tmp_path: Path) -> None:
    hardware = {"system": "x", "processor": "p", "cores": 2, "memory_bytes": 1, "gpus": []}
    origin = {"git": {"commit": "abc"}, "hardware": hardware}
    settings = {"sft": {"epochs": 1.0}, "model": "/home/someone/model"}
    done = {"state": "done", "origin": origin, "seconds": 3.0, "settings": settings}
    written(tmp_path / "manifest.json", {"stages": {"sft": done, "eval": {"state": "failed"}}})
    heldout = {"sft": 0.5, "rl_minus_sft": 0.1}
    written(tmp_path / "summary.json", {"seed": 7, "peak_bytes": 5, "heldout": heldout})
    written(tmp_path / "eval" / "sft" / "scores.json", SCORE)
    written(tmp_path / "sft" / "metrics.jsonl", {"step": 1, "loss": 2.0}, {"step": 2, "accuracy": 1})
    written(tmp_path / "rl" / "metrics.jsonl", {"reward/acc": 0.25, "timing_s/step": 9.6})
    bfcl = {"bfcl_version": "v", "limit": 25, "categories": {"multiple": {}}, "not_run": {}}
    written(tmp_path / "b" / "eval" / "sft" / "bfcl" / "scores.json", bfcl)
    found = record(tmp_path, tmp_path / "b")
    assert (
        found["seed"] == 7 and found["heldout"] == {"sft": SCORE} and found["paired"] == {"rl_minus_sft": 0.1}
    )
    assert (found["sft_loss"], found["rl_reward"], found["rl_step_seconds"]) == ([2.0], [0.25], [10.0])
    assert list(found["stages"]) == ["sft"] and found["stages"]["sft"]["commit"] == "abc"
    assert found["stages"]["sft"]["settings"] == {"sft.epochs": 1.0} and "/home" not in json.dumps(found)
    assert found["bfcl"]["sft"]["limit"] == 25
