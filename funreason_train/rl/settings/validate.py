"""Problems of an RL run that its settings and data alone tell, so that no cluster starts for nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ...errors import UserError
from ...models.attention import VARLEN
from ...models.attention.maskable import unmaskable
from ...models.folder import model_problems, number_of, own_context, quantised_problems, read_config
from ...models.frameworks.known import family_problem
from ...reward import own
from ...reward.options import EPISODE_VARIANTS, check_options
from ...reward.sample import audit_file
from ...run.paths import RunDir
from .. import checkpoints
from ..verl.compose import in_environments, longest_prompt
from .prompts import Prompts
from .section import LOGGERS
from .tasks import audit_tasks

if TYPE_CHECKING:
    from omegaconf import DictConfig


def problems(
    config: DictConfig, run: RunDir, train: Prompts, val: Prompts, awaited: bool = False
) -> list[str]:
    """Every problem found, one sentence each with the way out.

    Args:
        config: The project's configuration with `rl.model` filled in.
        run: The run directory.
        train: The training prompts.
        val: The validation prompts.
        awaited: Earlier stages are still to make data, and a model in the run: neither is missed.
    """
    model = Path(str(config.rl.model))
    model_awaited = (awaited and run.holds(model)) or (model == run.sft_model and not model.exists())
    return [
        *([] if awaited else [*train.problems, *val.problems]),
        *_reward(config, train, awaited),
        *([] if model_awaited else _model(config)),
        *_mode(config),
        *batch_problems(config, train),
        *_algorithm(config),
        *_contradictions(config),
        *_sharing(config),
        *_loggers(config),
        *_lengths(config, train, val),
        *_resume(config, run),
    ]


def _options(config: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(config.rl.reward, resolve=True)  # type: ignore[return-value]


def _reward(config: DictConfig, train: Prompts, awaited: bool) -> list[str]:
    """Whether the reward's options exist, and whether it can be trusted on a sample of the rows."""
    options = _options(config)
    if config.rl.reward_function is not None:
        if in_environments(config):
            return [
                "rl.reward_function scores single responses, and rl.rollout_mode=environment whole tasks; "
                "set reward=progress"
            ]
        return own.problems(config.rl.reward_function)
    if mistakes := check_options(options):
        return [f"rl.reward: {mistake}" for mistake in mistakes]
    if awaited or train.problems or not config.rl.audit_rows:
        return []
    if in_environments(config):
        return _tasks(train.file, int(config.rl.audit_rows))
    try:
        found = audit_file(train.file, int(config.rl.audit_rows), **options)
    except UserError as error:
        return [str(error)]
    return [found.sentence()] if found.findings else []


def _tasks(file: Path, limit: int) -> list[str]:
    """Plays the gold conversation of a sample of the tasks, spread over the file."""
    try:
        found = audit_tasks(file, limit)
    except UserError as error:
        return [str(error)]
    if not found.findings:
        return []
    first = found.findings[0]
    return [
        f"{file}: the score cannot be trusted on {len(found.findings)} of the {found.rows} tasks looked at "
        f"(row {first.row}: {first.message})"
    ]


def _mode(config: DictConfig) -> list[str]:
    """Whether the way of rolling out, the reward and the algorithm go together."""
    if not in_environments(config):
        return []
    rl, found = config.rl, []
    if rl.reward.variant not in EPISODE_VARIANTS:
        found.append(
            f"rl.rollout_mode=environment scores whole tasks, and the reward {rl.reward.variant} single "
            "responses; set reward=progress or reward=all_turns"
        )
    if rl.algorithm.advantage not in ("grpo", "egpo"):
        found.append(
            f"rl.algorithm.advantage={rl.algorithm.advantage}: it would count an episode once a response; "
            "with rl.rollout_mode=environment there are grpo (algorithm=grpo, dapo) and egpo"
        )
    return found


def batch_problems(config: DictConfig, train: Prompts) -> list[str]:
    """Whether prompts, samples, workers and engines can be divided among each other."""
    rl, workers = config.rl, _workers(config)
    update = rl.prompts_per_update or rl.prompts_per_step
    found = []
    if rl.prompts_per_step % update:
        found.append(
            f"rl.prompts_per_step={rl.prompts_per_step} is not a multiple of rl.prompts_per_update={update}; "
            f"{_nearest(rl.prompts_per_step, update)} would be"
        )
    if update * rl.samples_per_prompt % workers:
        found.append(
            f"the {update} x {rl.samples_per_prompt} samples of an update (rl.prompts_per_update x "
            f"rl.samples_per_prompt) cannot be divided among {workers} workers "
            "(of all nodes together)"
        )
    elif not rl.dynamic_batches and not in_environments(config):
        found += _passes(config, update * rl.samples_per_prompt // workers)
    per_node = rl.devices[config.cluster.device].workers_per_node
    if per_node < 1 or per_node % rl.rollout.tensor_parallel:
        found.append(
            f"rl.rollout.tensor_parallel={rl.rollout.tensor_parallel} does not divide the {per_node} workers "
            "of a node"
        )
    if per_node > (config.cluster.gpus_per_node or per_node):
        found.append(
            f"rl.devices.{config.cluster.device}.workers_per_node={per_node} is more than the "
            f"{config.cluster.gpus_per_node} GPUs of a node of cluster={config.cluster.name}"
        )
    if rl.fsdp_size is not None and rl.fsdp_size < workers and workers % rl.fsdp_size:
        found.append(
            f"rl.fsdp_size={rl.fsdp_size} does not divide the {workers} workers of all nodes, each of which "
            "belongs to one copy of the weights"
        )
    if 0 < train.rows < rl.prompts_per_step:
        found.append(
            f"rl.prompts_per_step={rl.prompts_per_step} is more than the {train.rows} prompts of {train.file}"
        )
    heads = number_of(Path(str(rl.model)), "num_attention_heads")
    if heads is not None and heads % rl.rollout.tensor_parallel:
        found.append(
            f"rl.rollout.tensor_parallel={rl.rollout.tensor_parallel} does not divide the {heads} attention "
            f"heads of {rl.model}"
        )
    return found


def _passes(config: DictConfig, share: int) -> list[str]:
    """Whether `share`, the samples of an update that one worker gets, makes whole passes of a fixed count."""
    count = config.rl.samples_per_pass
    if share % count == 0:
        return []
    fitting = max(number for number in range(1, min(share, count) + 1) if share % number == 0)
    return [
        f"rl.samples_per_pass={count} does not divide the {share} samples of an update that each worker gets "
        f"(rl.dynamic_batches=false makes passes of one size); {fitting} would"
    ]


#: Keys of verl's that settings of ours decide together with others; set alone they contradict those.
_OURS = {
    "actor_rollout_ref.actor.use_dynamic_bsz": "rl.dynamic_batches",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": "rl.samples_per_pass",
    "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz": "rl.dynamic_batches",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": "rl.samples_per_pass",
    "actor_rollout_ref.rollout.n": "rl.samples_per_prompt",
    "data.train_batch_size": "rl.prompts_per_step",
    "actor_rollout_ref.actor.ppo_mini_batch_size": "rl.prompts_per_update",
    "trainer.total_training_steps": "rl.steps",
    "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes": (
        "rl.devices.cpu.weights_bucket_mib (or cuda's)"
    ),
    "trainer.save_freq": "rl.save_every",
    "custom_reward_function": "reward=NAME or reward=FILE.py:function",  # verl's old place, which wins
    "reward.custom_reward_function.path": "reward=NAME or reward=FILE.py:function",
    "reward.custom_reward_function.name": "reward=NAME or reward=FILE.py:function",
    "reward.custom_reward_function.reward_kwargs": "rl.reward.…",
    "reward_model": "reward=NAME or reward=FILE.py:function",  # verl's old place of the reward's workers
}


def _contradictions(config: DictConfig) -> list[str]:
    given = OmegaConf.to_container(config.rl.verl, resolve=True)
    return [
        f"rl.verl.{key}={value}: set {ours}, which decides this key and others with it"
        for key, ours in _OURS.items()
        if (value := _inside(given, key)) is not None
    ]


def _inside(given: Any, key: str) -> Any:
    """The value at a dotted key; None where there is none, whatever stands in its place."""
    for part in key.split("."):
        given = given.get(part) if isinstance(given, dict) else None
    return given


def _algorithm(config: DictConfig) -> list[str]:
    rl, algorithm = config.rl, config.rl.algorithm
    found = []
    if rl.attention == VARLEN and config.cluster.device == "cpu":
        found.append("rl.attention=varlen is a kernel for GPUs; on CPU set rl.attention=sdpa")
    if algorithm.advantage == "egpo" and rl.trust_rollout_log_probs:
        found.append(
            "algorithm=egpo needs the entropies of the log-probability pass, which "
            "rl.trust_rollout_log_probs=true leaves out; set it to false"
        )
    return found


#: Keys of verl's whose values, but these, ask for what lines of several samples are not made for.
_ALONE: dict[str, tuple[Any, ...]] = {
    "actor_rollout_ref.actor.strategy": ("fsdp", "fsdp2"),
    "actor_rollout_ref.ref.strategy": ("fsdp", "fsdp2"),
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size": (1,),
    "actor_rollout_ref.ref.fsdp_config.ulysses_sequence_parallel_size": (1,),
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size": (1,),
    "actor_rollout_ref.ref.ulysses_sequence_parallel_size": (1,),
    "actor_rollout_ref.model.use_remove_padding": (True,),
    "distillation.enabled": (False,),
}


def _sharing(config: DictConfig) -> list[str]:
    """Why the samples of a prompt cannot share it."""
    if not config.rl.share_prompts:
        return []
    given = OmegaConf.to_container(config.rl.verl, resolve=True)
    found = [
        f"rl.verl.{key}={value} does not go together with rl.share_prompts=true; set one of them otherwise"
        for key, allowed in _ALONE.items()
        if (value := _inside(given, key)) is not None and value not in allowed
    ]
    settings = read_config(Path(str(config.rl.model)))
    why = unmaskable(settings) if settings else None
    return [*found, *([f"rl.share_prompts: the model {why}. Set rl.share_prompts=false"] if why else [])]


def _loggers(config: DictConfig) -> list[str]:
    return [
        f"rl.loggers: {name}: its package is not installed; pip install {module}"
        for name in config.rl.loggers
        if (module := LOGGERS[name]) is not None and importlib.util.find_spec(module) is None
    ]


def _workers(config: DictConfig) -> int:
    """Training workers on all nodes together."""
    return max(1, int(config.cluster.nodes * config.rl.devices[config.cluster.device].workers_per_node))


def _nearest(count: int, unit: int) -> int:
    return max(unit, round(count / unit) * unit)


def _lengths(config: DictConfig, train: Prompts, val: Prompts) -> list[str]:
    rl, found = config.rl, []
    for data in (train, val):
        if data.rows and data.longest is None and rl.max_prompt_tokens is None:
            found.append(
                f"{data.file}: the rows do not say how long the prompts are (extra_info.prompt_tokens); "
                "set rl.max_prompt_tokens or write the file with `funreason-train data`"
            )
        if rl.max_prompt_tokens is not None and (data.longest or 0) > rl.max_prompt_tokens:
            found.append(
                f"{data.file}: the longest prompt has {data.longest} tokens, more than "
                f"rl.max_prompt_tokens={rl.max_prompt_tokens}; prompts are never cut"
            )
    prompt = longest_prompt(config, train, val)
    whole = prompt + rl.max_response_tokens
    if rl.max_model_tokens is not None and whole > rl.max_model_tokens:
        found.append(
            f"prompt and response take {prompt} + {rl.max_response_tokens} = {whole} tokens, more than "
            f"rl.max_model_tokens={rl.max_model_tokens}"
        )
    limit = own_context(Path(str(rl.model)))
    if limit is not None and max(whole, rl.max_model_tokens or 0) > limit:
        found.append(
            f"prompt and response take {max(whole, rl.max_model_tokens or 0)} tokens, more than the {limit} "
            f"positions of the model {rl.model}; lower rl.max_response_tokens"
        )
    return found


def _model(config: DictConfig) -> list[str]:
    """A local model folder has to hold a model and its tokenizer; a hub id is left to the hub."""
    model = str(config.rl.model)
    found = [*model_problems(model), *quantised_problems(model), family_problem(Path(model), trained=True)]
    return [f"rl.model: {problem}" for problem in found if problem]


def _resume(config: DictConfig, run: RunDir) -> list[str]:
    step = checkpoints.latest(run.rl_checkpoints)
    if not step:
        return []
    wrote = checkpoints.world_size(checkpoints.path_of(run.rl_checkpoints, step))
    workers = _workers(config)
    if wrote == workers:
        return []
    return [
        f"{run.rl_checkpoints}: the checkpoint of step {step} was written by {wrote} workers and cannot be "
        f"continued by {workers}; use the same cluster, or export it and start a new run "
        "from the exported model"
    ]
