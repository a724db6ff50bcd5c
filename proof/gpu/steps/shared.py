"""Shared prompts and shared prefixes on a GPU: what there is of it.

On CPU a prompt is computed once for all its samples (funreason_train/rl/cpu/shared_prompt.py). On GPUs it is
not built: `rl.share_prompts` is refused there. When it is, this step is where it is measured.
"""

from __future__ import annotations

from . import Job


def run(job: Job) -> None:
    """Notes whether the GPU's way is there."""
    from funreason_train.settings.compose import compose

    config = compose("rl", ["cluster=gpu80x1"])
    job.note(built=bool(config.rl.share_prompts))
