"""What made a stage's result besides its settings, as the manifest keeps it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...run.attempts import Attempt, now
from ...settings.places import shipped
from . import provenance
from .job import Job

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LOCKS = {"cpu": "cpu.lock", "cuda": "gpu.lock"}


def origin_of(job: Job, config: DictConfig, attempt: Attempt) -> dict[str, Any]:
    """Code, lock file, chat template, machine and the runs that the inputs came from.

    Args:
        job: What is about to run.
        config: Its configuration.
        attempt: The command's go at the run, which has begun; a dirty checkout's difference is kept there.
    """
    return {
        "attempt": attempt.number,
        "started": now(),
        "git": provenance.code(attempt.folder),
        "lock": provenance.file_digest(_lock(str(config.cluster.device))),
        "template": _template(job.reads),
        "hardware": provenance.hardware(),
        "parents": provenance.parents(job.run, job.reads),
    }


def _lock(device: str) -> Path:
    return shipped("configs").parent / "requirements" / _LOCKS.get(device, "")


def _template(paths: tuple[Path, ...]) -> str | None:
    """The sha256 of the chat template of the first model folder that a stage reads."""
    for folder in paths:
        if digest := provenance.file_digest(folder / "chat_template.jinja"):
            return digest
        try:
            text = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
            return hashlib.sha256(str(text).encode()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
