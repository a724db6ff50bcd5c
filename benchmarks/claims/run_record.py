"""The record of one run as a small JSON file: what it reached, what it took, and its curves.

python benchmarks/claims/run_record.py RUN_DIR benchmarks/claims/recorded/NAME.json [--bfcl RUN_DIR_OF_BFCL]

Everything is read from the run: summary, scores, metrics, manifest. Nothing is typed in.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from funreason_train.run.changes import flat

#: Of a held-out score.
_SCORE = ("right", "tasks", "ci95", "categories", "responses", "cut_off")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def curve(file: Path, key: str, digits: int) -> list[float]:
    """A series of a stage, a value a logged step."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [round(line[key], digits) for line in lines if key in line]


def made(stage: dict[str, Any]) -> dict[str, Any]:
    """How a stage was run: commit, machine, seconds and settings, without the folders of that machine."""
    origin = stage["origin"]
    machine = {key: origin["hardware"][key] for key in ("processor", "cores", "memory_bytes", "gpus")}
    settings = {key: value for key, value in flat(stage["settings"]).items() if "/" not in str(value)}
    return {
        "commit": origin["git"]["commit"],
        "machine": machine,
        "seconds": stage["seconds"],
        "settings": settings,
    }


def record(run: Path, bfcl: Path | None) -> dict[str, Any]:
    """What is kept of a run."""
    summary, stages = read(run / "summary.json"), read(run / "manifest.json")["stages"]
    scores = {file.parent.name: read(file) for file in sorted((run / "eval").glob("*/scores.json"))}
    found: dict[str, Any] = {
        "seed": summary["seed"],
        "stages": {name: made(stage) for name, stage in stages.items() if stage["state"] == "done"},
        "peak_bytes": summary["peak_bytes"],
        "heldout": {name: {key: one[key] for key in _SCORE} for name, one in scores.items()},
        "paired": {key: value for key, value in summary["heldout"].items() if "minus" in key},
        "sft_loss": curve(run / "sft" / "metrics.jsonl", "loss", 3),
        "rl_reward": curve(run / "rl" / "metrics.jsonl", "reward/acc", 3),
        "rl_step_seconds": curve(run / "rl" / "metrics.jsonl", "timing_s/step", 0),
    }
    if bfcl is not None:
        for file in sorted((bfcl / "eval").glob("*/bfcl/scores.json")):
            one = read(file)
            kept = {key: one[key] for key in ("bfcl_version", "limit", "categories")}
            found.setdefault("bfcl", {})[file.parent.parent.name] = kept
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bfcl", type=Path)
    asked = parser.parse_args()
    text = json.dumps(record(asked.run, asked.bfcl), indent=1, ensure_ascii=False)
    asked.file.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
