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

#: Values as they are written on a command line.
WRITTEN = ("null", "true", "-7", "1.5", ".nan", "1e999", "banana", "''", "[[1]]", "[null]", "{a: {b: 2}}")
SHIPPED = compose(None)
KEYS = [key for key in leaves(SHIPPED) if not key.startswith("cluster.env.")]
GROUPS = [key for key in KEYS if any(other.startswith(f"{key}.") for other in KEYS)]
LEAVES = [key for key in KEYS if key not in GROUPS and key != "dry_run"]
FORMATS = [key for key in LEAVES if key.startswith("data.") and key.endswith(".format")]
BATCHES = [
    [key for key in LEAVES if key not in FORMATS],
    FORMATS,
    *(
        [key for key in GROUPS if key.count(".") == depth and key not in ("cluster", "model")]
        for depth in range(4)
    ),
]


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


def quiet(command: str) -> list[str]:
    """The words that keep a command from beginning its work."""
    return [] if command in ("doctor", "serve-env", "report") else ["dry_run=true"]


@pytest.mark.parametrize("written", WRITTEN)
def test_no_key_takes_a_value_of_the_wrong_kind(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Many keys at once, since all mistakes are told at once; what hides others, as a group does, apart."""
    for keys in BATCHES:
        wrong = [key for key in keys if cannot_be(annotation_of_key(key), written)]
        if wrong:
            told = refusal("data", ["dry_run=true", *(f"{key}={written}" for key in wrong)], capsys)
            assert [key for key in wrong if f"{key}=" not in told] == []
            assert max(map(len, told.splitlines())) < 1300


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_refuses_what_its_own_section_cannot_take(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    section = cli.COMMANDS[command].section
    for written in ("{a: {b: 2}}", "''"):
        own = [key for key in LEAVES if key.startswith(f"{section}.") and key.count(".") == 1]
        wrong = [key for key in own if cannot_be(annotation_of_key(key), written)]
        wrong = [key for key in wrong if key.partition(".")[2] not in SHIPPED]  # the root's keys come first
        words = [f"{key.partition('.')[2]}={written}" for key in wrong]
        told = refusal(command, [*quiet(command), *words, "seed=a", "seeed=1"], capsys)
        assert [key for key in wrong if f"{key}=" not in told] == []
        assert "seed=a" in told and "seeed" in told


@pytest.mark.parametrize(
    "words",
    [
        ["=1"], ["a"], ["a=b=c"], ["run_dir="], ["[=]"], ["seed=[", "x={"], ["+recipe="], ["\0=1"], ["seed"],
        ["~seed"], ["++seed=x"], [""], ["--what"], ["=" * 500], ["data=5", "data.val_share=2"],
        ["data=null", "val_share=2"], ["cluster={a: 1}"], ["model=[]"], ["data.mine={format: {a: 1}}"],
        ["mine.format=openai", "mine.path=[1]"], ["mine={format: openai, path: {a: 1}, weight: x}"],
        ["datasets=[mine]", "mine.format=no"], ["${seed}=1"], ["seed=${nowhere}"], ["seed=${seed}"],
        ["run_dir=${nowhere}"], ["run_dir=${oc.env:NO_SUCH_VARIABLE}"], ["run_dir=a\0b"],
        ["dry_run=${nowhere}"],
    ],
)  # fmt: skip
def test_words_that_are_wrong_settings(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal("data", ["dry_run=true", *words], capsys)
    assert len(told.splitlines()) < 15
