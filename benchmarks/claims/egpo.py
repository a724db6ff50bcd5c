"""EGPO's entropy-weighted advantage against GRPO's.

python benchmarks/claims/egpo.py
"""

from __future__ import annotations

from claim_arms import HELDOUT, START, Arm, Claim, reinforced
from claim_play import main

# EGPO needs the entropies of the actor's own pass, so GRPO makes that pass too.
_RECOMPUTED = "rl.trust_rollout_log_probs=false"
_GRPO = reinforced("grpo_recomputed", "start", _RECOMPUTED, model="{start}/sft/model")
_EGPO = reinforced(
    "egpo",
    "start",
    "algorithm=egpo",
    "rl.algorithm.kl_loss=0",
    _RECOMPUTED,
    model="{start}/sft/model",
)

CLAIM = Claim(
    "egpo",
    "Does an advantage that leans on the thought's entropy do better than GRPO's?",
    (
        Arm("GRPO", (*START, *_GRPO), "{grpo_recomputed}/export", ("grpo_recomputed",)),
        Arm("EGPO", (*START, *_EGPO), "{egpo}/export", ("egpo",)),
    ),
    HELDOUT,
    "SFT model, prompts, samples and steps; log-probabilities of the actor's own pass, no KL term",
)

if __name__ == "__main__":
    main(CLAIM)
