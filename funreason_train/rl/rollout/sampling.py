"""What decides a sample: a name for every prompt that is drawn and a seed for every completion (pure).

verl names prompts at random and leaves the rollout engine one generator for all requests, so what a sample
becomes depends on how requests happened to be batched, and a run that was killed draws other samples than one
that was not. Here a sample depends on the run's seed, the step, the prompt's place in it and the sample's
number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"\d{8}-\d{6}")


def prompt_name(step: int, place: int) -> str:
    """The name of the prompt that is drawn in `place` of `step`; names sort in the order they were drawn in.

    verl splits keys at underscores (verl/trainer/ppo/v1/replay_buffer.py), so a name has none.
    """
    return f"{step:08d}-{place:06d}"


def sample_seed(seed: int, row: Mapping[str, Any], turn: int = 0) -> int:
    """The seed of one completion, 0 to 2^63 - 1.

    Args:
        seed: The run's.
        row: What verl hands an agent loop: `global_steps`, `uid`, `index` and `session_id`.
        turn: Which completion of the sample, for agent loops that make several.
    """
    uid = str(row["uid"])
    # Validation prompts keep verl's random names; there a row is drawn once a step.
    prompt = uid if _NAME.fullmatch(uid) else f"row {row['index']}"
    words = f"{seed}/{row['global_steps']}/{prompt}/{row['session_id']}/{turn}"
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1


def sample_order(key: str) -> tuple[str, int, int]:
    """Sorts the keys of a batch's samples, PROMPT_SAMPLE_PART (verl/trainer/ppo/v1/agent_loop_tq.py)."""
    prompt, sample, part = key.rsplit("_", 2)
    return prompt, int(sample), int(part)
