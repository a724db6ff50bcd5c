"""What users say where no agent writes it: many ways, the same for a seed, and the value in each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.dialogue import announced, announcement
from funreason_train.environments import Result
from funreason_train.synth.agents import phrases
from funreason_train.synth.agents.wordings import ASKED_AGAIN, Wordings
from funreason_train.synth.chain.query import says, written
from funreason_train.synth.chain.solve import _facts
from funreason_train.synth.explore import words

VALUES = st.one_of(
    *(
        st.integers(),
        st.sampled_from(["Rome", "2026-03-05", "a b", "É", "12"]),
        st.lists(st.integers(), max_size=3),
    ),
)


def spoken(words: Wordings, how: str) -> str:
    tool = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
    said = {
        "correction": lambda: words.correction("room_name", "Blue Hall"),
        "answer": lambda: words.answer("room_name", "Blue Hall"),
        "unserved": lambda: words.unserved("water the plants", ["room Blue Hall"], True),
        "next": lambda: words.unserved("water the plants", [], False),
        "new_tool": lambda: announcement([tool], words.new_tool()),
    }
    return said[how]()


@pytest.mark.parametrize(
    ("how", "least"),
    [("correction", 150), ("answer", 120), ("unserved", 45), ("next", 9), ("new_tool", 5)],
)
def test_seeds_bring_variety_and_a_seed_brings_the_same(how: str, least: int) -> None:
    found = [spoken(Wordings(True, Random(seed)), how) for seed in range(500)]
    assert len(set(found)) >= least
    assert found == [spoken(Wordings(True, Random(seed)), how) for seed in range(500)]
    for text in set(found):
        assert not re.search(r"\.\.|\?\.|\s\s|\{", text) or how == "new_tool", text
        assert text[0].isupper() or text.startswith("[{"), text


@given(st.sampled_from(["correction", "answer"]), VALUES, st.integers(0, 9999), st.booleans())
def test_the_value_is_always_told(how: str, value: Any, seed: int, varied: bool) -> None:
    text = getattr(Wordings(varied, Random(seed)), how)("room_name", value)
    assert says(text, value) and "room name" in text
    for one in value if isinstance(value, list) else [value]:
        assert written(one) in text


def test_without_variety_the_frames_are_few() -> None:
    assert {spoken(Wordings(False, Random(seed)), "correction") for seed in range(200)} == {
        frame.format("room name", "Blue Hall") for frame in phrases.CORRECT
    }
    assert {Wordings(False, Random(seed)).new_tool() for seed in range(50)} == {ASKED_AGAIN}


@given(st.integers(0, 9999))
def test_a_tool_that_comes_is_read_in_whatever_words(seed: int) -> None:
    text = spoken(Wordings(True, Random(seed)), "new_tool")
    (tool,) = announced(text)
    assert tool["name"] == "look"


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("Reads files.read/all. Slowly.", "read files.read/all"),
        ("Doses 2.5 ml; never more.", "dose 2.5 ml"),
        ("Looks files up (e.g. by name). Slow.", "look files up (e.g. by name)"),
        ("Fetches a URL. Follows links.", "fetch a URL"),
        ("Converts U.S. dollars.\nSlow.", "convert U.S. dollars"),
        ("", "look up"),
        ("Given an 'id', return the next task (not done yet). If", "return the next task (not done yet)"),
        ("After all is done, this tool finalizes the request.", "finalize the request"),
        ("Once it is done, the user must call this tool to approve it.", "approve it"),
        ("Use this tool to list things", "list things"),
        ("Calculates/evaluates the expression", "calculate the expression"),
        ("A detailed tool for thinking", "look up"),
        ("A detailed tool for dynamic problem-solving. Slow.", "do dynamic problem-solving"),
        ("The current time", "look up"),
        (
            "List items of a board with\n            optional filters.\n\nSlow.",
            "list items of a board with optional filters",
        ),
        ("Get open items -\n    the queue.", "get open items - the queue"),
        (
            "Harvests a planting and takes it out of its bed.",
            "harvest a planting and take it out of its bed",
        ),
        (
            "Closes doors and locks them, then switches the light off",
            "close doors and lock them, then switch the light off",
        ),
        ("Lists plants and beds of one house", "list plants and beds of one house"),
        (
            "Create a document using the shared core pipeline, with an optional docs path and tags",
            "create a document",
        ),
        (
            "Edit a task, including metadata (status, priority, type), plan, notes and acceptance criteria",
            "edit a task",
        ),
        ("Sends a letter with a stamp", "send a letter with a stamp"),
        ("Tests, matches, or replaces text", "test, matches, or replaces text"),
    ],
)
def test_a_wish_is_the_first_sentence_of_a_description(described: str, said: str) -> None:
    assert phrases.goal({"name": "look_up", "description": described}) == said


@pytest.mark.parametrize(
    ("name", "described", "said"),
    [
        ("goal_names", "All goals.", "show all goals"),
        ("loans.all", "All loans that are open.", "show all loans that are open"),
        ("balance", "The current balance", "show the current balance"),
        ("get_balance", "The current balance", "get balance"),
        ("think", "A detailed tool for thinking", "think"),
        ("cart", "The item is put into the cart.", "cart"),
        ("notes.add", "", "add notes"),
        ("open_notes", "", "open notes"),
        ("list_update", "", "list update"),
    ],
)
def test_a_description_of_what_there_is_asks_for_it(name: str, described: str, said: str) -> None:
    assert phrases.goal({"name": name, "description": described}) == said


def test_a_reply_tells_what_fits_into_a_sentence() -> None:
    value = {"note": "", "page": "x" * 5000, "poem": "a\nb", "found": True, "stock": 4, "shop_name": "Inn"}
    assert _facts([(Call("look", {}), Result("…", True, value))]) == "stock is 4 and shop name is Inn"
    assert _facts([(Call("look", {}), Result("…", True, {"note": " "}))]) == "it is as you asked"
    assert _facts([(Call("look", {}), Result("…", True, {"totalPrice": 4}))]) == "total price is 4"


@pytest.mark.parametrize(
    ("facts", "end"),
    [
        ("weather is fair (12, 8).", "weather is fair (12, 8)."),
        ("the folder is ..", "the folder is ..."),
        ("stock is 4", "stock is 4."),
    ],
)
def test_a_reply_ends_with_one_full_stop(facts: str, end: str) -> None:
    assert phrases.closing(Random(0), facts).lower().endswith(end)


@pytest.mark.parametrize(
    ("name", "said"),
    [("größe_ändern", "größe ändern"), ("flightIds", "flight ids"), ("名前", "名前"), ("🎉", "🎉")],
)
def test_a_name_is_spoken_in_its_own_letters(name: str, said: str) -> None:
    assert words.spoken(name) == said


@pytest.mark.parametrize(
    ("said", "value", "told"),
    [
        ("The sum of 2 and 3 is 5.", None, 'the answer is "The sum of 2 and 3 is 5"'),
        ("7", 7, "the answer is 7"),
        ('["hall", "office"]', ["hall", "office"], "there are hall, office"),
        ('["hall"]', ["hall"], "there is hall"),
        ("[]", [], "there are none"),
        ("[DIR] a\n[FILE] b", None, "it is as you asked"),
        ("null", None, "it is as you asked"),
        ("true", True, "it is as you asked"),
    ],
)
def test_a_reply_tells_what_an_answer_without_fields_says(said: str, value: Any, told: str) -> None:
    assert _facts([(Call("look", {}), Result(said, True, value))]) == told


def test_a_reply_tells_the_answers_of_all_calls_of_a_tool() -> None:
    made = [(Call("roll", {}), Result(str(number), True, number)) for number in (3, 5)]
    assert _facts(made) == "the answers are 3, 5"


def test_a_reply_tells_the_answers_of_different_tools() -> None:
    asked = [
        (Call("get_platforms", {"station": "S7"}), Result("…", True, {"platforms": 2})),
        (
            Call("find_station", {"city": "Kelmouth"}),
            Result("…", True, {"station": "S9", "zone": 3, "old": True}),
        ),
        (Call("list_lines", {}), Result("…", True, ["red", "blue"])),
        (Call("close_line", {}), Result("refused", False, None)),
    ]
    found = _facts(asked, [(Call("look", {}), Result("…", True, {"hidden": 1})), *asked])
    assert found == "platforms is 2; station is S9 and zone is 3; there are red, blue"


def test_a_reply_says_which_of_a_tool_s_answers_is_whose() -> None:
    asked = [
        (Call("get_price", {"item": name, "currency": "EUR"}), Result("…", True, {"price": price}))
        for name, price in (("K1", 5), ("K2", 7))
    ]
    assert _facts(asked) == "price is 5 for item K1; price is 7 for item K2"
    asked[1] = (Call("set_price", {"item": "K2", "price": 9}), Result("…", True, {"price": 9}))
    assert _facts(asked) == "price is 5 for item K1 and currency EUR; price is 9 for item K2"
    beds = [
        (Call("add", {"bed": {"name": name}, "area": area}), Result("…", True, {"bed": name, "area": area}))
        for name, area in (("A", 2), ("B", 2.5))
    ]
    assert _facts(beds) == "bed is A and area is 2; bed is B and area is 2.5"


def test_a_reply_tells_what_was_not_known_before() -> None:
    value = {"from_value": 3, "from_unit": "hour", "to_value": 180.0, "to_unit": "minute"}
    call = Call("convert", {"value": 3, "from_unit": "hour", "to_unit": "minute"})
    assert _facts([(call, Result("…", True, value))]) == "to value is 180.0"
    echo = (Call("set_price", {"price": 9}), Result("…", True, {"price": 9}))
    assert _facts([echo]) == "price is 9"


def test_a_reply_falls_back_on_what_was_found_out_before() -> None:
    asked = [(Call("close", {"order": "R1"}), Result("{}", True, {}))]
    found = (Call("find_order", {"customer": "C1"}), Result("…", True, {"order": "R1"}))
    assert _facts(asked, [found, *asked]) == "order is R1"


def test_a_reply_to_parallel_calls_tells_what_each_of_them_answered(synthesise: Callable[..., Path]) -> None:
    asked = (
        "trajectories=24",
        "heldout_tasks=0",
        "tuning_tasks=0",
        "kinds={parallel: 1.0}",
        "graph.measure=0",
    )
    made = synthesise("environments=[shop,helpdesk]", *asked, "graph.episodes=25", "processes=1")
    told = 0
    for line in (made / "conversations.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        said = row["conversations"]
        for place, turn in enumerate(said):
            after = list(takewhile(lambda one: one["role"] == "tool", said[place + 1 :]))
            if (
                turn["role"] != "assistant"
                or len(after) < 2
                or said[place + 1 + len(after)]["role"] != "assistant"
            ):
                continue
            reply = said[place + 1 + len(after)]["content"].split("</think>")[-1].lower()
            values = [value for one in after for value in list(json.loads(one["content"]).items())[:1]]
            if "(" not in reply:  # it ends the turn
                told += 1
                assert all(str(value).lower() in reply for _, value in values), (values, reply)
    assert told >= 3
