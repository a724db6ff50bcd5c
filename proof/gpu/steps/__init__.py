"""The steps of the proof, in the order of their worth: a small budget still shows the first ones.

Each module has `run(job)`, which notes figures as it goes (`job.note`), so that a step that is cut off keeps
what it found. A figure's name ends in its unit.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child import note


@dataclass(frozen=True)
class Job:
    """Where a step works and on what.

    Attributes:
        work: Folder for models and runs, shared by the steps.
        notes: The file of this step's figures.
        device: `cuda` or `cpu`.
        tiny: Sizes that take seconds, for a test of the script itself.
    """

    work: Path
    notes: Path
    device: str
    tiny: bool

    def note(self, **figures: Any) -> None:
        """Adds figures to the step's record."""
        note(self.notes, **figures)


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: Its module.
        title: What it shows.
        seconds: Its limit.
    """

    name: str
    title: str
    seconds: float


STEPS = (
    Step("machine", "versions, driver, compiler, speed of a matrix product", 60),
    Step("attention", "packed rows under sdpa, varlen and flash-attn, against a reference", 60),
    Step("loss", "log-probabilities, entropy and cross-entropy of 32,768 tokens, against a reference", 75),
    Step("sft", "SFT with ZeRO in bf16 at the width of the 4B model", 170),
    Step("rl", "GRPO with rollouts by transformers, killed after a step and continued", 190),
    Step("export", "the RL checkpoint as a Hugging Face folder, checked", 60),
    Step("resume", "SFT killed in its second epoch and continued, against an unkilled run", 150),
    Step("shared", "shared prompts and shared prefixes", 60),
)


def run_step(name: str, job: Job) -> None:
    """Runs one step in this process."""
    importlib.import_module(f"steps.{name}").run(job)
