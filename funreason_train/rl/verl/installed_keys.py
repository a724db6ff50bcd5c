"""What the installed verl knows: its composed configuration and the keys each part of it takes.

Nothing here imports verl or torch; its files are read where `importlib` finds them.
"""

from __future__ import annotations

import ast
import copy
import difflib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...settings.describe import shown

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Nodes handed on as they are, to vLLM, to transformers or to the reward.
FREE = (
    "actor_rollout_ref.rollout.engine_kwargs",
    "actor_rollout_ref.model.override_config",
    "actor_rollout_ref.actor.optim.override_optimizer_config",
    "actor_rollout_ref.actor.fsdp_config.mixed_precision",
    "actor_rollout_ref.ref.fsdp_config.mixed_precision",
    "reward.custom_reward_function.reward_kwargs",
    "data.apply_chat_template_kwargs",
    "ray_kwargs.ray_init",
    "trainer.v1.sampler.sampler_kwargs",
)
#: Keys that verl reads with `.get()` though neither its YAML nor a dataclass names them, with the place.
UNLISTED = (
    "reward.custom_reward_function.reward_kwargs",  # verl/trainer/ppo/reward.py, get_custom_reward_fn
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",  # verl/trainer/main_ppo.py
)


#: Where verl has one of these, a text or a list cannot be meant; a number may stand for a boolean.
_PLAIN: Mapping[type, str] = {bool: "true or false", int: "a number", float: "a number"}


@cache
def verl_folder() -> Path:
    """Where the installed verl lies.

    Raises:
        UserError: if verl is not installed.
    """
    spec = importlib.util.find_spec("verl")
    if spec is None or spec.origin is None:
        raise UserError(
            "verl is not installed in this environment",
            fix="Install the lock of this machine's device: uv pip sync requirements/cpu.lock (or gpu.lock)",
        )
    return Path(spec.origin).parent


def defaults() -> DictConfig:
    """verl's own `ppo_trainer` configuration: every default, unresolved, in struct mode; a fresh copy."""
    return copy.deepcopy(_composed())


@cache
def _composed() -> DictConfig:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(verl_folder() / "trainer" / "config"), version_base=None):
        return compose("ppo_trainer")


def unknown_keys(config: DictConfig, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each key of `values` that the installed verl does not take, or not in this shape.

    Args:
        config: `defaults()`.
        values: Nested settings that are to be merged into it.
    """
    problems = []
    for key in _new_keys(config, values):
        known = [name for name in _takes(config, key) if name not in ("_target_", "")]
        near = difflib.get_close_matches(key.split(".")[-1], known, n=1, cutoff=0.5)
        parent = key.rpartition(".")[0]
        place = f"{parent}." if parent else ""
        hint = (
            f"; did you mean '{place}{near[0]}'?"
            if near
            else f" (there are: {', '.join(sorted(known)[:12])}, …)"
        )
        problems.append(f"the installed verl has no setting '{key}'{hint}")
    shapes = (
        f"the installed verl has {what} at '{key}', which cannot be {shown(value)}"
        for key, value, what in _misshapen(config, values)
    )
    return [*problems, *shapes]


def _misshapen(
    config: DictConfig, values: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, str]]:
    """What `values` have in place of a group, a number or a boolean of the configuration, and which it is."""
    from omegaconf import DictConfig

    for name, value in values.items():
        child: Any = config._get_node(name) if name in config.keys() else None  # noqa: SIM118 (`in` hides null)
        key = f"{prefix}{name}"
        if child is None or child._is_none() or key in (*FREE, *UNLISTED):
            continue
        if not isinstance(child, DictConfig):
            default = child._value()
            if type(default) in _PLAIN and not isinstance(value, int | float | None):
                yield key, value, _PLAIN[type(default)]
        elif isinstance(value, Mapping):
            yield from _misshapen(child, value, f"{key}.")
        else:
            yield key, value, "a group of settings"


def _new_keys(config: Any, values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The topmost keys of `values` that neither the configuration nor its dataclasses know."""
    from omegaconf import DictConfig

    for name, value in values.items():
        key = f"{prefix}{name}"
        if key in UNLISTED or any(key == node or key.startswith(f"{node}.") for node in FREE):
            continue
        if not isinstance(config, DictConfig) or name not in config.keys():  # noqa: SIM118 (`in` hides null)
            target = (
                config._get_node("_target_", validate_access=False)
                if isinstance(config, DictConfig)
                else None
            )
            if target is None or name not in _fields(str(target._value())):
                yield key
            continue
        child = config._get_node(name)
        if isinstance(value, Mapping) and isinstance(child, DictConfig) and not child._is_none():
            yield from _new_keys(child, value, f"{key}.")


def _takes(config: DictConfig, key: str) -> list[str]:
    """The names that may stand where `key` stands."""
    node: Any = config
    for part in key.split(".")[:-1]:
        node = node._get_node(part)
    target = node._get_node("_target_", validate_access=False)
    return [*map(str, node.keys()), *(_fields(str(target._value())) if target is not None else ())]


@cache
def _fields(target: str) -> tuple[str, ...]:
    """The fields of one of verl's dataclasses, its bases included, read from the source.

    verl builds its settings from these classes; they take keys that its YAML files leave out.
    """
    package, _, name = target.rpartition(".")
    folder = verl_folder().parent / Path(*package.split("."))
    files = sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    for file in files:
        if not file.is_file():
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name == name:
                own = [
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                ]
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                return (*own, *(field for base in bases for field in _fields(f"{package}.{base}")))
    return ()
