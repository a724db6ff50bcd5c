"""Each shape of row that lost something, through the command line: what is trained on and counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from case_corpus import DOGS, SHAPES, Shape

from funreason_train.commands.cli import main


def _prepared(shape: Shape, folder: Path) -> tuple[int, Path]:
    file = folder / f"rows{shape.suffix}"
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in shape.rows)
    whole = json.dumps(shape.rows, ensure_ascii=False) if shape.suffix == ".json" else lines
    file.write_text(shape.text or whole, encoding="utf-8")
    out = folder / "out"
    return (
        main(
            [
                "data",
                f"datasets=[{shape.format}]",
                f"{shape.format}.path={file}",
                *(f"out={out}", f"run_dir={folder / 'run'}", "tokenizer=off", "parity=off"),
                *(
                    "data.val_share=0",
                    "data.processes=1",
                    "data.decontaminate=off",
                    "data.max_rejected_share=1",
                ),
                "data.length_cache=off",
            ]
        ),
        out,
    )


def _filled(texts: tuple[str, ...]) -> list[str]:
    """The texts of all rows: those with a place for the dog once for each dog."""
    return [text.replace("{}", dog) for text in texts for dog in DOGS if "{}" in text or dog == DOGS[0]]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_through_the_command(shape: Shape, tmp_path: Path) -> None:
    code, out = _prepared(shape, tmp_path)
    assert code == (0 if shape.answers else 2), "nothing to train on is a mistake to fix"
    account: dict[str, Any] = json.loads((out / "ledger.json").read_text())[shape.format]
    read = len(shape.rows)
    rejected = sum(shape.rejected.values())
    assert (account["read"], account["kept"], account["absorbed"]) == (read, read - rejected, shape.absorbed)
    assert (account["rejected"], account["flags"]) == (shape.rejected, shape.flags)
    assert account["steps_dropped"] == shape.dropped
    lines = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert len(lines) == rejected and all(shape.detail in line["detail"] for line in lines)
    if not shape.answers:
        assert not (out / "sft").exists()
        return
    rows = json.loads((out / "sft" / "train.json").read_text(encoding="utf-8"))
    targets = [row["conversations"][-1]["value"] for row in rows]
    assert account["steps"] == len(targets)
    parts = [target.removeprefix("<think>\n").partition("\n</think>\n\n") for target in targets]
    assert Counter(answer for _, _, answer in parts) == Counter(_filled(shape.answers))
    thoughts = _filled(shape.thoughts) if any(shape.thoughts) else [""]
    assert {thought for thought, _, _ in parts} == set(thoughts)
    for row in rows:
        assert all(shown in row["system"] for shown in shape.tools)
        assert "tool_call" not in row["system"] and "<tool_response>" not in json.dumps(row["conversations"])
