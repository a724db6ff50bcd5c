"""The whole pipeline with the real frameworks on real rows; what a rerun, and more steps, do.

How good the model gets does not matter here; the quickstart recipe is for that.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"

pytestmark = pytest.mark.smoke


def pipeline(run: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "funreason_train",
        "pipeline",
        "+recipe=quickstart_cpu",
        f"run_dir={run}",
    ]
    settings = [
        "data.datasets=[apigen,funreason_mt]",
        f"data.apigen.path={FIXTURES / 'apigen_8rows.jsonl'}",
        f"data.funreason_mt.path={FIXTURES / 'funreason_mt_3rows.jsonl'}",
        "data.val_share=0.2",
        "pipeline.stages=[data,sft,rl,export]",
        "sft.max_steps=3",
        "cluster.sft.workers=1",
        "sft.global_batch=2",
        "sft.per_device_batch=2",
        "rl.steps=1",
        "rl.prompts_per_step=2",
        "rl.samples_per_prompt=2",
        "rl.max_response_tokens=16",
        "rl.algorithm.filter_groups=false",  # so small a run has no signal to look for
    ]
    return subprocess.run([*command, *settings, *words], capture_output=True, text=True, timeout=900)


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def test_real_rows_go_through_data_sft_rl_and_export(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = pipeline(run)
    assert first.returncode == 0, first.stdout + first.stderr
    ledger = json.loads((run / "data" / "ledger.json").read_text())
    sources = ledger.get("sources", ledger)
    assert sources["apigen"]["read"] == 8
    for source in ("apigen", "funreason_mt"):
        row = sources[source]
        assert row["read"] == row["kept"] + sum(row["rejected"].values())
        assert row["kept"] > 0
    manifest = json.loads((run / "manifest.json").read_text())["stages"]
    assert {name: record["state"] for name, record in manifest.items()} == dict.fromkeys(
        ("data", "sft", "rl", "export"), "done"
    )
    assert (run / "export" / "model.safetensors").stat().st_size > 1_000_000

    again = pipeline(run)
    assert again.returncode == 0
    assert again.stdout.count("already done, skipped") == 4

    before = weights(run / "export")
    longer = pipeline(run, "rl.steps=2", "rl.save_every=7", "rl.health.patience=9")
    assert longer.returncode == 0, longer.stdout + longer.stderr
    assert longer.stdout.count("already done, skipped") == 2 and "rl.steps: 1 -> 2" in longer.stdout
    lines = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2], "step 1 was not done again"
    stages = json.loads((run / "manifest.json").read_text())["stages"]
    assert (stages["rl"]["result"]["resumed_from"], stages["export"]["result"]["step"]) == (1, 2)
    assert weights(run / "old" / "export.1") == before

    other = pipeline(run, "sft.learning_rate=0.5")
    assert other.returncode == 2
    assert "sft.learning_rate" in other.stderr and "restart=sft" in other.stderr
