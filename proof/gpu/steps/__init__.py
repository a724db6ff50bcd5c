"""The steps of the proof, in the order of their worth: a small budget still shows the first ones.

Together their limits are `BUDGET`, on an 80 GB card as on a larger one. What costs is mostly the start of
frameworks, so each command is run as few times as the step allows, and on an 80 GB card the models have fewer
layers (`sft`, `rl`).

Each module has `run(job)`, which notes figures as it goes (`job.note`), so that a step that is cut off keeps
what it found. A figure's name ends in its unit.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
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
        seconds: What it is sure of; what earlier steps leave of theirs comes on top.
    """

    name: str
    title: str
    seconds: float


#: Seconds for all steps together: half of what such a machine can be had for, the rest is for carrying.
BUDGET = 480.0
STEPS = (
    Step("machine", "versions, driver, compiler, speed of a matrix product", 25),
    Step("attention", "packed rows under sdpa, varlen and flash-attn, against a reference", 35),
    Step("loss", "log-probabilities, entropy and cross-entropy of 32,768 tokens, against a reference", 40),
    Step("sft", "SFT with ZeRO in bf16 at the width of the 4B model", 120),
    Step("rl", "GRPO with rollouts by transformers, killed after a step and continued", 140),
    Step("export", "the RL checkpoint as a Hugging Face folder, checked", 35),
    Step("shared", "shared prompts and trees against packed rows: time, memory, loss, gradients", 45),
    Step("resume", "SFT killed in its second epoch and continued, against an unkilled run", 40),
)


def limit(name: str, wanted: Sequence[str], left: float) -> float:
    """Seconds that a step may take: its own, and whatever the steps before it did not need of theirs.

    Args:
        name: The step.
        wanted: The names of all steps of the run, in their order.
        left: Seconds until the run has to be over.
    """
    seconds = {step.name: step.seconds for step in STEPS}
    later = sum(seconds[other] for other in wanted[list(wanted).index(name) + 1 :])
    return min(left, max(seconds[name], left - later))


def run_step(name: str, job: Job) -> None:
    """Runs one step in this process."""
    importlib.import_module(f"steps.{name}").run(job)
