"""BFCL with the real vLLM and a tiny model: it answers nothing right, and the results say so."""

import json
from pathlib import Path

import pytest

from funreason_train.evaluate import stage
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve

pytestmark = pytest.mark.smoke


def test_a_tiny_model_plays_single_turn_and_multi_turn_entries(tmp_path: Path) -> None:
    from funreason_train.models.tiny import build

    texts = ["Find the area of a triangle.", '"description": "The name of the file.", "type": "string"'] * 20
    sizes = ["model.vocab_size=800", "model.layers=2", "model.max_positions=32768"]
    build(tmp_path / "tiny", texts, compose(None, sizes))
    run = RunDir.at(tmp_path / "run")
    words = [f"run_dir={run.root}", f"model={tmp_path / 'tiny'}", "benchmark=bfcl", "limit=2", "replicas=1"]
    words += ["categories=[simple_python,multi_turn_base,irrelevance]", "max_tokens=8", "kv_cache_gib=1"]
    config = resolve(compose("eval", words), "eval")
    stage.run(config, run)
    (out,) = (run.root / "eval").glob("*/bfcl")
    info = json.loads((out / "info.json").read_text())
    assert info["entries"] == {"simple_python": 2, "irrelevance": 2, "multi_turn_base": 2}
    for category in info["categories"]:
        for line in (out / f"{category}.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert row["right"] is False
            assert row["reasons"]
            assert row["prompt"].endswith("<think>")
            assert row["completions"] or row["reasons"][0].startswith("prompt_too_long")
            assert 0 < row["tokens"] <= 8 * len(row["completions"]) or not row["completions"]
            assert row["unclosed"] == len(row["completions"])  # eight tokens close no thought
    assert any(json.loads(line)["completions"] for line in (out / "multi_turn_base.jsonl").open())
