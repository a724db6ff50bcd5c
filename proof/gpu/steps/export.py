"""The RL checkpoint as a Hugging Face folder, by the command, with the checks that it makes."""

from __future__ import annotations

import json
from typing import Any

from . import Job
from .rl import folders
from .stages import command, finish


def run(job: Job) -> None:
    """Exports what the step `rl` left.

    Raises:
        RuntimeError: if there is no checkpoint, or the export found a fault.
    """
    base, run_dir = folders(job)
    if not (run_dir / "rl" / "checkpoints").is_dir():
        raise RuntimeError("the step rl has left no checkpoint here; run it first, with the same --work")
    job.note(command_s=finish(command("export", job, run_dir, f"rl.model={base}")))
    manifest = json.loads((run_dir / "manifest.json").read_text())
    result = _result(manifest)
    job.note(**{key: result.get(key) for key in ("step", "dtype", "tensors", "changed_tensors")})


def _result(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the export stage wrote into the run's manifest."""
    stages = manifest["stages"]
    return dict(stages["export"]["result"])
