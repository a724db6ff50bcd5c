"""Turns in which a call fails: what fails is what the turn then does, not something that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from funreason_train.calls import parse_calls


def responses(row: dict[str, Any], number: int) -> list[str]:
    """The answers of a turn."""
    turns: list[list[str]] = []
    for message in row["conversations"]:
        if message["role"] == "user":
            turns.append([])
        elif message["role"] == "assistant":
            turns[-1].append(message["content"].rpartition("</think>")[2].strip())
    return turns[number]


def test_a_call_that_fails_is_one_that_the_turn_comes_back_to(synthesise: Callable[..., Path]) -> None:
    made = synthesise("trajectories=40", "environments=[bank,calendar]", "kinds={error: 1.0}")
    for line in (made / "conversations.jsonl").read_text().splitlines():
        row = json.loads(line)
        places = [tuple(map(int, key.split("."))) for key in row["synth"]["untrained"]]
        assert places
        for turn in {turn for turn, _ in places}:
            said = responses(row, turn)
            failed = [said[place] for number, place in places if number == turn]
            assert len(set(failed)) == len(failed), "the same mistake is shown once"
            for number, place in places:
                if number == turn:
                    rest = [one for at, one in enumerate(said) if at > place and (turn, at) not in places]
                    names = {call.name for one in rest if one[0] == "[" for call in parse_calls(one)}
                    assert parse_calls(said[place])[0].name in names


def test_what_is_corrected_is_the_only_value_of_its_name(synthesise: Callable[..., Path]) -> None:
    """`Sorry, the customer is C7` says nothing where two customers were spoken of."""
    made = synthesise("trajectories=40", "environments=[shop,helpdesk]", "kinds={correction: 1.0}", "turns=2")
    for line in (made / "conversations.jsonl").read_text().splitlines():
        before, after = json.loads(line)["synth"]["task"]["turns"]
        calls = [call for step in before["steps"] for call in step]
        ((again,),) = after["steps"]
        changed = [
            name
            for call in calls
            if call["name"] == again["name"] and call["arguments"].keys() == again["arguments"].keys()
            for name, value in again["arguments"].items()
            if call["arguments"][name] != value
        ]
        assert any(
            len({str(call["arguments"][name]) for call in calls if name in call["arguments"]}) == 1
            for name in changed
        )
