"""Every key of every section, given values of the wrong kinds on the real command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from funreason_train.commands import cli
from funreason_train.settings.compose import compose, leaves
from funreason_train.settings.describe import choices, members, sections, split, takes_null
from funreason_train.settings.keys import annotation_of_key
from funreason_train.settings.root import models

#: Values as they are written on a command line.
WRITTEN = ("null", "true", "-7", "1.5", ".nan", "1e999", "banana", "''", "[[1]]", "[null]", "{a: {b: 2}}")
SHIPPED = compose(None)
KEYS = [key for key in leaves(SHIPPED) if not key.startswith("cluster.env.")]
SECTIONS = sorted({key.partition(".")[0] if key.partition(".")[0] in models() else "" for key in KEYS})


def cannot_be(annotation: Any, written: str) -> bool:
    """Whether no value of this kind can stand here; text alone can be written like anything."""
    value = yaml.safe_load(written)
    kinds = {split(member)[0] for member in members(annotation)}
    plain = {getattr(kind, "__origin__", kind) for kind in kinds}
    if Any in kinds:
        return False
    if value is None:
        return not takes_null(annotation)
    if isinstance(value, dict):
        return not sections(annotation) and dict not in plain
    if isinstance(value, list):
        return list not in plain
    if str in kinds or any(type(mark).__name__ == "BeforeValidator" for mark in split(annotation)[1]):
        return value == "" and str in kinds
    if isinstance(value, str):
        return value not in choices(annotation)
    if isinstance(value, bool):
        return bool not in kinds and "on" not in choices(annotation)
    if isinstance(value, int):
        return not {int, float} & kinds
    return float not in kinds or value != value or abs(value) == float("inf")


def refusal(command: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says, which must neither start anything nor fail in a traceback."""
    capsys.readouterr()
    code = cli.main([command, *words])
    told = capsys.readouterr().err
    assert code == 2, (command, words, told[-2000:])
    assert "Traceback" not in told
    return told


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that would begin its work is a test that has failed."""
    from dataclasses import replace

    def begin(*_: Any) -> None:
        raise AssertionError("the command began its work")

    monkeypatch.chdir(tmp_path)
    for name in ("doctor", "serve-env", "report"):
        monkeypatch.setitem(cli.COMMANDS, name, replace(cli.COMMANDS[name], run=begin))


def command_of(section: str) -> tuple[str, list[str]]:
    """The command that has this section, and the words that keep it from beginning."""
    name = next((name for name, one in cli.COMMANDS.items() if one.section == section), "data")
    return name, [] if name in ("doctor", "serve-env", "report") else ["dry_run=true"]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_takes_a_value_of_the_wrong_kind(
    section: str, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, more = command_of(section)
    mine = [
        key for key in KEYS if (key.partition(".")[0] if key.partition(".")[0] in models() else "") == section
    ]
    wrong = [key for key in mine if cannot_be(annotation_of_key(key), written) and key != "dry_run"]
    if not wrong:
        return
    told = refusal(command, [*more, *(f"{key}={written}" for key in wrong)], capsys)
    assert [key for key in wrong if f"{key}=" not in told] == []
    assert max(map(len, told.splitlines())) < 1300


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
@pytest.mark.parametrize(
    "words",
    [
        ["=1"],
        ["a"],
        ["a=b=c"],
        ["run_dir="],
        ["[=]"],
        ["seed=[", "x={"],
        ["+recipe="],
        ["\0=1"],
        ["seed"],
        ["~seed"],
        ["++seed=x"],
        [""],
        ["--what"],
        ["=" * 500],
    ],
)
def test_words_that_are_no_settings(
    command: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = command_of(cli.COMMANDS[command].section)[1]
    told = refusal(command, [*more, *words], capsys)
    assert len(told.splitlines()) < 12
