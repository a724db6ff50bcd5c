"""Conversations in OpenAI's chat format, whole and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from funreason_train.calls import Call
from funreason_train.data.read.formats import apigen_mt, openai
from funreason_train.data.read.rows import RowError

INFER = {"tools_missing": "infer", "text_with_calls": "thought"}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        },
    }
    for name in ("f", "g")
]


def _call(name: str, arguments: Any, id: str | None = None) -> dict[str, Any]:
    named = {} if id is None else {"id": id}
    return {**named, "type": "function", "function": {"name": name, "arguments": arguments}}


def _user(text: Any = "q") -> dict[str, Any]:
    return {"role": "user", "content": text}


def _made(*calls: Any, **rest: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **rest}


def _answered(content: Any, id: str | None = None) -> dict[str, Any]:
    return {"role": "tool", "content": content} | ({} if id is None else {"tool_call_id": id})


DONE = {"role": "assistant", "content": "Done."}


def _chat(*messages: Any, **rest: Any) -> dict[str, Any]:
    return {"messages": list(messages), "tools": TOOLS, **rest}


def test_both_formats_and_odd_names_go_through_the_stage(
    prepare: Callable[..., tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    said = (
        ("human", "q"),
        ("function_call", '{"name": "get-user", "arguments": {"user-id": 5}}'),
        ("observation", "Ann"),
        ("gpt", "It is Ann."),
    )
    tools = json.dumps([{"name": "get-user", "parameters": {"user-id": {"type": "int"}}}])
    share = {"conversations": [{"from": who, "value": value} for who, value in said], "tools": tools}
    (tmp_path / "share.json").write_text(json.dumps([share]))
    own = _chat(_user("r"), _made(_call("f", '{"a": 1}', "1")), _answered("ok", "1"), DONE)
    wrong = _chat(_user("s"), _made(_call("f", '{"b": 1}', "1")), _answered("ok", "1"), DONE)
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n" + json.dumps(wrong) + "\n")
    words = (
        "data.datasets=[apigen_mt,openai]",
        f"data.apigen_mt.path={tmp_path}/share.json",
        f"data.openai.path={tmp_path}/own.jsonl",
        *("data.val_share=0", "data.decontaminate=off"),
    )
    out, result = prepare(*words)
    accounts = result["sources"]
    assert (accounts["apigen_mt"]["kept"], accounts["apigen_mt"]["flags"]) == (1, {"aliased_names": 1})
    assert (accounts["openai"]["kept"], accounts["openai"]["rejected"]) == (1, {"unknown_argument": 1})
    targets = {
        row["id"]: row["conversations"][-1]["value"]
        for row in json.loads((out / "sft/train.json").read_text())
    }
    assert targets["share.json[0]/0.0"].endswith("[get_user(user_id=5)]")
    for row in pq.read_table(out / "rl" / "train.parquet").to_pylist():
        if row["data_source"] == "apigen_mt":
            names = json.loads(row["extra_info"]["meta"])["names"]
            assert names == {"tools": {"get_user": "get-user"}, "arguments": {"user_id": "user-id"}}
            assert '"get_user"' in row["reward_model"]["ground_truth"]
            assert "get-user" not in row["prompt"][0]["content"]

    _, rejected = prepare(*words, "data.names=reject")
    assert rejected["sources"]["apigen_mt"]["rejected"] == {"name_not_callable": 1}


@pytest.mark.parametrize("arguments", [{"a": 1}, '{"a": 1}', '"{\\"a\\": 1}"'])
def test_arguments_as_an_object_or_as_text(arguments: Any) -> None:
    row = _chat(_user(), _made(_call("f", arguments, "1")), _answered("ok", "1"), DONE, id="x")
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].calls == (Call("f", {"a": 1}),)
    assert (trajectory.id, trajectory.system, dict(trajectory.meta)) == ("x", None, {})
    assert trajectory.tools[0]["parameters"]["properties"] == {"a": {"type": "integer"}}


def test_results_are_put_into_the_order_of_their_calls() -> None:
    row = _chat(
        _user(),
        _made(_call("f", {"a": 1}, "one"), _call("g", {"a": 2}, "two")),
        _answered("second", "two"),
        _answered("first", "one"),
        DONE,
    )
    assert openai.convert(row, INFER).turns[0].steps[0].results == ("first", "second")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("g", "tool_call_id", "two"), ("f", None, None)], ("f", "g")),  # one of them has lost its id
        ([("f", None, None), ("g", "tool_call_id", "two")], ("f", "g")),
        ([("g", "name", "g"), ("f", "name", "f")], ("f", "g")),
        ([("g", "name", "g"), ("f", "name", "g")], ("g", "f")),  # names that tell nothing: as they came
        ([("['f', 'g']", None, None)], ("f", "g")),
    ],
)
def test_results_of_which_some_say_what_they_answer(
    answers: list[tuple[str, str | None, str | None]], expected: tuple[str, ...]
) -> None:
    results = [{"role": "tool", "content": text, **({key: id} if key else {})} for text, key, id in answers]
    row = _chat(_user(), _made(_call("f", {"a": 1}, "one"), _call("g", {"a": 2}, "two")), *results, DONE)
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].results == expected
    assert not trajectory.meta


def test_fewer_results_than_calls_are_flagged_where_none_names_its_call() -> None:
    row = _chat(_user(), _made(_call("f", {"a": 1}), _call("g", {"a": 2})), _answered("x"), DONE)
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].results == ("x",)
    assert trajectory.meta["flags"] == ["results_not_one_a_call"]


def test_a_refusal_is_a_reply() -> None:
    row = _chat(_user(), {"role": "assistant", "content": None, "refusal": "I cannot do that."})
    assert openai.convert(row, INFER).turns[0].steps[0].text == "I cannot do that."


def test_results_without_ids_stand_in_the_order_given() -> None:
    row = _chat(
        _user(),
        _made(_call("f", {"a": 1}), _call("g", {"a": 2})),
        _answered("first"),
        _answered("second"),
        DONE,
    )
    assert openai.convert(row, INFER).turns[0].steps[0].results == ("first", "second")


def test_everything_as_json_text_and_a_bare_list_of_messages() -> None:
    messages = [_user(), _made(_call("f", '{"a": 1}', "1")), _answered("ok", "1"), DONE]
    whole = openai.convert({"messages": messages, "tools": TOOLS}, INFER)
    assert openai.convert({"messages": json.dumps(messages), "tools": json.dumps(TOOLS)}, INFER) == whole
    assert openai.convert({"messages": messages, "tools_json": json.dumps(TOOLS)}, INFER) == whole
    bare = openai.convert(messages, INFER)
    assert bare.turns == whole.turns
    assert bare.meta["flags"] == ["tools_inferred"]


def test_thoughts_and_system_messages_and_text_parts() -> None:
    row = _chat(
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
        },
        _user([{"type": "text", "text": "q"}]),
        _made(_call("f", {"a": 1}, "1"), reasoning_content="I need f."),
        _answered([{"type": "text", "text": "ok"}], "1"),
        {"role": "assistant", "content": "<think>All is there.</think>Done."},
    )
    trajectory = openai.convert(row, INFER)
    first, second = trajectory.turns[0].steps
    assert (trajectory.system, trajectory.turns[0].user) == ("Be brief.", "q")
    assert (first.thought, first.results) == ("I need f.", ("ok",))
    assert (second.thought, second.text) == ("All is there.", "Done.")


def test_a_text_beside_calls_is_never_lost_unnoticed() -> None:
    row = _chat(_user(), _made(_call("f", {"a": 1}), content="Let me look.", reasoning_content="f it is."))
    for choice, thought, flag in (
        ("thought", "f it is.\n\nLet me look.", "text_with_calls_in_thought"),
        ("drop", "f it is.", "text_with_calls_dropped"),
    ):
        trajectory = openai.convert(row, {**INFER, "text_with_calls": choice})
        step = trajectory.turns[0].steps[0]
        assert (step.thought, step.text, trajectory.meta["flags"]) == (thought, "", [flag])
    with pytest.raises(RowError, match="call_syntax"):
        openai.convert(row, {**INFER, "text_with_calls": "reject"})


@pytest.mark.parametrize(
    ("content", "thought"),
    [
        ("<think>\nf it is.\n</think>\n\n", "f it is."),
        ("<think>\n\n</think>\n\n", ""),
        ("[THINK]Yes.[/THINK]", "Yes."),
    ],
)
def test_the_content_beside_calls_may_be_a_thought_alone(content: str, thought: str) -> None:
    found = openai.convert(_chat(_user(), _made(_call("f", {"a": 1}), content=content)), INFER)
    step = found.turns[0].steps[0]
    assert (step.thought, step.calls, step.text) == (thought, (Call("f", {"a": 1}),), "")
    said = ("human", "q"), ("gpt", content), ("function_call", '{"name": "f", "arguments": {"a": 1}}')
    row = {"conversations": [{"from": who, "value": value} for who, value in said], "tools": TOOLS}
    assert apigen_mt.convert(row, INFER).turns == found.turns


def test_a_result_that_is_not_text_is_written_as_json() -> None:
    row = _chat(_user(), _made(_call("f", {"a": 1}, "1")), _answered({"é": [1, None]}, "1"), DONE)
    assert openai.convert(row, INFER).turns[0].steps[0].results == ('{"é": [1, null]}',)


def test_the_older_function_call() -> None:
    row = {
        "messages": [
            _user(),
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
            {"role": "function", "name": "f", "content": "ok"},
            DONE,
        ],
        "functions": [tool["function"] for tool in TOOLS],
    }
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].calls == (Call("f", {"a": 1}),)
    assert [tool["name"] for tool in trajectory.tools] == ["f", "g"]


def test_nulls_that_a_table_put_into_the_arguments_are_no_arguments() -> None:
    """datasets#7793's relative: Arrow gives every object of a column the keys of all."""
    row = _chat(_user(), _made(_call("f", {"a": 1, "other": None})))
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].calls == (Call("f", {"a": 1}),)
    assert trajectory.meta["flags"] == ["null_arguments_dropped"]


def test_calls_written_into_the_content() -> None:
    row = _chat(
        _user(),
        {"role": "assistant", "content": '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'},
    )
    trajectory = openai.convert(row, INFER)
    assert trajectory.turns[0].steps[0].calls == (Call("f", {"a": 1}),)
    assert trajectory.meta["flags"] == ["json_calls"]


def test_a_message_of_weight_0_is_history_and_no_step(
    prepare: Callable[..., tuple[Path, dict[str, Any]]], tokenizer_folder: Path, tmp_path: Path
) -> None:
    """The provider's fine-tuning field: a mistake can be shown without being taught."""
    mistaken = _made(_call("f", {"b": 1}, "1"), weight=0)
    mended = _made(_call("f", {"a": 1}, "2"), weight=1)
    row = _chat(
        _user(), mistaken, _answered("no b", "1"), mended, _answered("ok", "2"), {**DONE, "weight": 0}
    )
    silent = _chat(_user("r"), {**DONE, "weight": 0})
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(silent) + "\n")
    for words in ((), (f"data.tokenizer={tokenizer_folder}", "data.max_prompt_tokens=null")):
        out, result = prepare(
            "data.datasets=[openai]",
            f"data.openai.path={tmp_path}/own.jsonl",
            *("data.val_share=0", "data.decontaminate=off", *words),
        )
        account = result["sources"]["openai"]
        assert (account["read"], account["kept"], account["rejected"]) == (2, 1, {"untrained": 1})
        assert (account["steps"], account["steps_dropped"]) == (1, {"untrained": 2})
        assert (result["sft"]["train"], result["rl"]["train"]) == (1, 1)
        (sft,) = json.loads((out / "sft/train.json").read_text())
        assert sft["id"].endswith("/0.1")
        assert [one["value"] for one in sft["conversations"]][1:3] == ["[f(b=1)]", "['no b']"]
        assert sft["conversations"][-1]["value"].endswith("[f(a=1)]")
        (rl,) = pq.read_table(out / "rl" / "train.parquet").to_pylist()
        assert rl["prompt"][2] == {"role": "assistant", "content": "[f(b=1)]"}
        assert json.loads(rl["reward_model"]["ground_truth"])["calls"] == [
            {"name": "f", "arguments": {"a": 1}}
        ]
    assert account["overlong"]["steps"] == 0
    assert account["tokens"]["target"]["max"] == rl["extra_info"]["target_tokens"]


def test_tools_are_inferred_from_what_is_taught_alone() -> None:
    mistaken, mended = _made(_call("f", {"b": 1}), weight=0), _made(_call("f", {"a": 1}), weight=float("nan"))
    row = _chat(_user(), mistaken, _answered("no b"), mended, _answered("ok"), DONE, tools=None)
    trajectory = openai.convert(row, INFER)
    assert list(trajectory.tools[0]["parameters"]["properties"]) == ["a"]
    assert dict(trajectory.meta) == {"flags": ["tools_inferred"], "untrained": ["0.0"]}


def test_a_weight_between_0_and_1_is_flagged() -> None:
    row = _chat(_user(), {**DONE, "weight": 0.5})
    assert openai.convert(row, INFER).meta == {"flags": ["message_weight_ignored"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (5, "row_shape"),
        ({"messages": []}, "row_shape"),
        ({"messages": "["}, "invalid_json"),
        (_chat(_user(), {"role": "assistant", "content": None}), "empty_answer"),
        (_chat(_user(), _made(_call("f", '{"a": '))), "invalid_json"),
        (_chat(_user(), _made(_call("f", "[1]"))), "call_syntax"),
        (_chat(_user(), _made({"type": "custom", "custom": {"input": "x"}})), "call_syntax"),
        (_chat(_user(), _made(_call("f", {"a": float("nan")}), "x")), "call_syntax"),
        (_chat(_user(), _made(_call("f", {"a": 1}, "1")), _answered("x", "2"), DONE), "result_without_call"),
        (
            _chat(_user(), _made(_call("f", {"a": 1}, "1")), _answered("x", "1"), _answered("y", "1"), DONE),
            "result_without_call",
        ),
        (
            _chat(
                _user(),
                _made(_call("f", {"a": 1}, "1"), _call("f", {"a": 2}, "2")),
                _answered("x", "1"),
                DONE,
            ),
            "call_without_result",
        ),
        (_chat(_user(), _made(_call("f", {"a": 1}, "1")), _user("r"), DONE), "call_without_result"),
        (_chat(_user(), DONE, _answered("x", "1"), DONE), "result_without_call"),
        (_chat(_user(), _user(), DONE), "role_order"),
        (_chat(_user(), DONE, DONE), "role_order"),
        (_chat(_user(), {"role": "system", "content": "s"}, DONE), "role_order"),
        (_chat(_user([{"type": "image_url", "image_url": {}}]), DONE), "row_shape"),
        (_chat(_user(), {"role": "critic", "content": "x"}), "row_shape"),
        (_chat(_user(), {"role": "assistant", "content": "<think>never closed"}), "unclosed_think"),
        (
            _chat(_user(), {"role": "assistant", "content": "[g()]", "tool_calls": [_call("f", {})]}),
            "call_syntax",
        ),
        (_chat(_user(), DONE, tools=[{"function": {}}]), "tool_shape"),
        ({"messages": [_user(), DONE], "tools": None}, None),
    ],
)
def test_broken_rows(row: Any, reason: str | None) -> None:
    if reason is None:
        assert openai.convert(row, INFER).tools == ()
        return
    with pytest.raises(RowError) as caught:
        openai.convert(row, INFER)
    assert caught.value.reason == reason


def test_no_tool_list_is_a_choice() -> None:
    with pytest.raises(RowError, match="no_tools"):
        openai.convert([_user(), DONE], {**INFER, "tools_missing": "reject"})


SAID = {"role": "assistant", "content": "I look."}


@pytest.mark.parametrize(
    "called",
    [
        {"role": "tool_call", "content": "{'name': 'f', 'arguments': '{\"a\": 1}'}"},
        {"role": "tool_call", "content": '{"name": "f", "arguments": {"a": 1}}'},
        {
            "role": "tool-call",
            "content": [{"type": "text", "text": "Calling tools:\n" + str([_call("f", {"a": 1})])}],
        },
    ],
)  # fmt: skip
def test_a_text_and_the_message_of_its_calls_are_one_response(called: dict[str, Any]) -> None:
    rest = ({"role": "tool_response", "content": "x"}, DONE)
    step = openai.convert(_chat(_user(), SAID, called, *rest), INFER).turns[0].steps[0]
    assert (step.thought, step.calls, step.results) == ("I look.", (Call("f", {"a": 1}),), ("x",))
    repeated = {**SAID, "content": 'Thought: I look.\nAction:\n{"name": "f", "arguments": {"a": 1}}'}
    assert openai.convert(_chat(_user(), repeated, called, *rest), INFER).turns[0].steps[0] == step
    other = {**repeated, "content": repeated["content"].replace("1", "2")}
    with pytest.raises(RowError, match="call_syntax"):
        openai.convert(_chat(_user(), other, called, *rest), INFER)


def test_what_stands_around_calls_is_no_thought() -> None:
    for text in ('<call>\n[{"name": "f", "arguments": {"a": 1}}]\n</call>', "API-Request: [f(a=1)]"):
        step = openai.convert(_chat(_user(), {"role": "assistant", "content": text}), INFER).turns[0].steps[0]
        assert (step.thought, step.calls) == ("", (Call("f", {"a": 1}),))


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"source": "user", "content": "q", "type": "TextMessage"}, "no role, but source, content, type"),
        ({"role": "user", "blocks": [{"text": "q"}]}, "no content, but blocks"),
        ({"role": "narrator", "content": "q"}, "the role 'narrator', which is not read"),
    ],
)
def test_what_a_message_has_instead_is_named(message: dict[str, Any], named: str) -> None:
    with pytest.raises(RowError, match=named):
        openai.convert(_chat(message, DONE), INFER)
