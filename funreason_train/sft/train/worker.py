"""What one training process does. Loaded by Ray Train's workers, on any node."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ...cluster.topology import interface_variables
from ...errors import UserError
from ...models import attention
from ...models.attention import tree_attention
from ...models.weights import ADAPTER, MODEL
from ...run.beat import IDLE, beat
from ...run.files import write_json
from ...run.trackers import forgiving
from ..publish import stop_at_turns_end
from . import checkpoints, failures

DONE = "done.json"
#: Attention by transformers' name -> LLaMA-Factory's; others replace sdpa once the model is there.
_LLAMAFACTORY = {
    attention.FLASH: "fa2",
    **dict.fromkeys((attention.VARLEN, tree_attention.TREE, tree_attention.TREE_BLOCKS), "sdpa"),
}
#: Beside the checkpoints: the model that LoRA's matrices were merged into.
MERGED = "merged"


def train(job: dict[str, Any]) -> None:
    """Trains as one of the workers: LLaMA-Factory's own run, resumed from the newest whole checkpoint.

    Args:
        job: `arguments` (LLaMA-Factory's), `metrics` (path), `failures` (where a note of a failure goes),
            `workers`, `total` (optimizer steps), `lean` (see `lean.py`), `stop` (the file that asks to save
            and end), `attention` (as in the settings), `device`, `objective` (see `arguments.objective_of`)
            and `held_out` (see `heldout.callback`; None: nothing is played).
    """
    seen: list[Any] = []
    try:
        _train(job, seen)
    except Exception as error:
        step = seen[0].step if seen and seen[0].began else -1
        failures.note(Path(job["failures"]), int(os.environ.get("RANK", "0")), step, error)
        raise
    finally:
        beat(f"training.{os.environ.get('RANK', '0')}", IDLE)


def _forgive(trackers: list[str]) -> None:
    """Lets the callbacks of trackers elsewhere fail once the training goes on."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    for name in trackers:
        kind = INTEGRATION_TO_CALLBACK.get(name)
        for event in ("on_log", "on_save", "on_predict", "on_train_end"):
            if kind is not None and event in vars(kind):
                setattr(kind, event, forgiving(getattr(kind, event), name))


def _train(job: dict[str, Any], seen: list[Any]) -> None:
    arguments = dict(job["arguments"])
    tokens = Path(arguments["tokenized_path"])
    if not tokens.is_dir():
        raise RuntimeError(
            f"{os.uname().nodename} does not see {tokens}: run_dir must be on a shared file system"
        )
    os.environ.update(interface_variables(os.environ["MASTER_ADDR"], os.environ))
    import torch.distributed as dist
    from llamafactory.train.tuner import run_exp

    from ..tokens.collate import use_packed_batches
    from ..tokens.order import OrderCallback, seed_epochs
    from ..tokens.tree_batch import use_segments, use_trees
    from .callbacks import (
        AttentionCallback,
        BeatCallback,
        LeanCallback,
        MetricsCallback,
        StopCallback,
        TiedCallback,
    )
    from .lean import liger_shortens
    from .objective import Alpha, Objective, ObjectiveCallback
    from .objective import install as install_objective
    from .probe import BranchCallback

    output = Path(arguments["output_dir"])
    leader = dist.get_rank() == 0
    arguments["resume_from_checkpoint"] = chosen_checkpoint(output, job["workers"], leader)
    wanted = job["objective"]
    tree, balanced = bool(wanted["tree"]), wanted["alpha"] is not None
    objective = Objective(
        Alpha(wanted["alpha"], wanted["learned"]) if balanced else None, rate=wanted["rate"]
    )
    callback = MetricsCallback(Path(job["metrics"]), job["total"], objective if tree else None)
    seen.append(callback)
    seed_epochs(int(arguments["seed"]))
    choose = tree_attention.choose if tree else attention.choose
    kernel = choose(job["attention"], job["device"])
    arguments["flash_attn"] = _LLAMAFACTORY.get(kernel, kernel)
    stop = StopCallback(Path(job["stop"]))
    further: list[Any] = [stop, TiedCallback()]
    if job["lean"]:
        further.append(LeanCallback(logits=not arguments["enable_liger_kernel"] or liger_shortens()))
    if kernel == attention.VARLEN:
        attention.register()
        further.append(AttentionCallback(kernel))
    if tree:
        tree_attention.register()
        further += [AttentionCallback(kernel), BranchCallback()]
        if arguments["enable_liger_kernel"] and not liger_shortens():
            raise UserError(
                "this version of Liger cannot be told which positions predict what",
                where="sft.liger",
                fix="Set sft.liger=false or sft.tree=false",
            )
        use_trees(128 if job["device"] == "cuda" else 8)
    if arguments["packing"]:
        use_packed_batches({"fa2": attention.FLASH}.get(kernel, kernel))
    if balanced and not tree:
        use_segments()
    first: list[Any] = []
    if balanced or tree:
        install_objective(objective)
        first.append(ObjectiveCallback(objective))  # before the one that counts its tokens
    if job["held_out"]:
        from ..heldout.callback import HeldOutCallback

        further.append(HeldOutCallback(job["held_out"], stop, dist.get_rank()))
    further.append(BeatCallback(dist.get_rank()))  # last: it reads what the others have decided
    beat(f"training.{dist.get_rank()}", "loading the model")
    _forgive(arguments["report_to"])
    run_exp(arguments, [*first, callback, OrderCallback(), *further])
    dist.barrier()
    if leader and not stop.stopped:
        if callback.step != job["total"]:
            raise RuntimeError(f"training ended at step {callback.step} of {job['total']}")
        final = finish(arguments, output)
        stop_at_turns_end(final, arguments["model_name_or_path"])
        write_json(output / DONE, {"step": callback.step, "loss": callback.loss, **inspect_model(final)})


def chosen_checkpoint(output: Path, workers: int, leader: bool) -> str | None:
    """The checkpoint to continue from: the leader looks and tells, so that all continue from one.

    A network file system may show a file to one node before the others.
    """
    import torch.distributed as dist

    told: list[str | None] = [None]
    if leader:
        output.mkdir(parents=True, exist_ok=True)
        for line in checkpoints.settle(output, workers):
            print(line)
        clear_final(output)
        start = checkpoints.latest_complete(output, workers)
        print(f"continuing from {start.name}" if start else "starting at step 0")
        told = [str(start) if start else None]
    dist.broadcast_object_list(told, src=0)
    return told[0]


def finish(arguments: dict[str, Any], output: Path) -> Path:
    """The folder of the trained model: the trainer's own, or LoRA's matrices merged into the base."""
    if arguments["finetuning_type"] != "lora":
        return output
    from transformers import AutoTokenizer
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from .merge import merge

    unset_hf_deepspeed_config()  # otherwise ZeRO-3 would spread the model over processes that are gone
    base = arguments["model_name_or_path"]
    merge(base, output, output / MERGED)
    AutoTokenizer.from_pretrained(base).save_pretrained(output / MERGED)
    return output / MERGED


def clear_final(output: Path) -> None:
    """Removes a final model that was not taken over; LLaMA-Factory refuses to start beside one."""
    for name in (MODEL, ADAPTER):
        stem = name.removesuffix(".safetensors")
        for path in output.glob(f"{stem}*.safetensors*"):
            path.unlink(missing_ok=True)
    (output / DONE).unlink(missing_ok=True)
    shutil.rmtree(output / MERGED, ignore_errors=True)


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
