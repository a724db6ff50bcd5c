"""Four workers in two groups that hold the same weights: they train, save, and load into fresh models."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import Qwen3Config, Qwen3ForCausalLM
from verl.utils.checkpoint.fsdp_checkpoint_manager import FSDPCheckpointManager

import funreason_train.rl.verl.copies  # noqa: F401 - has the manager save each shard once

WORKERS = 4


class Names:
    """Stands in for a tokenizer, which the manager saves beside the weights."""

    def save_pretrained(self, folder: str) -> None:
        (Path(folder) / "tokenizer.json").write_text("{}")


def made(mesh: Any, seed: int) -> tuple[Any, Any, Any]:
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=48, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    model = fully_shard(Qwen3ForCausalLM(config), mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    parts = ["model", "optimizer", "extra"]
    contents = OmegaConf.create({"save_contents": parts, "load_contents": parts})
    manager = FSDPCheckpointManager(
        model, optimizer, None, processing_class=Names(), checkpoint_config=contents
    )
    return model, optimizer, manager


def state(model: Any, optimizer: Any) -> list[torch.Tensor]:
    moments = [value for one in optimizer.state.values() for value in one.values()]
    whole = [getattr(one, "full_tensor", lambda one=one: one)() for one in [*model.parameters(), *moments]]
    return [one.detach().clone() for one in whole]


def work(rank: int, folder: str, width: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store{width}", rank=rank, world_size=WORKERS)
    mesh = init_device_mesh("cpu", (WORKERS // width, width), mesh_dim_names=("ddp", "fsdp"))
    model, optimizer, manager = made(mesh if width < WORKERS else mesh["fsdp"], seed=0)
    torch.manual_seed(rank)  # other rows on each worker
    for _ in range(2):
        ids = torch.randint(48, (2, 8))
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    saved = f"{folder}/saved{width}"
    manager.save_checkpoint(saved, global_step=1)
    wanted = state(model, optimizer)
    draw = torch.rand(1)
    other, blank, loader = made(mesh if width < WORKERS else mesh["fsdp"], seed=9)
    loader.load_checkpoint(saved)
    found = state(other, blank)
    ids = torch.arange(16).reshape(2, 8) + rank
    for one, steps in ((model, optimizer), (other, blank)):
        one(input_ids=ids, labels=ids).loss.backward()
        steps.step()
    trained = zip(state(other, blank), state(model, optimizer), strict=True)
    same = len(found) == len(wanted) and all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    same = same and all(torch.equal(*pair) for pair in trained)
    (Path(folder) / f"worker{width}_{rank}.json").write_text(
        json.dumps({"same": same, "rng": bool(torch.rand(1) == draw)})
    )
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    context = torch.multiprocessing.get_context("fork")
    for width in (2, 4):
        workers = [context.Process(target=work, args=(rank, sys.argv[1], width)) for rank in range(WORKERS)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        if any(one.exitcode for one in workers):
            sys.exit(1)
