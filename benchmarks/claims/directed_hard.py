"""Directed sampling and hard queries against random sampling and easy queries, in equal training.

python benchmarks/claims/directed_hard.py
"""

from __future__ import annotations

from claim_arms import START, Arm, Claim, made, tuned
from claim_play import main

_RANDOM = (
    *made("random", "synth.sampler.policy=uniform", "synth.query.style=easy"),
    *tuned("random", "random"),
)

CLAIM = Claim(
    "directed_hard",
    "Do directed traces with hard queries teach more than random traces with easy ones?",
    (
        Arm("random, easy", _RANDOM, "{random}/sft/model", ("random",)),
        Arm("directed, hard", START, "{start}/sft/model", ("start",)),
    ),
    {"hard": "{start}/synth/tasks/heldout.jsonl", "easy": "{random}/synth/tasks/heldout.jsonl"},
    "conversations, steps of SFT and tokens a step; each arm has its own held-out tasks, and both play both",
)

if __name__ == "__main__":
    main(CLAIM)
