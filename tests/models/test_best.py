"""Which model of a training is best, and when its scores have fallen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funreason_train.models.best import best_of, falls


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(1, 4))
def test_a_run_falls_when_its_last_scores_are_all_below_an_earlier_one(
    values: list[float], patience: int
) -> None:
    held = {5 * place: value for place, value in enumerate(values, 1)}
    expected = len(values) > patience and all(value < max(values[:-patience]) for value in values[-patience:])
    assert falls(held, patience) == expected
    top = best_of(held, set(held))
    assert top is not None and top.score == max(values) and top.step == 5 * (values.index(max(values)) + 1)


def test_only_what_counts_can_be_best() -> None:
    assert best_of({5: 0.9, 10: 0.5}, {10}) == (10, 0.5)
    assert best_of({5: 0.9}, set()) is None
