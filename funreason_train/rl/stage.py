"""The RL stage: verl GRPO in this process, on Ray, from whatever checkpoint the run directory holds.

funreason-train rl run_dir=DIR
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster.demand import Demand
from ..environments import load_environments, module_files
from ..errors import UserError, refuse
from ..models.attention import FLASH
from ..models.best import falls
from ..models.frameworks.known import listed_by_vllm, must_know, must_serve
from ..parity import gate
from ..reward.own import OwnReward
from ..run.files import read_lines, write_text
from ..run.paths import RunDir
from ..run.process import call_in_process
from ..run.stage import Decides, Plan, Stage, model_files
from ..run.stop import STOPPED, Stopped
from . import checkpoints
from .best import scores
from .settings import prompts
from .settings.brief import lines as brief_lines
from .settings.cost import cost
from .settings.validate import problems
from .verl import session
from .verl.compose import (
    AGENT_LOOPS,
    agent_loops,
    compose,
    in_environments,
    plain,
    target_steps,
    unknown_keys,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that shows before verl starts, except what an earlier stage has yet to make."""
    awaited = not config.rl.train_file and not (run.data / "rl").exists()
    return _problems(config, run, awaited)


def _problems(config: DictConfig, run: RunDir, awaited: bool) -> list[str]:
    """One sentence a problem; with `awaited`, data and model of earlier stages are not missed."""
    try:
        train, val = _prompts(config, run)
    except UserError as error:
        return [str(error)]
    found = problems(config, run, train, val, awaited)
    try:
        found += unknown_keys(config, run, train, val)
    except UserError as error:
        found.append(str(error))
    return found


def _packages(config: DictConfig) -> list[str]:
    """What is asked for and not installed; told only on the machine that is to run it."""
    package = {FLASH: "flash_attn", "flash_attention_3": "flash_attn_interface"}.get(config.rl.attention)
    if package is None or importlib.util.find_spec(package):
        return []
    return [
        f"rl.attention={config.rl.attention} needs the package {package}, which is not installed here; "
        "install one built for this torch and CUDA, or set rl.attention=sdpa"
    ]


def plan(config: DictConfig, run: RunDir) -> DictConfig:
    """The full verl configuration that `run` would use."""
    return compose(config, run, *_prompts(config, run))


def brief(config: DictConfig, run: RunDir) -> list[str]:
    """What the run comes to, in a few lines."""
    return brief_lines(config, *_prompts(config, run))


def _plan(config: DictConfig, run: RunDir) -> Plan:
    found = _prompts(config, run)
    return Plan(brief_lines(config, *found), {"rl.yaml": compose(config, run, *found)}, cost(config, *found))


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Trains up to the target step, continuing from the latest whole checkpoint.

    Args:
        config: The project's configuration with `rl.model` filled in.
        run: The run directory; everything is written below `run.rl`.

    Returns:
        `steps`, `resumed_from`, `checkpoint`, `best` (`step` and `score` of the best validated checkpoint, or
        None) and the latest step's `reward` and `groups_without_signal`.

    Raises:
        UserError: for everything that the user can fix, before the cluster is touched.
        RuntimeError: if verl ended before the target step (verl#7401: it may do so with exit code 0).
    """
    # Before anything imports numpy, torch or Ray: they read it once.
    environment = session.environment(config, run)
    os.environ.update(environment)
    refuse([*_problems(config, run, awaited=False), *_packages(config)])
    train, val = _prompts(config, run)
    target = target_steps(config, train)
    run.rl_checkpoints.mkdir(parents=True, exist_ok=True)
    start = checkpoints.settle(run.rl_checkpoints)
    metrics = run.rl / "metrics.jsonl"
    _forget_after(metrics, start)
    if start > target:
        raise UserError(
            f"the run has trained {start} steps already, which is more than the {target} that are asked for",
            where=str(run.rl_checkpoints),
            fix="Ask for at least as many (rl.steps, rl.epochs), or start afresh with restart=rl",
        )
    if start < target and not _fell(config, run):
        tasks = train.file if in_environments(config) else None
        if config.rl.reward_function is not None:
            _try_reward(config, train)
        gate.ensure(train.file.parent.parent, config.rl.model, config, tasks)
        try:
            _train(config, run, compose(config, run, train, val), metrics, environment)
        except Stopped:
            return {STOPPED: checkpoints.latest(run.rl_checkpoints)}
    reached = checkpoints.latest(run.rl_checkpoints)
    if reached < target and not _fell(config, run):
        raise RuntimeError(f"verl ended at step {reached} of {target} without an error")
    last = [*read_lines(metrics)][-1:] or [{}]
    best = checkpoints.best(run.rl_checkpoints)
    return {
        "steps": reached,
        "resumed_from": start,
        "checkpoint": str(checkpoints.path_of(run.rl_checkpoints, reached)),
        "best": None if best is None else best._asdict(),
        "reward": last[0].get("health/score"),
        "groups_without_signal": last[0].get("health/groups_without_signal"),
    }


def _fell(config: DictConfig, run: RunDir) -> bool:
    """Whether the validation score has been below its best for as long as `rl.stop_below_best` allows."""
    patience, folder = config.rl.stop_below_best, run.rl_checkpoints
    held = {step: score for step, score in scores(folder).items() if step <= checkpoints.latest(folder)}
    return patience is not None and falls(held, patience)


def _prompts(config: DictConfig, run: RunDir) -> tuple[prompts.Prompts, prompts.Prompts]:
    tasks = in_environments(config)
    if tasks:
        load_environments(config.environment_modules)
    train, val = _files(config, run)
    return prompts.read(train, tasks), prompts.read(val, tasks)


def _files(config: DictConfig, run: RunDir) -> tuple[Path, Path]:
    """The prompts to train on and to validate with."""
    folder, prefix = run.data / "rl", "env_" if in_environments(config) else ""
    train = Path(config.rl.train_file or folder / f"{prefix}train.parquet").expanduser().absolute()
    val = Path(config.rl.val_file or folder / f"{prefix}val.parquet").expanduser().absolute()
    return train, val


def ask_the_frameworks(config: DictConfig) -> None:
    """Lets them say whether they hold and serve the model, before a cluster is held.

    Raises:
        UserError: if one of them does not.
    """
    model = Path(str(config.rl.model))
    must_know(model)
    if config.rl.rollout.engine == "vllm" and not listed_by_vllm(model):
        call_in_process(must_serve, str(model))


def _try_reward(config: DictConfig, train: prompts.Prompts) -> None:
    """Calls the user's reward on a few rows, before a cluster is held.

    Raises:
        UserError: if it fails on one of them.
    """
    import pyarrow.parquet as parquet

    columns = ["data_source", "reward_model", "extra_info"]
    batch = next(parquet.ParquetFile(train.file).iter_batches(_TRIED_ROWS, columns=columns))
    rows = [
        {
            "data_source": row["data_source"],
            "solution_str": "A thought.\n</think>\n\n[f(a=1)]",
            "ground_truth": row["reward_model"]["ground_truth"],
            "extra_info": row["extra_info"],
        }
        for row in batch.to_pylist()
    ]
    own = str(OwnReward.of(config.rl.reward_function))
    call_in_process("funreason_train.reward.own:try_out", {"function": own, "rows": rows})


def _train(
    config: DictConfig, run: RunDir, verl: DictConfig, metrics: Path, environment: dict[str, str]
) -> None:
    """Starts Ray and drives verl's trainer here."""
    from omegaconf import OmegaConf

    from ..cluster import connect

    write_text(run.rl / "verl.yaml", OmegaConf.to_yaml(verl, resolve=True))
    if in_environments(config):
        write_text(run.rl / AGENT_LOOPS.name, OmegaConf.to_yaml(OmegaConf.create(agent_loops(config))))
    sys.path += [
        path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path
    ]
    workers = config.cluster.nodes * config.rl.devices[config.cluster.device].workers_per_node
    # Ray counts logical CPUs and GPUs: on a machine without GPUs each training worker takes one that we
    # declare.
    here = {"cpus": 4 * workers + 16, "gpus": workers} if config.cluster.device == "cpu" else {}
    with session.prepared(config):
        ask_the_frameworks(config)  # not before: a thread of theirs would keep workers from being forked
        with connect(config.cluster, environment, demand=_demand(config), **here):
            from .train.trainer import train

            OmegaConf.resolve(verl)
            train(session.validated(verl), plain(config.rl), metrics, run.stop("rl"))


#: Rows that a reward function of your own is tried on before a cluster is held.
_TRIED_ROWS = 8
#: CPUs that verl reserves beside each GPU (`ResourcePoolManager.max_colocate_count`).
_CPUS_A_WORKER = 3
#: How the launch scripts are told what a node without GPUs declares.
_DECLARED = 'FUNREASON_RAY_ARGS="--num-gpus=1 --num-cpus=16"'


def _demand(config: DictConfig) -> Demand:
    """What verl's placement group and TransferQueue's processes will reserve."""
    device = config.rl.devices[config.cluster.device]
    workers = config.cluster.nodes * device.workers_per_node
    queue = 1 + device.storage_units  # its controller and the processes that hold the samples
    less = "cluster.nodes and cluster.gpus_per_node"
    if config.cluster.device == "cpu":  # each training worker takes a logical GPU, see `_train`
        less = f"cluster.nodes; nodes without GPUs have to declare some to Ray: {_DECLARED}"
    return Demand("RL (verl)", workers, _CPUS_A_WORKER, 1, queue, less)


def _forget_after(metrics: Path, step: int) -> None:
    """Drops the lines of steps that will be done again."""
    if metrics.is_file():
        kept = [line for line in read_lines(metrics) if line["step"] <= step]
        write_text(metrics, "".join(json.dumps(line) + "\n" for line in kept))


def _reads(config: DictConfig, run: RunDir) -> list[Path]:
    own = module_files(config.environment_modules) if in_environments(config) else []
    if config.rl.reward_function is not None:
        own.append(OwnReward.of(config.rl.reward_function).file)
    return [*_files(config, run), *model_files(config.rl.model), *own]


#: Keys of a device's profile that are used as they stand; from the others `rl` takes its values.
_OF_DEVICE = ("storage_units", "weights_bucket_mib", "workers_per_node", "verl", "env")


def _unused(config: DictConfig) -> Iterator[str]:
    rl = config.rl
    for device, profile in rl.devices.items():
        for key in profile:
            if device != config.cluster.device or key not in _OF_DEVICE:
                yield from (f"rl.devices.{device}.{key}", f"rl.devices.{device}.{key}.*")
    if not in_environments(config):
        yield from ("rl.environment.*", "environment_modules")
    if rl.steps is not None:
        yield "rl.epochs"
    if rl.reward_function is not None:
        yield "rl.reward.*"
    if not rl.algorithm.kl_loss:
        yield "rl.algorithm.kl_loss_type"
    if not rl.algorithm.filter_groups:
        yield from ("rl.algorithm.filter_batches", "rl.algorithm.filter_then")
    yield "rl.algorithm.name"


STAGE = Stage(
    name="rl",
    title="Reinforcement learning (verl GRPO)",
    decides=Decides(
        ("seed", "protocol", "environment_modules", "rl"),
        # Records, validation, checkpoints, limits; what only costs time or memory (and the order of a sum).
        harmless=(
            "rl.audit_rows",
            "rl.save_every",
            "rl.keep_checkpoints",
            "rl.validate_every",
            "rl.stop_below_best",
            "rl.loggers",
            "rl.keep_rollouts",
            "rl.keep_tokens",
            "rl.new_log_probs_every",
            "rl.health.*",
            "rl.tokens_per_pass",
            "rl.tokens_per_log_prob_pass",
            "rl.samples_per_pass",
            "rl.gradient_checkpointing",
            "rl.offload_optimizer",
            "rl.offload_parameters",
            *(f"rl.rollout.{key}" for key in ("memory", "sequences", "tokens_per_step", "workers")),
            "rl.rollout.tensor_parallel",
            "rl.devices.*.storage_units",
            "rl.devices.*.env.*",
        ),
        grows=("rl.steps", "rl.epochs"),
        unused=_unused,
    ),
    reads=_reads,
    makes=lambda config, run: [run.rl_checkpoints / checkpoints.TRACKER],
    folder=lambda config, run: run.rl,
    check=check,
    plan=_plan,
    run=run,
    nodes=True,
    reached=lambda config, run: checkpoints.latest(run.rl_checkpoints),
)
