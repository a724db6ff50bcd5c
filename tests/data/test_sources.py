"""Each published format, real rows and broken ones, as conversations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen, funreason_mt, source_module
from funreason_train.data.read.rows import RowError
from funreason_train.errors import UserError

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEEP = {"error_tool_response": "keep", "tools_missing": "infer"}
STRICT = {"error_tool_response": "drop", "tools_missing": "reject"}

QUERY = {
    "id": 3,
    "query": "Weather in Oslo?",
    "answers": '[{"name": "weather", "arguments": {"city": "Oslo"}}]',
    "tools": '[{"name": "weather", "description": "", "parameters": {"city": {"type": "str"}}}]',
}


def _lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (FIXTURES / name).read_text().splitlines()]


def _reason(convert: Callable[..., Any], row: Any, options: dict[str, str] = KEEP) -> str:
    with pytest.raises(RowError) as caught:
        convert(row, options)
    return caught.value.reason


def _chat(*contents: str) -> list[dict[str, str]]:
    """Messages from `u:…`, `a:…` and `t:…`."""
    roles = {"u": "user", "a": "assistant", "t": "tool", "s": "system"}
    return [{"role": roles[one[0]], "content": one[2:]} for one in contents]


# --- APIGen ---


def test_real_apigen_rows() -> None:
    first, *others = [apigen.convert(row, {}) for row in _lines("apigen_8rows.jsonl")]
    assert len(others) == 7
    assert first.id == "0"
    assert first.turns[0].steps[0].calls == (
        Call("live_giveaways_by_type", {"type": "beta"}),
        Call("live_giveaways_by_type", {"type": "game"}),
    )
    parameters = first.tools[0]["parameters"]
    assert parameters["properties"]["type"]["type"] == "string"
    assert parameters["required"] == []  # it has a default


def test_nested_json_text_is_opened() -> None:
    twice = {**QUERY, "answers": json.dumps(QUERY["answers"]), "tools": json.loads(str(QUERY["tools"]))}
    assert apigen.convert(twice, {}).turns == apigen.convert(QUERY, {}).turns
    assert apigen.read_calls([{"name": "f", "arguments": '{"a": 1}'}]) == (Call("f", {"a": 1}),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": ""}, "missing_field"),
        ({"query": None}, "missing_field"),
        ({"query": ["a"]}, "missing_field"),
        ({"answers": None}, "missing_field"),
        ({"tools": "[]"}, "missing_field"),
        ({"answers": "[]"}, "empty_answer"),
        ({"answers": "[{"}, "invalid_json"),
        ({"answers": '[{"name": "f", "arguments": {"a": NaN}}]'}, "not_finite"),
        ({"answers": '"just text"'}, "call_syntax"),
        ({"answers": '[{"name": "f", "arguments": [1]}]'}, "call_syntax"),
        ({"answers": '[{"arguments": {}}]'}, "call_syntax"),
        ({"tools": "{"}, "invalid_json"),
        ({"tools": '[{"description": "no name"}]'}, "tool_shape"),
        ({"tools": "[" * 50_000}, "nested_too_deeply"),
    ],
)
def test_broken_apigen_rows(change: dict[str, Any], reason: str) -> None:
    assert _reason(apigen.convert, {**QUERY, **change}) == reason


@pytest.mark.parametrize("row", [[QUERY], "text", None, 5])
def test_rows_that_are_no_objects(row: Any) -> None:
    assert _reason(apigen.convert, row) == "row_shape"


# --- FunReason-MT ---


def test_a_conversation_with_parallel_results_and_a_question() -> None:
    trajectory = funreason_mt.convert(_lines("funreason_mt_3rows.jsonl")[0], KEEP)
    assert [len(turn.steps) for turn in trajectory.turns] == [3, 1, 2]
    both = trajectory.turns[0].steps[1]
    assert both.thought == "Two orders, so I ask for both at once."
    assert both.calls == (Call("order_status", {"order_id": 4711}), Call("order_status", {"order_id": 4712}))
    assert both.results == ('{"status": "delivered"}', '{"status": "lost"}')
    assert trajectory.turns[1].steps[0].text == "How much should I refund for order 4712?"
    assert [tool["name"] for tool in trajectory.tools] == ["list_orders", "order_status", "refund"]
    amount = trajectory.tools[2]["parameters"]["properties"]["amount"]
    assert amount == {"description": "In euros.", "type": "number"}
    assert trajectory.system is None  # BFCL's default prompt, which the protocol writes itself
    assert not trajectory.meta


def test_tags_merged_results_and_a_prompt_without_tools() -> None:
    row = _lines("funreason_mt_3rows.jsonl")[1]
    trajectory = funreason_mt.convert(row, KEEP)
    first, second, last = trajectory.turns[0].steps
    assert first.results == ('["a.txt", "b.txt"]', "12 GB")
    assert second.results == ("buy milk",)
    assert last.text == "The folder holds a.txt and b.txt; a.txt says: buy milk."
    assert trajectory.system == "You help with files."
    assert [tool["name"] for tool in trajectory.tools] == ["list_files", "disk_free", "read_file"]
    assert trajectory.meta["flags"] == ["tools_inferred"]
    assert _reason(funreason_mt.convert, row, STRICT) == "no_tools"


def test_numbered_columns_are_put_in_numeric_order_and_the_error_flag_is_a_choice() -> None:
    row = _lines("funreason_mt_3rows.jsonl")[2]
    assert list(row)[:3] == ["0", "1", "10"]
    trajectory = funreason_mt.convert(row, KEEP)
    assert [turn.user for turn in trajectory.turns] == [
        "What is the status of order 99?",
        "And order 98?",
        "Thank you.",
    ]
    assert trajectory.id == "flagged"
    assert trajectory.meta["flags"] == ["error_tool_response"]
    assert _reason(funreason_mt.convert, row, STRICT) == "error_tool_response"


def test_the_error_flag_on_a_message() -> None:
    chat: list[dict[str, Any]] = _chat("u:q", "a:[f(a=1)]", "t:x", "a:done")
    chat[2]["error_tool_response"] = True
    assert (
        _reason(funreason_mt.convert, chat, {**KEEP, "error_tool_response": "drop"}) == "error_tool_response"
    )
    chat[2]["error_tool_response"] = "false"
    kept = funreason_mt.convert(chat, {**KEEP, "error_tool_response": "drop"})
    assert "error_tool_response" not in kept.meta["flags"]


@pytest.mark.parametrize("key", ["conversations", "messages"])
def test_message_lists_under_a_name_and_as_text(key: str) -> None:
    chat = _chat("u:q", "a:hello")
    for messages in (chat, json.dumps(chat), [json.dumps(one) for one in chat]):
        assert funreason_mt.convert({key: messages, "id": 7}, KEEP).turns[0].user == "q"
    sharegpt = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "hello"}]
    assert funreason_mt.convert({key: sharegpt}, KEEP).turns[0].steps[0].text == "hello"


def test_padding_columns_are_no_messages() -> None:
    chat = _chat("u:q", "a:hello")
    row = {"0": chat[0], "1": chat[1], "2": None, "10": None}
    assert len(funreason_mt.convert(row, KEEP).turns) == 1


@pytest.mark.parametrize(
    ("content", "calls", "text", "flags"),
    [
        ("[f(a=1)]", [Call("f", {"a": 1})], "", []),
        ("<tool_call>\n[f(a=1)]\n</tool_call>", [Call("f", {"a": 1})], "", []),
        ("thought</think>[f()]", [Call("f")], "", []),
        ("<think>x</think><answer>hi</answer>", [], "hi", []),
        ("<think>x</think><tool_call>All is done.</tool_call>", [], "All is done.", ["text_in_tool_call"]),
        (
            '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
            [Call("f", {"a": 1})],
            "",
            ["json_calls"],
        ),
        (
            '<tool_call>{"name": "f", "arguments": {}}</tool_call>\n<tool_call>{"name": "g"}</tool_call>',
            [Call("f"), Call("g")],
            "",
            ["json_calls", "json_calls"],
        ),
        ('[{"name": "f", "arguments": {"a": 1}}]', [Call("f", {"a": 1})], "", ["json_calls"]),
        ('{"name": "f", "arguments": {"a": 1}}', [Call("f", {"a": 1})], "", ["json_calls"]),
        ("[{'name': 'f', 'arguments': {'a': None}}]", [Call("f", {"a": None})], "", ["json_calls"]),
        (
            '<tool_call>{"name": "f", "arguments": {}}\n{"name": "g", "arguments": {}}</tool_call>',
            [Call("f"), Call("g")],
            "",
            ["json_calls"],
        ),
        ('```json\n[{"name": "f", "arguments": {}}]\n```', [Call("f")], "", ["json_calls"]),
        ("```\n[f(a=1)]\n```", [Call("f", {"a": 1})], "", []),
        ("```python \n\n[f(a=1)]\n\n  ```", [Call("f", {"a": 1})], "", []),
        ("```\nAll done.\n``` it is```", [], "```\nAll done.\n``` it is```", []),
        ("<answer>[f()]</answer><answer>[g()]</answer>", [Call("f"), Call("g")], "", []),
        ("<answer>hi", [], "<answer>hi", []),
        ("[1] is the first source.", [], "[1] is the first source.", []),
    ],
)
def test_how_a_response_is_read(content: str, calls: list[Call], text: str, flags: list[str]) -> None:
    raised: list[str] = []
    _, found, plain = funreason_mt.read_response(content, raised)
    assert (list(found), plain, raised) == (calls, text, flags)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<tool_call>" * 30_000, None),
        ("<answer>" * 30_000 + "</answer>", None),
        ("```json\n" + "\n" * 300_000 + "x", None),
        ("x" + "<|im_end|>\n" * 100_000 + "x", None),
        ("[f(" * 100_000, "call_syntax"),
        ("<think>" * 50_000, "unclosed_think"),
    ],
)
def test_endless_responses_are_read_in_linear_time(content: str, reason: str | None) -> None:
    """Minutes each where time grows with the square of the length."""
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
    if reason is None:
        assert funreason_mt.convert(chat, KEEP).turns[0].steps[0].text
        return
    with pytest.raises(RowError, match=reason):
        funreason_mt.convert(chat, KEEP)


@pytest.mark.parametrize(
    "system", ["\n" * 300_000, '[{"a":"' + "[{" * 150_000, '\n{"a": 1' * 40_000, '[{"name": "x"}, ' * 20_000]
)
def test_endless_system_prompts_are_searched_in_linear_time(system: str) -> None:
    chat = [
        *({"role": "system", "content": "x" + system}, {"role": "user", "content": "q"}),
        {"role": "assistant", "content": "[f(a=1)]"},
    ]
    trajectory = funreason_mt.convert(chat, KEEP)
    assert trajectory.meta["flags"] == ["tools_inferred"]


@pytest.mark.parametrize(
    ("content", "calls"),
    [
        ('[{"get-user": {"id": 1}}, {"g": {}}]', [Call("get-user", {"id": 1}), Call("g")]),
        ('<tool_call>{"g": {"a": 1}}</tool_call>', [Call("g", {"a": 1})]),
        ("[{'g': {'a': None}}]", [Call("g", {"a": None})]),
        ('{"tool": "g", "args": {"a": 1}}', [Call("g", {"a": 1})]),
        (
            '{"tool": "g", "args": {"a": 1}, "until": 5}',
            None,
        ),  # not all of it can be read, but no reply either
        ('{"rain": {"today": 1}}', []),
        ('{"state": "g"}', []),
        ("[]", []),
        ('{"g": 1}', []),
    ],
)
def test_json_that_names_an_offered_tool_is_not_taken_for_a_reply(
    content: str, calls: list[Call] | None
) -> None:
    tools: list[dict[str, Any]] = [
        {"name": name, "description": "", "parameters": {"properties": {}}} for name in ("get-user", "g")
    ]
    flags: list[str] = []
    if calls is None:
        with pytest.raises(RowError, match="call_syntax: a call has the key 'until'"):
            funreason_mt.read_response(content, flags, tools)
        return
    _, found, text = funreason_mt.read_response(content, flags, tools)
    assert (list(found), text, flags) == (calls, "" if calls else content, ["json_calls"] if calls else [])


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (_chat("u:q"), "missing_field"),
        (_chat("a:hello"), "role_order"),
        (_chat("u:q", "u:r", "a:hello"), "role_order"),
        (_chat("u:q", "a:hello", "a:again"), "role_order"),
        (_chat("u:q", "s:system", "a:hello"), "role_order"),
        (_chat("u:q", "t:result", "a:hello"), "role_order"),
        (_chat("u:q", "a:hello", "t:result"), "result_without_call"),
        (_chat("u: ", "a:hello"), "missing_field"),
        (_chat("u:q", "a:<think>never closed"), "unclosed_think"),
        (_chat("u:q", "a:<think>a</think><think>b</think>c"), "unclosed_think"),
        (_chat("u:q", "a:<think>only</think>"), "empty_answer"),
        (_chat("u:q", "a:<tool_call></tool_call>"), "empty_answer"),
        (_chat("u:q", "a:[f(a=__import__('os').system('x'))]"), "call_syntax"),
        (_chat("u:q", "a:[f(1)]"), "call_syntax"),
        (_chat("u:q", "a:[f(a=1)"), "call_syntax"),
        (_chat("u:q", "a:I call <tool_call>[f()]</tool_call>"), "call_syntax"),
        (_chat("u:q", "a:<tool_call>[f()]</tool_call><answer>hi</answer>"), "call_syntax"),
        ([], "row_shape"),
        ({}, "row_shape"),
        ("[", "invalid_json"),
        (5, "row_shape"),
        ([5], "row_shape"),
        ([{"role": "wizard", "content": "x"}], "row_shape"),
        ([{"role": "user", "content": None}], "row_shape"),
        ([{"content": "x"}], "row_shape"),
    ],
)
def test_broken_conversations(chat: Any, reason: str) -> None:
    assert _reason(funreason_mt.convert, chat) == reason


def test_what_follows_the_last_answer_is_dropped_with_a_flag() -> None:
    trajectory = funreason_mt.convert(_chat("u:q", "a:hello", "u:unanswered"), KEEP)
    assert [turn.user for turn in trajectory.turns] == ["q"]
    assert "unanswered_user_dropped" in trajectory.meta["flags"]


def test_result_text_that_is_no_list_of_one_a_call_stays_whole() -> None:
    trajectory = funreason_mt.convert(_chat("u:q", "a:[f(), g()]", "t:['one']", "a:done"), KEEP)
    assert trajectory.turns[0].steps[0].results == ("['one']",)
    assert "results_not_one_a_call" in trajectory.meta["flags"]


def test_call_lists_may_use_names_that_the_call_language_cannot_write() -> None:
    tools = [{"name": "get-user", "description": "", "parameters": {"user-id": {"type": "int"}}}]
    chat = _chat("u:q", "a:[get-user(user-id=5)]", "t:x", "a:done")
    step = funreason_mt.convert({"messages": chat, "tools": tools}, KEEP).turns[0].steps[0]
    assert step.calls == (Call("get-user", {"user-id": 5}),)


def test_calls_that_nothing_answers_are_flagged() -> None:
    trajectory = funreason_mt.convert(_chat("u:q", "a:[f(a=1)]", "u:r", "a:done"), KEEP)
    assert "calls_unanswered" in trajectory.meta["flags"]


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UserError, match="apigen, funreason_mt"):
        source_module("csv")


def test_words_inside_the_tags_of_a_call_are_looked_through_in_linear_time() -> None:
    """A million words and a sign of a call behind them: hours, if each space were tried."""
    content = "<tool_call>\n" + "a " * 1_000_000 + '{"dog": "Rex"}\n</tool_call>'
    with pytest.raises(RowError, match="call_syntax"):
        funreason_mt.read_response(content, [], [])
