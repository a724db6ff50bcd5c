"""Our settings as verl's: one full `ppo_trainer` configuration, checked against the installed verl.

The order, later ones winning: verl's defaults, what follows from `rl` (`settings`), what the device asks for
(`rl.devices.NAME.verl`), what the user adds (`rl.verl`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...dialogue import prompt_style
from ...errors import refuse
from ...models import attention
from ...models.attention import tree_attention
from ...models.weights import largest_weight
from ...reward.own import OwnReward
from ...run.paths import RunDir
from ..settings.prompts import Prompts
from . import installed_keys

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: The reward, in the form in which verl takes a module (verl/utils/import_utils.py).
REWARD = "pkg://funreason_train.reward.score"
OWN_REWARD = "pkg://funreason_train.reward.own"
#: verl's engine that computes what samples have in common once.
SHARING = "funreason_train.rl.shared.engine"
#: Names the agent loop of single steps to verl.
AGENT_LOOPS = Path(__file__).resolve().parent / "agent_loops.yaml"
#: The agent loop of episodes, which has settings: it is named to verl by a file of the run.
ENVIRONMENT = "environment"


def compose(config: DictConfig, run: RunDir, train: Prompts, val: Prompts) -> DictConfig:
    """The full verl configuration of a run.

    Args:
        config: The project's configuration with `rl.model` filled in.
        run: The run directory.
        train: The training prompts.
        val: The validation prompts.

    Returns:
        The configuration, interpolations unresolved, in struct mode.

    Raises:
        UserError: naming every key that the installed verl does not know, with the nearest one it does.
    """
    from omegaconf import OmegaConf

    base, layers = installed_keys.defaults(), _layers(config, run, train, val)
    refuse(_unknown(base, layers))
    OmegaConf.set_struct(base, False)
    merged = OmegaConf.merge(base, *layers)
    OmegaConf.set_struct(merged, True)
    return merged  # type: ignore[return-value]


def unknown_keys(config: DictConfig, run: RunDir, train: Prompts, val: Prompts) -> list[str]:
    """One sentence for each key that the installed verl does not know.

    Raises:
        UserError: if verl is not installed.
    """
    return _unknown(installed_keys.defaults(), _layers(config, run, train, val))


def _layers(config: DictConfig, run: RunDir, train: Prompts, val: Prompts) -> list[Any]:
    from omegaconf import OmegaConf

    device = OmegaConf.to_container(config.rl.devices[config.cluster.device].verl, resolve=True)
    added = OmegaConf.to_container(config.rl.verl, resolve=True)
    return [nested(settings(config, run, train, val)), device, added]


def _unknown(base: DictConfig, layers: list[Any]) -> list[str]:
    return list(
        dict.fromkeys(problem for layer in layers for problem in installed_keys.unknown_keys(base, layer))
    )


def target_steps(config: DictConfig, train: Prompts) -> int:
    """Optimisation steps of the run: `rl.steps`, else whole passes over the prompts."""
    if config.rl.steps is not None:
        return int(config.rl.steps)
    return int(config.rl.epochs) * (train.rows // max(1, int(config.rl.prompts_per_step)))


def in_environments(config: DictConfig) -> bool:
    """Whether rollouts are episodes in environments."""
    return bool(config.rl.rollout_mode == ENVIRONMENT)


def longest_prompt(config: DictConfig, train: Prompts, val: Prompts) -> int:
    """Tokens that a prompt may have."""
    if config.rl.max_prompt_tokens is not None:
        return int(config.rl.max_prompt_tokens)
    spare = int(config.rl.environment.spare_prompt_tokens) if in_environments(config) else 0
    return max(train.longest or 0, val.longest or 0) + spare


def agent_loops(config: DictConfig) -> list[dict[str, Any]]:
    """What the run's own file of agent loops holds (rollout.agent.agent_loop_config_path)."""
    limits = config.rl.environment
    return [
        {
            "name": ENVIRONMENT,
            "_target_": "funreason_train.rl.rollout.environment_loop.EnvironmentLoop",
            "style": str(prompt_style(config.protocol)),
            "responses": int(limits.responses_per_turn),
            "seconds": float(limits.seconds_per_turn),
            "modules": plain(config.environment_modules),
        }
    ]


def settings(config: DictConfig, run: RunDir, train: Prompts, val: Prompts) -> dict[str, Any]:
    """Every key of verl's that this project sets, dotted."""
    rl, algorithm, cluster = config.rl, config.rl.algorithm, config.cluster
    device = rl.devices[cluster.device]
    prompt_tokens = longest_prompt(config, train, val)
    steps = target_steps(config, train)
    per_epoch = max(1, train.rows // rl.prompts_per_step)
    return {
        **_data(config, train, val, prompt_tokens),
        **_actor(config, prompt_tokens),
        **_rollout(config, run, prompt_tokens),
        "algorithm.adv_estimator": algorithm.advantage,
        "algorithm.norm_adv_by_std_in_grpo": algorithm.normalize_by_std,
        "algorithm.filter_groups.enable": algorithm.filter_groups,
        "algorithm.rollout_correction.bypass_mode": rl.trust_rollout_log_probs,
        **_reward(rl),
        # The agent loop scores its own samples, so no process waits for them.
        "reward.num_workers": 0,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": device.storage_units,
        # verl's 100,000 rows are too few for environments: 8,192 episodes of a dozen responses are as many,
        # and the queue then refuses samples in the middle of a step. What bounds it is the step itself.
        "transfer_queue.backend.SimpleStorage.total_storage_size": None,
        "trainer.nnodes": cluster.nodes,
        "trainer.n_gpus_per_node": device.workers_per_node,
        "trainer.project_name": "funreason-train",
        "trainer.experiment_name": run.root.name,
        "trainer.logger": plain(rl.loggers),
        "trainer.total_training_steps": steps or None,
        # The step count alone ends the run: a resume at the end of an epoch must not end it before the first
        # step.
        "trainer.total_epochs": steps // per_epoch + 2,
        "trainer.val_before_train": False,
        "trainer.test_freq": rl.validate_every or -1,
        "trainer.resume_mode": "auto",
        "trainer.default_local_dir": str(run.rl_checkpoints),
        "trainer.save_freq": rl.save_every,
        # Pruning is ours (checkpoints.KeepVerified), and only after the new one has been verified.
        "trainer.max_actor_ckpt_to_keep": None,
        "trainer.rollout_data_dir": str(run.rl / "rollouts") if rl.keep_rollouts else None,
        "trainer.validation_data_dir": str(run.rl / "validation") if rl.validate_every else None,
    }


def _reward(rl: Any) -> dict[str, Any]:
    """The function that scores: this project's with its options, or the user's own (reward/own.py)."""
    key = "reward.custom_reward_function"
    if rl.reward_function is None:
        return {
            f"{key}.path": REWARD,
            f"{key}.name": "compute_score",
            f"{key}.reward_kwargs": plain(rl.reward),
        }
    own = {"function": str(OwnReward.of(rl.reward_function))}
    return {f"{key}.path": OWN_REWARD, f"{key}.name": "score", f"{key}.reward_kwargs": own}


def _data(config: DictConfig, train: Prompts, val: Prompts, prompt_tokens: int) -> dict[str, Any]:
    rl = config.rl
    return {
        "data.train_files": str(train.file),
        "data.val_files": str(val.file),
        "data.train_batch_size": rl.prompts_per_step,
        "data.max_prompt_length": prompt_tokens,
        "data.max_response_length": rl.max_response_tokens,
        # verl's own filter measures with another rendering; the data stage measured with ours, and it is an
        # error.
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.shuffle": True,
        "data.seed": config.seed,
        "data.dataloader_num_workers": 0,
        "data.trust_remote_code": False,
    }


def _actor(config: DictConfig, prompt_tokens: int) -> dict[str, Any]:
    rl, algorithm = config.rl, config.rl.algorithm
    sample = prompt_tokens + rl.max_response_tokens
    model, actor, ref = (f"actor_rollout_ref.{name}" for name in ("model", "actor", "ref"))
    kernel, library = attention_of(config)
    return {
        f"{model}.path": str(rl.model),
        f"{model}.trust_remote_code": False,
        f"{model}.enable_gradient_checkpointing": rl.gradient_checkpointing,
        # Rows without padding; on CPU only our engine has them, where samples share their prompt.
        f"{model}.use_remove_padding": rl.share_prompts or config.cluster.device != "cpu",
        # verl's own default is flash_attention_2, installed or not.
        f"{model}.override_config.attn_implementation": kernel,
        **({f"{model}.external_lib": library} if library else {}),
        f"{actor}.optim.lr": rl.learning_rate,
        f"{actor}.optim.lr_warmup_steps": rl.warmup_steps,
        f"{actor}.optim.lr_scheduler_type": rl.schedule,
        f"{actor}.optim.weight_decay": rl.weight_decay,
        f"{actor}.grad_clip": rl.clip_grad,
        f"{actor}.optim.clip_grad": rl.clip_grad,
        f"{actor}.ppo_mini_batch_size": rl.prompts_per_update or rl.prompts_per_step,
        f"{actor}.use_dynamic_bsz": rl.dynamic_batches,
        # A pass holds at least one sample.
        f"{actor}.ppo_max_token_len_per_gpu": max(rl.tokens_per_pass, sample),
        f"{actor}.ppo_micro_batch_size_per_gpu": None if rl.dynamic_batches else rl.samples_per_pass,
        f"{actor}.fsdp_config.param_offload": rl.offload_parameters,
        f"{actor}.fsdp_config.optimizer_offload": rl.offload_optimizer,
        f"{actor}.fsdp_config.fsdp_size": rl.fsdp_size or -1,
        f"{ref}.fsdp_config.fsdp_size": rl.fsdp_size or -1,
        f"{actor}.fsdp_config.seed": config.seed,
        f"{actor}.data_loader_seed": config.seed,
        f"{actor}.clip_ratio": algorithm.clip_low,
        f"{actor}.clip_ratio_low": algorithm.clip_low,
        f"{actor}.clip_ratio_high": algorithm.clip_high,
        f"{actor}.loss_agg_mode": algorithm.loss_aggregation,
        f"{actor}.entropy_coeff": algorithm.entropy,
        f"{actor}.use_kl_loss": algorithm.kl_loss > 0,
        f"{actor}.kl_loss_coef": algorithm.kl_loss,
        f"{actor}.kl_loss_type": algorithm.kl_loss_type,
        f"{ref}.fsdp_config.param_offload": rl.offload_parameters,
        **_log_prob_passes(config, ref, sample),
    }


def attention_of(config: DictConfig) -> tuple[str, str | None]:
    """The trained model's attention, and the module of ours that verl's workers have to load for it."""
    wanted, device = str(config.rl.attention), str(config.cluster.device)
    if config.rl.share_prompts:
        # On CPU that place is the engine's (rl.devices.cpu), which shares as well.
        return tree_attention.choose(wanted, device), SHARING if device != "cpu" else None
    kernel = attention.choose(wanted, device)
    return kernel, attention.LIBRARY if kernel == attention.VARLEN else None


def _rollout(config: DictConfig, run: RunDir, prompt_tokens: int) -> dict[str, Any]:
    rl, rollout = config.rl, "actor_rollout_ref.rollout"
    episodes = in_environments(config)
    sample = prompt_tokens + rl.max_response_tokens
    context = rl.max_model_tokens or sample
    on_cpu = config.cluster.device == "cpu"
    return {
        f"{rollout}.name": rl.rollout.engine,
        f"{rollout}.n": rl.samples_per_prompt,
        f"{rollout}.seed": config.seed,
        f"{rollout}.temperature": rl.temperature,
        f"{rollout}.top_p": rl.top_p,
        f"{rollout}.max_model_len": context,
        f"{rollout}.tensor_model_parallel_size": rl.rollout.tensor_parallel,
        f"{rollout}.gpu_memory_utilization": rl.rollout.memory,
        f"{rollout}.max_num_seqs": rl.rollout.sequences,
        # A step takes whole prompts there, see configs/rl.yaml.
        f"{rollout}.max_num_batched_tokens": max(rl.rollout.tokens_per_step, context if on_cpu else 0),
        **_log_prob_passes(config, rollout, sample),
        f"{rollout}.calculate_log_probs": True,
        f"{rollout}.checkpoint_engine.update_weights_bucket_megabytes": weights_bucket(config),
        f"{rollout}.agent.num_workers": rl.rollout.workers,
        f"{rollout}.agent.default_agent_loop": ENVIRONMENT if episodes else "protocol",
        f"{rollout}.agent.agent_loop_config_path": str(
            run.rl / AGENT_LOOPS.name if episodes else AGENT_LOOPS
        ),
    }


_FP32_BYTES = 4  # in which the trained weights travel (verl/workers/rollout/vllm_rollout)


def weights_bucket(config: DictConfig) -> int:
    """Of the buffer through which new weights travel to the rollout engine, in MiB.

    Without GPUs a weight travels in one piece, so the largest one has to fit, or the run fails after its
    start (verl/workers/rollout/vllm_rollout/bucketed_weight_transfer.py).
    """
    least = int(config.rl.devices[config.cluster.device].weights_bucket_mib)
    largest = largest_weight(Path(str(config.rl.model)).expanduser()) or 0
    return max(least, math.ceil(largest * _FP32_BYTES / 2**20))


def _log_prob_passes(config: DictConfig, part: str, sample: int) -> dict[str, Any]:
    """How passes without gradient are cut: the actor's (verl keeps that under `rollout`), the reference's."""
    rl = config.rl
    return {
        f"{part}.log_prob_use_dynamic_bsz": rl.dynamic_batches,
        f"{part}.log_prob_max_token_len_per_gpu": max(rl.tokens_per_log_prob_pass, sample),
        f"{part}.log_prob_micro_batch_size_per_gpu": None if rl.dynamic_batches else rl.samples_per_pass,
    }


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    tree: dict[str, Any] = {}
    for key, value in dotted.items():
        *parents, name = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def plain(node: Any) -> Any:
    """A node of the configuration as plain lists and dictionaries."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
