"""EGPO's entropy-weighted advantage against GRPO's.

python benchmarks/claims/egpo.py
"""

from __future__ import annotations

from claim_arms import GRPO, HELDOUT, START, Arm, Claim, reinforced
from claim_play import main

_EGPO = reinforced(
    "egpo",
    "start",
    "algorithm=egpo",
    "rl.algorithm.kl_loss=0",
    "rl.trust_rollout_log_probs=false",
    model="{start}/sft/model",
)

CLAIM = Claim(
    "egpo",
    "Does an advantage that leans on the thought's entropy do better than GRPO's?",
    (
        Arm("GRPO", (*START, *GRPO), "{grpo}/export", ("grpo",)),
        Arm("EGPO", (*START, *_EGPO), "{egpo}/export", ("egpo",)),
    ),
    HELDOUT,
    "SFT model, prompts, samples and steps; no KL term in either",
)

if __name__ == "__main__":
    main(CLAIM)
