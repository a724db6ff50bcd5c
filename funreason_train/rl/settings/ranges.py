"""What each setting under `rl` may be, taken by itself; what settings mean together is in `validate`."""

from __future__ import annotations

import difflib
import importlib.util
from typing import TYPE_CHECKING, Any

from ...settings.kinds import misfit

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Whole numbers and their least value; a name ending in "?" may also be null.
_WHOLE = {
    "audit_rows?": 0,
    "steps?": 1,
    "epochs": 1,
    "prompts_per_step": 1,
    "samples_per_prompt": 1,
    "prompts_per_update?": 1,
    "max_prompt_tokens?": 1,
    "max_response_tokens": 1,
    "max_model_tokens?": 1,
    "warmup_steps": 0,
    "tokens_per_pass": 1,
    "tokens_per_log_prob_pass": 1,
    "samples_per_pass": 1,
    "rollout.tensor_parallel": 1,
    "rollout.sequences": 1,
    "rollout.tokens_per_step": 1,
    "rollout.workers": 1,
    "save_every": 1,
    "keep_checkpoints": 1,
    "validate_every": 0,
    "algorithm.filter_batches": 1,
    "environment.responses_per_turn": 1,
    "environment.spare_prompt_tokens": 0,
}
#: Numbers with the interval they lie in.
_NUMBERS = {
    "learning_rate": "above 0",
    "weight_decay": "0 or more",
    "clip_grad": "above 0",
    "temperature": "above 0",
    "top_p": "above 0, at most 1",
    "rollout.memory": "above 0, at most 1",
    "algorithm.clip_low": "0 or more, at most 1",
    "algorithm.clip_high": "0 or more",
    "algorithm.kl_loss": "0 or more",
    "algorithm.entropy": "0 or more",
    "environment.seconds_per_turn": "above 0",
}
_INSIDE = {
    "above 0": lambda value: value > 0,
    "0 or more": lambda value: value >= 0,
    "above 0, at most 1": lambda value: 0 < value <= 1,
    "0 or more, at most 1": lambda value: 0 <= value <= 1,
}
_SWITCHES = (
    "trust_rollout_log_probs",
    "dynamic_batches",
    "share_prompts",
    "gradient_checkpointing",
    "offload_optimizer",
    "offload_parameters",
    "keep_rollouts",
    "reproducible",
    "algorithm.normalize_by_std",
    "algorithm.filter_groups",
)
#: Names that verl takes (core_algos.py: agg_loss, kl_penalty_forward; workers/config/optimizer.py), and ours.
_CHOICES = {
    "rollout_mode": ("step", "environment"),
    "schedule": ("constant", "cosine"),
    "attention": (
        "auto",
        "varlen",
        "sdpa",
        "eager",
        "flex_attention",
        "flash_attention_2",
        "flash_attention_3",
    ),
    "algorithm.advantage": ("grpo", "egpo", "rloo", "gpg", "opo", "reinforce_plus_plus_baseline"),
    "algorithm.loss_aggregation": (
        "token-mean",
        "seq-mean-token-sum",
        "seq-mean-token-mean",
        "seq-mean-token-sum-norm",
    ),
    "algorithm.kl_loss_type": ("kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3"),
}
#: Where metrics can go, with the module that has to be there (verl/utils/tracking.py).
_LOGGERS = {
    "console": None,
    "file": None,
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "swanlab": "swanlab",
    "mlflow": "mlflow",
    "clearml": "clearml",
    "trackio": "trackio",
}


#: What holds keys of its own, the outer ones first, and what is a list.
_NODES = ("environment", "rollout", "algorithm", "reward", "verl", "health", "health.warn", "health.stop")
_LISTS = ("loggers",)


def shapes(rl: DictConfig) -> list[str]:
    """Every part that is no node or no list where one is needed; nothing inside of it can be looked at."""
    found: dict[str, str] = {}
    for key in (*_NODES, *_LISTS):
        if key.rpartition(".")[0] in found:
            continue
        shipped: Any = [] if key in _LISTS else {}
        value = _value(rl, key)
        if value is None:
            found[key] = (
                f"rl.{key}=null: a {'list' if key in _LISTS else 'node with keys of its own'} is needed"
            )
        elif problem := misfit(f"rl.{key}", shipped, value):
            found[key] = problem
    return list(found.values())


def problems(rl: DictConfig) -> list[str]:
    """Every setting that cannot be what it is, one sentence each."""
    return [*_whole(rl), *_numbers(rl), *_switches(rl), *_choices(rl), *_loggers(rl)]


def _value(rl: DictConfig, key: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.select(rl, key)


def _whole(rl: DictConfig) -> list[str]:
    found = []
    for entry, least in _WHOLE.items():
        key, optional = entry.removesuffix("?"), entry.endswith("?")
        value = _value(rl, key)
        if value is None and optional:
            continue
        if type(value) is not int or value < least:
            null = " or null" if optional else ""
            why = f" ({_WHY[key]})" if key in _WHY and type(value) is int else ""
            found.append(f"rl.{key}={value}: a whole number from {least} on{null} is needed{why}")
    return found


#: Why the least value is the least, where it is not plain.
_WHY = {
    "steps": "at least one step has to be trained",
    "save_every": "a run that never saves cannot be exported",
    "keep_checkpoints": "at least the latest checkpoint has to stay",
}


def _numbers(rl: DictConfig) -> list[str]:
    found = []
    for key, interval in _NUMBERS.items():
        value = _value(rl, key)
        # bool is an int to Python; nan is inside of no interval.
        if type(value) not in (int, float) or not _INSIDE[interval](value) or value == float("inf"):
            found.append(f"rl.{key}={value}: a number {interval} is needed")
    return found


def _switches(rl: DictConfig) -> list[str]:
    return [
        f"rl.{key}={value}: true or false is needed"
        for key in _SWITCHES
        if not isinstance(value := _value(rl, key), bool)
    ]


def _choices(rl: DictConfig) -> list[str]:
    found = []
    for key, names in _CHOICES.items():
        value = _value(rl, key)
        if value not in names:
            found.append(f"rl.{key}={value}: {_hint(value, names)}")
    return found


def _loggers(rl: DictConfig) -> list[str]:
    found = []
    for name in rl.loggers or ():
        if name not in _LOGGERS:
            found.append(f"rl.loggers: {name}: {_hint(name, _LOGGERS)}")
        elif (module := _LOGGERS[name]) is not None and importlib.util.find_spec(module) is None:
            found.append(f"rl.loggers: {name}: its package is not installed; pip install {module}")
    return found


def _hint(value: Any, names: Any) -> str:
    near = difflib.get_close_matches(str(value), names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
