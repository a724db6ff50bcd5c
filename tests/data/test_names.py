"""Names that the call language cannot write: an alias everywhere, and always the way back."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, CallSyntaxError, is_argument_name, is_tool_name, render_calls
from funreason_train.data.check.checks import passes
from funreason_train.data.read.names import alias_names, original_calls, parse_odd_calls, restore
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import AssistantStep, Trajectory, Turn, announced, steps_of


def _tool(name: str, *arguments: str, description: str = "") -> dict[str, Any]:
    properties = {argument: {"type": "string", "description": f"see {argument}"} for argument in arguments}
    return {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": properties, "required": list(arguments)},
    }


def _talk(*tools: dict[str, Any], thought: str = "", calls: tuple[Call, ...] = ()) -> Trajectory:
    step = AssistantStep(thought, calls, "" if calls else "ok", ("r",) * len(calls))
    return Trajectory(
        "x", "s", tools, (Turn("use get-user", (step,)),), system="Prefer get-user.", meta={"k": 1}
    )


def _aliased(trajectory: Trajectory) -> Trajectory:
    found = alias_names(trajectory)
    assert found is not None
    return found


def test_one_alias_in_tools_calls_history_and_thought() -> None:
    tools = (_tool("get-user", "user-id", description="get-user reads"), _tool("7SN.pj"), _tool("geo.lookup"))
    calls = (Call("get-user", {"user-id": "get-user"}), Call("7SN.pj"), Call("geo.lookup"))
    thought = "First get-user(user-id=5), then `7SN.pj`; get-users is something else."
    before = _talk(*tools, thought=thought, calls=calls)
    after = _aliased(before)
    assert [tool["name"] for tool in after.tools] == ["get_user", "_7SN.pj", "geo.lookup"]
    assert after.tools[0]["parameters"] == {
        "type": "object",
        "properties": {"user_id": {"type": "string", "description": "see user_id"}},
        "required": ["user_id"],
    }
    assert after.tools[0]["description"] == "get_user reads"
    step = after.turns[0].steps[0]
    assert render_calls(step.calls) == '[get_user(user_id="get-user"), _7SN.pj(), geo.lookup()]'
    assert step.thought == "First get_user(user_id=5), then `_7SN.pj`; get-users is something else."
    assert (after.system, after.turns[0].user) == ("Prefer get_user.", "use get-user")
    assert after.meta == {
        "k": 1,
        "flags": ["aliased_names"],
        "names": {
            "tools": {"get_user": "get-user", "_7SN.pj": "7SN.pj"},
            "arguments": {"user_id": "user-id"},
        },
    }
    for check in passes():
        check(after)
    assert "get_user" in steps_of(after)[0].answer
    assert tuple(original_calls(step.calls, after.meta["names"])) == calls
    assert restore(after) == before


@pytest.mark.parametrize(
    "form", [str, json.dumps, partial(json.dumps, indent=2), partial(json.dumps, separators=(",", ":"))]
)
def test_a_tool_that_a_user_brings_along_has_the_alias_that_its_calls_have(form: Any) -> None:
    new = _tool("find-hotel", "check-in", description="find-hotel, by check-in")
    text = f"{form([new])}\nWhat about find-hotel now?"
    calls = (Call("find-hotel", {"check-in": "5 May"}),)
    steps = (AssistantStep("find-hotel is there now.", calls, "", ("r",)),)
    before = Trajectory("x", "s", (_tool("look", "q"),), (Turn(text, steps),))
    after = _aliased(before)
    (document,) = announced(after.turns[0].user)
    assert document["name"] == "find_hotel" == after.turns[0].steps[0].calls[0].name
    assert list(document["parameters"]["properties"]) == ["check_in"] == document["parameters"]["required"]
    assert document["description"] == "find_hotel, by check_in"
    assert after.turns[0].user.endswith("\nWhat about find-hotel now?")
    for check in passes():
        check(after)
    assert restore(after) == before


def test_rows_without_odd_names_are_left_alone() -> None:
    assert alias_names(_talk(_tool("geo.lookup", "from"), calls=(Call("geo.lookup", {"from": "x"}),))) is None


def test_an_alias_avoids_names_and_words_that_are_there() -> None:
    after = _aliased(_talk(_tool("get-user"), _tool("get_user"), _tool("get user"), thought="get_user_2?"))
    assert [tool["name"] for tool in after.tools] == ["get_user_3", "get_user", "get_user_4"]


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("2fast", "_2fast"),
        ("a b", "a_b"),
        ("true", "true_"),
        ("", "_"),
        ("a..b", "a._.b"),
        ("x²", "_x_"),
        ("né-e", "né_e"),
    ],
)
def test_the_rule(name: str, alias: str) -> None:
    assert [tool["name"] for tool in _aliased(_talk(_tool(name))).tools] == [alias]


def test_a_plain_word_is_replaced_in_prose_only_where_it_is_the_name() -> None:
    tools = (_tool("2", "first name"),)
    thought = 'The first name of 2 people: "2" with 2(first name="x").'
    after = _aliased(_talk(*tools, thought=thought))
    assert after.turns[0].steps[0].thought == 'The first name of 2 people: "_2" with _2(first_name="x").'


_PARTS = st.sampled_from(
    ["get", "user", "get-user", "a", "b", "_", "2", ".", "-", " ", "(", "=", '"', "get_user", "é", "²"]
)
_names = st.lists(_PARTS, max_size=4).map("".join)
_prose = st.lists(_PARTS, max_size=10).map("".join)


@st.composite
def _trajectories(draw: st.DrawFn) -> Trajectory:
    tools = [
        _tool(name, *draw(st.lists(_names, max_size=2, unique=True)), description=draw(_prose))
        for name in draw(st.lists(_names, max_size=4, unique=True))
    ]
    steps = tuple(
        AssistantStep(
            draw(_prose),
            tuple(Call(tool["name"], dict.fromkeys(tool["parameters"]["properties"], "v")) for tool in tools),
            draw(_prose),
        )
        for _ in range(draw(st.integers(1, 2)))
    )
    return Trajectory("x", "s", tuple(tools), (Turn(draw(_prose), steps),), system=draw(st.none() | _prose))


@given(_trajectories())
def test_aliases_are_names_and_the_way_back_is_exact(before: Trajectory) -> None:
    after = alias_names(before)
    if after is None:
        return
    assert all(is_tool_name(tool["name"]) for tool in after.tools)
    assert all(is_argument_name(name) for tool in after.tools for name in tool["parameters"]["properties"])
    assert len({tool["name"] for tool in after.tools}) == len(before.tools)
    for step in after.turns[0].steps:
        assert {call.name for call in step.calls} == {tool["name"] for tool in after.tools}
        render_calls(step.calls)
    assert after.turns[0].user == before.turns[0].user
    assert restore(after) == before
    assert alias_names(before) == after


def test_a_name_of_endless_length_is_rejected() -> None:
    tool = {"name": "1." * 100_000, "description": "", "parameters": {"properties": {}}}
    with pytest.raises(RowError, match="name_not_callable"):
        alias_names(Trajectory("i", "s", (tool,), (Turn("q", (AssistantStep("", text="x"),)),)))


def test_call_lists_in_which_odd_names_stand() -> None:
    tools = [_tool("get-user", "user-id"), _tool("get")]
    calls = parse_odd_calls('[get-user(user-id="say get-user(user-id=1)"), get()]', tools)
    assert calls == [Call("get-user", {"user-id": "say get-user(user-id=1)"}), Call("get")]
    with pytest.raises(CallSyntaxError):
        parse_odd_calls("[get-users()]", tools)
    with pytest.raises(CallSyntaxError):
        parse_odd_calls("Use get-user.", tools)


@pytest.mark.parametrize("name", ["मौसम", "வானிலை", "caf\u00e9", "查询"])
def test_names_of_every_script_stand_as_they_are(name: str) -> None:
    assert alias_names(_talk(_tool(name, name), calls=(Call(name, {name: "x"}),))) is None


@pytest.mark.parametrize(
    ("name", "alias"), [("cafe\u0301", "caf\u00e9"), ("ﬁnd", "find"), ("\u0958लम", "\u0915\u093cलम")]
)
def test_a_name_that_would_be_read_as_another_gets_its_spelling(name: str, alias: str) -> None:
    before = _talk(_tool(name, "a"), calls=(Call(name, {"a": "x"}),), thought=f"I take `{name}`.")
    after = _aliased(before)
    assert after.meta["names"]["tools"] == {alias: name}
    step = after.turns[0].steps[0]
    assert parse_odd_calls(render_calls(step.calls), after.tools) == list(step.calls)
    assert restore(after) == before
    for check in passes():
        check(after)
