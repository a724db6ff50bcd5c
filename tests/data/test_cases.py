"""Each shape of row that lost something, through the command line: what is trained on and counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from case_corpus import DOGS, SHAPES, Shape

from funreason_train.commands.cli import main
from funreason_train.commands.execution import execute as executing
from funreason_train.data import stage


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage runs here, and not in a process of its own, which takes seconds to start."""

    def spawn(_: Any, config: Any, run: Any, lock: int, number: int) -> tuple[dict[str, Any], int]:
        return stage.run(config, run), 1

    monkeypatch.setattr(executing, "spawn", spawn)


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
        system = " ".join(row["system"].split())
        assert all(shown in system for shown in shape.tools)
        assert "tool_call" not in row["system"] and "<tool_response>" not in json.dumps(row["conversations"])


def test_two_results_in_one_folder_are_kept_with_their_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = SHAPES["args_lost_args.openai"].rows
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["data", "datasets=[openai]", "openai.path=rows.jsonl", "tokenizer=off", "parity=off"]
    words += ["data.processes=1", "data.decontaminate=off", "data.length_cache=off"]
    assert main([*words, "out=A", "val_share=0"]) == 0
    assert main([*words, "out=B", "val_share=0.5"]) == 0
    sides = {name: json.loads((tmp_path / name / "sft" / "val.json").read_text()) for name in "AB"}
    assert sides["A"] == [] and sides["B"]
    for name, share in (("A", 0), ("B", 0.5)):
        record = tmp_path / f"{name}.run"
        assert (tmp_path / name / "ledger.json").is_file() and (record / "manifest.json").is_file()
        assert yaml.safe_load((record / "config.yaml").read_text())["data"]["val_share"] == share
    before = (tmp_path / "A" / "manifest.json").read_bytes()
    capsys.readouterr()
    assert main([*words, "out=A", "val_share=0"]) == 0, "the same again is there already"
    assert main([*words, "out=A", "val_share=0.25"]) == 2
    error = capsys.readouterr().err
    assert "data.val_share: 0" in error and "-> 0.25" in error
    assert (tmp_path / "A" / "manifest.json").read_bytes() == before
    assert main([*words, "out=C", "val_share=0.25"]) == 0
    assert {one.name for one in tmp_path.iterdir() if one.is_dir()} == {
        "A",
        "A.run",
        "B",
        "B.run",
        "C",
        "C.run",
    }
