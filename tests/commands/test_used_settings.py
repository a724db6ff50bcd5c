"""Only settings that a job uses decide whether it is done already; stages find each other's results."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.commands.execution.job import Job
from funreason_train.commands.stages import stage_of
from funreason_train.run.manifest import Manifest
from funreason_train.settings import load_settings
from funreason_train.settings.resolve import run_of


def another(run_dir: Path, stage: str, before: list[str], now: list[str]) -> tuple[str, ...]:
    """What makes `now` another job than the one that was recorded."""
    asked = [load_settings(stage, [f"run_dir={run_dir}", *words]) for words in (before, now)]
    first, second = (Job.of(stage_of(stage), config, run_of(config)) for config in asked)
    manifest = Manifest(first.run)
    manifest.update(stage, state="done", settings=first.settings, inputs=first.inputs)
    assert (first.fingerprint == second.fingerprint) == (not second.changes(manifest).another)
    return second.changes(manifest).another


UNUSED = [
    ("data", [], "openai.tools_missing=reject"),
    ("data", [], "apigen.rows=5"),
    ("data", ["decontaminate=off"], "decontaminate_ngram=4"),
    ("data", [], "near_threshold=0.5"),
    ("data", ["datasets=[apigen]", "dedup=off", "val_share=0"], "near_threshold=0.5"),
    ("data", ["tokenizer=off"], "model.layers=2"),
    ("data", [], "synth.licence=MIT"),
    ("sft", [], "sft.lora.rank=4"),
    ("sft", ["max_steps=10"], "epochs=1"),
    ("rl", [], "rl.devices.cuda.weights_bucket_mib=99"),
    ("rl", [], "rl.devices.cuda.verl.trainer.device=npu"),
    ("rl", [], "rl.environment.seconds_per_turn=1"),
    ("rl", [], "environment_modules=[json]"),
    ("rl", ["rl.steps=10"], "rl.epochs=3"),
    ("rl", [], "rl.algorithm.kl_loss_type=mse"),
    ("eval", [], "bfcl.call_seconds=3"),
    ("eval", [], "categories=[memory]"),
    ("eval", [], "path=x.jsonl"),
    ("eval", [], "rl.reward.ordered=true"),
    ("eval", ["benchmark=bfcl"], "tasks=x.jsonl"),
    ("eval", ["benchmark=custom", "path=x.jsonl"], "tasks=y.jsonl"),
    ("eval", ["seeds=[1,2]", "temperature=0.5"], "eval.seed=9"),
    ("eval", ["endpoint=http://x/v1"], "dtype=float16"),
    ("synth", [], "embedded.categories.single=0.2"),
    ("synth", ["maker=embedded"], "graph.episodes=9"),
    ("synth", ["maker=embedded"], "bfcl_world.categories.single=0.2"),
    ("synth", [], "sampling.temperature=0.1"),
]

USED = [
    ("data", ["datasets=[openai]"], "openai.tools_missing=reject"),
    ("data", [], "datasets=[synth,apigen]"),
    ("data", [], "decontaminate_ngram=4"),
    ("data", ["datasets=[apigen]"], "near_threshold=0.5"),
    ("data", [], "model.layers=2"),
    ("data", [], "synth.weight=2"),
    ("sft", ["sft.finetuning_type=lora"], "sft.lora.rank=4"),
    ("rl", [], "rl.devices.cpu.weights_bucket_mib=99"),
    ("rl", ["rl.algorithm.kl_loss=0.1"], "rl.algorithm.kl_loss_type=mse"),
    ("eval", ["benchmark=bfcl"], "bfcl.call_seconds=3"),
    ("eval", ["benchmark=bfcl"], "categories=[memory]"),
    ("eval", ["benchmark=custom", "path=x.parquet"], "rl.reward.ordered=true"),
    ("eval", [], "eval.seed=9"),
    ("eval", [], "dtype=float16"),
    ("synth", [], "graph.episodes=9"),
    ("synth", ["maker=embedded"], "embedded.categories.single=0.2"),
    ("synth", [], "kinds.plain=0.1"),
]


@pytest.mark.parametrize(("stage", "words", "change"), UNUSED)
def test_a_setting_that_the_job_does_not_use_decides_nothing(
    tmp_path: Path, stage: str, words: list[str], change: str
) -> None:
    assert another(tmp_path, stage, words, [*words, change]) == ()


@pytest.mark.parametrize(("stage", "words", "change"), USED)
def test_the_same_setting_decides_where_it_is_used(
    tmp_path: Path, stage: str, words: list[str], change: str
) -> None:
    assert another(tmp_path, stage, words, [*words, change])


def test_what_was_unused_and_is_used_now_makes_another_job(tmp_path: Path) -> None:
    found = another(tmp_path, "data", [], ["datasets=[synth,apigen]", "apigen.path=x.json"])
    assert any("data.datasets" in one for one in found) and any("data.apigen.path" in one for one in found)


def test_stages_find_each_others_results_wherever_they_are_put(tmp_path: Path) -> None:
    """`pipeline data.out=X` left sft and rl looking in the run directory."""
    outs = {name: tmp_path / f"my {name}" for name in ("synth", "data", "export")}
    words = [f"{name}.out={out}" for name, out in outs.items()]
    config = load_settings("pipeline", [f"run_dir={tmp_path / 'run'}", *words])
    run = run_of(config)
    made = {name: stage_of(name).makes(config, run) for name in outs}
    assert all(file.is_relative_to(outs[name]) for name, files in made.items() for file in files)
    read = {name: list(stage_of(name).reads(config, run)) for name in ("data", "sft", "rl", "eval")}
    assert read["data"] == [outs["synth"] / "conversations.jsonl"]
    assert read["sft"] == [outs["data"] / "sft"]
    assert read["rl"] == [outs["data"] / "rl" / "train.parquet", outs["data"] / "rl" / "val.parquet"]
    assert read["eval"][0] == outs["synth"] / "tasks" / "heldout.jsonl"
    assert config.eval.models["rl"] == str(outs["export"])
    for name in ("synth", "data", "sft", "rl", "export", "eval"):
        assert stage_of(name).problems(config, run) == [], "what an earlier stage has yet to make is awaited"


def test_a_data_set_called_like_a_section_is_set_by_its_own_name(tmp_path: Path) -> None:
    config = load_settings("data", ["synth.path=mine.jsonl", "synth.weight=2", "synth.trajectories=7"])
    assert (config.data.synth.path, config.data.synth.weight) == ("mine.jsonl", 2)
    assert config.synth.trajectories == 7, "what the data set does not have is the section's"
    assert load_settings("data", [f"run_dir={tmp_path}"]).data.synth.path == str(
        tmp_path / "synth" / "conversations.jsonl"
    )
