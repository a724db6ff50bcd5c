"""BalanceSFT's loss, with a fixed and a learned alpha, against one mean over all tokens.

python benchmarks/claims/balance.py
"""

from __future__ import annotations

from claim_arms import HELDOUT, START, Arm, Claim, tuned
from claim_play import main

_FIXED = tuned("balance_fixed", "start", "sft.loss=balance", "sft.balance.alpha=0.7")
_LEARNED = tuned(
    "balance_learned", "start", "sft.loss=balance", "sft.balance.alpha=0.7", "sft.balance.learned=true"
)

CLAIM = Claim(
    "balance",
    "Does a loss that balances thoughts and answers do better than plain cross-entropy?",
    (
        Arm("cross-entropy", START, "{start}/sft/model", ("start",)),
        Arm("balance, alpha 0.7", (*START, *_FIXED), "{balance_fixed}/sft/model", ("balance_fixed",)),
        Arm("balance, learned", (*START, *_LEARNED), "{balance_learned}/sft/model", ("balance_learned",)),
    ),
    HELDOUT,
    "rows, their order, steps and tokens",
)

if __name__ == "__main__":
    main(CLAIM)
