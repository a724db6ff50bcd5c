"""More data against better data: fourteen times the conversations, or a teacher that does not err.

python benchmarks/claims/amount.py
"""

from __future__ import annotations

from claim_arms import HELDOUT, START, Arm, Claim, Step, made, tuned
from claim_play import main

_FLAWLESS = "synth.offline.slips={parallel: 0, no_tool: 0, ask: 0}"


def _arm(name: str, run: str, times: float, *synth: str) -> Arm:
    steps: tuple[Step, ...] = (*START, *made(run, *synth, times=times), *tuned(run, run))
    return Arm(name, steps, f"{{{run}}}/sft/model", (run,))


CLAIM = Claim(
    "amount",
    "Are 14,000 conversations of a teacher that errs worth more than 1,000 of one that does not?",
    (
        _arm("14 x, as they are", "many", 2.0),
        _arm("1 x, better", "few_better", 1 / 7, _FLAWLESS),
        _arm("1 x, as they are", "few", 1 / 7),
    ),
    HELDOUT,
    "steps of SFT and tokens a step: the fewer conversations are seen more often. 1 x is 1,000 at full scale",
)

if __name__ == "__main__":
    main(CLAIM)
