"""SFT killed in its second epoch: the same command has to end with the weights of an unkilled run."""

from __future__ import annotations

import shutil
from pathlib import Path

import material

from . import Job
from .stages import command, finish, kill_when, lines, start

_ROWS, _BATCH, _EPOCHS, _SAVE = 64, 8, 3, 3
_EPOCH = _ROWS // _BATCH
_KILLED = 12  # the checkpoint after which it is killed: half of the second epoch


def run(job: Job) -> None:
    """Trains twice, once with a kill, and compares every weight.

    Both runs go on at the same time, since a start takes far longer than the training.
    """
    base = job.work / "resume_model"
    material.model(base, material.TINY if job.tiny else material.SMALL, job.device)
    words = [
        f"model={base}",
        f"global_batch={_BATCH}",
        f"per_device_batch={_BATCH // 2}",
        f"epochs={_EPOCHS}",
    ]
    words += ["logging_steps=1", f"save_steps={_SAVE}", "learning_rate=1e-3"]
    runs = {name: job.work / f"resume_{name}" for name in ("whole", "killed")}
    for folder in runs.values():
        shutil.rmtree(folder, ignore_errors=True)
        material.sft_rows(folder / "data" / "sft", [10 + 3 * (index % 17) for index in range(_ROWS)])
    killed = runs["killed"] / "sft"
    whole = start(command("sft", job, runs["whole"], *words))
    kill_when(
        command("sft", job, runs["killed"], *words),
        (killed / "checkpoints" / f"checkpoint-{_KILLED}" / "trainer_state.json").exists,
    )
    reached = max(line["step"] for line in lines(killed / "metrics.jsonl"))
    job.note(killed_at_step=reached, steps=_EPOCHS * _EPOCH)
    finish(command("sft", job, runs["killed"], *words))
    if code := whole.wait():
        raise RuntimeError(f"the unkilled run ended with code {code}; its output is above")
    differing, largest = differences(runs["killed"] / "sft" / "model", runs["whole"] / "sft" / "model")
    job.note(weights_that_differ=differing, largest_difference=largest)
    losses = [[line["loss"] for line in lines(folder / "sft" / "metrics.jsonl")] for folder in runs.values()]
    job.note(same_losses=losses[0] == losses[1])


def differences(one: Path, other: Path) -> tuple[int, float]:
    """How many of two models' tensors are not the same bit for bit, and by how much at most."""
    import torch
    from safetensors.torch import load_file

    ours, theirs = (load_file(folder / "model.safetensors") for folder in (one, other))
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"{one} and {other} hold other tensors")
    odd = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    worst = max(((ours[name].float() - theirs[name].float()).abs().max().item() for name in odd), default=0.0)
    return len(odd), float(f"{worst:.3g}")
