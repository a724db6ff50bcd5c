"""What LLaMA-Factory is told, for a laptop and for 4x8 H20, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir
from funreason_train.settings import check
from funreason_train.settings.compose import compose as compose_tree
from funreason_train.settings.resolve import resolve
from funreason_train.sft import stage
from funreason_train.sft.batch import Batch
from funreason_train.sft.llamafactory.arguments import Paths, argument_problems, compose
from funreason_train.sft.llamafactory.deepspeed import deepspeed_config
from funreason_train.sft.llamafactory.installed_keys import known_keys, unknown_keys
from funreason_train.sft.settings import SCHEDULES

RUN = Path("/runs/one")


def tree(*words: str) -> DictConfig:
    return resolve(compose_tree("sft", [f"run_dir={RUN}", "model=/models/qwen", *words]), "sft")


def arguments(*words: str) -> dict[str, Any]:
    config = tree(*words)
    return compose(config, Paths.of(config, RunDir.at(RUN)))


CPU = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "full",
    "model_name_or_path": "/models/qwen",
    "trust_remote_code": False,
    "flash_attn": "sdpa",
    "enable_liger_kernel": False,
    "disable_gradient_checkpointing": True,
    "dataset": "train",
    "dataset_dir": "/runs/one/data/sft",
    "template": "empty",
    "packing": False,
    "neat_packing": False,
    "output_dir": "/runs/one/sft/checkpoints",
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "learning_rate": 4e-5,
    "warmup_steps": 0.05,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.0,
    "adam_beta2": 0.999,
    "max_grad_norm": 1.0,
    "seed": 0,
    "bf16": False,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
    "ddp_timeout": 3600,
    "ddp_find_unused_parameters": False,
    "logging_steps": 10,
    "logging_first_step": True,
    "include_num_input_tokens_seen": "non_padding",
    "report_to": ["tensorboard"],
    "disable_tqdm": True,
    "num_train_epochs": 3.0,
    "save_strategy": "steps",
    "save_steps": 200,
    "save_total_limit": 2,
    "use_cpu": True,
}


def test_a_laptop_gets_exactly_this() -> None:
    assert arguments() == CPU


@pytest.mark.parametrize(
    ("words", "grouped"),
    [
        ((), False),
        (("sft.global_batch=64", "sft.per_device_batch=8"), True),
        (("sft.global_batch=56", "sft.per_device_batch=8"), False),
        (("sft.global_batch=64", "sft.per_device_batch=8", "sft.group_by_length=false"), False),
        (("sft.group_by_length=true",), True),
        (("sft.group_by_length=true", "sft.packing=true", "sft.cutoff_len=64"), False),
    ],
)
def test_rows_are_grouped_by_length_where_a_step_still_mixes_them(
    words: tuple[str, ...], grouped: bool
) -> None:
    assert (arguments(*words).get("train_sampling_strategy") == "group_by_length") is grouped


def test_the_cluster_differs_from_the_laptop_only_in_what_the_device_decides() -> None:
    h20 = arguments("cluster=h20x32")
    different = {key for key in CPU.keys() | h20.keys() if CPU.get(key) != h20.get(key)}
    assert {key: h20.get(key) for key in different} == {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
        "bf16": True,
        "flash_attn": "auto",
        "enable_liger_kernel": True,
        "disable_gradient_checkpointing": False,
        "dataloader_pin_memory": True,
        "deepspeed": "/runs/one/sft/deepspeed.json",
        "use_cpu": None,
    }


def test_the_batch_of_the_cluster_is_spread_over_32_processes() -> None:
    config = tree("cluster=h20x32", "global_batch=512")
    plan = stage.plan(config, RunDir.at(RUN))
    assert plan["workers"] == 32
    assert plan["batch"] == {"rows": 512, "per_device": 1, "accumulate": 16}
    assert plan["deepspeed"]["zero_optimization"]["stage"] == 2
    zero3 = stage.plan(tree("cluster=h20x32", "deepspeed=zero3"), RunDir.at(RUN))["deepspeed"]
    assert zero3["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"]
    for settings in (plan["deepspeed"], zero3):  # gradients are added up and reduced in fp32
        assert settings["data_types"] == {"grad_accum_dtype": "fp32"}
        assert settings["communication_data_type"] == "fp32"


def test_deepspeed_on_cpu_does_not_meet_use_cpu() -> None:
    words = ("deepspeed=zero3", "cluster.sft.workers=2", "per_device_batch=8")
    assert "use_cpu" not in arguments(*words)
    plan = stage.plan(tree(*words), RunDir.at(RUN))
    assert plan["deepspeed"]["zero_optimization"]["overlap_comm"] is False


def test_options_reach_their_arguments() -> None:
    given = arguments(
        "max_steps=7", "packing=true", "cutoff_len=4096", "eval_steps=5", "save_steps=null", "seed=3",
        "+sft.llamafactory.neftune_noise_alpha=5", "sft.llamafactory.adam_epsilon=1e-6",
    )  # fmt: skip
    expected = {
        "max_steps": 7, "packing": True, "neat_packing": True, "cutoff_len": 4096, "eval_dataset": "val",
        "eval_strategy": "steps", "eval_steps": 5, "save_strategy": "no", "seed": 3, "neftune_noise_alpha": 5,
        "adam_epsilon": 1e-6,
    }  # fmt: skip
    assert {key: given.get(key) for key in expected} == expected
    assert "num_train_epochs" not in given
    assert "train_sampling_strategy" not in given


def test_every_mistake_is_named_at_once_with_the_nearest_known_key() -> None:
    config = tree(
        "global_batch=10", "per_device_batch=4", "deepspeed=zero9.json",
        "sft.llamafactory.learning_rte=1", "sft.llamafactory.neftune_nois_alpha=5",
    )  # fmt: skip
    text = "\n".join(argument_problems(config))
    for part in (
        "sft.global_batch",
        "zero9.json",
        "neftune_noise_alpha?",
        "learning_rate?",
    ):
        assert part in text
    with pytest.raises(UserError, match="zero9"):
        compose(config, Paths.of(config, RunDir.at(RUN)))


def test_keys_that_the_stage_owns_cannot_be_set_behind_its_back() -> None:
    problems = argument_problems(
        tree("sft.llamafactory.output_dir=/tmp", "sft.llamafactory.trust_remote_code=true")
    )
    assert len(problems) == 2
    assert "set run_dir instead" in problems[0]


def test_the_known_keys_are_those_that_llamafactory_parses() -> None:
    """pitfall verl#1080: keys that no longer exist; the list is read from the installed source."""
    keys = known_keys()
    assert {"model_name_or_path", "mask_history", "finetuning_type", "learning_rate", "deepspeed"} <= keys
    assert {"predict_with_generate", "overwrite_output_dir", "enable_torch_profiler", "fp8"} <= keys
    assert "evaluation_strategy" not in keys  # removed from transformers
    assert unknown_keys(["evaluation_strategy"])[0].endswith("did you mean eval_strategy?")


@pytest.mark.parametrize("name", ["fa3", "flash", "flash_attention_2"])
def test_attention_that_the_workers_would_refuse_is_refused_here(name: str) -> None:
    (problem,) = check.problems(tree(f"attention={name}")).values()
    assert f"sft.attention={name}: must be one of auto, varlen, fa2, sdpa, disabled" in str(problem)


def test_a_schedule_that_does_not_exist_is_refused_before_a_row_is_read() -> None:
    (problem,) = check.problems(tree("schedule=nope")).values()
    assert "sft.schedule=nope: must be one of linear, cosine" in str(problem)
    transformers = pytest.importorskip("transformers.trainer_utils")
    assert set(SCHEDULES) <= {one.value for one in transformers.SchedulerType}


def test_deepspeed_reads_our_keys_of_gradients() -> None:
    """Keys that it does not know are passed over in silence, so its own reader is asked."""
    config = pytest.importorskip("deepspeed.runtime.config")
    ours = deepspeed_config("zero2", "cuda")
    assert str(config.get_communication_data_type(ours)) == "torch.float32"
    assert set(ours["data_types"]) == {config.GRAD_ACCUM_DTYPE}


def test_liger_is_refused_on_a_cpu() -> None:
    assert argument_problems(tree("liger=true")) == [
        "sft.liger: Liger's kernels need a GPU. Set sft.liger=false"
    ]


@pytest.mark.parametrize(
    ("rows", "per_device", "workers", "accumulate"), [(512, 1, 32, 16), (16, 16, 1, 1), (64, 4, 2, 8)]
)
def test_batches_that_divide(rows: int, per_device: int, workers: int, accumulate: int) -> None:
    batch = Batch.divide(rows, per_device, workers)
    assert (batch.accumulate, batch.rows) == (accumulate, rows)


def test_a_batch_that_does_not_divide_says_how_to_fix_it() -> None:
    """pitfall verl#1191: divisibility asserts minutes after start-up."""
    with pytest.raises(UserError) as caught:
        Batch.divide(500, 4, 32)
    text = str(caught.value)
    assert "multiple of 128" in text
    assert "384 or 512" in text
    with pytest.raises(UserError, match="per_device_batch to 3"):
        Batch.divide(6, 4, 2)
    with pytest.raises(UserError, match="per_device_batch"):
        Batch.divide(6, 0, 2)


def test_steps_count_partial_batches() -> None:
    assert Batch(4, 2, 2).steps(sequences=33, epochs=1) == 3  # 5 passes of 8 rows, 2 passes a step
    assert Batch(16, 1, 1).steps(sequences=100, epochs=0.5) == 4


@pytest.mark.parametrize(
    ("words", "key", "fix"),
    [
        (("packing=true",), "sft.packing", "Set sft.tree_tokens above the longest row"),
        (("attention=fa2",), "sft.attention", "Set sft.attention=auto or sft.tree=false"),
        (("tree_tokens=100", "cutoff_len=200"), "sft.tree_tokens", "Set sft.tree_tokens to at least 200"),
    ],
)
def test_settings_that_do_not_go_with_trees_are_refused(words: tuple[str, ...], key: str, fix: str) -> None:
    found = check.problems(tree("tree=true", *words))
    assert list(found) == [key] and str(found[key].fix).startswith(fix)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("tree=true", "llamafactory={neftune_noise_alpha: 5}"),
            "neftune_noise_alpha does not go with sft.tree",
        ),
        (("loss=balance", "llamafactory={use_dft_loss: true}"), "use_dft_loss does not go with sft.loss"),
        (("loss=balance", "llamafactory={average_tokens_across_devices: false}"), "over the global batch"),
        (("loss=balance", "llamafactory={use_dft_loss: false}"), None),
        (("llamafactory={neftune_noise_alpha: 5}",), None),
    ],
)
def test_another_loss_beside_trees_or_balance_is_refused(words: tuple[str, ...], says: str | None) -> None:
    found = argument_problems(tree(*words))
    assert len(found) == (says is not None) and (says or "") in "".join(found)
