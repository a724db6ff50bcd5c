"""The section `rl`."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import model_validator

from ...cluster.settings import Variables
from ...reward.settings import Reward
from ...settings.section import (
    Count,
    CountOrZero,
    ModelName,
    NotNegative,
    OneOf,
    Open,
    Path,
    Positive,
    Section,
    Share,
    ShareAboveZero,
    Text,
    wrong,
)

#: Where metrics can go, with the module that has to be there (verl/utils/tracking.py).
LOGGERS = {
    "console": None,
    "file": None,
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "swanlab": "swanlab",
    "mlflow": "mlflow",
    "clearml": "clearml",
    "trackio": "trackio",
}

Attention = Literal[
    "auto", "varlen", "sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3"
]


class Algorithm(Section):
    """configs/algorithm/grpo.yaml explains each key. The names are verl's (verl/trainer/ppo/core_algos.py:
    agg_loss, kl_penalty_forward) and our own `egpo`."""

    name: Text
    advantage: Literal["grpo", "egpo", "rloo", "gpg", "opo", "reinforce_plus_plus_baseline"]
    normalize_by_std: bool
    clip_low: Share
    clip_high: NotNegative
    kl_loss: NotNegative
    kl_loss_type: Literal["kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3"]
    loss_aggregation: Literal[
        "token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"
    ]
    entropy: NotNegative
    filter_groups: bool
    filter_batches: Count
    filter_then: Literal["stop", "keep"]
    entropy_weight: Positive | None
    entropy_bound: Positive | None

    @model_validator(mode="after")
    def _rules(self) -> Algorithm:
        for key in ("entropy_weight", "entropy_bound"):
            if self.advantage == "egpo" and getattr(self, key) is None:
                raise wrong("EGPO needs a number above 0", "Choose algorithm=egpo, which sets it", [key])
        return self


class Environment(Section):
    """Rollouts in environments."""

    responses_per_turn: Count
    seconds_per_turn: Positive
    spare_prompt_tokens: CountOrZero


class Rollout(Section):
    """The rollout engine."""

    engine: Literal["vllm", "transformers"]
    tensor_parallel: Count
    memory: ShareAboveZero
    sequences: Count
    tokens_per_step: Count
    workers: Count

    @model_validator(mode="after")
    def _rules(self) -> Rollout:
        if self.engine == "transformers" and self.tensor_parallel > 1:
            raise wrong(
                "the engine transformers holds a model on one device",
                "Set it to 1, or rl.rollout.engine=vllm",
                ["tensor_parallel"],
            )
        return self


class Limits(Section):
    """A limit for each figure of `limits.FIGURES`."""

    groups_without_signal: NotNegative | None
    reward_errors: NotNegative | None
    environment_faults: NotNegative | None
    unclosed: NotNegative | None
    over_long: NotNegative | None
    entropy: NotNegative | None
    rollout_difference: NotNegative | None


class Health(Section):
    """When a run warns or ends."""

    patience: Count
    warn: Limits
    stop: Limits


class Device(Section):
    """What a kind of device settles."""

    storage_units: Count
    weights_bucket_mib: Count
    agent_workers: Count
    reproducible: bool
    tokens_per_pass: Count
    attention: Attention
    share_prompts: bool
    gradient_checkpointing: bool
    workers_per_node: CountOrZero
    verl: Open
    env: Variables


class Devices(Section):
    """One for each value of `cluster.device`."""

    cuda: Device
    cpu: Device


class Rl(Section):
    """configs/rl.yaml explains each key."""

    model: ModelName | None
    audit_rows: CountOrZero | None
    train_file: Path | None
    val_file: Path | None
    rollout_mode: Literal["step", "environment"]
    environment: Environment
    steps: Count | None
    epochs: Count
    prompts_per_step: Count
    samples_per_prompt: Annotated[int, Ge(2), Le(2**20)]
    prompts_per_update: Count | None
    max_prompt_tokens: Count | None
    max_response_tokens: Count
    max_model_tokens: Count | None
    learning_rate: Annotated[float, Gt(0), Le(1)]
    warmup_steps: CountOrZero
    schedule: Literal["constant", "cosine"]
    weight_decay: NotNegative
    clip_grad: Positive
    temperature: Positive
    top_p: ShareAboveZero
    reproducible: bool
    trust_rollout_log_probs: bool
    dynamic_batches: bool
    tokens_per_pass: Count
    tokens_per_log_prob_pass: Count
    samples_per_pass: Count
    share_prompts: bool
    attention: Attention
    gradient_checkpointing: bool
    offload_optimizer: bool
    offload_parameters: bool
    fsdp_size: Count | None
    collective_timeout: Count
    rollout: Rollout
    save_every: Count
    keep_checkpoints: Count
    validate_every: CountOrZero
    stop_below_best: Count | None
    loggers: list[Annotated[str, OneOf(tuple(LOGGERS))]]
    keep_rollouts: bool
    keep_tokens: CountOrZero | None
    new_log_probs_every: CountOrZero
    health: Health
    verl: Open
    devices: Devices
    reward: Reward
    reward_function: Text | None
    algorithm: Algorithm

    @model_validator(mode="after")
    def _rules(self) -> Rl:
        if self.stop_below_best and (not self.validate_every or self.validate_every % self.save_every):
            raise wrong(
                "the run may end at any validation, so each needs a checkpoint",
                f"Set rl.validate_every to a multiple of rl.save_every={self.save_every}, or "
                "rl.stop_below_best=null",
                ["stop_below_best"],
            )
        if self.share_prompts and self.attention not in ("auto", "sdpa"):
            raise wrong(
                f"{self.attention} cannot keep the answers to one prompt apart",
                "Set rl.attention=auto or rl.share_prompts=false",
                ["attention"],
            )
        return self
