"""Tools that a user's message brings along."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funreason_train.dialogue import (
    AssistantStep,
    Trajectory,
    Turn,
    announced,
    announcement,
    offered,
    steps_of,
)


def document(name: str, text: str = "Does it.") -> dict[str, Any]:
    return {"name": name, "description": text, "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("text", ['It\'s "quoted", with a [list] and {braces}.', "Zwölf < 13\nand more"])
def test_an_announcement_is_read_back_in_both_spellings(text: str) -> None:
    tools = [document("later", text), document("other")]
    assert list(announced(announcement(tools))) == tools
    assert list(announced(f"{json.dumps(tools, indent=4)}\nWhat about now?")) == tools


@pytest.mark.parametrize(
    "text",
    [
        *("", "Please do it.", "[1, 2] are my numbers", "[{'name': 'x'}] is all I know", "[{", "[{}]"),
        "[{'name': 'f', 'parameters': 3}]",
        "[" * 5000 + "{",
        "[{'name': __import__('os')}]",
    ],
)
def test_any_other_message_announces_nothing(text: str) -> None:
    assert announced(text) == ()


def test_the_system_message_stays_and_later_steps_have_the_tool() -> None:
    first, later = document("first"), document("later")
    turns = (
        Turn("Please do it.", (AssistantStep("No tool.", (), "I have no tool for that.", ()),)),
        Turn(announcement([later]), (AssistantStep("Now.", (), "Done.", ()),)),
        Turn("Thanks.", (AssistantStep("Polite.", (), "You are welcome.", ()),)),
    )
    steps = steps_of(Trajectory("a", "test", (first,), turns))
    names = [[tool["name"] for tool in step.tools] for step in steps]
    assert names == [["first"], ["first", "later"], ["first", "later"]]
    assert len({str(step.messages[0]["content"]) for step in steps}) == 1
    assert "later" not in str(steps[0].messages)


def test_tools_stay_the_same_object_where_nothing_is_announced() -> None:
    tools = (document("first"),)
    assert offered(tools, ["Please do it.", "And that."]) is tools
