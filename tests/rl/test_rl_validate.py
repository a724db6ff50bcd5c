"""Everything that can be told before verl starts is told before verl starts, and all of it at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rl.rl_runs import row, small_run, told, without_gold, write_rows

from funreason_train.commands.line.loading import load
from funreason_train.errors import UserError
from funreason_train.parity import gate
from funreason_train.rl import stage
from funreason_train.run.files import write_text


def test_a_sound_run_has_no_problem(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    assert stage.check(config, run) == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["rl.samples_per_prompt=1"], "rl.samples_per_prompt=1: must be a whole number from 2 to"),
        (["rl.prompts_per_update=7"], "not a multiple of rl.prompts_per_update=7"),
        (["rl.prompts_per_step=100"], "more than the 64 prompts"),
        (["rl.max_prompt_tokens=20"], "longest prompt has 40 tokens"),
        (["rl.max_model_tokens=60"], "40 + 96 = 136 tokens"),
        (["rl.max_response_tokens=2000"], "more than the 1024 positions"),
        (["cluster=h20x32", "rl.prompts_per_step=3"], "divided among 32 workers"),
        (["cluster=h20x32", "rl.rollout.tensor_parallel=3"], "does not divide the 8 workers"),
        (["cluster=h20x32", "rl.devices.cuda.workers_per_node=16"], "is more than the 8 GPUs of a node"),
        (["cluster=h20x32", "rl.fsdp_size=7"], "rl.fsdp_size=7 does not divide the 32 workers"),
        (["rl.save_every=0"], "rl.save_every=0: must be a whole number of at least 1"),
        (["rl.keep_checkpoints=0"], "rl.keep_checkpoints=0: must be a whole number of at least 1"),
        (["rl.steps=0"], "rl.steps=0: must be a whole number of at least 1, or null"),
        (
            ["cluster=h20x32", "rl.share_prompts=true", "rl.attention=flash_attention_2"],
            "flash_attention_2 cannot keep the answers to one prompt apart",
        ),
        (
            ["rl.verl.actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=2"],
            "does not go together with rl.share_prompts=true",
        ),
        (["rl.rollout.tensor_parallel=3"], "does not divide the 4 attention heads"),
        (
            ["rl.dynamic_batches=false", "rl.samples_per_pass=10", "rl.prompts_per_update=24"],
            "rl.samples_per_pass=10 does not divide the 192 samples of an update that each worker gets "
            "(rl.dynamic_batches=false makes passes of one size); 8 would",
        ),
        (
            [
                "cluster=h20x32",
                "rl.dynamic_batches=false",
                "rl.samples_per_pass=16",
                "rl.prompts_per_step=32",
            ],
            "does not divide the 8 samples of an update that each worker gets",
        ),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, words: list[str], part: str) -> None:
    """verl#1191, #473, #3936."""
    config, _ = small_run(tmp_path, *words)
    found = told(config)
    assert any(part in problem for problem in found), found
    assert all(not problem.endswith(".") and "\n" not in problem for problem in found)


def test_all_mistakes_come_at_once_and_before_the_start(tmp_path: Path) -> None:
    config, run = small_run(
        tmp_path, "rl.samples_per_prompt=1", "rl.max_model_tokens=60", "rl.prompts_per_update=7"
    )
    assert len(told(config)) == 3
    words = ["rl.samples_per_prompt=1", "rl.max_model_tokens=60", "rl.prompts_per_update=7"]
    with pytest.raises(UserError, match=r"(?s)from 2 to.*prompts_per_update=7.*60"):
        load("rl", "rl", [f"run_dir={run.root}", f"rl.model={run.sft_model}", *words])
    assert not run.rl_checkpoints.exists()


def test_tokens_that_differ_from_sft_s_stop_the_stage_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl#7807: the data were proved with another tokenizer than that of this model."""
    config, run = small_run(tmp_path, "rl.steps=1")
    write_text(run.data / "sft" / "train.json", "[]")
    write_text(run.data / "manifest.json", '{"parity": "of another tokenizer"}')
    jobs, started = [], []
    monkeypatch.setattr(stage, "_train", lambda *_: started.append("Ray"))

    def differ(function: Any, job: Any, environment: Any) -> None:
        jobs.append(job)
        raise UserError("differ: at token 3", where="model", fix="Check")

    monkeypatch.setattr(gate, "call_in_process", differ)
    with pytest.raises(UserError, match=r"model: differ: at token 3\. Check"):
        stage.run(config, run)
    (job,) = jobs
    assert (job["data"], job["model"]) == (str(run.data), str(run.sft_model))
    assert started == []


def test_passes_of_a_fixed_count_ask_for_nothing_where_they_are_not_made(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "rl.samples_per_pass=7")
    assert stage.check(config, run) == []


MALFORMED = {
    "rl.dynamic_batches=0": "rl.dynamic_batches=0: must be true or false",
    "rl.samples_per_pass=0": "rl.samples_per_pass=0: must be a whole number of at least 1",
    "rl.prompts_per_step=many": "rl.prompts_per_step=many: must be a whole number of at least 1",
    "rl.prompts_per_update=0": "rl.prompts_per_update=0: must be a whole number of at least 1, or null",
    "rl.samples_per_prompt=2.5": "rl.samples_per_prompt=2.5: must be a whole number from 2 to 1,048,576",
    "rl.learning_rate=0": "rl.learning_rate=0: must be a number above 0 and at most 1",
    "rl.temperature=nan": "rl.temperature=nan: must be a number above 0",
    "rl.top_p=70": "rl.top_p=70: must be a number above 0 and at most 1",
    "rl.algorithm.filter_groups=2": "rl.algorithm.filter_groups=2: must be true or false",
    "rl.algorithm.loss_aggregation=token_mean": (
        "rl.algorithm.loss_aggregation=token_mean: must be one of token-mean, seq-mean-token-sum, "
        "seq-mean-token-mean, seq-mean-token-sum-norm. Did you mean token-mean?"
    ),
    "rl.algorithm.advantage=gae": (
        "rl.algorithm.advantage=gae: must be one of grpo, egpo, rloo, gpg, opo, reinforce_plus_plus_baseline"
    ),
    "rl.loggers=[console,tensorbord]": (
        "rl.loggers=[console, tensorbord]: the item tensorbord must be one of console, file, tensorboard, "
        "wandb, swanlab, mlflow, clearml, trackio. Did you mean tensorboard?"
    ),
}


def test_settings_that_mean_nothing_by_themselves_are_told_all_at_once(tmp_path: Path) -> None:
    config, _ = small_run(tmp_path, *MALFORMED)
    assert sorted(told(config)) == sorted(MALFORMED.values())


def test_the_mistakes_in_a_reward_are_told_without_data_too(tmp_path: Path) -> None:
    from omegaconf import open_dict

    config, run = small_run(tmp_path, "rl.reward.variant=binray", "rl.reward.soft_weight=2")
    with open_dict(config.rl.reward):
        config.rl.reward.bonus = 1  # the command line would refuse it
    found = stage.check(config, run)
    assert len(found) == 3
    for part in ("no reward option 'bonus'", "no reward variant 'binray'", "soft_weight must be a number"):
        assert any(problem.startswith("rl.reward: ") and part in problem for problem in found)
    (run.data / "rl" / "train.parquet").unlink()
    assert set(found) <= set(stage.check(config, run))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("rl.verl=3", "rl.verl=3: must be a group of keys"),
        ("rl.loggers=console", "Write rl.loggers=[console]"),
        ("rl.loggers=null", "rl.loggers=null: must be a list, each item one of console"),
        ("environment_modules=mine", "Write environment_modules=[mine]"),
        ("rl.health=no", "rl.health=no: must be a group of keys (patience, warn, stop)"),
        ("rl.health.warn=0.5", "rl.health.warn=0.5: must be a group of keys (groups_without_signal"),
        ("rl.rollout=vllm", "rl.rollout=vllm: must be a group of keys (engine, tensor_parallel"),
        ("rl.verl.actor_rollout_ref=[1]", "a group of settings at 'actor_rollout_ref', which cannot be [1]"),
        ("rl.verl.trainer=5", "a group of settings at 'trainer', which cannot be 5"),
        ("rl.devices.cpu.verl.trainer=null", "a group of settings at 'trainer', which cannot be null"),
        (
            "rl.verl.actor_rollout_ref.actor.optim.lr=1e-6x",
            "has a number at 'actor_rollout_ref.actor.optim.lr'",
        ),
        ("rl.verl.trainer.test_freq=[1]", "has a number at 'trainer.test_freq', which cannot be [1]"),
        (
            "rl.verl.trainer.balance_batch=yess",
            "has true or false at 'trainer.balance_batch', which cannot be",
        ),
        ("cluster.nodes=1000000000000", "must be a whole number from 1 to 10,000"),
        (
            "rl.verl.actor_rollout_ref.actor.use_dynamic_bsz=false",
            "rl.verl.actor_rollout_ref.actor.use_dynamic_bsz=False: set rl.dynamic_batches, which decides "
            "this key and others with it",
        ),
    ],
)
def test_a_setting_of_another_shape_or_beside_ours_is_one_sentence(
    tmp_path: Path, word: str, said: str
) -> None:
    config, _ = small_run(tmp_path, word)
    (problem,) = told(config)
    assert said in problem


def test_the_command_tells_all_mistakes_at_once_with_code_2_and_starts_nothing(tmp_path: Path) -> None:
    run = small_run(tmp_path, rows=8)[1]
    write_rows(run.data / "rl" / "train.parquet", [without_gold(index) for index in range(8)])
    write_rows(run.data / "rl" / "val.parquet", [{**row(0), "prompt": "Book it."}])
    words = ["samples_per_prompt=1", "prompts_per_step=7", "prompts_per_update=2", "max_model_tokens=60"]
    words += ["reward.variant=nice", "verl.trainer.nnode=1"]
    command = [sys.executable, "-X", "importtime", "-m", "funreason_train", "rl", f"run_dir={run.root}"]
    done = subprocess.run(
        [*command, f"rl.model={run.sft_model}", *(f"rl.{word}" for word in words)],
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 2 and "Traceback" not in done.stderr + done.stdout
    parts: tuple[str, ...] = (
        "8 of 8 rows lack",
        "the column prompt holds string",
        "variant=nice",
        "samples_per_prompt=1",
    )
    parts += ("multiple of rl.prompts_per_update=2", "rl.max_model_tokens=60", "'trainer.nnode'")
    assert all(sum(part in line for line in said) == 1 for part in parts), said
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"ray", "torch", "verl", "vllm"})
    assert not run.rl_checkpoints.exists()


def test_a_setting_without_meaning_hides_no_mistake_that_stands_for_itself(tmp_path: Path) -> None:
    words = ("rl.temperature=0", "rl.health.patience=x", "rl.reward.variant=nice", "rl.verl.trainer.nnode=3")
    config, _ = small_run(tmp_path, *words, "rl.verl.trainr.nodes=3")
    found = told(config)
    parts = ("rl.temperature=0:", "rl.health.patience=x:", "variant=nice:", "'trainer.nnode'", "'trainr'")
    assert len(found) == len(parts)
    assert all(any(part in problem for problem in found) for part in parts)


def test_a_setting_without_meaning_does_not_hide_the_faults_of_the_data(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "rl.prompts_per_step=0", "rl.max_response_tokens=long")
    (run.data / "rl" / "val.parquet").unlink()
    found = told(config)
    assert [problem.split(":")[0] for problem in found[:2]] == [
        "rl.prompts_per_step=0",
        "rl.max_response_tokens=long",
    ]
    assert "no such file" in found[2] and len(found) == 3


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["rl.reward.variant=generous"], "rl.reward: there is no reward variant 'generous'"),
        (["rl.reward.strings=fuzzy"], "rl.reward: there is no string rule 'fuzzy'"),
        (["rl.reward.soft_weight=0.5"], "needs both soft_chars and max_chars"),
    ],
)
def test_a_reward_option_that_does_not_exist_is_said_before_the_start(
    tmp_path: Path, words: list[str], part: str
) -> None:
    config, run = small_run(tmp_path, *words, "rl.audit_rows=0")
    with pytest.raises(UserError) as caught:
        stage.run(config, run)
    assert part in str(caught.value)
    assert not run.rl_checkpoints.exists()


def test_what_earlier_stages_have_yet_to_make_is_missed_only_when_the_stage_runs(tmp_path: Path) -> None:
    from funreason_train.run.paths import RunDir
    from funreason_train.settings.compose import compose

    run = RunDir.at(tmp_path)
    config = compose("rl", [f"run_dir={run.root}", f"rl.model={run.sft_model}"])
    assert stage.check(config, run) == []
    with pytest.raises(UserError, match="no such file"):
        stage.run(config, run)


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    (run.sft_model / "tokenizer.json").unlink()
    assert "there is no tokenizer" in " ".join(stage.check(config, run))
