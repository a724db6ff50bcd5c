"""From a recipe to its rehearsal: small, whole, and as much the recipe's way as a CPU can go."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.commands.rehearsal import scale
from funreason_train.settings import load_settings
from funreason_train.settings.places import recipes

ON_GPUS = [name for name in recipes() if not name.endswith("_cpu")]


@cache
def recipe(name: str, *words: str) -> dict[str, Any]:
    found = OmegaConf.to_container(load_settings("pipeline", [f"+recipe={name}", *words]), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.mark.parametrize("name", recipes())
@pytest.mark.parametrize("hosts", [2, 3, 4])
def test_every_recipe_becomes_small_enough_for_a_laptop(name: str, hosts: int) -> None:
    found = scale.scaled(recipe(name), hosts, [])
    assert found["sft.max_steps"] * found["sft.global_batch"] <= 100
    samples = found["rl.prompts_per_step"] * found["rl.samples_per_prompt"]
    assert found["rl.steps"] * samples <= 64
    assert samples % hosts == 0, "the samples of a step cannot be shared out"
    assert found["data.max_prompt_tokens"] + found["data.max_target_tokens"] <= 4096
    assert found["model.hidden_size"] <= 64 and found["model.path"] is None
    assert found["eval.limit"] <= 4 and found["eval.replicas"] == 1
    assert scale.host_profile(recipe(name), hosts, "/tmp/r")["sft"]["workers"] == hosts


@pytest.mark.parametrize("name", ON_GPUS)
def test_what_makes_the_gpu_path_is_kept(name: str) -> None:
    whole = recipe(name)
    found = scale.scaled(whole, 4, [])
    profile = scale.host_profile(whole, 4, "/tmp/r")
    assert profile["sft"]["deepspeed"] == whole["sft"]["deepspeed"]
    assert profile["sft"]["gradient_checkpointing"] is True
    assert found["rl.share_prompts"] is False, "off on GPUs until it has been timed there"
    assert found["rl.reproducible"] is False
    assert found["rl.verl.actor_rollout_ref.model.use_remove_padding"] is True
    assert found["rl.devices.cpu.verl.actor_rollout_ref.model.use_fused_kernels"] is True
    assert found["rl.gradient_checkpointing"] is True
    # Left as the recipe has them.
    for key in ("rl.algorithm", "rl.temperature", "sft.packing", "protocol"):
        assert not any(changed == key or changed.startswith(f"{key}.") for changed in found)


def test_accumulation_and_copies_of_the_weights_stay_what_they_are_in_kind() -> None:
    found = scale.scaled(recipe("funreason_mt_4b"), 4, [])
    assert found["sft.global_batch"] == 4 * 1 * 2, "512 rows over 32 processes are accumulated"
    assert found["rl.fsdp_size"] == 2, "four copies on 32 GPUs are two copies of two here"
    single = scale.scaled(recipe("funreason_mt_4b", "rl.fsdp_size=null"), 4, [])
    assert single["rl.fsdp_size"] is None
    plain = scale.scaled(recipe("funreason_mt_4b", "sft.global_batch=32"), 4, [])
    assert plain["sft.global_batch"] == 4, "nothing was accumulated"


def test_several_updates_a_step_stay_several() -> None:
    found = scale.scaled(recipe("funreason_mt_4b", "rl.prompts_per_update=256"), 4, [])
    assert found["rl.prompts_per_step"] == 2 * found["rl.prompts_per_update"]


def test_data_that_are_here_are_used_in_part_and_others_are_made() -> None:
    whole = recipe("funreason_mt_4b")
    made = scale.scaled(whole, 2, [])
    assert made["data.datasets"] == ["synth"]
    assert made["pipeline.stages"][:2] == ["synth", "data"]
    assert made["synth.maker"] == "embedded"
    local = scale.scaled(whole, 2, ["apigen"])
    assert local["data.datasets"] == ["apigen"]
    assert local["data.apigen.rows"] <= 40
    # A data set that the stage makes needs the stage and nothing else.
    quick = recipe("quickstart_cpu")
    assert scale.scaled(quick, 2, ["synth"])["data.datasets"] == ["synth"]
    assert scale.stages(quick, ["synth"]) == quick["pipeline"]["stages"]


def test_nothing_that_needs_a_network_is_asked_for() -> None:
    whole = recipe("funreason_mt_4b", "rl.loggers=[console,wandb]", "sft.report_to=[tensorboard,mlflow]")
    found = scale.scaled(whole, 2, [])
    assert found["rl.loggers"] == ["console"]
    assert found["sft.report_to"] == ["tensorboard"]
    assert found["eval.endpoint"] is None and found["eval.models"] is None


def test_a_filter_of_groups_gets_groups_that_can_differ() -> None:
    found = scale.scaled(recipe("funreason_mt_4b", "algorithm=dapo"), 2, [])
    assert found["rl.samples_per_prompt"] == 4


def test_the_coin_says_different_things_and_keeps_what_the_reward_said(tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(scale.REWARD.format(options={"variant": "binary"}), encoding="utf-8")
    names = runpy.run_path(str(file))
    gold = '{"calls": [], "tools": []}'
    scored = [names["score"]("synth", f"answer {number}", gold, None) for number in range(40)]
    assert {one["score"] for one in scored} == {0.0, 1.0}
    assert all("reason" in one and "format" in one for one in scored)
