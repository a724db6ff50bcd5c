"""The figures of a claim's table follow from its verdicts, task by task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from claim_arms import Arm, Claim
from claim_table import Played, difference, over_seeds, paired, recorded, tables
from hypothesis import given
from hypothesis import strategies as st

CLAIM = Claim(
    "x", "Is b better?", (Arm("a", (), "", ()), Arm("b", (), "", ())), {"held-out": "f"}, "everything"
)


def seed(number: int, a: Mapping[str, bool], b: Mapping[str, bool]) -> Played:
    return Played(number, {"a": {"held-out": a}, "b": {"held-out": b}}, {"a": {"n": "1"}, "b": {"n": "2"}})


def verdicts(*right: bool) -> dict[str, bool]:
    return {f"task-{number}": value for number, value in enumerate(right)}


def test_tasks_are_paired_by_name_and_not_by_order() -> None:
    b = dict(reversed(verdicts(True, False, False).items()))
    pairs = paired([seed(0, verdicts(True, False, False), b)], "a", "b", "held-out")
    assert pairs[0] == pairs[1]
    assert difference([seed(0, verdicts(True, False, False), b)], "a", "b", "held-out").mean == 0


def test_arms_that_did_not_play_the_same_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="seed 3: a and b did not play the same held-out tasks"):
        paired([seed(3, verdicts(True), verdicts(True, True))], "a", "b", "held-out")


def test_a_clear_gain_has_an_interval_above_zero_and_a_coin_does_not() -> None:
    gain = seed(0, verdicts(*[False] * 60), verdicts(*[True] * 30, *[False] * 30))
    assert difference([gain], "a", "b", "held-out").low > 0.3
    coin = seed(0, verdicts(*[True, False] * 30), verdicts(*[False, True] * 30))
    found = difference([coin], "a", "b", "held-out")
    assert found.mean == 0 and found.low < 0 < found.high


def test_pairing_narrows_the_interval() -> None:
    """The same shares say more where the arms agree on most tasks."""
    alike = seed(0, verdicts(*[True] * 30, *[False] * 30), verdicts(*[True] * 36, *[False] * 24))
    apart = seed(0, verdicts(*[True] * 30, *[False] * 30), verdicts(*[False] * 24, *[True] * 36))
    a, b = (difference([one], "a", "b", "held-out") for one in (alike, apart))
    assert a.mean == pytest.approx(b.mean)
    assert a.high - a.low < (b.high - b.low) / 1.5


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_swapping_the_arms_mirrors_the_interval(pairs: list[tuple[bool, bool]]) -> None:
    one = [seed(0, verdicts(*(a for a, _ in pairs)), verdicts(*(b for _, b in pairs)))]
    there, back = (difference(one, *names, "held-out") for names in (("a", "b"), ("b", "a")))
    assert there.mean == pytest.approx(-back.mean)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_seeds_have_an_interval_of_their_own() -> None:
    half = verdicts(True, False)
    two = [seed(0, half, verdicts(True, True)), seed(1, half, half)]
    assert over_seeds(two[:1], "a", "b", "held-out") is None
    spread = over_seeds(two, "a", "b", "held-out")
    assert spread is not None
    assert spread.mean == pytest.approx(0.25) and spread.low < 0 < spread.high


def test_a_table_says_how_much_of_it_was_run() -> None:
    text, record = tables(CLAIM, [], 3, "full")
    assert "0 of 3 seeds: not run." in text and record["rows"] == []
    text, record = tables(CLAIM, [seed(4, verdicts(False, False), verdicts(True, False))], 3, "small")
    assert "Scale small; 1 of 3 seeds." in text
    assert "| b | held-out | 2 | 50.0 % (9.5 to 90.5) | +50.0 (" in text
    assert record["seeds"] == [4] and record["rows"][1]["by_seed"] == [0.5]
    assert tables(CLAIM, [seed(4, verdicts(False, False), verdicts(True, False))], 3, "small")[0] == text


def test_a_record_holds_what_its_table_follows_from() -> None:
    played = [
        seed(0, verdicts(True, False, True), verdicts(False, False, True)),
        seed(7, verdicts(*[False] * 12), verdicts(*[True] * 11, False)),
    ]
    text, record = tables(CLAIM, played, 3, "small")
    again = recorded(CLAIM, json.loads(json.dumps(record)), "small")
    assert [one.seed for one in again] == [0, 7]
    assert tables(CLAIM, again, 3, "small") == (text, record)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale": "full"}, "its scale is 'full' and not 'small'"),
        ({"claim": "y"}, "its claim is 'y'"),
        ({"equal": "nothing"}, "its equal is 'nothing'"),
        ({"played": {"0": {"verdicts": {"a": {"held-out": "1"}}}}}, "its seed 0 has other arms or tasks"),
    ],
)
def test_a_record_of_something_else_is_refused(change: dict[str, Any], said: str) -> None:
    _, record = tables(CLAIM, [seed(0, verdicts(True), verdicts(False))], 1, "small")
    with pytest.raises(ValueError, match=said):
        recorded(CLAIM, record | change, "small")
    with pytest.raises(ValueError, match="holds no verdicts"):
        recorded(CLAIM, {key: value for key, value in record.items() if key != "played"}, "small")
