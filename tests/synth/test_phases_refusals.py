"""Mistakes in what synth is asked for: one sentence, before anything is made."""

from pathlib import Path

import pytest

from funreason_train.commands.cli import main
from funreason_train.commands.line.loading import every_problem
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.synth import phases, stage
from funreason_train.synth.chain.plan import KINDS


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["environments=[]"], "name at least one"),
        (["environments=[shop,shop]"], "shop is named twice"),
        (["agents=ofline"], "Did you mean offline?"),
        (["turns=0"], "synth.turns=0: must"),
        (["graph.round=0"], "synth.graph.round=0: must"),
        (["known_ids=1.5"], "must be a number from 0 to 1"),
        (["offered_tools=[5,2]"], "must be two numbers, from and to"),
        (["sampler.extra_calls=[1]"], "must be two numbers, from and to"),
        (["query.style=harder"], "Did you mean hard?"),
        (["chain.validate_by=both"], "synth.chain.validate_by=both"),
        (["kinds.plain=-1"], "synth.kinds.plain=-1: must"),
        ([f"kinds.{kind}=0" for kind in KINDS], "one of them must be above 0"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_made(
    words: list[str], sentence: str, tmp_path: Path
) -> None:
    words = [f"run_dir={tmp_path}", *words]
    (problem,) = map(str, every_problem(compose("synth", words), "synth"))
    assert sentence in problem
    assert main(["synth", *words]) == 2
    assert not RunDir.at(tmp_path).synth.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["environments=[shp]"], "there is no environment shp"),
        (["environments=[no.such:Class]"], "no.such"),
        (["targets=nowhere.txt"], "there is no such file"),
        (["servers=nowhere.json"], "nowhere.json"),
        (["modules=[nowhere_at_all]"], "nowhere_at_all"),
        (["environments=[shop]", "kinds.no_tool=1"], "no_tool needs two environments or more"),
        (["turns=1", "kinds.correction=0.5"], "correction needs two turns or more"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_made(
    words: list[str], sentence: str, tmp_path: Path
) -> None:
    config, run = compose("synth", [f"run_dir={tmp_path}", *words]), RunDir.at(tmp_path)
    (problem,) = map(str, stage.check(config, run))
    assert sentence in problem
    assert not run.synth.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{broken", "line 1 is not JSON"), ("", "names no tool"), ("Our tools:", "line 1 is no tool's name")],
)
def test_targets_that_name_no_tools_are_told_before_anything_is_made(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "t.txt").write_text(text)
    config = compose("synth", [f"run_dir={tmp_path}", f"targets={tmp_path}/t.txt"])
    (problem,) = map(str, stage.check(config, RunDir.at(tmp_path)))
    assert sentence in problem and f"synth.targets={tmp_path}/t.txt" in problem


def test_what_can_be_refused_is_refused_before_the_first_environment_is_explored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "explore", lambda *_: pytest.fail("it explores"))
    (tmp_path / "t.txt").write_text("find_item\nfind_itme\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shut_shelf.py").write_text(
        "class Shelf:\n  def look(self): return 1\n  def __init__(self): 1 / 0\n"
    )
    for words, sentence in (
        ([f"targets={tmp_path}/t.txt"], r"line 2 names find_itme.*Did you mean find_item\?"),
        (["environments=[shop,shut_shelf:Shelf]"], "in shut_shelf:Shelf could not be replayed"),
    ):
        config = compose("synth", [f"out={tmp_path}/out", "environments=[shop]", *words])
        with pytest.raises(UserError, match=sentence):
            stage.run(config, RunDir.at(tmp_path, synth=str(tmp_path / "out")))
