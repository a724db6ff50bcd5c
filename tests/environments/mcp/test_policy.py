"""Which tools of a server are offered, under which names, and what no answer may show."""

from pathlib import Path
from typing import Any

import pytest
from mcp_types import Tool, ToolAnnotations, ToolExecution

from funreason_train.calls import Call, is_tool_name, parse_calls, render_calls
from funreason_train.environments.mcp import policy
from funreason_train.environments.mcp.servers import Server, SessionRules
from funreason_train.synth.explore.draw.answers import Answers
from funreason_train.synth.explore.draw.formats import examples_in


def tool(name: str, parameters: dict[str, Any] | None = None, **more: Any) -> Tool:
    return Tool(name=name, input_schema={"type": "object", "properties": parameters or {}}, **more)


READS = ToolAnnotations(read_only_hint=True)
DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True)


def test_every_tool_that_is_left_out_has_its_reason() -> None:
    tools = [
        *(
            tool("look", annotations=READS),
            tool("drop", annotations=DESTROYS),
            tool("reset_all"),
            tool("slow"),
        ),
        *(tool("twice"), tool("twice"), tool("task", execution=ToolExecution(task_support="required"))),
    ]
    rules = SessionRules(reset="reset_all", leave_out=("slow",))
    assert [one.name for one in policy.offered(tools, rules)] == ["look", "twice"]
    reasons = policy.left_out(tools, rules)
    assert reasons.keys() == {"drop", "reset_all", "slow", "twice", "task"} and all(reasons.values())
    assert "session.allow" in reasons["drop"]
    assert "drop" in {one.name for one in policy.offered(tools, SessionRules(allow=("drop",)))}


@pytest.mark.parametrize(
    ("name", "observes", "asks"),
    [
        *(("list_notes", True, True), ("note_search", False, True), ("todo.get_one", True, True)),
        *(("open_nodes", False, True), ("retrieveUser", False, True), ("opening", False, False)),
        *(("clear_list", False, True), ("set_price", False, False), ("notes", False, False)),
    ],
)
def test_a_tool_that_looks_for_something_is_told_by_its_name(name: str, observes: bool, asks: bool) -> None:
    """What is called to see the state must be one beyond doubt; an empty answer is none of any."""
    assert (policy.may_observe(tool(name)), policy.asks(tool(name))) == (observes, asks)


def test_a_rule_that_names_no_tool_is_told_with_the_nearest() -> None:
    rules = SessionRules(allow=("delete_ordr",), observe=("{session}",), examples={"nope": ({},)})
    said = policy.unknown_names([tool("delete_order")], rules)
    assert len(said) == 2 and "delete_ordr" in said[0] and "did you mean delete_order?" in said[0]


@pytest.mark.parametrize(
    "name", ["set-price", "a b", "1st", "🎉", "ünï", "weather/now", "class", "None", "日本", "x.y"]
)
def test_every_name_can_be_called(name: str) -> None:
    odd = tool(name, {"user-id": {"type": "integer"}, "$filter": {}, "from": {}, "max results": {}, "é": {}})
    (document,) = policy.documents([odd], SessionRules())
    assert is_tool_name(document["name"]) and policy.names([odd])[document["name"]] == name
    call = Call(document["name"], dict.fromkeys(document["parameters"]["properties"], 1))
    assert parse_calls(render_calls([call])) == [call]
    assert list(policy.argument_names(odd).values()) == ["user-id", "$filter", "from", "max results", "é"]


def test_names_that_become_equal_are_told_apart() -> None:
    assert policy.names([tool("a-b"), tool("a b"), tool("a_b")]) == {
        "a_b": "a-b",
        "a_b_2": "a b",
        "a_b_3": "a_b",
    }


def test_examples_follow_their_parameters_names() -> None:
    rules = SessionRules(examples={"find": ({"user-id": 7},)})
    (document,) = policy.documents([tool("find", {"user-id": {"type": "integer"}})], rules)
    assert document["examples"] == [{"user_id": 7}]


@pytest.mark.parametrize(
    ("made", "observes"),
    [
        (tool("status", annotations=READS), True),
        (tool("list_tables"), True),
        (tool("getState"), True),
        (tool("listen"), False),
        (tool("add_book"), False),
        (tool("read_all", annotations=DESTROYS), False),
        (Tool(name="get_one", input_schema={"properties": {"id": {}}, "required": ["id"]}), False),
    ],
)
def test_what_may_show_the_state(made: Tool, observes: bool) -> None:
    assert policy.may_observe(made) == observes


def test_what_a_tool_takes_by_default() -> None:
    properties = {
        "q": {"type": "string"},
        "done": {"type": "boolean", "default": False},
        "due": {"default": None},
    }
    made = Tool(name="find", input_schema={"type": "object", "properties": properties})
    assert policy.defaults(made) == {"done": False, "due": None}


def test_what_no_answer_may_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PIN", "1234567")
    monkeypatch.setenv("PATH", "/a/long/search/path")
    server = Server(
        command="x",
        args=("--pin=${SHOP_PIN}",),
        env={"API_KEY": "plain-key", "MODE": "fast-mode", "GIT_AUTHOR_DATE": "2026-01-05"},
    )
    assert server.hidden() == {"SHOP_PIN": "1234567", "API_KEY": "plain-key", "PATH": "/a/long/search/path"}
    web = Server(url="http://x", headers={"Authorization": "Bearer ${SHOP_PIN}"})
    assert web.hidden() == {"SHOP_PIN": "1234567", "Authorization": "Bearer 1234567"}
    assert "1234567" not in server.model_copy(update={"home": Path()}).digest()


def test_examples_of_a_description() -> None:
    told = "IANA timezone name (e.g., 'America/New_York', 'Europe/London'). Use 'Etc/UTC' otherwise."
    assert examples_in(told) == ["America/New_York", "Europe/London"]
    assert examples_in("A title, 'quoted' or not") == []
    listed = "Whether to list local branches ('local'), remote branches ('remote') or all branches('all')."
    assert examples_in(listed) == ["local", "remote", "all"]
    assert examples_in("Don't say 'any of these words' or 'this'") == []


def test_a_message_of_several_lines_is_no_value_for_another_call() -> None:
    answer = {"id": "req-1", "message": "Requests:\n| id | title |", "hint": "a" + " a" * 150}
    for served, labels in ((True, {"plan/id"}), (False, {"plan/id", "plan/message", "plan/hint"})):
        answers = Answers(served)
        answers.add(0, "plan", answer, ())
        assert answers.values.keys() == labels
