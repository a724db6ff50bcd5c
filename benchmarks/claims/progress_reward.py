"""The share of user turns done as a reward against all or nothing, on tasks of several turns.

python benchmarks/claims/progress_reward.py
"""

from __future__ import annotations

from claim_arms import Arm, Claim, Step, made, reinforced, tuned
from claim_play import main

_LONG = (*made("long", "synth.turns=3"), *tuned("long", "long"))


def _in_environments(run: str, reward: str) -> tuple[Step, ...]:
    settings = ("rl.rollout_mode=environment", f"reward={reward}")
    return reinforced(run, "long", *settings, model="{long}/sft/model", rows="env_")


CLAIM = Claim(
    "progress_reward",
    "Does RL on tasks of three user turns learn from a binary reward, and from the share of turns done?",
    (
        Arm("SFT", _LONG, "{long}/sft/model", ()),
        Arm(
            "binary (all turns)",
            (*_LONG, *_in_environments("all_turns", "all_turns")),
            "{all_turns}/export",
            ("all_turns",),
        ),
        Arm(
            "progress",
            (*_LONG, *_in_environments("progress", "progress")),
            "{progress}/export",
            ("progress",),
        ),
    ),
    {"held-out": "{long}/synth/tasks/heldout.jsonl"},
    "SFT model, tasks, samples and steps of RL",
    play=("eval.max_model_tokens=4096",),
)

if __name__ == "__main__":
    main(CLAIM)
