"""The score of an episode: the share of user turns that were done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reward.rewarding import TOOLS, truth

from funreason_train.calls import Call
from funreason_train.reward import TurnOutcome, compute_score, progress, read_turns, reason_of

DONE = {"state_equal": True, "results_seen": True}
WRONG_STATE = {"state_equal": False, "results_seen": True}
UNSEEN = {"state_equal": True, "results_seen": False}
LAST = "All is booked.\n</think>\n\nYour room is booked."


def episode(
    *turns: Any, completion: str = LAST, expected: int | None = None, **options: Any
) -> dict[str, float]:
    """The result of an episode with these outcomes."""
    gold: dict[str, Any] = {"calls": [], "tools": TOOLS}
    if expected is not None:
        gold["turns"] = expected
    extra = {"turns": list(turns)}
    words = {"variant": "progress", **options}
    return compute_score("travel", completion, json.dumps(gold), extra, **words)


@pytest.mark.parametrize(
    ("turns", "score"),
    [
        ([DONE], 1),
        ([DONE, DONE, DONE], 1),
        ([DONE, WRONG_STATE], 1 / 2),
        ([UNSEEN, DONE, DONE, WRONG_STATE], 1 / 2),
        ([UNSEEN], 0),
        ([{"state_equal": False, "results_seen": False}], 0),
        ([DONE, {**DONE, "well_formed": False}], 1 / 2),
    ],
)
def test_a_turn_counts_if_state_and_results_are_right(turns: list[Any], score: float) -> None:
    result = episode(*turns)
    assert result["score"] == pytest.approx(score)
    assert result["acc"] == (score == 1)
    assert reason_of(result) == ("right" if score == 1 else "turns")
    assert progress(read_turns(turns)) == pytest.approx(score)


@pytest.mark.parametrize(
    ("turns", "expected", "score"),
    [
        ([DONE, DONE], None, 1),
        ([DONE, WRONG_STATE], None, 0),
        ([DONE, {**DONE, "well_formed": False}], None, 0),
        ([DONE], 2, 0),
        ([DONE, DONE], 2, 1),
    ],
)
def test_all_turns_pays_for_whole_episodes_only(turns: list[Any], expected: int | None, score: int) -> None:
    result = episode(*turns, expected=expected, variant="all_turns")
    assert (result["score"], result["acc"]) == (score, score)
    if len(turns) > 1:  # one malformed closing answer fails its turn, and so the episode
        assert episode(*turns, expected=expected, variant="all_turns", completion="t</think>[]")["score"] == 0


def test_all_turns_scores_a_row_that_is_not_an_episode_by_its_calls() -> None:
    gold = truth(Call("pwd", {}))
    for answer, score in (("t</think>[pwd()]", 1), ("t</think>[cd()]", 0)):
        assert compute_score("travel", answer, gold, None, variant="all_turns")["score"] == score


def test_turns_that_were_never_reached_are_not_done() -> None:
    assert episode(DONE, expected=4)["score"] == 1 / 4
    assert episode(DONE, DONE, expected=2)["score"] == 1
    assert episode(expected=2)["score"] == 0


@pytest.mark.parametrize("completion", ["I think", "", "[pwd()]", "<think>still thinking"])
def test_an_episode_that_ends_unclosed_scores_nothing(completion: str) -> None:
    result = episode(DONE, DONE, DONE, completion=completion)
    assert (result["score"], reason_of(result)) == (0, "unclosed")


@pytest.mark.parametrize(
    "answer", ["", "[]", "[pwd(1)]", "I call [pwd()] now.", "<tool_call></tool_call>", "a</think>b"]
)
def test_the_turn_of_a_malformed_answer_is_not_done(answer: str) -> None:
    assert episode(DONE, DONE, completion=f"t</think>{answer}")["score"] == 1 / 2


def test_an_episode_is_limited_in_length_and_form_like_an_answer() -> None:
    assert episode(DONE, max_chars=len(LAST))["score"] == 1
    assert reason_of(episode(DONE, max_chars=len(LAST) - 1)) == "over_long"
    assert episode(DONE, soft_chars=1, max_chars=len(LAST), soft_weight=0.5)["score"] == 0.5
    assert episode(DONE, completion="</think>Done.", require_thought=True)["score"] == 0


@pytest.mark.parametrize(
    "turns",
    [
        3,
        "done",
        {"0": DONE},
        [1],
        ["done"],
        [{}],
        [{"state_equal": True}],
        [{"state_equal": 1, "results_seen": 1}],
        [{"state_equal": "true", "results_seen": "true"}],
        [],
        [DONE, DONE, DONE],
    ],
)
def test_outcomes_that_cannot_be_read_are_our_fault_and_never_pay(turns: Any) -> None:
    gold = json.dumps({"calls": [], "tools": [], **({"turns": 2} if turns != [] else {})})
    result = compute_score("travel", LAST, gold, {"turns": turns}, variant="progress")
    assert (result["score"], result["error"], reason_of(result)) == (0, 1, "ground_truth")


@pytest.mark.parametrize("turns", [0, -1, True, "2", [1]])
def test_a_number_of_turns_that_is_none_is_our_fault(turns: Any) -> None:
    gold = json.dumps({"calls": [], "tools": [], "turns": turns})
    result = compute_score("travel", LAST, gold, {"turns": [DONE]}, variant="progress")
    assert (result["score"], result["error"]) == (0, 1)


def test_an_episode_whose_outcomes_got_lost_is_not_scored_by_its_last_answer() -> None:
    gold = json.dumps({"calls": [], "tools": [], "turns": 2})
    for extra in (None, {}, {"turns": None}):
        result = compute_score("travel", LAST, gold, extra, variant="progress")
        assert (result["score"], result["error"]) == (0, 1)


def test_a_row_that_is_no_episode_is_scored_by_its_calls() -> None:
    for answer, score in (("[pwd()]", 1), ("[cancel()]", 0)):
        for extra in (None, {}, {"index": 3}, {"turns": None}):
            result = compute_score("s", f"t</think>{answer}", truth(Call("pwd")), extra, variant="progress")
            assert result["score"] == score


def test_other_variants_do_not_look_at_outcomes() -> None:
    gold = truth(Call("pwd"))
    assert compute_score("s", "t</think>[cancel()]", gold, {"turns": [DONE]})["score"] == 0


def test_outcomes_may_come_as_objects() -> None:
    assert episode(TurnOutcome(True, True), TurnOutcome(True, False))["score"] == 1 / 2
