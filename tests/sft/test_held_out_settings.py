"""Tasks played while SFT trains: what is refused before a cluster is held, and what is then played."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluate.scripted import TASKS
from omegaconf import OmegaConf
from sft.test_sft_stage import setting

from funreason_train.environments import write_tasks
from funreason_train.errors import UserError
from funreason_train.run.files import write_json
from funreason_train.settings.check import of_section
from funreason_train.settings.compose import compose
from funreason_train.sft import stage
from funreason_train.sft.heldout.beside import evaluation
from funreason_train.sft.heldout.callback import HeldOutCallback
from funreason_train.sft.heldout.record import HeldOut
from funreason_train.sft.train.callbacks import StopCallback

EVERY = ("save_steps=20", "evaluate.every=20")


def with_tasks(tmp_path: Path, *words: str) -> Any:
    config, run = setting(tmp_path, *EVERY, *words)
    run.tasks("tuning").parent.mkdir(parents=True, exist_ok=True)
    write_tasks(run.tasks("tuning"), TASKS[:3])
    return config, run


@cache
def shipped() -> dict[str, Any]:
    """The section as it is shipped, with a checkpoint every 20 steps."""
    found: Any = OmegaConf.to_container(compose("sft", ["save_steps=20"]).sft, resolve=True)
    return {**found, "model": "somewhere"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"every": 0}, r"evaluate\.every=0: must be a whole number of at least 1"),
        ({"every": -5}, r"evaluate\.every=-5: must be a whole number of at least 1"),
        ({"every": 30}, r"one is every 20 steps saved\. Set sft\.save_steps=30, or sft\.evaluate\.every=40"),
        ({"every": 30, "save_steps": None}, r"none is saved\. Set sft\.save_steps=30$"),
        ({"keep": "best"}, r"needs scores.*keep=best.*Set sft\.evaluate\.every=20"),
        ({"stop_below_best": 2}, r"needs scores.*stop_below_best.*Set sft\.evaluate\.every=20"),
        ({"keep": "first", "every": 20}, r"evaluate\.keep=first: must be"),
    ],
)
def test_settings_that_contradict_each_other_are_one_sentence(given: dict[str, Any], says: str) -> None:
    values = {**shipped(), **{key: value for key, value in given.items() if key == "save_steps"}}
    values["evaluate"] = {**values["evaluate"], **{k: v for k, v in given.items() if k != "save_steps"}}
    (said,) = map(str, of_section("sft", values).values())
    assert re.search(says, said), said


def test_a_complete_setting_is_no_problem_and_its_plan_says_what_is_played(tmp_path: Path) -> None:
    config, run = with_tasks(tmp_path, "evaluate.stop_below_best=3")
    assert stage.check(config, run) == []
    (line,) = [line for line in stage.brief(config, run) if line.startswith("held-out: ")]
    assert "every 20 steps" in line and "tuning.jsonl" in line and "3 scores in a row" in line


def test_without_tasks_training_does_not_start(tmp_path: Path) -> None:
    config, run = setting(tmp_path, *EVERY)
    assert stage.check(config, run) == [], "synth may still make them"
    with pytest.raises(
        UserError, match=r"tuning\.jsonl: there are no tasks to play while training; name a file"
    ):
        stage.run(config, run)
    config, run = setting(tmp_path, *EVERY, f"evaluate.tasks={tmp_path / 'none.jsonl'}")
    assert "none.jsonl: there are no tasks" in " ".join(stage.check(config, run))


@pytest.mark.parametrize(("text", "says"), [("", "there is no task in it"), ("{}\n", "line 1 is not a task")])
def test_a_file_without_tasks_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(text)
    (problem,) = stage.check(*setting(tmp_path, *EVERY, f"evaluate.tasks={file}"))
    assert str(file) in problem and says in problem


def test_a_profile_without_a_spare_gpu_is_told_before_it_is_held(tmp_path: Path) -> None:
    words = ("cluster=gpu80x8", "global_batch=56", "per_device_batch=1")
    config, run = with_tasks(tmp_path, *words)
    (said,) = stage.check(config, run)
    assert "takes 1 GPU of one machine, and cluster=gpu80x8 trains on 8 of its 8" in said
    assert "Set sft.evaluate.pause=true" in said and "cluster.sft.workers=7 or fewer" in said
    config.cluster.sft.workers = 7
    assert stage.check(config, run) == []
    config.eval.tensor_parallel = 2
    assert "takes 2 GPUs of one machine, and cluster=gpu80x8 trains on 7" in " ".join(
        stage.check(config, run)
    )
    config.sft.evaluate.pause = True
    assert stage.check(config, run) == []


def test_a_checkpoint_is_played_as_the_run_will_be_evaluated_but_once_and_in_short(tmp_path: Path) -> None:
    words = ("eval.temperature=0.5", "eval.samples=4", "eval.seeds=[1,2]", "eval.endpoint=http://h:1/v1")
    config, run = with_tasks(tmp_path, *words, "evaluate.limit=7", "evaluate.max_model_tokens=512")
    held, tasks = HeldOut(run.sft), run.tasks("tuning")
    ours = evaluation(config, 20, held.model(20), tasks).eval
    assert ours.models == {"step-20": str(held.model(20))} and ours.tasks == str(tasks)
    assert (ours.limit, ours.samples, ours.seeds, ours.endpoint, ours.replicas) == (7, 1, None, None, 1)
    assert (ours.temperature, ours.max_model_tokens) == (0.5, 512)
    assert config.eval.samples == 4, "the run's own stays"


def saved(callback: HeldOutCallback, step: int, total: int = 100) -> SimpleNamespace:
    control = SimpleNamespace(should_training_stop=False)
    state = SimpleNamespace(global_step=step, max_steps=total, is_world_process_zero=True)
    arguments = SimpleNamespace(output_dir=str(callback.held.sft), device=SimpleNamespace(type="cpu"))
    callback.on_save(arguments, state, control)
    return control


def test_training_that_pauses_ends_at_the_step_whose_score_fell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, stop = HeldOut(tmp_path), StopCallback(tmp_path / "stop")
    taken: list[int] = []

    def hand_over(source: Path, target: Path, base: str) -> None:
        taken.append(int(source.name.partition("-")[2]))
        target.mkdir(parents=True)
        held.note(taken[-1], {"accuracy": 0.5})  # played while this process waits
        if taken[-1] == 40:
            stop.note.touch()

    monkeypatch.setattr("funreason_train.sft.heldout.callback.hand_over", hand_over)
    job = {"sft": str(tmp_path), "every": 20, "pause": True, "seconds": 60, "base": "base"}
    callback = HeldOutCallback(job, stop, rank=0)
    assert not saved(callback, 10).should_training_stop and taken == []
    assert not saved(callback, 20).should_training_stop
    assert saved(callback, 40).should_training_stop and stop.stopped
    assert taken == [20, 40]


def test_training_does_not_wait_for_ever_for_tasks_that_nobody_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("funreason_train.sft.heldout.callback.hand_over", lambda *_: None)
    job = {"sft": str(tmp_path), "every": 20, "pause": True, "seconds": 60, "base": "base"}
    callback = HeldOutCallback(job, StopCallback(tmp_path / "stop"), rank=0)
    assert callback.patience > 60
    callback.patience = 0.1
    assert not saved(callback, 20).should_training_stop
    assert "step 20 were not played in time; training goes on" in capsys.readouterr().out


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_stages_model_is_the_last_or_the_best_one(
    tmp_path: Path, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = with_tasks(tmp_path, f"evaluate.keep={keep}")
    held, folder = HeldOut(run.sft), run.sft / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("last")
    for step, accuracy in ((20, 0.7), (40, 0.3)):
        held.model(step).mkdir(parents=True)
        (held.model(step) / "model.safetensors").write_text(f"step {step}")
        held.note(step, {"accuracy": accuracy})
    write_json(folder / "done.json", {"step": 40, "loss": 0.5, "parameters": 4})
    said = stage._publish(config, run, Path(config.sft.model), {"step": 40})
    assert said == keep
    assert (run.sft_model / "model.safetensors").read_text() == {"last": "last", "best": "step 20"}[keep]
    assert held.model(20).is_dir(), "the best one can still be had"
