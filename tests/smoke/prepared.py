"""The real sample rows, through the data stage with its parity gate on."""

from __future__ import annotations

from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from funreason_train.data import stage
from funreason_train.run.paths import RunDir

ROOT = Path(__file__).parents[2]


def settings(run: RunDir, *words: str) -> DictConfig:
    """The shipped defaults with both samples and every row compared, then the overrides."""
    configs, fixtures = ROOT / "configs", ROOT / "tests" / "fixtures"
    data = yaml.safe_load((configs / "data.yaml").read_text())
    del data["defaults"]
    for name, file in (("apigen", "apigen_8rows.jsonl"), ("funreason_mt", "funreason_mt_3rows.jsonl")):
        data[name] = yaml.safe_load((configs / "dataset" / f"{name}.yaml").read_text())
        data[name]["path"] = str(fixtures / file)
    data["synth"] = yaml.safe_load((configs / "dataset" / "synth.yaml").read_text())
    data |= {"datasets": ["apigen", "funreason_mt"], "parity": "sample", "parity_rows": 100, "val_share": 0}
    rest = {
        "seed": 0,
        "run_dir": str(run.root),
        "environment_modules": [],
        "protocol": {"system": "bfcl", "answer": "bare"},
        "model": yaml.safe_load((configs / "model" / "tiny.yaml").read_text()),
    }
    config = OmegaConf.merge({"data": data, **rest}, OmegaConf.from_dotlist(list(words)))
    assert isinstance(config, DictConfig)
    return config


def prepare(run: RunDir, *words: str) -> None:
    """Runs the data stage with overrides."""
    stage.run(settings(run, *words), run)
