"""A call of a known tool is no plain text, whatever the notation; a sentence about the tool is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from named_corpus import CALLS, PROSE
from notation_corpus import LOM, TOOLS, VIK
from prose_corpus import TEXTS

from funreason_train.calls import find_intent, index_tools, read_notation
from funreason_train.dialogue import read_completion
from funreason_train.reward import compute_score

SCHEMAS = index_tools(TOOLS)


@pytest.mark.parametrize("text", CALLS.values(), ids=CALLS.keys())
def test_a_call_of_a_known_tool_is_never_a_reply(text: str) -> None:
    for names in (SCHEMAS, frozenset(SCHEMAS), list(SCHEMAS)):
        assert find_intent(text, names) is not None
        reading = read_notation(text, names)
        assert reading.calls is None and reading.problem and reading.detail
    assert read_completion(f"</think>\n\n{text}", tool_names=frozenset(SCHEMAS)).calls is None


@pytest.mark.parametrize("text", CALLS.values(), ids=CALLS.keys())
def test_nor_is_it_right_where_no_call_is(text: str) -> None:
    truth = json.dumps({"calls": [], "tools": TOOLS})
    assert compute_score("x", f"Thought.</think>\n\n{text}", truth)["score"] == 0
    assert compute_score("x", "Thought.</think>\n\nIt is cold in Lom.", truth)["score"] == 1


@pytest.mark.parametrize("text", PROSE)
def test_a_sentence_about_a_tool_is_plain_text(text: str) -> None:
    for names in ((), SCHEMAS, frozenset(SCHEMAS)):
        assert find_intent(text, names) is None
    truth = json.dumps({"calls": [], "tools": TOOLS})
    assert compute_score("x", f"Thought.</think>\n\n{text}", truth)["score"] == 1


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('[forecast(town="Lom", days=3)]\n[forecast(town="Vik")]', [LOM, VIK]),
        ('[forecast(town="Lom", days=3)]\n\n[forecast(town="Vik")]', [LOM, VIK]),
        ('{"functionCall": {"name": "forecast", "args": {"town": "Vik"}}}', [VIK]),
        ('{"toolUse": {"toolUseId": "t1", "name": "forecast", "input": {"town": "Vik"}}}', None),
        ('<longcat_tool_call>{"name": "forecast", "arguments": {"town": "Vik"}}</longcat_tool_call>', [VIK]),
        ('[forecast(town="Lom")][forecast(town="Vik")]', None),
        ('[forecast(town="Lom")] [forecast(town=Vik)]', None),
    ],
)
def test_all_of_the_calls_are_read_or_none(text: str, calls: object) -> None:
    reading = read_notation(text, SCHEMAS)
    assert reading.calls == calls
    assert reading.text == ("" if calls else text)


@given(
    st.lists(
        st.sampled_from(
            [*TEXTS[:40], *PROSE, *CALLS.values(), "forecast", "(", ")", "{", "}", "<", ">", "=", '"a"', "\n"]
        ),
        max_size=6,
    ).map(" ".join)
)
def test_total(text: str) -> None:
    reading = read_notation(text, SCHEMAS)
    assert reading.calls is None or reading.problem is None


@pytest.mark.parametrize(
    "text",
    [
        "forecast " * 20_000,
        "forecast(" * 20_000,
        "<forecast " * 20_000,
        "forecast {" * 20_000 + "}",
        "forecast --a " * 10_000 + "!",
        "- name: forecast\n" * 10_000,
        '{"a": ' * 50 + '"forecast"' + "}" * 50,
        '"forecast": ' * 20_000 + "{" * 20_000 + "}" * 20_000,
        "<|channel|>commentary to=functions.forecast" + " " * 20_000,
        "<|channel|>commentary to=functions.forecast" + " \n" * 20_000 + "<|messag",
        "[forecast(days=1" + "a" * 1_000_000 + ") for x in values]",
    ],
)
def test_texts_made_to_be_searched_in_vain_are_read_in_linear_time(text: str) -> None:
    reading = read_notation(text, SCHEMAS)
    assert reading.calls is None or reading.problem is None
