"""The section `sft`."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from ..settings.section import (
    Count,
    CountOrZero,
    ModelName,
    NotNegative,
    OneOf,
    Open,
    Path,
    Positive,
    Says,
    Section,
    Seed,
    Share,
    ShareAboveZero,
    ShareBelowOne,
    Text,
    wrong,
)
from .llamafactory.deepspeed import STAGES

#: transformers' schedules (SchedulerType), without those that follow a metric.
SCHEDULES = (
    *("linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"),
    *("cosine_with_restarts", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay"),
)
#: transformers' integrations.
TRACKERS = (
    *("tensorboard", "wandb", "swanlab", "mlflow", "azure_ml", "clearml", "codecarbon", "comet_ml"),
    *("dagshub", "dvclive", "flyte", "kubeflow", "neptune", "trackio"),
)


def _deepspeed(value: str) -> str:
    if value not in STAGES and not value.endswith(".json"):
        raise PydanticCustomError("deepspeed", "unknown")
    return value


class Lora(Section):
    """With finetuning_type=lora."""

    rank: Annotated[int, Ge(1), Le(4096)]
    alpha: Positive | None
    dropout: ShareBelowOne
    target: Literal["all"] | Annotated[list[Text], MinLen(1)]


class Balance(Section):
    """With loss=balance."""

    alpha: Share
    learned: bool
    learning_rate: Annotated[float, Gt(0), Le(1)] | None


class Evaluate(Section):
    """Tasks that are played while it trains."""

    every: Count | None
    benchmark: Literal["heldout", "bfcl"]
    tasks: Path | None
    categories: Annotated[list[Text], MinLen(1)]
    limit: Count | None
    max_model_tokens: Annotated[int, Ge(4), Le(2**31)]
    seconds: Positive
    pause: bool
    gpu_memory: ShareAboveZero
    stop_below_best: Count | None
    keep: Literal["last", "best"]


class Sft(Section):
    """configs/sft.yaml explains each key."""

    model: ModelName | None
    data: Path | None
    dataset: Text
    eval_dataset: Text
    finetuning_type: Literal["full", "lora"]
    tokenise_only: bool
    lora: Lora
    cutoff_len: Count | None
    packing: bool
    tree: bool
    tree_tokens: Count | None
    group_by_length: bool | None
    lean_forward: bool
    loss: Literal["plain", "balance"]
    balance: Balance
    epochs: Positive | None
    max_steps: Count | None
    global_batch: Count
    per_device_batch: Count
    learning_rate: Annotated[float, Gt(0), Le(1)]
    warmup_ratio: ShareBelowOne
    schedule: Annotated[str, OneOf(SCHEDULES)]
    weight_decay: NotNegative
    adam_beta2: ShareBelowOne
    max_grad_norm: NotNegative
    seed: Seed
    precision: Literal["fp32", "bf16"]
    # LLaMA-Factory lists fa3 as well and then refuses it in every process.
    attention: Literal["auto", "varlen", "fa2", "sdpa", "disabled"]
    gradient_checkpointing: bool
    liger: bool
    deepspeed: Annotated[str, AfterValidator(_deepspeed), Says("zero2, zero3 or FILE.json")] | None
    logging_steps: Count
    report_to: list[Annotated[str, OneOf(TRACKERS)]]
    eval_steps: Count | None
    per_device_eval_batch: Count
    evaluate: Evaluate
    save_steps: Count | None
    save_total_limit: Count
    preprocessing_workers: Annotated[int, Ge(1), Le(1024)] | None
    dataloader_workers: Annotated[int, Ge(0), Le(1024)]
    max_failures: CountOrZero
    collective_timeout: Count
    llamafactory: Open

    @model_validator(mode="after")
    def _rules(self) -> Sft:
        if self.tree and self.packing and not self.tree_tokens:
            raise wrong(
                "packing needs the length of a sequence",
                "Set sft.tree_tokens above the longest row",
                ["packing"],
            )
        if self.tree and self.attention not in ("auto", "sdpa"):
            raise wrong(
                f"{self.attention} cannot keep the branches of a tree apart",
                "Set sft.attention=auto or sft.tree=false",
                ["attention"],
            )
        if self.tree and self.tree_tokens and self.cutoff_len and self.tree_tokens < self.cutoff_len:
            raise wrong(
                f"a row of sft.cutoff_len={self.cutoff_len} tokens would not fit into one sequence",
                f"Set sft.tree_tokens to at least {self.cutoff_len}, or sft.cutoff_len to the longest row",
                ["tree_tokens"],
            )
        if self.packing and not self.tree and not self.cutoff_len:
            raise wrong(
                "packing needs the length of a sequence",
                "Set sft.cutoff_len above the longest row",
                ["packing"],
            )
        if self.max_steps is None and self.epochs is None:
            raise wrong("nothing would be trained", "Set sft.epochs or sft.max_steps", ["epochs"])
        self._evaluation()
        return self

    def _evaluation(self) -> None:
        ours, steps = self.evaluate, self.save_steps
        if ours.every is None:
            asked = "keep=best" if ours.keep == "best" else "stop_below_best" * bool(ours.stop_below_best)
            if asked:
                raise wrong(
                    f"needs scores, and none are asked for (sft.evaluate.{asked})",
                    f"Set sft.evaluate.every={steps or 200}",
                    ["evaluate.every"],
                )
        elif steps is None or ours.every % steps:
            near = 200 if steps is None else -(-ours.every // steps) * steps
            saved = "none is" if steps is None else f"one is every {steps} steps"
            raise wrong(
                f"what is played is a checkpoint, and {saved} saved",
                f"Set sft.save_steps={ours.every}" + f", or sft.evaluate.every={near}" * (steps is not None),
                ["evaluate.every"],
            )
