"""verl's own updates of a small model beside those of lines without repetition, in double precision.

shared_script.py FOLDER WORKERS: each worker writes FOLDER/WORKERS_RANK.json, way -> losses, norms and
log-probabilities. Each way begins from the same weights and takes two updates of the same samples.
"""

import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

PROMPTS, SAMPLES, BUDGET, VOCABULARY = 8, 4, 60, 64
#: Way -> whether samples share, the head is verl's fused one, and passes are of a fixed count of samples.
WAYS = {
    "alone": (False, False, None),
    "shared": (True, False, None),
    "shared, samples as they lie": (True, False, 2),
    "shared, fused": (True, True, None),
}


def samples() -> list[tuple[list[int], list[int], int]]:
    """Prompt, answer and number of the group; some prompts go on behind another, as in an episode."""
    draw = random.Random(0)

    def words(least: int, most: int) -> list[int]:
        return [draw.randrange(3, VOCABULARY) for _ in range(draw.randint(least, most))]

    system, found = words(5, 5), []
    prompts: list[list[int]] = []
    for group in range(PROMPTS):
        prompts.append((prompts[-1] if group % 3 == 1 else system) + words(3, 20))
        answers = [words(1, 9) for _ in range(SAMPLES)]
        answers[1] = [*answers[0], *words(1, 3)]  # goes on where another ends
        found += [(prompts[-1], answer, group) for answer in answers]
    return found


def batch(numbers: list[int], fused: bool, count: int | None) -> Any:
    """Some of the samples as verl's trainer hands them to a worker."""
    import torch
    from verl.utils import tensordict_utils as tu

    rows = [samples()[number] for number in numbers]

    def nested(parts: list[list[Any]], kind: Any) -> Any:
        return torch.nested.as_nested_tensor(
            [torch.tensor(part, dtype=kind) for part in parts], layout=torch.jagged
        )

    def drawn(name: str, low: float, high: float) -> Any:
        chances = [random.Random(f"{name} {number}") for number in numbers]
        parts = [
            [chance.uniform(low, high) for _ in answer]
            for chance, (_, answer, _) in zip(chances, rows, strict=True)
        ]
        return nested(parts, torch.float64)

    whole = [prompt + answer for prompt, answer, _ in rows]
    ones = nested([[1] * len(answer) for _, answer, _ in rows], torch.long)
    data = tu.get_tensordict(
        {
            "prompts": nested([prompt for prompt, _, _ in rows], torch.long),
            "responses": nested([answer for _, answer, _ in rows], torch.long),
            "input_ids": nested(whole, torch.long),
            "position_ids": nested([list(range(len(row))) for row in whole], torch.long),
            "attention_mask": nested([[1] * len(row) for row in whole], torch.long),
            "response_mask": ones,
            "loss_mask": ones,
            "old_log_probs": drawn("old", -5, -3),
            "ref_log_prob": drawn("reference", -5, -3),
            "advantages": drawn("advantage", -1, 1),
        },
        {
            "temperature": 0.7,
            "global_batch_size": PROMPTS * SAMPLES,
            "calculate_entropy": True,
            "use_fused_kernels": fused,
            "use_dynamic_bsz": count is None,
            "max_token_len_per_gpu": BUDGET,
            "micro_batch_size_per_gpu": count,
        },
    )
    tu.assign_non_tensor(data, global_token_num=None)
    return data


def worker(model: str, shared: bool, fused: bool) -> Any:
    """verl's training worker as its trainer makes it for the actor, in this process."""
    from omegaconf import OmegaConf
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.engine_workers import TrainingWorker, TrainingWorkerConfig
    from verl.workers.utils.losses import ppo_loss

    from funreason_train.models.attention import tree_attention
    from funreason_train.rl.verl import installed_keys
    from funreason_train.rl.verl.compose import nested
    from funreason_train.settings.compose import compose

    verl = installed_keys.defaults()
    OmegaConf.set_struct(verl, False)
    device = OmegaConf.to_container(compose(None, []).rl.devices.cpu.verl, resolve=True)
    kernel = tree_attention.choose("auto", "cpu") if shared else "sdpa"
    ours = {
        "model.path": model,
        "model.use_remove_padding": shared,
        "model.override_config.attn_implementation": kernel,
        "model.use_fused_kernels": fused,
        "model.fused_kernel_options": {"impl_backend": "torch"},
        "model.enable_gradient_checkpointing": True,
        "model.load_tokenizer": False,
        "actor.optim.lr": 1e-3,
        "actor.optim.total_training_steps": 100,
        "actor.ppo_mini_batch_size": 1,
        "actor.use_dynamic_bsz": True,
        "actor.ppo_max_token_len_per_gpu": BUDGET,
        "actor.entropy_coeff": 0.01,
        "actor.use_kl_loss": True,
        "rollout.n": 1,
    }
    merged = OmegaConf.merge(
        verl, device, nested({f"actor_rollout_ref.{key}": value for key, value in ours.items()})
    ).actor_rollout_ref
    actor = omega_conf_to_dataclass(merged.actor)
    actor.model_config = omega_conf_to_dataclass(merged.model)
    made = TrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=actor.model_config,
            engine_config=actor.engine,
            optimizer_config=actor.optim,
            checkpoint_config=actor.checkpoint,
        )
    )
    made.reset()
    made.set_loss_fn(partial(ppo_loss, config=actor))
    return made


def in_double_precision() -> None:
    """Has verl compute in it, and transformers' norms, which go through single precision."""
    import torch
    from transformers.models.qwen3 import modeling_qwen3
    from verl.utils.torch_dtypes import PrecisionType

    def norm(self: Any, states: Any) -> Any:
        return self.weight * states * (states.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).rsqrt()

    PrecisionType.to_dtype = staticmethod(lambda _: torch.float64)
    modeling_qwen3.Qwen3RMSNorm.forward = norm


@contextmanager
def exact_losses(engine: Any) -> Iterator[list[float]]:
    """The losses of an update's passes, which verl reports in single precision."""
    kept: list[float] = []
    train = engine.train_batch

    def recording(*given: Any, **named: Any) -> Any:
        output = train(*given, **named)
        kept.extend(output["loss"])
        return output

    with patch.object(engine, "train_batch", recording):
        yield kept


def shares(shared: bool, workers: int) -> list[list[int]]:
    """Each worker's samples: ours keeps groups together, verl's does not."""
    from funreason_train.rl.shared.balance import Sample, arranged

    every = samples()
    if not shared:
        return [list(range(rank, len(every), workers)) for rank in range(workers)]
    known = [Sample(str(group), len(prompt), len(answer)) for prompt, answer, group in every]
    return arranged(known, workers, 1)


def work(rank: int, folder: str, workers: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(workers)}
    import torch
    from verl.utils import tensordict_utils as tu

    in_double_precision()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for way, (shared, fused, count) in WAYS.items():
        made = worker(f"{folder}/model", shared, fused)
        numbers = shares(shared, workers)[rank]
        result: dict[str, Any] = {"loss": [], "norm": [], "log_probs": {}, "entropy": {}}
        for step in range(2):
            data = batch(numbers, fused, count)
            tu.assign_non_tensor(data, compute_loss=False)
            looked = made.infer_batch(data)
            for name in ("log_probs", "entropy"):
                rows = looked[name].unbind()
                for number, row in zip(numbers, rows, strict=True):
                    prompt, answer, _ = samples()[number]
                    at = len(prompt) - 1
                    result[name][f"{step}/{number}"] = row[at : at + len(answer)].tolist()
            with exact_losses(made.engine) as losses:
                metrics = made.train_batch(batch(numbers, fused, count))["metrics"]
            whole = torch.tensor(sum(losses), dtype=torch.float64)
            torch.distributed.all_reduce(whole)
            result["loss"].append(float(whole) / workers)
            result["norm"].append(metrics["grad_norm"])
            result["computed"] = metrics.get("computed_share")
        found[way] = result
    Path(folder, f"{workers}_{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def main(folder: str, workers: int) -> None:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "VERL_PLATFORM": "cpu",
        "VERL_USE_EXTERNAL_MODULES": "funreason_train.rl.cpu.plugin",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCH_COMPILE_DISABLE": "1",
    }
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, initializer_range=0.2,
        tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(f"{folder}/model")
    import verl.workers.engine_workers  # noqa: F401 - imported once, before the workers are forked
    from verl.workers.engine.base import EngineRegistry

    import funreason_train.rl.cpu.engine  # noqa: F401

    with patch.dict(os.environ, VERL_ENGINE_DEVICE="cuda", VERL_ENGINE_VENDOR="nvidia"):
        chosen = EngineRegistry.get_engine_cls("language_model", "fsdp2")
    Path(folder, "engine").write_text(f"{chosen.__module__}.{chosen.__name__}")
    torch.multiprocessing.start_processes(work, (folder, workers), nprocs=workers, start_method="fork")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
