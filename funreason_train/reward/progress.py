"""The score of an episode in an environment: the share of its user turns that were done.

The reward of Environment Tuning (arXiv:2510.10197): a turn is done if the environment's state equals the gold
state and every result that the turn requires was seen. A binary reward does not learn on long episodes; this
one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TurnOutcome:
    """What an environment says of one user turn, once the model has ended it.

    Attributes:
        state_equal: Whether the environment's state equals the state after the gold calls.
        results_seen: Whether every result that the turn requires was among the results of the model's calls.
        well_formed: Whether every answer of the turn could be read.
    """

    state_equal: bool
    results_seen: bool
    well_formed: bool = True

    @property
    def done(self) -> bool:
        """Whether the turn counts."""
        return self.state_equal and self.results_seen and self.well_formed


def read_turns(value: Any) -> tuple[TurnOutcome, ...]:
    """Reads `[{"state_equal": bool, "results_seen": bool, "well_formed": bool (may be absent)}, …]`.

    Raises:
        ValueError: for anything else: an outcome that is not a plain bool must not count as done.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError("the outcomes of an episode must be a list, one entry a user turn")
    return tuple(map(_read_turn, value))


def _read_turn(value: Any) -> TurnOutcome:
    if isinstance(value, TurnOutcome):
        return value
    if not isinstance(value, Mapping) or not {"state_equal", "results_seen"} <= value.keys():
        raise ValueError("the outcome of a turn has the keys state_equal and results_seen")
    found = {name: value[name] for name in TurnOutcome.__dataclass_fields__ if name in value}
    if any(not isinstance(item, bool) for item in found.values()):
        raise ValueError("the outcome of a turn is true or false")
    return TurnOutcome(**found)


def progress(turns: Sequence[TurnOutcome], expected: int | None = None) -> float:
    """The share of user turns that were done, from 0 to 1.

    Args:
        turns: The outcomes of the turns that were reached.
        expected: User turns of the whole task; those never reached count as not done, so that giving up
            early does not pay. None: as many as were reached.

    Raises:
        ValueError: if there is no turn, or more outcomes than turns.
    """
    count = len(turns) if expected is None else expected
    if count < 1 or len(turns) > count:
        raise ValueError(f"{len(turns)} outcomes for a task of {count} user turns")
    return sum(turn.done for turn in turns) / count
