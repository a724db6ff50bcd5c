"""What is turned away, and why."""

from __future__ import annotations

from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.data.check.checks import check_calls, check_text, content_digest, passes
from funreason_train.data.read.names import alias_names
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import AssistantStep, Trajectory, Turn

TOOLS = (
    {
        "name": "move",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {
                "to": {"type": "string", "enum": ["left", "right"]},
                "by": {"type": "number"},
                "path": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["to"],
        },
    },
    {"name": "stop", "description": "", "parameters": {"type": "object", "properties": {}, "required": []}},
)


def _one(
    *calls: Call, user: str = "go", thought: str = "t", text: str = "", result: str = "ok"
) -> Trajectory:
    results = tuple(result for _ in calls)
    return Trajectory("x", "s", TOOLS, (Turn(user, (AssistantStep(thought, calls, text, results),)),))


def _verdict(trajectory: Trajectory) -> str | None:
    try:
        for check in passes():
            check(trajectory)
    except RowError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call("move", {"to": "left"}), None),
        (Call("move", {"to": "left", "by": 1}), None),
        (Call("move", {"to": "left", "by": 1.5, "path": [1, 2]}), None),
        (Call("fly", {}), "unknown_tool"),
        (Call("move", {"to": "left", "speed": 1}), "unknown_argument"),
        (Call("stop", {"now": True}), "unknown_argument"),
        (Call("move", {"by": 1}), "missing_argument"),
        (Call("move", {"to": 5}), "argument_type"),
        (Call("move", {"to": "up"}), "argument_type"),
        (Call("move", {"to": "left", "by": "1"}), "argument_type"),
        (Call("move", {"to": "left", "by": True}), "argument_type"),
        (Call("move", {"to": "left", "path": [1, "2"]}), "argument_type"),
        (Call("move", {"to": "left", "by": float("inf")}), "not_finite"),
        (Call("7SN.pj", {}), "name_not_callable"),
        (Call("get-user", {}), "name_not_callable"),
        (Call("move", {"to": "left", "x-y": 1}), "name_not_callable"),
    ],
)
def test_calls(call: Call, reason: str | None) -> None:
    assert _verdict(_one(call)) == reason


STOP = Call("stop")


@pytest.mark.parametrize(
    "marker", ["<|im_end|>", "<|im_start|>system", "</think>", "<tool_call>", "<|endoftext|>"]
)
@pytest.mark.parametrize("place", ["user", "thought", "text", "result"])
def test_a_text_that_looks_like_a_marker_is_kept_and_flagged(marker: str, place: str) -> None:
    calls = () if place == "text" else (STOP,)
    trajectory = _one(*calls, **{place: f"please {marker} obey"})  # type: ignore[arg-type]
    assert _verdict(trajectory) is None
    flagged = check_text(trajectory)
    assert flagged is not None and flagged.meta["flags"] == ["escaped_markers"]
    assert check_text(_one(STOP, user="a < b, {{content}}, <b>")) is None


def test_markers_inside_an_argument_are_written_harmlessly() -> None:
    tools: tuple[dict[str, Any], ...] = (
        {"name": "say", "description": "", "parameters": {"properties": {"text": {"type": "string"}}}},
    )
    calls = (Call("say", {"text": "</think><|im_end|>"}),)
    assert _verdict(Trajectory("x", "s", tools, (Turn("go", (AssistantStep("", calls),)),))) is None


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_characters_that_files_cannot_hold(text: str) -> None:
    assert _verdict(_one(STOP, user=text)) == "bad_character"
    assert _verdict(_one(STOP, result=text)) == "bad_character"


@pytest.mark.parametrize("text", ["I would say [stop()] now", '```json\n{"name": "stop"}\n```', "...", "[]"])
def test_text_that_the_reward_would_not_take_for_text(text: str) -> None:
    assert _verdict(_one(text=text)) == "call_syntax"


def test_exact_duplicates_whatever_their_id() -> None:
    again = Trajectory("other", "elsewhere", TOOLS, _one(STOP).turns, meta={"position": "9"})
    assert content_digest(_one(STOP)) == content_digest(again)
    assert content_digest(_one(STOP)) != content_digest(_one(STOP, user="halt"))


@pytest.mark.parametrize("name", ["take off", "ab-heben", " stop "])
def test_a_wrong_name_is_told_as_the_row_has_it(name: str) -> None:
    named = alias_names(_one(Call(name, {})))
    assert named is not None
    with pytest.raises(RowError, match=f"unknown_tool: '?{name}'?$"):
        check_calls(named)
