"""The real sample rows, through the data stage with its parity gate on."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from funreason_train.data import stage
from funreason_train.run.paths import RunDir
from funreason_train.settings import load_settings

ROOT = Path(__file__).parents[2]
_FIXTURES = ROOT / "tests" / "fixtures"


def settings(run: RunDir, *words: str) -> DictConfig:
    """The shipped configuration with both samples and every row compared, then the overrides."""
    samples = [
        "data.datasets=[apigen,funreason_mt]",
        f"data.apigen.path={_FIXTURES / 'apigen_8rows.jsonl'}",
        f"data.funreason_mt.path={_FIXTURES / 'funreason_mt_3rows.jsonl'}",
        "data.parity_rows=100",
        "data.val_share=0",
    ]
    return load_settings("data", [f"run_dir={run.root}", *samples, *words])


def prepare(run: RunDir, *words: str) -> None:
    """Runs the data stage with overrides."""
    stage.run(settings(run, *words), run)
