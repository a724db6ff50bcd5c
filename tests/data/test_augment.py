"""Augmentations: off unless asked for, consistent within a row, in training alone, drawn by the seed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from funreason_train.calls import Call
from funreason_train.data.check.augment import Augment
from funreason_train.data.check.checks import passes
from funreason_train.data.read.names import restore
from funreason_train.dialogue import AssistantStep, Trajectory, Turn

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
OFF: dict[str, Any] = {"irrelevance": 0.0, "mask_names": 0.0, "distractors": 0, "shuffle_tools": False}


def _tool(name: str, *arguments: str, about: str = "") -> dict[str, Any]:
    schemas = {one: {"type": "string", "description": f"for {name}"} for one in arguments}
    return {
        "name": name,
        "description": about,
        "parameters": {"type": "object", "properties": schemas, "required": list(arguments)},
    }


CHAT = Trajectory(
    "i",
    "s",
    (
        _tool("get_weather", "city_name", about="See get_weather."),
        _tool("search", "query", about="Looks a book up in the library."),
        _tool("book", "city_name", "nights", about="Reserves a room in a hotel."),
    ),
    (
        Turn(
            "Weather in Oslo?",
            (
                AssistantStep(
                    "I call get_weather with city_name; no need to search.",
                    (Call("get_weather", {"city_name": "get_weather"}),),
                    "",
                    ("rain",),
                ),
                AssistantStep("It rains, says `search`.", (), "Rain, says get_weather."),
            ),
        ),
        Turn("Thanks", (AssistantStep("", (), "You are welcome."),)),
    ),
    meta={"position": "f:1", "flags": []},
)


def _variants(others: tuple[dict[str, Any], ...] = (), seed: int = 0, **options: Any) -> list[Trajectory]:
    made = Augment(Path(), {**OFF, **options}, seed).variants(CHAT, others, Counter())
    for one, kinds, _ in made:
        assert one.meta["augmented"] == list(kinds)
        for check in passes():
            check(one)
    return [one for one, _, _ in made]


def test_nothing_happens_unasked() -> None:
    assert _variants() == []


def test_masked_names_agree_everywhere_and_lead_back() -> None:
    (masked,) = _variants(mask_names=1.0)
    weather, search, book = (tool["name"] for tool in masked.tools)
    city = next(iter(masked.tools[0]["parameters"]["properties"]))
    first, second = masked.turns[0].steps
    assert first.calls == (Call(weather, {city: "get_weather"}),)  # a value is not a name
    assert first.thought == f"I call {weather} with {city}; no need to search."
    assert (second.thought, second.text) == (f"It rains, says `{search}`.", f"Rain, says {weather}.")
    assert masked.tools[0]["description"] == f"See {weather}."
    assert next(iter(masked.tools[2]["parameters"]["properties"])) == city
    assert masked.tools[0]["parameters"]["required"] == [city]
    assert all(re.fullmatch(r"(func|arg)_[0-9a-f]{4}", name) for name in (weather, search, book, city))
    assert masked.turns[0].user == CHAT.turns[0].user
    back = restore(masked)
    assert (back.turns, back.tools) == (CHAT.turns, CHAT.tools)
    assert _variants(mask_names=1.0) == [masked]
    assert _variants(mask_names=1.0, seed=1) != [masked]


def test_irrelevance_takes_the_answer_away() -> None:
    (refused,) = _variants(irrelevance=1.0)
    assert [tool["name"] for tool in refused.tools] == ["search", "book"]
    assert refused.id == "i~irrelevance"
    assert [turn.user for turn in refused.turns] == ["Weather in Oslo?"]
    (step,) = refused.turns[0].steps
    assert step.thought and step.text and not step.calls


def test_no_tool_is_left_that_might_answer() -> None:
    """A refusal is right only if nothing in the list could have done it."""
    augment = Augment(Path(), {**OFF, "irrelevance": 1.0, "distractors": 3}, 0)
    forecast = _tool("weather_forecast", "where", about="How it will be.")
    fly = _tool("fly", "to", about="Books a seat in an aeroplane.")
    counts: Counter[str] = Counter()
    chat = replace(CHAT, tools=(*CHAT.tools, forecast))
    made = augment.variants(chat, [_tool("meteo_weather", "x"), fly], counts)
    (refused,) = [one for one, kinds, _ in made if "irrelevance" in kinds]
    assert sorted(tool["name"] for tool in refused.tools) == ["book", "fly", "search"]
    assert counts == {"irrelevance_tools_left_out": 1}
    (other,) = [one for one, kinds, _ in made if "irrelevance" not in kinds]
    assert sorted(tool["name"] for tool in other.tools) == sorted([*(t["name"] for t in chat.tools), "fly"])

    counts.clear()
    assert augment.variants(replace(CHAT, tools=(CHAT.tools[0], forecast)), [], counts) == []
    assert counts == {"irrelevance_tools_left_out": 1, "irrelevance_skipped": 1}


def test_distractors_are_new_and_hidden_among_the_others() -> None:
    others = (_tool("search", "x"), _tool("fly", "to"), _tool("fly", "from"), _tool("swim"), _tool("jog"))
    orders = set()
    for seed in range(8):
        (more,) = _variants(others, seed, distractors=2)
        names = [tool["name"] for tool in more.tools]
        assert sorted(names) == ["book", "fly", "get_weather", "search", "swim"]
        assert more.turns == CHAT.turns
        orders.add(tuple(names))
    assert len(orders) > 4
    (shuffled,) = _variants(shuffle_tools=True)
    assert sorted(tool["name"] for tool in shuffled.tools) == sorted(tool["name"] for tool in CHAT.tools)


def test_a_run_with_everything(prepare: Prepare, tmp_path: Path) -> None:
    rows = []
    for number in range(400):
        word = "".join("bcdfghjklm"[int(digit)] for digit in str(number))
        tools = [
            {"name": f"tool_{word}{n}", "description": "", "parameters": {f"x_{word}{n}": {"type": "int"}}}
            for n in "pq"
        ]
        answers = [{"name": f"tool_{word}p", "arguments": {f"x_{word}p": number}}]
        row = {"id": number, "query": f"Do {number} times {number * 7}", "answers": json.dumps(answers)}
        rows.append({**row, "tools": json.dumps(tools)})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["data.datasets=[apigen]", f"data.apigen.path={tmp_path}/rows.jsonl", "data.val_share=0.2"]
    words += ["data.augment.irrelevance=0.3", "data.augment.mask_names=0.5", "data.augment.distractors=2"]
    out, result = prepare(*words, "data.processes=1")
    account = result["sources"]["apigen"]
    train, val = (account["conversations"][side] for side in ("train", "val"))
    augmented = account["augmented"]
    assert train + val == 400 + augmented["irrelevance"]
    assert 60 < augmented["irrelevance"] < 130 and augmented["distractors"] == train
    assert account["read"] == account["kept"] == 400
    shown = json.loads((out / "sft" / "val.json").read_text())
    assert all("tool_" in row["conversations"][-1]["value"] for row in shown)
    assert "~irrelevance" not in json.dumps(shown) and not re.search("func_[0-9a-f]{4}", json.dumps(shown))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["config"]["data"]["augment"]["distractors"] == 2
    several, _ = prepare(*words, "data.processes=2", f"data.out={tmp_path}/two")
    assert (several / "sft" / "train.json").read_bytes() == (out / "sft" / "train.json").read_bytes()
    assert re.search("func_[0-9a-f]{4}", (out / "sft" / "train.json").read_text())
