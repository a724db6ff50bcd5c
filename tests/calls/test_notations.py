"""What was meant as a call, and what is read of it, on a corpus of notations and one of prose."""

from __future__ import annotations

import json

import pytest
from calls import rarer_corpus
from calls.notation_corpus import CASES as COMMON
from calls.notation_corpus import READ as COMMON_READ
from calls.notation_corpus import TOOLS, Case
from calls.prose_corpus import TEXTS as COMMON_TEXTS
from hypothesis import example, given
from hypothesis import strategies as st

from funreason_train.calls import (
    PROBLEMS,
    find_intent,
    index_tools,
    parse_calls,
    read_notation,
    render_calls,
)
from funreason_train.calls.intent import NOTATIONS

SCHEMAS = index_tools(TOOLS)
READ = [*COMMON_READ, *rarer_corpus.READ]
CASES = [*COMMON, *rarer_corpus.READ, *rarer_corpus.REJECTED]
TEXTS = [*COMMON_TEXTS, *rarer_corpus.PROSE]
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def test_the_corpora_are_large_enough() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120
    assert len(set(TEXTS)) == len(TEXTS) >= 210


@EVERY_CASE
def test_each_notation_is_read_or_rejected_with_a_reason(case: Case) -> None:
    reading = read_notation(case.text, SCHEMAS)
    assert (reading.calls, reading.problem) == (case.calls, case.problem)
    assert reading.notation in NOTATIONS
    if reading.calls is None:
        assert reading.text == case.text and reading.detail
    else:
        assert reading.text == case.around
        assert parse_calls(render_calls(reading.calls)) == reading.calls


@EVERY_CASE
def test_without_the_tools_names_it_is_still_no_plain_text(case: Case) -> None:
    assert (find_intent(case.text) is None) == case.needs_names
    reading = read_notation(case.text)
    if reading.calls is not None and case.calls is not None:
        # The same calls, but for values whose type only a schema tells: those are not read at all.
        assert reading.calls == case.calls


@pytest.mark.parametrize("text", TEXTS)
def test_prose_is_plain_text(text: str) -> None:
    for names in ((), SCHEMAS):
        reading = read_notation(text, names)
        assert (reading.calls, reading.notation, reading.problem, reading.text) == (None, None, None, text)


@pytest.mark.parametrize("text", TEXTS[::3])
def test_calls_in_tags_behind_prose_leave_the_prose(text: str) -> None:
    call = '<tool_call>\n{"name": "forecast", "arguments": {"town": "Vik"}}\n</tool_call>'
    reading = read_notation(f"{text}\n{call}", SCHEMAS)
    if reading.calls is not None:
        assert reading.text == text.strip(" \t\r\n`") and len(reading.calls) == 1
    else:
        assert reading.problem and reading.text == f"{text}\n{call}"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('forecast("Lom")', False),
        ('I do it now.\nforecast("Lom")', False),
        ("- forecast(town)", False),
        ("You can ask me for:\n- forecast()\n- tides()", True),
        ("The tool forecast(town, days) tells the weather.", True),
        ('Use `forecast(town="Lom")` for the weather in Lom.', True),
        ('report = forecast(town="Lom")', False),
        ("Action: forecast", False),
    ],
)
def test_names_of_tools_are_evidence(text: str, plain: bool) -> None:
    assert (find_intent(text, SCHEMAS) is None) == plain


@pytest.mark.parametrize("text", rarer_corpus.NAMED)
def test_a_tool_named_in_a_form_that_is_not_read(text: str) -> None:
    assert find_intent(text) is None
    reading = read_notation(text, SCHEMAS)
    assert (reading.calls, reading.problem) == (None, "call_tags")


def test_a_schema_tells_a_number_from_a_text() -> None:
    text = "<function=f><parameter=a>\n5\n</parameter></function>"
    for declared, value in (("integer", 5), ("string", "5"), ("number", 5)):
        tools = [{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": declared}}}}]
        read = read_notation(text, index_tools(tools))
        assert read.calls is not None and repr(read.calls[0].arguments["a"]) == repr(value)
    assert read_notation(text).problem == "untyped_value"
    assert read_notation(text, ["f"]).problem == "untyped_value"


@pytest.mark.parametrize("case", READ, ids=[case.name for case in READ])
def test_a_notation_that_is_cut_off_is_never_read_as_something_else(case: Case) -> None:
    """Whatever prefix of a call is there: it is rejected, or plain text, or its whole calls are read."""
    assert case.calls is not None
    for end in range(len(case.text)):
        reading = read_notation(case.text[:end], SCHEMAS)
        if reading.calls is not None:
            assert reading.calls == case.calls[: len(reading.calls)], case.text[:end]


PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<function=f>", "</function>", "<parameter=a>", "</parameter>"),
        *('{"name": "f", "arguments": {"a": 1}}', '{"name": "f"', "}", "[", "]", "f(a=1)", "f(", ")", "\n"),
        *(
            "Action: f",
            "Action Input: {}",
            "```json\n",
            "```",
            "`",
            "[TOOL_CALLS]",
            "functools",
            "✿FUNCTION✿:",
        ),
        *("<|python_tag|>", "to=functions.f", "<|message|>", "<|call|>", "word ", "- ", "'", '"', "$", ", "),
        *("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", '<invoke name="f">', "</invoke>", "\\n"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=80), st.sampled_from([(), ("f",)]))
@example('{"name": "f", "arguments": {"a": 1e999}}', ())
@example('{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}", ())
@example('{"name": "f", "arguments": ' + '{"a":' * 3000 + "1" + "}" * 3001, ())
@example("[" * 5000, ())
def test_total(text: str, names: tuple[str, ...]) -> None:
    reading = read_notation(text, names)
    assert (reading.calls is None) or (reading.problem is None and reading.notation)
    assert reading.problem is None or (reading.problem in PROBLEMS and reading.text == text)
    if reading.notation is None:
        assert find_intent(text, names) is None or reading.text == text
    if reading.calls is not None:
        json.dumps([call.to_json() for call in reading.calls], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "written",
    [
        'Thought: t\nAction: b\ud800ook\nAction Input: {"city": "x"}',
        'Action: book\nAction Input: {"city": "\ud800"}',
        "<tool_call><function=b\ud800ook><parameter=city>x</parameter></function></tool_call>",
        "<tool_call><function=book><parameter=city>\ud800</parameter></function></tool_call>",
        '<function=b\ud800ook>{"city": "x"}</function>',
        '<tool_call>{"name": "b\ud800ook", "arguments": {"city": "x"}}</tool_call>',
        '[TOOL_CALLS]b\ud800ook[ARGS]{"city": "x"}',
        "[b\ud800ook(city='x')]",
    ],
)
def test_half_a_character_is_never_in_a_call(written: str) -> None:
    found = read_notation(written, ("book", "b\ud800ook"))
    assert not found.calls
