"""What one training process does. Loaded by Ray Train's workers, on any node."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..cluster.topology import interface_variables
from ..run.paths import write_json
from . import checkpoints

DONE = "done.json"


def train(job: dict[str, Any]) -> None:
    """Trains as one rank of the gang: LLaMA-Factory's own run, resumed from the newest whole checkpoint.

    Args:
        job: `arguments` (LLaMA-Factory's), `metrics` (path), `workers`, `total` (optimizer steps) and `lean`
            (see `lean.py`).
    """
    tokens = Path(job["arguments"]["tokenized_path"])
    if not tokens.is_dir():
        raise RuntimeError(
            f"{os.uname().nodename} does not see {tokens}: run_dir must be on a shared file system"
        )
    os.environ.update(interface_variables(os.environ["MASTER_ADDR"], os.environ))
    import torch.distributed as dist
    from llamafactory.train.tuner import run_exp

    from .callbacks import LeanCallback, MetricsCallback

    output = Path(job["arguments"]["output_dir"])
    leader = dist.get_rank() == 0
    if leader:
        output.mkdir(parents=True, exist_ok=True)
        for line in checkpoints.remove_incomplete(output, job["workers"]):
            print(line)
        clear_final(output)
    dist.barrier()
    start = checkpoints.latest_complete(output, job["workers"])
    if leader:
        print(f"continuing from {start.name}" if start else "starting at step 0")
    arguments = {**job["arguments"], "resume_from_checkpoint": str(start) if start else None}
    callback = MetricsCallback(Path(job["metrics"]), job["total"])
    # Liger's fused loss makes no logits, so there are none to leave out.
    lean = [LeanCallback(logits=not arguments["enable_liger_kernel"])] if job["lean"] else []
    run_exp(arguments, [callback, *lean])
    dist.barrier()
    if leader:
        if callback.step != job["total"]:
            raise RuntimeError(f"training ended at step {callback.step} of {job['total']}")
        write_json(output / DONE, {"step": callback.step, "loss": callback.loss, **inspect_model(output)})


def clear_final(output: Path) -> None:
    """Removes a final model that was not taken over; LLaMA-Factory refuses to start beside one."""
    for path in [output / DONE, *output.glob("*.safetensors"), *output.glob("*.safetensors.index.json")]:
        path.unlink(missing_ok=True)


def inspect_model(folder: Path) -> dict[str, Any]:
    """Loads the saved model and its tokenizer once, on CPU.

    Returns:
        `parameters` and `vocabulary` (entries of the tokenizer).

    Raises:
        RuntimeError: if weights are missing, left over, of another shape or not finite, or if there is no
            chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()  # otherwise ZeRO-3 would spread the model over processes that are gone
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
    wrong = {name: sorted(map(str, keys)) for name, keys in info.items() if keys}
    if wrong:
        raise RuntimeError(f"the saved model in {folder} is not whole: {json.dumps(wrong)[:500]}")
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        raise RuntimeError(f"the saved model in {folder} has weights that are not finite: {broken[:3]}")
    if not tokenizer.chat_template:
        raise RuntimeError(f"the saved tokenizer in {folder} has no chat template")
    parameters = sum(value.numel() for value in model.parameters())
    return {"parameters": parameters, "vocabulary": len(tokenizer)}
