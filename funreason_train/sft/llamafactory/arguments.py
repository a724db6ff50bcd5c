"""From the configuration to LLaMA-Factory's training arguments. Pure: imports no framework, reads no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cluster.profile import Profile
from ...errors import UserError, refuse
from ...models.attention import VARLEN
from .. import lora
from ..batch import Batch
from . import deepspeed, passthrough
from .installed_keys import unknown_keys

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ...run.paths import RunDir


@dataclass(frozen=True)
class Paths:
    """Where the stage keeps its things; every path is absolute.

    Attributes:
        data: The export (train.json, dataset_info.json).
        checkpoints: LLaMA-Factory's output_dir.
        tokenized: Tokenised rows, one folder for each content.
        deepspeed: DeepSpeed's JSON.
        failures: Notes of training processes that failed.
        metrics: One JSON object a line.
        tensorboard: Event files.
        workers: What a resumed run must have in common with the one it continues.
    """

    data: Path
    checkpoints: Path
    tokenized: Path
    deepspeed: Path
    failures: Path
    metrics: Path
    tensorboard: Path
    workers: Path

    @classmethod
    def of(cls, config: DictConfig, run: RunDir) -> Paths:
        """The paths of this run."""
        return cls(
            data=Path(config.sft.data).expanduser().resolve() if config.sft.data else run.data / "sft",
            checkpoints=run.sft / "checkpoints",
            tokenized=run.sft / "tokenized",
            deepspeed=run.sft / "deepspeed.json",
            failures=run.sft / "failures",
            metrics=run.sft / "metrics.jsonl",
            tensorboard=run.sft / "tensorboard",
            workers=_record(run.sft),
        )


def _record(sft: Path) -> Path:
    """Where the record of the workers is; runs made before it had this name have another file."""
    before = sft / "gang.json"
    return before if before.is_file() else sft / "workers.json"


def workers_of(cluster: DictConfig | Mapping[str, Any]) -> int:
    """How many training processes the profile runs: one for each GPU, or as many as it says."""
    if cluster["sft"]["workers"] is not None:
        return int(cluster["sft"]["workers"])
    return max(1, Profile.of(cluster).gpus)


def batch_of(config: DictConfig) -> Batch:
    """The batch of this configuration."""
    return Batch.divide(config.sft.global_batch, config.sft.per_device_batch, workers_of(config.cluster))


def grouped_by_length(config: DictConfig) -> bool:
    """Whether the rows of a pass are of similar length: as set, or where a step has passes enough to mix."""
    sft = config.sft
    chosen = batch_of(config).mixes if sft.group_by_length is None else sft.group_by_length
    return bool(chosen) and not sft.packing


def tree_of(config: DictConfig) -> dict[str, Any] | None:
    """The limits of trees as `tokens.trees.write` takes them; None if rows stay apart."""
    sft = config.sft
    return {"most": sft.tree_tokens, "packed": sft.packing} if sft.tree else None


def objective_of(config: DictConfig) -> dict[str, Any]:
    """What a training process has to know of the loss: `tree`, `alpha` (None: plain), `learned`, `rate`."""
    sft = config.sft
    return {
        "tree": sft.tree,
        "alpha": sft.balance.alpha if sft.loss == "balance" else None,
        "learned": sft.balance.learned,
        "rate": sft.balance.learning_rate,
    }


def compose(config: DictConfig, paths: Paths) -> dict[str, Any]:
    """The arguments of the training run, before what depends on the data (`tokenized_path`, `cutoff_len`).

    Raises:
        UserError: naming every problem at once.
    """
    refuse(argument_problems(config))
    return _compose(config, paths)


def argument_problems(config: DictConfig) -> list[str]:
    """Everything wrong with the SFT settings that can be found without reading data."""
    sft = config.sft
    problems = []
    try:
        batch_of(config)
    except UserError as error:
        problems.append(str(error))
    if sft.deepspeed and (text := deepspeed.missing(sft.deepspeed)):
        problems.append(text)
    if sft.liger and config.cluster.device == "cpu":
        problems.append("sft.liger: Liger's kernels need a GPU. Set sft.liger=false")
    problems += passthrough.problems(sft.llamafactory)
    problems += passthrough.objective_problems(sft.llamafactory, sft.tree, sft.loss)
    if not problems:
        problems += unknown_keys(_compose(config, Paths.of(config, _NOWHERE)))
    return problems


class _Nowhere:
    """A run directory that is only asked for names."""

    data = sft = Path("/")


_NOWHERE: Any = _Nowhere()


def _compose(config: DictConfig, paths: Paths) -> dict[str, Any]:
    from omegaconf import OmegaConf

    sft, device, batch = config.sft, config.cluster.device, batch_of(config)
    arguments: dict[str, Any] = {
        "stage": "sft",
        "do_train": True,
        **lora.arguments(sft),
        "model_name_or_path": sft.model,
        "trust_remote_code": False,
        # varlen is put in by the training process (worker.py), which also decides what auto means there.
        "flash_attn": "sdpa" if sft.attention == VARLEN else sft.attention,
        "enable_liger_kernel": sft.liger,
        "disable_gradient_checkpointing": not sft.gradient_checkpointing,
        "dataset": sft.dataset,
        "dataset_dir": str(paths.data),
        # The rows come as tokens (tokenise.py); this template changes neither them nor the tokenizer.
        "template": "empty",
        # Trees are packed by tokenise.py, and are no rows side by side.
        "packing": sft.packing and not sft.tree,
        "neat_packing": sft.packing and not sft.tree,
        "output_dir": str(paths.checkpoints),
        "per_device_train_batch_size": batch.per_device,
        "gradient_accumulation_steps": batch.accumulate,
        "learning_rate": sft.learning_rate,
        # A float below 1 is a share of all steps (transformers 5; warmup_ratio is deprecated).
        "warmup_steps": float(sft.warmup_ratio),
        "lr_scheduler_type": sft.schedule,
        "weight_decay": sft.weight_decay,
        "adam_beta2": sft.adam_beta2,
        "max_grad_norm": sft.max_grad_norm,
        "seed": sft.seed,
        "bf16": sft.precision == "bf16",
        "dataloader_num_workers": sft.dataloader_workers,
        "dataloader_pin_memory": device == "cuda",
        "ddp_timeout": sft.collective_timeout,
        # Every weight is used in every pass; looking for unused ones walks the graph once more.
        "ddp_find_unused_parameters": False,
        "logging_steps": sft.logging_steps,
        "logging_first_step": True,
        # Packed rows are numbered in the attention mask, which transformers would add up as tokens.
        "include_num_input_tokens_seen": "all" if sft.packing or sft.tree else "non_padding",
        "report_to": list(sft.report_to) or ["none"],
        "disable_tqdm": True,
    }
    if sft.cutoff_len is not None:
        arguments["cutoff_len"] = sft.cutoff_len
    if grouped_by_length(config):
        arguments["train_sampling_strategy"] = "group_by_length"
    if sft.max_steps is not None:
        arguments["max_steps"] = sft.max_steps
    else:
        arguments["num_train_epochs"] = float(sft.epochs)
    if sft.eval_steps is not None:
        arguments |= {
            "eval_dataset": sft.eval_dataset,
            "eval_strategy": "steps",
            "eval_steps": sft.eval_steps,
            "per_device_eval_batch_size": sft.per_device_eval_batch,
        }
    if sft.save_steps is None:
        arguments["save_strategy"] = "no"
    else:
        arguments |= {
            "save_strategy": "steps",
            "save_steps": sft.save_steps,
            "save_total_limit": sft.save_total_limit,
        }
    if sft.deepspeed:
        named = sft.deepspeed in deepspeed.STAGES
        arguments["deepspeed"] = str(paths.deepspeed if named else Path(sft.deepspeed).resolve())
    elif device == "cpu":
        # DeepSpeed brings its own notion of the CPU (DS_ACCELERATOR) and does not want this key beside it.
        arguments["use_cpu"] = True
    extra = OmegaConf.to_container(sft.llamafactory, resolve=True)
    assert isinstance(extra, dict)
    return {**arguments, **{str(key): value for key, value in extra.items()}}
