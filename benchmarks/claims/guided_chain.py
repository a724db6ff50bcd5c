"""The guided chain (a hint after a failed try) against keeping only what succeeds at once.

python benchmarks/claims/guided_chain.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from claim_arms import HELDOUT, START, Arm, Claim, made, tuned
from claim_play import main

_ERRORS = "synth.offline.errors={wrong_value: 0.15, drop_call: 0.3, malformed: 0.03}"
_TRIES = 3


def funnel(folder: Path, run: str) -> dict[str, Any]:
    """The yield of a run's synthesis."""
    return dict(json.loads((folder / run / "synth" / "funnel.json").read_text(encoding="utf-8")))


def bought(folder: Path, run: str, tries: int) -> int:
    """Answers that the reasoning agent gave: those of accepted turns, and all tries of lost ones."""
    found = funnel(folder, run)
    kept = sum(int(number) * turns for number, turns in found["tries"].items())
    return int(kept) + tries * sum(found["lost"]["chain"].values())


def _as_many_answers(folder: Path) -> list[str]:
    """As many conversations without critique as the guided chain's answers would have bought."""
    share = bought(folder, "guided", _TRIES) / bought(folder, "unguided", 1)
    return [f"synth.trajectories={round(share * funnel(folder, 'unguided')['accepted'])}"]


def _yield(folder: Path, arm: Arm) -> str:
    found = funnel(folder, arm.train[0])
    played = sum(found["tries"].values()) + sum(found["lost"]["chain"].values())
    return f"{100 * sum(found['tries'].values()) / played:.1f} %"


def _answers(folder: Path, arm: Arm) -> str:
    return f"{bought(folder, arm.train[0], _TRIES if arm.train[0] == 'guided' else 1):,}"


_UNGUIDED = made("unguided", "synth.chain.tries=1", _ERRORS)
_GUIDED = made("guided", f"synth.chain.tries={_TRIES}", _ERRORS)
_EQUAL = made("unguided_equal", "synth.chain.tries=1", _ERRORS, later=_as_many_answers)

CLAIM = Claim(
    "guided_chain",
    "Does a hint after a failed try give more conversations, and better ones, for the same answers bought?",
    (
        Arm(
            "no critique",
            (*START, *_UNGUIDED, *tuned("unguided", "unguided")),
            "{unguided}/sft/model",
            ("unguided",),
        ),
        Arm("guided chain", (*_GUIDED, *tuned("guided", "guided")), "{guided}/sft/model", ("guided",)),
        Arm(
            "no critique, as many answers",
            (*_EQUAL, *tuned("unguided_equal", "unguided_equal")),
            "{unguided_equal}/sft/model",
            ("unguided_equal",),
        ),
    ),
    HELDOUT,
    "steps of SFT and tokens a step; the first two in conversations, the last two in answers bought. The "
    "reasoning agent errs in 15 % (a value), 30 % (a call left out) and 3 % (form) of its first tries, and a "
    "quarter as often after a hint",
    notes={"turns accepted": _yield, "answers bought": _answers},
)

if __name__ == "__main__":
    main(CLAIM)
