"""Finding the rows on which a reward cannot be trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reward.rewarding import TOOLS, row

from funreason_train.calls import Call
from funreason_train.reward import VARIANTS, audit, compute_score

BOOK = Call("book", {"city": "Oslo", "nights": 2})
PWD = Call("pwd")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("gold", [(), (PWD,), (BOOK,), (BOOK, PWD), (PWD, PWD), (Call("cancel"), PWD)])
@pytest.mark.parametrize("tools", [TOOLS, TOOLS[:2]])
def test_good_rows_are_clean(variant: str, gold: tuple[Call, ...], tools: list[dict[str, Any]]) -> None:
    known = tuple(call for call in gold if call.name in {tool["name"] for tool in tools})
    assert audit([row(*known, tools=tools)], variant=variant) == []


def test_a_row_whose_only_tool_is_the_answer_is_clean() -> None:
    assert audit([row(PWD, tools=TOOLS[1:2])]) == []


def test_a_gold_answer_is_found_that_cannot_be_right() -> None:
    findings = audit([row(PWD), row(PWD)], max_chars=5)
    assert [(finding.row, finding.case) for finding in findings] == [(0, "gold"), (1, "gold")]
    assert "over_long" in findings[0].message


def test_a_gold_call_is_found_that_its_tools_forbid() -> None:
    findings = audit([row(PWD), row(Call("book", {"nights": "two"}), Call("fly"))])
    assert {finding.case for finding in findings} == {"gold_call"}
    assert {finding.row for finding in findings} == {1}
    messages = " ".join(finding.message for finding in findings)
    assert all(slug in messages for slug in ("missing_argument", "wrong_type", "unknown_tool"))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"reward_model": None},
        {"reward_model": "{}"},
        {"reward_model": {"ground_truth": None}},
        {"reward_model": {"ground_truth": {"calls": [], "tools": []}}},
        {
            "reward_model": {
                "ground_truth": '{"calls": [{"name": "f", "arguments": {"a": %s}}], "tools": []}'
                % ("[" * 900 + "]" * 900)
            }
        },
        {"reward_model": {"ground_truth": "{"}},
        {"reward_model": {"ground_truth": '{"calls": 3, "tools": []}'}},
        {"reward_model": {"ground_truth": '{"calls": [{"name": "a-b", "arguments": {}}], "tools": []}'}},
        {
            "reward_model": {
                "ground_truth": '{"calls": [{"name": "f", "arguments": {"a": NaN}}], "tools": []}'
            }
        },
    ],
)
def test_a_row_is_found_that_cannot_be_scored(broken: dict[str, Any]) -> None:
    findings = audit([row(PWD), {"data_source": "test", **broken}])
    assert [(finding.row, finding.case) for finding in findings] == [(1, "ground_truth")]


def test_a_row_without_a_data_source_is_found() -> None:
    for missing in (None, "", 3, ["test"]):
        findings = audit([row(PWD), {**row(PWD), "data_source": missing}])
        assert [(finding.row, finding.case) for finding in findings] == [(1, "data_source")]


def test_a_gold_of_accepted_values_is_audited_with_one_choice_of_them() -> None:
    calls = [{"name": "book", "accepted": {"city": ["Oslo", "Bergen"], "nights": [2, ""]}}]
    good = {
        "data_source": "bfcl",
        "reward_model": {"ground_truth": json.dumps({"calls": calls, "tools": TOOLS})},
    }
    assert audit([good], variant="bfcl") == []
    findings = audit([good])
    assert {finding.case for finding in findings} == {"gold"}
    assert "variant bfcl" in findings[0].message


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trivial_answer_of_the_list_is_tried(variant: str) -> None:
    tried: dict[str, set[str]] = {}

    def spy(source: str, completion: str, *rest: Any, **options: Any) -> dict[str, float]:
        tried.setdefault(source, set()).add(completion.rpartition("</think>")[2].strip())
        return compute_score(source, completion, *rest, **options)

    rows = [{**row(BOOK), "data_source": "calls"}, {**row(), "data_source": "text"}]
    assert audit(rows, reward=spy, variant=variant) == []
    gold, every = '[book(city="Oslo", nights=2)]', "[book(), pwd(), cancel()]"
    assert {
        "",
        "[]",
        gold,
        every,
        json.dumps(TOOLS),
        f"{gold[:-1]}, book()]",
        f"{gold[:-1]}, {gold[1:]}",
    } <= tried["calls"]
    assert any("nothing to call" in answer for answer in tried["calls"])  # text for call
    assert {"", "[]", "[book()]", every, json.dumps(TOOLS)} <= tried["text"]  # call for text


def test_a_reward_that_pays_for_trivial_answers_is_found() -> None:
    def generous(*_: Any, **__: Any) -> dict[str, float]:
        return {"score": 1.0}

    cases = {finding.case for finding in audit([row(BOOK)], reward=generous)}
    assert cases >= {
        "empty",
        "unclosed",
        "garbage",
        "schema_echo",
        "all_tools",
        "gold_plus_one",
        "gold_twice",
    }
    assert "text_for_call" in cases
    assert "call_for_text" in {finding.case for finding in audit([row()], reward=generous)}
