"""What is kept of a step, for single responses and for episodes."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from funreason_train.reward import compute_score
from funreason_train.rl.train import records
from funreason_train.rl.train.records import Row

GOLD = '{"calls": [{"name": "f", "arguments": {"a": 1}}], "tools": []}'


def response(turn: int = 0, number: int = 0, unclosed: float = 0.0) -> dict[str, Any]:
    figures = {"unclosed": unclosed, "cut": 0.0}
    return {
        "turn": turn,
        "response": number,
        "gold": ["[f(a=1)]", "Done."],
        "calls": ["[f(a=2)]"],
        "results": ['{"error": "no"}'],
        "ok": [False],
        "reasons": ["missing_result: [f(a=1)] never answered 1"],
        "figures": figures,
    }


def episode(group: Any, sample: Any, score: Any, responses: Any) -> Any:
    return [
        Row(
            f"{group}_{sample}_{part}",
            score,
            {"score": score, "acc": float(score == 1)},
            response(number=part),
        )
        for part in range(responses)
    ]


def test_a_long_episode_counts_no_more_than_a_short_one() -> None:
    rows = [*episode("00000001-000000", 0, 1.0, 1), *episode("00000001-000000", 1, 0.0, 9)]
    found = records.figures(rows)
    assert found["health/score"] == 0.5 and found["reward/acc"] == 0.5
    assert found["health/groups_without_signal"] == 0.0
    assert found["health/responses"] == 5.0


def test_what_concerns_an_answer_is_averaged_over_answers() -> None:
    rows = episode("a", 0, 1.0, 4)
    rows[2] = Row(rows[2].key, 1.0, rows[2].details, response(unclosed=1.0))
    assert records.figures(rows)["reward/unclosed"] == 0.25


def test_the_last_response_stands_for_its_episode_in_whatever_order_they_come() -> None:
    rows = [*episode("a", 0, 1.0, 12), *episode("a", 10, 0.0, 2), *episode("b", 0, 1.0, 1)]
    last = {row.key for row in records.last_responses(rows[::-1])}
    assert last == {"a_0_11", "a_10_1", "b_0_0"}


def test_single_responses_are_samples_of_their_own() -> None:
    rows = [Row(f"a_{n}_0", float(n), {"score": float(n), "cut": 1.0}) for n in range(2)]
    found = records.figures(rows)
    assert found["health/score"] == 0.5 and found["reward/cut"] == 1.0
    assert "health/responses" not in found


def test_a_line_says_why_in_words() -> None:
    result = compute_score("s", "x</think>\n\n[f(a=2)]", GOLD)
    line = records.line(Row("a_3_0", 0.0, result), "PROMPT<think>", "x</think>\n\n[f(a=2)]", GOLD)
    assert (line["group"], line["sample"]) == ("a", 3)
    assert (line["prompt"], line["answer"]) == ("PROMPT<think>", "x</think>\n\n[f(a=2)]")
    assert line["gold"] == GOLD and line["score"] == 0.0 and line["reason"] == "values"
    assert json.loads(json.dumps(line)) == line


def test_a_line_of_an_episode_has_its_turn_results_and_gold() -> None:
    result = compute_score(
        "s",
        "x</think>\n\nNo.",
        GOLD,
        {"turns": [{"state_equal": True, "results_seen": False}]},
        variant="progress",
    )
    line = records.line(Row("a_3_2", 0.0, result, response(1, 2)), "P", "A", "unused")
    assert (line["turn"], line["response"], line["reason"]) == (1, 2, "turns")
    assert (
        line["gold"] == ["[f(a=1)]", "Done."]
        and line["results"] == ['{"error": "no"}']
        and line["ok"] == [False]
    )
    assert line["reasons"] == ["missing_result: [f(a=1)] never answered 1"]


def test_a_prompt_stands_once_in_a_file_and_is_read_back_everywhere(tmp_path: Path) -> None:
    """Records of a 4B run repeated prompts of thousands of tokens for each of the 8 samples."""
    prompts = ["P" * 1000, "P" * 1000, "Q", "P" * 1000]
    lines = [
        records.line(Row(f"a_{n}_0", 0.0, {}), prompt, f"A{n}", None, "row-7")
        for n, prompt in enumerate(prompts)
    ]
    written = list(records.share_prompts(lines))
    assert ["prompt" in line for line in written] == [True, False, True, False]
    file = tmp_path / "1.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in written))
    assert file.stat().st_size < 2000
    assert list(records.read(file)) == lines
    assert {line["row"] for line in lines} == {"row-7"}


def test_reading_a_step_holds_a_few_prompts_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "1.jsonl"
    lines = [{"prompt": f"{n} " + "P" * 50_000, "answer": str(n)} for n in range(600)]
    lines.append({"prompt": lines[0]["prompt"], "answer": "again"})  # long after it was written
    file.write_text("".join(json.dumps(line) + "\n" for line in records.share_prompts(lines)))
    tracemalloc.start()
    try:
        answers = [line["answer"] for line in records.read(file) if line["prompt"].startswith("0 ")]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answers == ["0", "again"] and most < 10e6


def test_another_reward_function_may_call_a_reason_what_it_likes() -> None:
    assert records.line(Row("a_0_0", 1.0, {"score": 1.0, "reason": "nice"}), "", "", None)["reason"] == "nice"
    assert records.line(Row("a_0_0", 1.0, {"score": 1.0}), "", "", None)["reason"] is None


def test_a_cut_text_is_not_right_where_text_is() -> None:
    text = '{"calls": [], "tools": []}'
    result = compute_score("s", "x</think>\n\nNo tool can do that, since", text)
    assert result["score"] == 1.0
    cut = records.over_long(result)
    assert cut["score"] == cut["acc"] == 0.0 and cut.keys() == result.keys()
    assert records.line(Row("a_0_0", 0.0, cut), "", "", text)["reason"] == "over_long"
    assert records.over_long({"score": 2.0}) == {"score": 0.0}


@pytest.mark.parametrize("part", [0, 11])
def test_keys_sort_by_number(part: int) -> None:
    assert Row(f"x_2_{part}", 0.0, {}).place == ("x", 2, part)


def test_the_last_response_stands_in_for_all_of_its_sample() -> None:
    assert records.stand_ins(["a_0_0", "b_0_0", "a_0_10", "a_0_2", "a_1_0"]) == [2, 1, 2, 2, 4]


def test_reasons_are_shares_and_not_a_mean_of_their_codes() -> None:
    answers = ["x</think>\n\n[f(a=1)]", "x</think>\n\n[f(a=2)]", "x</think>\n\n[f(a=3)]", "unclosed"]
    rows = [Row(f"a_{n}_0", 0.0, compute_score("s", answer, GOLD)) for n, answer in enumerate(answers)]
    found = records.figures(rows)
    assert "reward/reason" not in found
    assert (found["reason/right"], found["reason/values"], found["reason/unclosed"]) == (0.25, 0.5, 0.25)
    assert found["reason/tools"] == 0.0, "the series of the reward's outcomes have no gaps"
    assert sum(value for name, value in found.items() if name.startswith("reason/")) == 1.0


def test_reasons_of_another_reward_are_counted_by_their_names() -> None:
    rows = [Row(f"a_{n}_0", 0.0, {"reason": f"why {n % 2}"}) for n in range(4)]
    found = records.figures(rows)
    assert {name: value for name, value in found.items() if name.startswith("reason/")} == {
        "reason/why 0": 0.5,
        "reason/why 1": 0.5,
    }


@pytest.mark.parametrize(
    ("info", "named"),
    [
        ({"meta": '{"category": "chain"}'}, "chain"),
        ({"meta": "{}"}, "apigen"),
        ({"meta": "not json"}, "apigen"),
        ({"meta": "[1]"}, "apigen"),
        ({}, "apigen"),
    ],
)
def test_a_task_has_the_category_of_its_row_or_its_data_set(info: dict[str, Any], named: str) -> None:
    assert records.category(info, "apigen") == named
