"""Claims are run by the real stages: the commands compose, and a killed run goes on where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import claim_play
import pytest
from all import CLAIMS
from claim_arms import SCALES, Arm, Claim, Step
from claim_play import evaluation, filled, play, run_command, words_of
from claim_table import recorded

from funreason_train.settings import load_settings

ROOT = Path(__file__).parents[2]


def steps_of(claim: Claim) -> list[Step]:
    return list(dict.fromkeys(step for arm in claim.arms for step in arm.steps))


PLACE = Path("/runs/seed7")


@cache  # claims share most of their steps
def composed(step: Step) -> Any:
    """The configuration that a step's command composes, without what only earlier runs can tell."""
    command, *words = words_of(replace(step, later=None), PLACE, 7, SCALES["full"])
    return load_settings(command, words)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_command_of_a_claim_composes(claim: Claim) -> None:
    for step in steps_of(claim):
        config = composed(step)
        assert config.seed == 7
        assert str(config.run_dir) == str(PLACE / step.run)


def test_the_same_name_is_the_same_run_in_every_claim() -> None:
    found: dict[tuple[str, str], Step] = {}
    for step in (step for claim in CLAIMS for step in steps_of(claim)):
        assert found.setdefault((step.run, step.command), step) == step


def test_names_are_unique_and_every_model_is_made_by_its_arm() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == 8
    for claim in CLAIMS:
        assert len({arm.key for arm in claim.arms}) == len(claim.arms)
        for arm in claim.arms:
            run, _, place = arm.model.partition("/")
            kind = {"sft/model": "sft", "export": "export"}[place]
            assert (run.strip("{}"), kind) in {(step.run, step.command) for step in arm.steps}


def test_tuning_and_training_never_read_the_held_out_tasks() -> None:
    for claim in CLAIMS:
        settings = [setting for step in steps_of(claim) for setting in step.settings]
        assert not any("heldout.jsonl" in setting for setting in settings)
        assert all(file.endswith("/synth/tasks/heldout.jsonl") for file in claim.tasks.values())


def test_arms_of_sft_have_equal_steps_and_full_sequences() -> None:
    for claim in CLAIMS:
        for step in steps_of(claim):
            if step.command == "sft":
                config = composed(step)
                assert (config.sft.max_steps, config.sft.packing, config.sft.global_batch) == (1200, True, 2)


def test_braces_that_name_no_run_stay(tmp_path: Path) -> None:
    assert filled("synth.kinds={plain: 1}", tmp_path) == "synth.kinds={plain: 1}"
    assert filled("a={start}/x,b={other}/y", tmp_path) == f"a={tmp_path}/start/x,b={tmp_path}/other/y"


def test_a_script_answers_help_and_shows_its_commands(tmp_path: Path) -> None:
    for words in (["--help"], ["--dry", "--out", str(tmp_path)]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks/claims/egpo.py"), *words], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "algorithm=egpo" in done.stdout
    assert not list(tmp_path.iterdir())


ARMS = (
    Arm("plain", (Step("a", "sft"),), "{a}/sft/model", ("a",)),
    Arm("new", (Step("a", "sft"), Step("b", "sft", ("sft.seed=1",))), "{b}/sft/model", ("b",)),
)
SMALL = Claim("small", "Is new better?", ARMS, {"held-out": "{a}/synth/tasks/heldout.jsonl"}, "all")


class Killed(BaseException):
    """Stands for a SIGKILL between two of our own lines."""


class Stages:
    """Stands for `funreason-train`: writes what an evaluation writes, from the seed; dies when asked to."""

    def __init__(self, dies_at: int = -1) -> None:
        self.ran: list[str] = []
        self.dies_at = dies_at

    def __call__(self, words: list[str]) -> int:
        if len(self.ran) == self.dies_at:
            raise Killed
        values = dict(word.split("=", 1) for word in words[1:])
        run = Path(values["run_dir"])
        self.ran.append(f"{words[0]} {run.parent.name}/{run.name}")
        if words[0] == "eval":
            for number, name in enumerate(("plain", "new")):
                file = run / "eval" / name / "episodes.jsonl"
                file.parent.mkdir(parents=True, exist_ok=True)
                rows = [
                    {"id": f"t{task}", "right": (task + int(values["seed"])) % 3 <= number}
                    for task in range(30)
                ]
                file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return 0


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stages]:
    def use(dies_at: int = -1) -> Stages:
        made = Stages(dies_at)
        monkeypatch.setattr(claim_play, "start", made)
        return made

    return use


def test_killed_anywhere_it_goes_on_and_ends_with_the_same_table(
    stages: Callable[..., Stages], tmp_path: Path
) -> None:
    whole = stages()
    text = play(SMALL, tmp_path / "whole", [0, 1], SCALES["tiny"])
    assert len(whole.ran) == 6  # two trainings and an evaluation a seed; what arms share runs once
    assert "2 of 2 seeds" in text
    for dies_at in range(6):
        out = tmp_path / f"killed{dies_at}"
        first = stages(dies_at)
        with pytest.raises(Killed):
            play(SMALL, out, [0, 1], SCALES["tiny"])
        rest = stages()
        assert play(SMALL, out, [0, 1], SCALES["tiny"]) == text
        assert first.ran + rest.ran == whole.ran
    assert (tmp_path / "whole" / "tiny" / "small.md").read_text() == text


def test_a_finished_claim_starts_nothing(stages: Callable[..., Stages], tmp_path: Path) -> None:
    stages()
    text = play(SMALL, tmp_path, [0], SCALES["tiny"])
    again = stages()
    assert play(SMALL, tmp_path, [0], SCALES["tiny"]) == text
    assert again.ran == []


def test_seeds_of_a_record_are_taken_and_not_played_again(
    stages: Callable[..., Stages], tmp_path: Path
) -> None:
    stages()
    whole = play(SMALL, tmp_path / "one", [0, 1], SCALES["tiny"])
    play(SMALL, tmp_path / "first", [0], SCALES["tiny"])
    record = json.loads((tmp_path / "first" / "tiny" / "small.json").read_text())
    second = stages()
    known = recorded(SMALL, record, "tiny")
    assert play(SMALL, tmp_path / "second", [0, 1], SCALES["tiny"], known) == whole
    assert second.ran and all("seed1/" in command for command in second.ran)


def test_a_record_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    for text, said in (("{", "Expecting property name"), ("{}", "its claim is None and not 'egpo'")):
        file.write_text(text)
        words = [str(ROOT / "benchmarks/claims/egpo.py"), "--table", "--record", str(file)]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_run_of_other_settings_is_refused_in_one_sentence(
    stages: Callable[..., Stages], tmp_path: Path
) -> None:
    stages()
    play(SMALL, tmp_path, [0], SCALES["tiny"])
    other = Claim("small", "", (ARMS[0], Arm("new", (Step("b", "sft", ("sft.seed=2",)),), "", ())), {}, "")
    with pytest.raises(
        SystemExit, match=r"^Error: b-sft was run with different settings \(now sft\.seed=2\): name another"
    ):
        play(other, tmp_path, [0], SCALES["tiny"])


def test_a_stage_that_fails_is_not_noted_as_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(claim_play, "start", lambda words: 1)
    with pytest.raises(SystemExit, match="`funreason-train sft` failed"):
        run_command(["sft"], tmp_path / "note.json")
    assert not (tmp_path / "note.json").exists()


def test_evaluations_of_two_sets_of_tasks_lie_apart() -> None:
    for claim in CLAIMS:
        assert len({evaluation(claim, tasks) for tasks in claim.tasks}) == len(claim.tasks)
