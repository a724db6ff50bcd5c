"""verl's actor update with and without the shared prompt, side by side on a CPU.

python benchmarks/rl/shared_prompt.py [PROMPT_TOKENS SAMPLES REPEATS]

Two batches: one GRPO group, SAMPLES answers of 16 to 48 tokens to one prompt; and the episodes of a task,
SAMPLES episodes of four responses of which each is trained with its history, behind a prompt of half as many
tokens. verl's `TrainingWorker` makes a whole update (forward, PPO loss, backward, clipping, AdamW) of the
`tiny` model from the same weights on the same samples:

- `padded rows`: verl's own path without packing, each sample a row with its own copy of the prompt;
- `shared`: no token twice (`rl.share_prompts`, funreason_train/rl/shared), the engine that GPUs take as well.

Times are CPU seconds of this process, so that others do not count. It also runs the functions behind verl's
`actor.use_prefix_grouper` on the same samples. verl 0.9.1's trainer never calls them (see
tests/rl/test_shared_prompt.py), so they have no update of their own to be timed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy

_BUDGET = 1 << 20  # tokens a pass: all samples in one


def main(prompt_tokens: int, samples: int, repeats: int) -> None:
    os.environ |= {
        "VERL_PLATFORM": "cpu",
        "VERL_USE_EXTERNAL_MODULES": "funreason_train.rl.cpu.plugin",
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29571",
        "TORCH_COMPILE_DISABLE": "1",
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder), prompt_tokens + 512)
        group = _group(prompt_tokens, samples)
        shapes = {"one group": group, "episodes of a task": _episodes(prompt_tokens // 2, samples)}
        found = [_compared(name, model, rows, repeats) for name, rows in shapes.items()]
        print(_prefix_grouper(model, group))
        if any(difference > 1e-4 or ratio < 3 for difference, ratio in found):
            sys.exit("expected: losses equal to 1e-4, at least 3 times less time")


def _compared(shape: str, model: Path, rows: list[tuple[list[int], list[int]]], repeats: int) -> Any:
    """Prints both ways' updates of a batch; the difference of their losses and the ratio of their times."""
    import torch

    tokens = sum(len(prompt) + len(answer) for prompt, answer in rows)
    print(
        f"{shape}: {len(rows)} samples, prompts of {len(rows[0][0])} tokens and more, {tokens} tokens; "
        f"{torch.get_num_threads()} thread(s)"
    )
    seconds: dict[str, list[float]] = {}
    first: dict[str, Any] = {}
    workers = {"padded rows": _worker(model, shared=False), "shared": _worker(model, shared=True)}
    for turn in range(repeats + 1):  # the first update also warms up, from the same weights for both
        for name, worker in workers.items():
            started = time.process_time()
            update = worker.train_batch(_batch(rows, name == "shared"))
            took = time.process_time() - started
            if turn == 0:
                first[name] = update["metrics"]
            else:
                seconds.setdefault(name, []).append(took)
    for name, metrics in first.items():
        print(
            f"{name:14} {statistics.median(seconds[name]):7.3f} CPU s an update"
            f"  loss {metrics['loss']:+.7f}  gradient norm {metrics['grad_norm']:.6f}"
        )
    difference = abs(first["padded rows"]["loss"] - first["shared"]["loss"])
    ratio = statistics.median(seconds["padded rows"]) / statistics.median(seconds["shared"])
    share = float(numpy.mean(first["shared"]["computed_share"]))
    print(
        f"{ratio:.1f} times less time with {1 / share:.1f} times fewer tokens, the losses differ by "
        f"{difference:.1e}"
    )
    return difference, ratio


def _model(folder: Path, positions: int) -> Path:
    """The shape of configs/model/tiny.yaml with random weights, and no tokenizer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from funreason_train.settings.compose import compose

    shape = compose(None, []).model
    config = Qwen3Config(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.head_dim,
        max_position_embeddings=max(positions, shape.max_positions),
        initializer_range=shape.initializer_range,
        tie_word_embeddings=shape.tie_embeddings,
    )
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def _group(prompt_tokens: int, samples: int) -> list[tuple[list[int], list[int]]]:
    chance = random.Random(0)
    prompt = _words(chance, prompt_tokens, prompt_tokens)
    return [(prompt, _words(chance, 16, 48)) for _ in range(samples)]


def _episodes(prompt_tokens: int, samples: int, responses: int = 4) -> list[tuple[list[int], list[int]]]:
    """Each response with its history, which keeps the answers without their thoughts, and the results."""
    chance = random.Random(0)
    prompt = _words(chance, prompt_tokens, prompt_tokens)
    rows = []
    for _ in range(samples):
        history = prompt
        for _ in range(responses):
            answer = _words(chance, 16, 48)
            rows.append((history, answer))
            history = [*history, *answer[-12:], *_words(chance, 20, 60)]
    return rows


def _words(chance: random.Random, least: int, most: int) -> list[int]:
    return [chance.randrange(3, 1200) for _ in range(chance.randint(least, most))]


def _worker(model: Path, shared: bool) -> Any:
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
    prefix = "actor_rollout_ref"
    ours = nested(
        {
            f"{prefix}.model.path": str(model),
            f"{prefix}.model.use_remove_padding": shared,
            f"{prefix}.model.override_config.attn_implementation": tree_attention.TREE if shared else "sdpa",
            f"{prefix}.model.enable_gradient_checkpointing": False,
            f"{prefix}.model.load_tokenizer": False,
            f"{prefix}.actor.optim.lr": 1e-4,
            f"{prefix}.actor.optim.total_training_steps": 100,
            f"{prefix}.actor.ppo_mini_batch_size": 1,
            f"{prefix}.actor.use_dynamic_bsz": True,
            f"{prefix}.actor.ppo_max_token_len_per_gpu": _BUDGET,
            f"{prefix}.rollout.n": 1,
        }
    )
    merged = OmegaConf.merge(verl, device, ours)
    actor = omega_conf_to_dataclass(merged.actor_rollout_ref.actor)
    actor.model_config = omega_conf_to_dataclass(merged.actor_rollout_ref.model)
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=actor.model_config,
            engine_config=actor.engine,
            optimizer_config=actor.optim,
            checkpoint_config=actor.checkpoint,
        )
    )
    worker.reset()
    worker.set_loss_fn(partial(ppo_loss, config=actor))
    return worker


def _batch(rows: list[tuple[list[int], list[int]]], shared: bool) -> Any:
    """The samples as verl's trainer hands them to the actor: nested rows, and what the loss needs."""
    import torch
    from verl.utils import tensordict_utils as tu

    def jagged(parts: list[list[Any]], kind: Any) -> Any:
        tensors = [torch.tensor(part, dtype=kind) for part in parts]
        return torch.nested.as_nested_tensor(tensors, layout=torch.jagged)

    chance = random.Random(1)
    answers = [answer for _, answer in rows]
    whole = [prompt + answer for prompt, answer in rows]
    ones = [[1] * len(answer) for answer in answers]
    old = [[-7.0 + chance.random() for _ in answer] for answer in answers]
    advantages = [[chance.gauss(0, 1)] * len(answer) for answer in answers]
    data = tu.get_tensordict(
        {
            "prompts": jagged([prompt for prompt, _ in rows], torch.long),
            "responses": jagged(answers, torch.long),
            "input_ids": jagged(whole, torch.long),
            "position_ids": jagged([list(range(len(row))) for row in whole], torch.long),
            "attention_mask": jagged([[1] * len(row) for row in whole], torch.long),
            "response_mask": jagged(ones, torch.long),
            "loss_mask": jagged(ones, torch.long),
            "old_log_probs": jagged(old, torch.float),
            "advantages": jagged(advantages, torch.float),
        },
        {
            "temperature": 1.0,
            "global_batch_size": len(rows),
            "calculate_entropy": False,
            "use_remove_padding": shared,
            "use_dynamic_bsz": True,
            "max_token_len_per_gpu": _BUDGET,
        },
    )
    tu.assign_non_tensor(data, global_token_num=None)
    return data


def _prefix_grouper(model: Path, rows: list[tuple[list[int], list[int]]]) -> str:
    """What verl's own functions for a shared prompt give on this machine, in one sentence."""
    import torch
    from transformers import Qwen3ForCausalLM
    from verl.models.transformers.monkey_patch import apply_prefix_grouper_patch
    from verl.trainer.ppo.prefix_grouper_utils import forward_micro_batch_with_prefix_grouper

    apply_prefix_grouper_patch()
    module = Qwen3ForCausalLM.from_pretrained(model, attn_implementation="sdpa", dtype=torch.float32)
    width = max(len(answer) for _, answer in rows)
    filler = [[0] * (width - len(answer)) for _, answer in rows]
    micro_batch = {
        "prompts": torch.tensor([prompt for prompt, _ in rows]),
        "responses": torch.tensor([row[1] + rest for row, rest in zip(rows, filler, strict=True)]),
        "response_mask": torch.tensor(
            [[1] * len(row[1]) + rest for row, rest in zip(rows, filler, strict=True)]
        ),
        "uid": ["group"] * len(rows),
    }
    try:
        with torch.no_grad():
            _, found = forward_micro_batch_with_prefix_grouper(
                micro_batch, module, 1.0, False, "cpu", torch.bfloat16
            )
    except Exception as error:
        return f"verl's prefix grouper does not run here: {type(error).__name__}: {error}"
    largest = 0.0
    with torch.no_grad():
        for at, (prompt, answer) in enumerate(rows):
            logits = module(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            expected = torch.log_softmax(logits, -1)[range(len(answer)), answer]
            largest = max(largest, float((found[at, : len(answer)] - expected).abs().max()))
    return f"verl's prefix grouper runs here; its log-probabilities differ by up to {largest:.1e}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("prompt_tokens", 2048), ("samples", 8), ("repeats", 3)):
        parser.add_argument(name, type=int, nargs="?", default=default)
    main(**vars(parser.parse_args()))
