"""Our settings become verl's: the keys that matter, on both devices, and every mistake at once."""

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rl.rl_runs import row, small_run, write_rows

from funreason_train.errors import UserError
from funreason_train.rl import stage
from funreason_train.rl.verl import installed_keys
from funreason_train.rl.verl.compose import REWARD
from funreason_train.run.files import write_text
from funreason_train.settings.compose import compose as compose_all


def key(verl: Any, name: Any) -> Any:
    return OmegaConf.select(verl, name)


COMMON = {
    "trainer.save_freq": 10,
    "trainer.max_actor_ckpt_to_keep": None,
    "trainer.resume_mode": "auto",
    "trainer.logger": ["console", "tensorboard"],
    "trainer.val_before_train": False,
    "data.max_prompt_length": 40,
    "data.filter_overlong_prompts": False,
    "data.truncation": "error",
    "data.trust_remote_code": False,
    "algorithm.adv_estimator": "grpo",
    "actor_rollout_ref.rollout.name": "vllm",
    "actor_rollout_ref.rollout.n": 8,
    "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
    "actor_rollout_ref.actor.loss_agg_mode": "token-mean",
    "actor_rollout_ref.actor.use_kl_loss": False,
    "actor_rollout_ref.actor.strategy": "fsdp2",
    "actor_rollout_ref.model.use_remove_padding": True,
    "actor_rollout_ref.actor.use_dynamic_bsz": True,
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": None,
    "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz": True,
    "actor_rollout_ref.ref.log_prob_use_dynamic_bsz": True,
    "reward.custom_reward_function.name": "compute_score",
    "reward.custom_reward_function.reward_kwargs.variant": "binary",
}
CPU = {
    "trainer.device": "cpu",
    "trainer.nnodes": 1,
    "trainer.n_gpus_per_node": 1,
    "actor_rollout_ref.model.external_lib": "funreason_train.rl.cpu.engine",
    "actor_rollout_ref.model.override_config.attn_implementation": "tree",
    "actor_rollout_ref.model.enable_gradient_checkpointing": False,
    "actor_rollout_ref.actor.fsdp_config.dtype": "float32",
    "actor_rollout_ref.rollout.dtype": "float32",
    "actor_rollout_ref.rollout.enforce_eager": True,
    "actor_rollout_ref.rollout.enable_chunked_prefill": False,
    "actor_rollout_ref.rollout.enable_sleep_mode": False,
    "actor_rollout_ref.rollout.agent.num_workers": 1,
}
GPU = {
    "trainer.device": "cuda",
    "trainer.nnodes": 4,
    "trainer.n_gpus_per_node": 8,
    "actor_rollout_ref.model.external_lib": "funreason_train.models.attention.library",
    "actor_rollout_ref.model.enable_gradient_checkpointing": True,
    "actor_rollout_ref.actor.fsdp_config.dtype": "bfloat16",
    "actor_rollout_ref.rollout.dtype": "bfloat16",
    "actor_rollout_ref.rollout.enforce_eager": False,
    "actor_rollout_ref.rollout.enable_chunked_prefill": True,
    "actor_rollout_ref.rollout.free_cache_engine": True,
    # Else 37 GiB of logits for a pass of 32,768 tokens (test_fused_loss.py shows that nothing else changes).
    "actor_rollout_ref.model.use_fused_kernels": True,
    "actor_rollout_ref.model.fused_kernel_options.impl_backend": "torch",
    "transfer_queue.backend.SimpleStorage.total_storage_size": None,
}


@pytest.mark.parametrize(("cluster", "expected"), [("cpu", CPU), ("h20x32", GPU)])
def test_the_keys_that_matter(tmp_path: Path, cluster: str, expected: Any) -> None:
    config, run = small_run(tmp_path, f"cluster={cluster}")
    verl = stage.plan(config, run)
    found = {name: key(verl, name) for name in {**COMMON, **expected}}
    assert found == {**COMMON, **expected}


def test_no_cpu_setting_reaches_a_gpu_run(tmp_path: Path) -> None:
    from funreason_train.rl.verl.session import environment

    config, run = small_run(tmp_path, "cluster=h20x32")
    written = OmegaConf.to_yaml(stage.plan(config, run), resolve=True)
    assert "funreason_train.rl.cpu" not in written
    assert "float32" not in written
    variables = environment(config, run)
    assert not {"VERL_PLATFORM", "PYTHONPATH", "OMP_NUM_THREADS"} & set(variables)
    modules = "funreason_train.rl.verl.process,funreason_train.rl.verl.sockets"
    assert variables["VERL_USE_EXTERNAL_MODULES"] == modules
    assert not any(name.startswith("VLLM_CPU") for name in variables)
    assert not (run.rl / "distributions").exists()


def test_the_plugin_does_nothing_unless_the_platform_is_named() -> None:
    code = (
        "import sys, funreason_train.rl.cpu.plugin;"
        "sys.exit('funreason_train.rl.cpu.platform' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"VERL_PLATFORM": "cuda"}).returncode == 0


def test_composing_imports_neither_torch_nor_verl_nor_ray(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    OmegaConf.save(config, tmp_path / "config.yaml")
    code = (
        "import sys; from pathlib import Path; from omegaconf import OmegaConf\n"
        "from funreason_train.rl import stage; from funreason_train.run.paths import RunDir\n"
        f"config = OmegaConf.load({str(tmp_path / 'config.yaml')!r}); run = RunDir(Path({str(run.root)!r}))\n"
        "assert stage.check(config, run) == []\n"
        "stage.plan(config, run)\n"
        "sys.exit(', '.join({'torch', 'verl', 'ray', 'vllm'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_reward_that_verl_loads_exists_and_takes_the_configured_options(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    verl = stage.plan(config, run)
    module, name = REWARD.removeprefix("pkg://"), key(verl, "reward.custom_reward_function.name")
    score = getattr(importlib.import_module(module), name)
    truth = '{"calls": [{"name": "book_room", "arguments": {"nights": 2}}], "tools": []}'
    options: Any = OmegaConf.to_container(key(verl, "reward.custom_reward_function.reward_kwargs"))
    assert score("embedded", "x</think>\n\n[book_room(nights=2)]", truth, **options)["score"] == 1.0
    assert score("embedded", "x</think>\n\n[book_room(nights=3)]", truth, **options)["score"] == 0.0


def test_agent_loops_name_a_class_of_ours(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    verl = stage.plan(config, run)
    loops: Any = OmegaConf.load(key(verl, "actor_rollout_ref.rollout.agent.agent_loop_config_path"))
    assert key(verl, "actor_rollout_ref.rollout.agent.default_agent_loop") in [loop.name for loop in loops]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (
            ["algorithm=dapo"],
            {"algorithm.filter_groups.enable": True, "actor_rollout_ref.actor.clip_ratio_high": 0.28},
        ),
        (["rl.algorithm.kl_loss=0.001"], {"actor_rollout_ref.actor.use_kl_loss": True}),
        (["reward=partial"], {"reward.custom_reward_function.reward_kwargs.variant": "partial"}),
        (["rl.verl.actor_rollout_ref.actor.ppo_epochs=2"], {"actor_rollout_ref.actor.ppo_epochs": 2}),
        (["rl.trust_rollout_log_probs=true"], {"algorithm.rollout_correction.bypass_mode": True}),
        (
            ["rl.share_prompts=false"],
            {
                "actor_rollout_ref.model.use_remove_padding": False,
                "actor_rollout_ref.model.override_config.attn_implementation": "sdpa",
            },
        ),
        (
            ["rl.dynamic_batches=false", "rl.samples_per_pass=16", "rl.algorithm.kl_loss=0.1"],
            {
                "actor_rollout_ref.actor.use_dynamic_bsz": False,
                "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": 16,
                "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz": False,
                "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": 16,
                "actor_rollout_ref.ref.log_prob_use_dynamic_bsz": False,
                "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": 16,
            },
        ),
        (["rl.steps=7"], {"trainer.total_training_steps": 7}),
        (["rl.epochs=3", "rl.prompts_per_step=16"], {"trainer.total_training_steps": 12}),
    ],
)
def test_settings_reach_verl(tmp_path: Path, words: list[str], keys: dict[str, Any]) -> None:
    config, run = small_run(tmp_path, *words)
    verl = stage.plan(config, run)
    assert {name: key(verl, name) for name in keys} == keys


def test_a_resume_at_the_end_of_an_epoch_is_not_the_end_of_the_run(tmp_path: Path) -> None:
    """verl#7401: verl leaves its loop when its count of epochs is reached, trained or not."""
    config, run = small_run(tmp_path, "rl.steps=8", "rl.prompts_per_step=16")
    verl = stage.plan(config, run)
    assert key(verl, "trainer.total_epochs") * (64 // 16) > 8


@pytest.mark.parametrize("there", [True, False])
def test_attention_is_what_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """verl's default, flash_attention_2, fails after the start where flash-attn is not installed."""
    config, run = small_run(tmp_path, "cluster=h20x32")
    monkeypatch.setattr(importlib.util, "find_spec", _with_flash(there))
    wanted = "flash_attention_2" if there else "varlen"
    verl = stage.plan(config, run)
    assert key(verl, "actor_rollout_ref.model.override_config.attn_implementation") == wanted
    library = None if there else "funreason_train.models.attention.library"
    assert key(verl, "actor_rollout_ref.model.external_lib") == library
    config.rl.attention = "flash_attention_2"
    if not there:
        with pytest.raises(UserError, match=r"needs the package flash_attn.*rl\.attention=sdpa"):
            stage.run(config, run)
        assert not run.rl_checkpoints.exists()


def test_on_gpus_samples_share_their_prompt_where_that_is_set(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "cluster=h20x32", "rl.share_prompts=true", "rl.prompts_per_step=32")
    assert stage.check(config, run) == []
    verl = stage.plan(config, run)
    assert key(verl, "actor_rollout_ref.model.external_lib") == "funreason_train.rl.shared.engine"
    assert key(verl, "actor_rollout_ref.model.override_config.attn_implementation") == "tree_blocks"
    assert key(verl, "actor_rollout_ref.model.use_remove_padding") is True


def test_a_model_that_cannot_keep_answers_apart_is_refused(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    settings = json.loads((run.sft_model / "config.json").read_text())
    write_text(run.sft_model / "config.json", json.dumps({**settings, "model_type": "qwen3_next"}))
    (problem,) = stage.check(config, run)
    assert problem.startswith("rl.share_prompts: the model (qwen3_next) has layers that carry a state")
    config.rl.share_prompts = False
    assert stage.check(config, run) == []


def _with_flash(there: Any) -> Any:
    real = importlib.util.find_spec

    def find(name: Any, *words: Any) -> Any:
        return there or None if name == "flash_attn" else real(name, *words)

    return find


def test_unknown_keys_are_named_with_the_nearest_known_one_all_at_once(tmp_path: Path) -> None:
    """verl#1080."""
    config, run = small_run(
        tmp_path,
        "rl.verl.actor_rollout_ref.actor.ppo_epoch=3",
        "rl.verl.actor_rollout_ref.rollout.enable_sleepmode=1",
        "rl.verl.trainr.nnodes=1",
    )
    text = " ".join(stage.check(config, run))
    assert "actor_rollout_ref.actor.ppo_epochs" in text
    assert "actor_rollout_ref.rollout.enable_sleep_mode" in text
    assert "did you mean 'trainer'" in text


def test_keys_of_the_dataclasses_behind_the_yaml_are_known(tmp_path: Path) -> None:
    base = installed_keys.defaults()
    assert (
        installed_keys.unknown_keys(base, {"actor_rollout_ref": {"rollout": {"enable_sleep_mode": False}}})
        == []
    )
    assert (
        installed_keys.unknown_keys(
            base, {"actor_rollout_ref": {"rollout": {"engine_kwargs": {"vllm": {"a": 1}}}}}
        )
        == []
    )


def test_the_recipe_for_the_reference_cluster_composes() -> None:
    from funreason_train.run.paths import RunDir

    config = compose_all("rl", ["+recipe=funreason_mt_4b", "rl.model=some/model"])
    verl = stage.plan(config, RunDir.at("runs/none"))
    assert key(verl, "data.max_prompt_length") == config.rl.max_prompt_tokens
    assert key(verl, "trainer.n_gpus_per_node") * key(verl, "trainer.nnodes") == 32


def test_the_brief_of_a_run_follows_its_settings_and_data(tmp_path: Path) -> None:
    words = ("rl.dynamic_batches=false", "rl.epochs=3", "rl.prompts_per_step=16", "rl.prompts_per_update=8")
    config, run = small_run(tmp_path, *words, "algorithm=dapo", "rl.trust_rollout_log_probs=true")
    brief = dict(line.split(": ", 1) for line in stage.brief(config, run))
    assert brief["data"] == f"64 prompts ({run.data / 'rl' / 'train.parquet'})"
    assert brief["length"] == "12 steps, 3 passes over the data"
    config.rl.prompts_per_step = 24
    assert (
        "length: 6 steps, 3 passes over the data, each without the last 16, which do not fill a step"
        in stage.brief(config, run)
    )
    config.rl.prompts_per_step = 16
    assert brief["step"] == "16 prompts x 8 samples = 128, 128 a worker, in 2 optimiser updates"
    assert brief["passes"] == "8 samples each; attention tree, what samples have in common computed once"
    assert brief["algorithm"] == (
        "dapo, clip 0.2/0.28, no KL loss, token-mean, no entropy bonus, "
        "groups with identical rewards replaced, learning rate 1e-06 (constant), "
        "log-probabilities of the rollout engine trusted"
    )


@pytest.mark.parametrize(("limit", "longer"), [(30, 2), (31, 1), (200, 0)])
def test_responses_that_are_demonstrated_with_more_tokens_than_are_sampled_are_counted(
    tmp_path: Path, limit: int, longer: int
) -> None:
    config, run = small_run(tmp_path, f"rl.max_response_tokens={limit}")
    rows = [row(index) for index in range(4)]
    for one, tokens in zip(rows, (31, 200, 12, None), strict=True):
        one["extra_info"]["target_tokens"] = tokens
    write_rows(run.data / "rl" / "train.parquet", rows)
    said = [line for line in stage.brief(config, run) if "rows demonstrate" in line]
    assert [line.split(" demonstrate")[0] for line in said] == [f"warning: {longer} of 3 rows"] * bool(longer)
    assert all("longest has 200" in line for line in said)


def test_the_cpus_that_verl_reserves_beside_a_gpu_are_known() -> None:
    """Read in the installed source: with fewer on a node, verl's placement group waits forever."""
    source = (installed_keys.verl_folder() / "single_controller" / "ray" / "base.py").read_text()
    assert f"max_colocate_count: int = {stage._CPUS_A_WORKER}\n" in source


@pytest.mark.parametrize(("shape", "bucket"), [((1000, 8), 64), ((49_152, 576), 108), ((30_000_000, 1), 115)])
def test_the_largest_weight_fits_the_buffer_that_weights_travel_through(
    tmp_path: Path, shape: Any, bucket: int
) -> None:
    """64 MiB were too little for the embedding of a 135M model: the run failed after its start."""
    from safetensors.numpy import save_file

    config, run = small_run(tmp_path)
    folder = tmp_path / "weights"
    folder.mkdir()
    import numpy

    save_file(
        {"embed": numpy.zeros(shape, "int8"), "norm": numpy.zeros(8, "int8")}, folder / "model.safetensors"
    )
    config.rl.model = str(folder)
    name = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
    assert key(stage.plan(config, run), name) == bucket
