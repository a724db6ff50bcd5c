"""Records of the proof become pages; figures in the documentation come from nowhere else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CLAIM = "never been run on a GPU"


def line(step: Any, status: Any = "ok", device: Any = "cuda", tiny: Any = False, **more: Any) -> Any:
    return {"step": step, "status": status, "device": device, "tiny": tiny, "seconds": 1.5, **more}


def test_what_counts_is_the_last_time_that_a_step_was_done(beside: Any) -> None:
    import record

    lines = [line("sft", figures={"a": 1}), line("sft", "failed"), line("rl", "time"), line("rl", "failed")]
    found = record.latest(lines)
    assert found["sft"]["figures"] == {"a": 1} and found["rl"]["status"] == "failed"


def test_a_line_that_was_cut_off_is_left_out(beside: Any, tmp_path: Any) -> None:
    import record

    file = tmp_path / "proof.jsonl"
    file.write_text(json.dumps(line("sft")) + '\n{"step": "rl", "sta\n[1]\n')
    assert [one["step"] for one in record.read(file)] == ["sft"]
    assert record.read(tmp_path / "absent") == []


def test_only_full_sizes_on_a_gpu_reach_the_page(beside: Any) -> None:
    import record

    lines = [
        line("machine", figures={"card": "NVIDIA H100 80GB HBM3", "driver": "580.1"}),
        line("attention", figures={"sdpa_ms": 3.25, "sdpa_error": {"gradient": 2e-05}, "tokens": 32768}),
        line("rl", "failed", error="Traceback\nValueError: a | b"),
    ]
    shown = record.page({"one": lines, "cpu": [line("sft", device="cpu")], "small": [line("sft", tiny=True)]})
    assert shown.startswith("### NVIDIA H100 80GB HBM3")
    assert "| sdpa_ms | 3.25 |" in shown and "| sdpa_error: gradient | 2e-05 |" in shown
    assert "| tokens | 32,768 |" in shown and "| rl | failed: `ValueError: a / b` | 1.5 |" in shown
    assert shown.count("### ") == 1
    assert record.page({"cpu": [line("sft", device="cpu")]}) == f"{record.NONE}\n"


def test_the_page_shows_the_records_that_are_kept(beside: Any) -> None:
    import record

    text = record.PAGE.read_text()
    assert text == record.placed(text, record.page(record.records())), "python proof/gpu/record.py --write"
    with pytest.raises(ValueError, match="lost the marks"):
        record.placed("no marks", "")


def test_it_is_said_that_nothing_ran_on_a_gpu_as_long_as_there_is_no_record(beside: Any) -> None:
    import record

    recorded = record.page(record.records()) != f"{record.NONE}\n"
    cluster = re.sub(r"\s+", " ", (ROOT / "docs" / "cluster.md").read_text())
    assert (CLAIM in cluster) is not recorded
    assert "docs/gpu.md" in (ROOT / "README.md").read_text()
