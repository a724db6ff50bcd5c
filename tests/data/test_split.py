"""Split, mixing and order depend on content and seed alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.export.split import mix, opening_key, rows_of_sides, split
from funreason_train.data.ledger import spread
from funreason_train.data.spool import Kept
from funreason_train.dialogue import AssistantStep, Trajectory, Turn


def _kept(*keys: str, source: str = "a") -> list[Kept]:
    return [Kept(source, key, f"f:{n}", n * 10, 10, 1, str(n)) for n, key in enumerate(keys)]


def _node(rows: int | None = None, weight: float = 1.0) -> dict[str, float | None]:
    return {"rows": rows, "weight": weight}


@given(st.lists(st.sampled_from("abcdefghijkl"), max_size=40), st.floats(0.01, 0.9), st.integers(0, 5))
def test_no_opening_stands_on_both_sides(keys: list[str], share: float, seed: int) -> None:
    kept = _kept(*keys)
    train, val = split(kept, share, seed)
    assert sorted(one.offset for one in [*train, *val]) == [one.offset for one in kept]
    assert not {one.key for one in train} & {one.key for one in val}
    if len(set(keys)) > 1:
        assert train and val


def test_the_share_is_about_right_and_the_seed_matters() -> None:
    kept = _kept(*(f"k{n}" for n in range(4000)))
    first, second = split(kept, 0.1, 0)[1], split(kept, 0.1, 1)[1]
    assert 320 < len(first) < 480
    assert {one.key for one in first} != {one.key for one in second}
    assert split(kept, 0.0, 0)[1] == []


def test_openings_are_compared_without_case_and_spacing() -> None:
    def one(user: str) -> Trajectory:
        return Trajectory("i", "s", (), (Turn(user, (AssistantStep("", text="x"),)),))

    assert opening_key(one("Buy  a Ticket\n")) == opening_key(one("buy a ticket"))
    assert opening_key(one("buy a ticket")) != opening_key(one("sell a ticket"))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (_node(), 100),
        (_node(rows=30), 30),
        (_node(rows=500), 100),
        (_node(weight=0.5), 50),
        (_node(weight=2.25), 225),
    ],
)
def test_rows_and_weights(node: dict[str, float | None], expected: int) -> None:
    chosen = mix(_kept(*(f"k{n}" for n in range(100))), {"a": node}, 0)
    assert len(chosen) == expected
    counts = Counter(one.offset for one in chosen)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_order_is_mixed_and_repeatable() -> None:
    kept = [*_kept(*(f"k{n}" for n in range(50))), *_kept(*(f"m{n}" for n in range(50)), source="b")]
    nodes = {"a": _node(), "b": _node()}
    order = [(one.source, one.offset) for one in mix(kept, nodes, 7)]
    assert order == [(one.source, one.offset) for one in mix(kept, nodes, 7)]
    assert order != [(one.source, one.offset) for one in mix(kept, nodes, 8)]
    assert len({source for source, _ in order[:20]}) == 2


def test_spread() -> None:
    assert spread(range(1, 101)) == {"mean": 50.5, "p50": 51, "p95": 96, "max": 100}
    assert spread([7]) == {"mean": 7.0, "p50": 7, "p95": 7, "max": 7}


def test_rows_are_those_of_both_sides_together() -> None:
    assert rows_of_sides(1000, 0.02) == (980, 20)
    assert rows_of_sides(7, 0.0) == (7, 0)
    assert rows_of_sides(None, 0.5) == (None, None)


def test_every_machine_draws_the_same() -> None:
    """Written out, so that no machine, version of Python or hash seed can draw otherwise unnoticed."""
    kept = _kept(*(f"k{number}" for number in range(12)))
    assert [one.offset for one in split(kept, 0.3, 5)[1]] == [20, 80]
    assert [one.offset for one in mix(kept, {"a": _node(weight=0.5)}, 7)] == [90, 0, 70, 100, 80, 50]
