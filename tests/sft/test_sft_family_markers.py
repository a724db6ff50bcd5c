"""LLaMA-Factory's own encoding would take `</s>` in a text for a token; it never encodes our rows itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dialogue.test_chat_template import FAMILIES, tokenizer_of

from funreason_train.calls import Call
from funreason_train.data.check.checks import check_text
from funreason_train.dialogue import AssistantStep, Trajectory, Turn
from funreason_train.sft.llamafactory.passthrough import problems
from funreason_train.sft.tokens import tables, tokenise
from funreason_train.sft.tokens.rows import parts

ENTRY = {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system"}}
TARGET = "<think>\nWhy {}?\n</think>\n\nI wrote {} down."


def _row(text: str) -> dict[str, Any]:
    said = (("human", f"Write {text}!"), ("gpt", TARGET.replace("{}", text)))
    messages = [{"from": who, "value": value} for who, value in said]
    return {"id": text, "system": f"Rules: {text}", "conversations": messages}


def _specials(tokenizer: Any, file: str) -> list[Counter[int]]:
    special = {number for number, one in tokenizer.added_tokens_decoder.items() if one.special}
    rows = [ids for batch in tables.batches([file]) for ids in batch["input_ids"].to_pylist()]
    return [Counter(one for one in ids if one in special) for ids in rows]


def _own(name: str) -> list[str]:
    """The marks of a family that no export escapes."""
    return [one for one in FAMILIES[name][1] if not one.startswith("<|")]


@pytest.mark.parametrize("name", [name for name in FAMILIES if any(_own(name))])
def test_marks_of_the_family_in_a_text_are_no_tokens_of_sft(name: str, tmp_path: Path) -> None:
    template, specials, _ = FAMILIES[name]
    tokenizer = tokenizer_of(template, specials)
    tokenizer.save_pretrained(tmp_path / "model")
    marks = _own(name)
    rows = tmp_path / "train.json"
    rows.write_text(json.dumps([_row(" ".join(marks)), _row("the date")]))
    [piece] = parts(rows, tmp_path / "work")
    tokenise._encoder.cache_clear()
    done = tokenise.encode_part(
        piece,
        model=str(tmp_path / "model"),
        entry=ENTRY,
        work=str(tmp_path / "out"),
        raw=False,
        segments=False,
    )
    tokenise._encoder.cache_clear()
    assert (done.problem, done.rows) == (None, 2)
    hostile, harmless = _specials(tokenizer, done.file)
    assert hostile == harmless


def test_nothing_hands_the_rows_themselves_to_llamafactory() -> None:
    for key in ("tokenized_path", "dataset", "dataset_dir", "template", "streaming"):
        assert problems([key]), key


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("mark", ["</s>", "[INST]", "[/INST]", "<end_of_turn>", "<bos>", "[TOOL_RESULTS]"])
def test_such_texts_are_flagged(mark: str, place: int) -> None:
    said = ["Look it up.", "Hm.", "It is done.", "found", "Be kind."]
    said[place] = f"Say {mark} now."
    user, thought, text, result, system = said
    steps = (AssistantStep(thought, (Call("f", {}),), "", (result,)), AssistantStep("", (), text))
    found = check_text(Trajectory("t", "s", (), (Turn(user, steps),), system))
    assert found is not None and found.meta["flags"] == ["family_markers"]
    plain = AssistantStep("", (), "Use <b>s</b> and [INSTALL].")
    assert check_text(Trajectory("t", "s", (), (Turn("Look.", (plain,)),))) is None
