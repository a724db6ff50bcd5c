"""From a recipe to its rehearsal: the same stages, methods and options, all that costs time small (pure).

What a recipe leaves to the device is set as its GPUs would have it wherever a CPU can do that too. What a CPU
cannot do is left to configs/cluster/cpu.yaml and to `rl.devices.cpu`; `unrehearsed` finds it by comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Longest prompt and answer of the data in tokens, and what an untrained model may write.
PROMPT, TARGET, RESPONSE = 2048, 512, 64
SFT_STEPS, RL_STEPS = 6, 2
#: Long enough for a host to fail in the middle; with 12 steps SFT was over before it had.
SFT_STEPS_WITH_FAILURE, RL_STEPS_WITH_FAILURE = 40, 6
#: Logical CPUs of a host for Ray: more than there are, since nothing of a rehearsal fills one.
HOST_CPUS = 16
_TASKS = 4  # that evaluation plays, of each kind
_ROWS = 40  # conversations of a data set
_CONTEXT = 4096
_LEARNING_RATE = 3.0e-3
_CACHE = 2**26  # bytes
_ENGINE = "rl.devices.cpu.verl.actor_rollout_ref.rollout.engine_kwargs.vllm"
#: Trackers that need no network.
_LOCAL_TRACKERS = ("console", "tensorboard")
_MODEL = {
    **{"path": None, "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128},
    **{"layers": 2, "heads": 2, "head_dim": 32, "max_positions": 8192},
}

Config = Mapping[str, Any]


def host_profile(recipe: Config, hosts: int, temp_dir: str) -> dict[str, Any]:
    """The profile of the played machines, as a file that `cluster=` takes.

    One training process a host stands for all of its GPUs.

    Args:
        recipe: The recipe's whole configuration, resolved, on its own machines.
        hosts: How many machines are played.
        temp_dir: Ray's folder on a machine that a stage starts by itself.
    """
    cluster = recipe["cluster"]
    return {
        "defaults": ["cpu", "_self_"],
        "name": f"{cluster['name']}_rehearsal",
        "nodes": hosts,
        "cpus_per_worker": 1,
        "object_store_bytes": 80_000_000,
        "temp_dir": temp_dir,
        "wait_seconds": 120,
        "env": {name: value for name, value in cluster["env"].items() if not _of_gpus(name)},
        "sft": {
            "workers": hosts,
            "per_device_batch": cluster["sft"]["per_device_batch"] if _on_gpus(recipe) else 1,
            "gradient_checkpointing": recipe["sft"]["gradient_checkpointing"],
            "deepspeed": recipe["sft"]["deepspeed"],
        },
    }


def scaled(recipe: Config, hosts: int, local: Sequence[str], model: str | None = None) -> dict[str, Any]:
    """What is laid over the recipe, dotted key to value.

    Args:
        recipe: The recipe's whole configuration, resolved, on its own machines.
        hosts: How many machines are played.
        local: The names of those of its data sets whose files are on this machine.
        model: A small model of the recipe's own architecture; None: the tiny one of the run.
    """
    return {
        **{f"model.{name}": value for name, value in _MODEL.items()},
        "model.path": model,
        "doctor.preflight": True,
        "restart": None,
        "export.out": None,
        # Whether a weight changes is known only with a reward that says different things.
        "export.require_change": recipe["export"]["require_change"] and tosses_coins(recipe),
        "export.checkpoint": None,
        "output": "file",
        **dict(_data(recipe, local)),
        **dict(_sft(recipe, hosts)),
        **dict(_rl(recipe, hosts)),
        **dict(_eval(recipe)),
    }


#: The reward of a rehearsal, a file of one's own. Untrained models are never right, so no advantage, gradient
#: or filtered group would ever be seen with the recipe's reward alone.
REWARD = '''"""The recipe's reward is computed for every answer; what is trained on is a coin's."""

from funreason_train.reward.score import compute_score

OPTIONS = {options}


def score(data_source, solution_str, ground_truth, extra_info):
    found = compute_score(data_source, solution_str, ground_truth, extra_info, **OPTIONS)
    return {{**found, "score": float(sum(solution_str.encode()) % 2)}}
'''


def tosses_coins(recipe: Config) -> bool:
    """Whether a coin scores the rollouts; the user's own function, and whole tasks, are scored as ever."""
    return recipe["rl"]["reward_function"] is None and recipe["rl"]["rollout_mode"] == "step"


def stages(recipe: Config, local: Sequence[str]) -> list[str]:
    """The stages that are rehearsed: the recipe's, and `synth` before them where its data are not here."""
    named = list(recipe["pipeline"]["stages"])
    heldout = "eval" in named and recipe["eval"]["benchmark"] == "heldout"
    if "synth" in named or not (heldout or ("data" in named and _made_up(recipe, local))):
        return named
    return ["synth", *named]


def _made_up(recipe: Config, local: Sequence[str]) -> bool:
    """Whether what `synth` makes stands in for the recipe's data."""
    return not set(recipe["data"]["datasets"]) & set(local)


def _data(recipe: Config, local: Sequence[str]) -> Iterator[tuple[str, Any]]:
    data, synth = recipe["data"], recipe["synth"]
    own = [name for name in data["datasets"] if name in local]
    kept = own or ["synth"]
    yield "pipeline.stages", stages(recipe, local)
    yield "data.datasets", kept
    for name in own:
        yield f"data.{name}.rows", min(data[name]["rows"] or _ROWS, _ROWS)
    yield "data.max_prompt_tokens", _most(data["max_prompt_tokens"], PROMPT)
    yield "data.max_target_tokens", _most(data["max_target_tokens"], TARGET)
    # Lengths are scaled down and the rows are not, so many are too long.
    yield "data.max_dropped_share", 1.0
    yield "data.overlong", "drop"
    yield "data.val_share", max(data["val_share"], 0.1)
    yield "data.parity_rows", min(data["parity_rows"], 4)
    yield "data.processes", 1
    yield "data.tokenizer", None
    yield "data.length_cache", "off"
    yield "data.out", None
    offline = synth["maker"] == "embedded" or (synth["maker"] == "phases" and synth["agents"] == "offline")
    if "synth" not in recipe["pipeline"]["stages"] or not offline or synth["servers"]:
        yield "synth.maker", "embedded"
    yield "synth.trajectories", _ROWS
    yield "synth.heldout_tasks", 2 * _TASKS
    yield "synth.tuning_tasks", 1
    yield "synth.out", None


def _sft(recipe: Config, hosts: int) -> Iterator[tuple[str, Any]]:
    sft = recipe["sft"]
    workers = recipe["cluster"]["nodes"] * max(1, recipe["cluster"]["gpus_per_node"])
    per_device = min(sft["per_device_batch"], 2)
    steps = SFT_STEPS_WITH_FAILURE if "sft" in recipe["pipeline"]["rehearsal"]["fail"] else SFT_STEPS
    accumulated = max(1, sft["global_batch"] // (workers * sft["per_device_batch"]))
    yield "sft.model", None
    yield "sft.data", None
    yield "sft.max_steps", steps
    # So that a few steps teach how often a turn ends: answers that are cut off score 0 under any reward.
    yield "sft.learning_rate", max(sft["learning_rate"], _LEARNING_RATE)
    yield "sft.per_device_batch", per_device
    yield "sft.global_batch", hosts * per_device * min(accumulated, 2)
    if sft["cutoff_len"] is not None:
        yield "sft.cutoff_len", PROMPT + TARGET
    yield "sft.save_steps", 2
    yield "sft.save_total_limit", min(sft["save_total_limit"], 2)
    yield "sft.logging_steps", 1
    if sft["eval_steps"] is not None:
        yield "sft.eval_steps", steps // 2
    yield "sft.per_device_eval_batch", 1
    yield "sft.dataloader_workers", min(sft["dataloader_workers"], 1)
    yield "sft.preprocessing_workers", 1
    yield "sft.report_to", [name for name in sft["report_to"] if name in _LOCAL_TRACKERS]
    yield "sft.max_failures", max(1, sft["max_failures"])
    yield "sft.collective_timeout", 300


def _rl(recipe: Config, hosts: int) -> Iterator[tuple[str, Any]]:
    rl, cluster = recipe["rl"], recipe["cluster"]
    device = rl["devices"][cluster["device"]]
    workers = cluster["nodes"] * device["workers_per_node"]
    # Groups of two often score the same, and a filter would wait long for others.
    samples = min(rl["samples_per_prompt"], 4 if rl["algorithm"]["filter_groups"] else 2)
    updates = min(2, rl["prompts_per_step"] // (rl["prompts_per_update"] or rl["prompts_per_step"]))
    whole = PROMPT + RESPONSE
    yield "rl.model", None
    yield "rl.train_file", None
    yield "rl.val_file", None
    fails = "rl" in recipe["pipeline"]["rehearsal"]["fail"]
    yield "rl.steps", RL_STEPS_WITH_FAILURE if fails else RL_STEPS
    yield "rl.prompts_per_step", hosts * updates
    yield "rl.prompts_per_update", hosts if rl["prompts_per_update"] else None
    yield "rl.samples_per_prompt", samples
    yield "rl.samples_per_pass", samples
    yield "rl.max_prompt_tokens", None if rl["max_prompt_tokens"] is None else PROMPT
    yield "rl.max_response_tokens", min(rl["max_response_tokens"], RESPONSE)
    yield "rl.max_model_tokens", None
    yield "rl.tokens_per_pass", min(rl["tokens_per_pass"], 2 * whole)
    yield "rl.tokens_per_log_prob_pass", min(rl["tokens_per_log_prob_pass"], 2 * whole)
    yield "rl.rollout.tensor_parallel", 1
    yield "rl.rollout.sequences", min(rl["rollout"]["sequences"], 8)
    yield "rl.rollout.tokens_per_step", min(rl["rollout"]["tokens_per_step"], whole)
    # Each is a process of a GiB, and every further host brings two and a half.
    yield "rl.rollout.workers", min(rl["rollout"]["workers"], 2 if hosts == 2 else 1)
    yield "rl.fsdp_size", _copy(rl["fsdp_size"], workers, hosts)
    yield "rl.save_every", 1
    yield "rl.validate_every", min(rl["validate_every"], 1)
    yield "rl.loggers", [name for name in rl["loggers"] if name in _LOCAL_TRACKERS]
    yield "rl.collective_timeout", 300
    # An untrained model never ends its answer and is never right, which is no fault here.
    yield "rl.health.patience", 1000
    # As the recipe's GPUs have it, where a CPU would take a way of its own.
    yield "rl.share_prompts", rl["share_prompts"]
    yield "rl.reproducible", rl["reproducible"]
    yield "rl.gradient_checkpointing", rl["gradient_checkpointing"]
    yield "rl.attention", "sdpa"
    # A GiB of cache for every rollout engine would be most of this machine's memory.
    yield f"{_ENGINE}.kv_cache_memory_bytes", _CACHE
    if _on_gpus(recipe):
        model = device["verl"]["actor_rollout_ref"]["model"]
        for name, value in model.items():
            yield f"rl.devices.cpu.verl.actor_rollout_ref.model.{name}", value
        # Packed rows, which is what GPUs train on.
        yield "rl.verl.actor_rollout_ref.model.use_remove_padding", True


def _copy(size: int | None, workers: int, hosts: int) -> int | None:
    """Workers that share one copy of the weights: fewer than all where the recipe has several copies."""
    several = size is not None and size < workers
    return hosts // 2 if several and hosts % 2 == 0 and hosts > 2 else None


def _eval(recipe: Config) -> Iterator[tuple[str, Any]]:
    found = recipe["eval"]
    yield "eval.models", None
    yield "eval.endpoint", None
    yield "eval.served_name", None
    if (
        found["benchmark"] == "custom"
        and found["path"] is not None
        and str(found["path"]).endswith(".parquet")
    ):
        yield "eval.benchmark", "custom"
    elif found["benchmark"] == "bfcl":
        yield "eval.categories", ["simple_python", "irrelevance"]
    else:
        yield "eval.benchmark", "heldout"
        yield "eval.tasks", None
    yield "eval.limit", min(found["limit"] or _TASKS, _TASKS)
    yield "eval.samples", min(found["samples"], 2)
    if found["pass_k"] is not None:
        yield "eval.pass_k", [1]
    if found["seeds"] is not None:
        yield "eval.seeds", list(found["seeds"])[:1]
    yield "eval.max_tokens", min(found["max_tokens"], RESPONSE)
    yield "eval.max_model_tokens", min(found["max_model_tokens"], _CONTEXT)
    yield "eval.responses_per_turn", min(found["responses_per_turn"], 2)
    yield "eval.replicas", 1
    yield "eval.tensor_parallel", 1
    yield "eval.concurrency", min(found["concurrency"], 4)
    yield "eval.batched_tokens", _CONTEXT
    yield "eval.dtype", None
    yield "eval.kv_cache_gib", 0.1


def _on_gpus(recipe: Config) -> bool:
    return bool(recipe["cluster"]["device"] == "cuda")


def _of_gpus(variable: str) -> bool:
    return variable.startswith(("CUDA_", "PYTORCH_CUDA_", "TORCH_NCCL_", "NCCL_"))


def _most(value: int | None, most: int) -> int:
    return most if value is None else min(value, most)
