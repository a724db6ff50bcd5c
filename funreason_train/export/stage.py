"""The export stage: the RL checkpoint as a Hugging Face folder that was read back, compared and run once.

funreason-train export run_dir=DIR
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Problem, refuse
from ..models import verify
from ..models.folder import folder_problems
from ..models.frameworks.known import family_problem, must_know
from ..models.weights import Stored, stored_tensors
from ..rl import checkpoints
from ..rl.best import SCORES
from ..run.files import not_ours
from ..run.manifest import Manifest
from ..run.paths import RunDir
from ..run.stage import Decides, Stage

if TYPE_CHECKING:
    from omegaconf import DictConfig

BEST = "best"  # the value of export.checkpoint
_TOLD = 3  # flaws of a checkpoint
_TYPES = ("float32", "bfloat16", "float16")


def check(config: DictConfig, run: RunDir) -> list[Problem | str]:
    """Every problem that shows before a weight is read, except what an earlier stage has yet to make.

    A run that was interrupted before its first whole checkpoint has yet to make one, too.
    """
    return _problems(config, run, awaited=config.export.checkpoint in (None, BEST))


def _awaits(config: DictConfig, run: RunDir) -> list[Problem | str]:
    passed = check(config, run)
    return [one for one in _problems(config, run, awaited=False) if one not in passed]


def _problems(config: DictConfig, run: RunDir, awaited: bool) -> list[Problem | str]:
    found: list[Problem | str] = [*_in_the_way(run)]
    checkpoint = _checkpoint(config, run)
    if checkpoint is None and config.export.checkpoint == BEST and not awaited:
        found.append(
            f"{run.rl_checkpoints}: no whole checkpoint was validated, so none is best; set "
            "rl.validate_every to a multiple of rl.save_every, or leave export.checkpoint at null for the "
            "latest one"
        )
    elif checkpoint is None and not awaited:
        found.append(
            f"{run.rl_checkpoints}: there is no whole checkpoint to export; run `funreason-train rl` first, "
            "or name one with export.checkpoint=DIR"
        )
    if checkpoint is not None:
        found += _flaws(checkpoint)
        found += filter(None, [family_problem(checkpoint / "actor" / "huggingface", trained=True)])
    return found


def _flaws(checkpoint: Path) -> Iterator[Problem]:
    """What keeps a checkpoint from being exported, as one sentence: many files may be missing."""
    flaws = checkpoints.flaws(checkpoint)
    if not checkpoint.is_dir():
        flaws = ["there is no such folder"]
    if flaws:
        more = f" and {len(flaws) - _TOLD:,} more" if len(flaws) > _TOLD else ""
        fix = "Name a whole one with export.checkpoint=DIR, a folder global_step_N as rl writes it"
        yield Problem(f"this is no whole checkpoint ({'; '.join(flaws[:_TOLD])}{more})", str(checkpoint), fix)


def _in_the_way(run: RunDir) -> Iterator[Problem]:
    """What stands where the model goes and would be replaced: only an earlier export of this run may be."""
    out = run.export
    above = next(folder for folder in out.parents if os.path.exists(folder))
    if not above.is_dir() or not os.access(above, os.W_OK):
        why = "no folder can be made in it" if above.is_dir() else "is a file, so no folder can be made in it"
        yield Problem(why, str(above), "Give another out=DIR")
        return
    made = Manifest(run).stage("export").get("result", {}).get("model")
    if not (out.is_dir() and (out == run.root / "export" or made == str(out))):
        yield from not_ours(out, ())


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Merges, writes, reads back, compares and runs the model; only then does it get its final name.

    Returns:
        `model`, `checkpoint`, `step` (None where the checkpoint's name does not say it), `dtype`, `tensors`
        and `changed_tensors` (against the model RL started from).

    Raises:
        UserError: for everything that the user can fix.
        RuntimeError: if what was written is not what the checkpoint holds.
    """
    refuse(_problems(config, run, awaited=False))
    checkpoint = _checkpoint(config, run)
    assert checkpoint is not None  # a problem otherwise
    must_know(checkpoint / "actor" / "huggingface")
    out = run.export
    making = out.with_name(f".{out.name}.unverified")
    shutil.rmtree(making, ignore_errors=True)
    start = _local(config.rl.model)
    before = stored_tensors(start) if start else {}
    dtype = config.export.dtype or _common_type(before) or "bfloat16"
    state, tied = _write(checkpoint, making, dtype, config.export.shard_size, start)
    # A folder may hold its embeddings twice, as the output layer as well; ours never does.
    before = {name: stored for name, stored in before.items() if name not in tied}
    problems = folder_problems(making)
    problems += verify.key_problems(stored_tensors(making), _wanted(before, state, dtype))
    problems += verify.value_problems(making, state) if not problems else []
    problems += verify.forward_problems(making, "A first sentence.") if not problems else []
    differing, compared = verify.changed(making, start) if start and not problems else (0, 0)
    if compared and not differing and config.export.require_change:
        problems.append(
            f"not one weight differs from {start}, so RL trained nothing "
            "(export.require_change=false lets it pass)"
        )
    if problems:
        raise RuntimeError(f"the exported model in {making} is not usable: {'; '.join(problems)}")
    shutil.rmtree(out, ignore_errors=True)
    making.rename(out)
    return {
        "model": str(out),
        "checkpoint": str(checkpoint),
        "step": _step(checkpoint),
        "dtype": dtype,
        "tensors": len(stored_tensors(out)),
        "changed_tensors": differing if compared else None,
    }


def _checkpoint(config: DictConfig, run: RunDir) -> Path | None:
    if config.export.checkpoint == BEST:
        best = checkpoints.best(run.rl_checkpoints)
        return checkpoints.path_of(run.rl_checkpoints, best.step) if best else None
    if config.export.checkpoint:
        return Path(config.export.checkpoint).expanduser().absolute()
    step = checkpoints.latest(run.rl_checkpoints)
    return checkpoints.path_of(run.rl_checkpoints, step) if step else None


def _step(checkpoint: Path) -> int | None:
    """The step of a checkpoint, also of one that a link leads to; None of a copy with another name."""
    found = re.fullmatch(r"global_step_(\d+)", Path(os.path.realpath(checkpoint)).name)
    return int(found[1]) if found else None


def _local(model: Any) -> Path | None:
    """The model RL started from, if it is a folder here."""
    folder = Path(str(model)).expanduser() if model else None
    return folder if folder is not None and folder.is_dir() else None


def _common_type(tensors: dict[str, Stored]) -> str | None:
    types = {stored.dtype for stored in tensors.values()}
    return types.pop() if len(types) == 1 and types <= set(_TYPES) else None


def _wanted(before: dict[str, Stored], state: dict[str, Any], dtype: str) -> dict[str, Stored]:
    """Names and shapes the folder has to hold: the starting model's; without one, the checkpoint's."""
    shapes = {name: stored.shape for name, stored in before.items()} or {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }
    return {name: Stored(dtype, shape, Path()) for name, shape in shapes.items()}


def _write(
    checkpoint: Path, folder: Path, dtype: str, shard_size: str, start: Path | None
) -> tuple[dict[str, Any], set[str]]:
    """Writes the folder.

    Returns:
        The weights it should hold, and the names of those that are others by another name (tied).
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    from .merge import whole_state

    actor = checkpoint / "actor"
    ranks = checkpoints.world_size(checkpoint)
    assert ranks is not None  # checkpoints.flaws names it otherwise
    kind = getattr(torch, dtype)
    state = {name: tensor.to(kind) for name, tensor in whole_state(actor, ranks).items()}
    settings = AutoConfig.from_pretrained(actor / "huggingface")
    # verl writes the attention of the training, which may be known there alone (shared prompts, varlen).
    settings._attn_implementation = None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(settings, dtype=kind)
    missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    tied = set(model.all_tied_weights_keys)
    left_out = [name for name in missing if name not in tied]
    if left_out or unexpected:
        raise RuntimeError(
            f"{checkpoint} does not fit its model: missing {left_out[:3]}, unknown {list(unexpected)[:3]}"
        )
    state = {name: tensor for name, tensor in state.items() if name not in tied}
    if model.can_generate() and (actor / "huggingface" / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(actor / "huggingface")
    model.save_pretrained(folder, max_shard_size=shard_size)
    AutoTokenizer.from_pretrained(actor / "huggingface").save_pretrained(folder)
    return state, tied


def _reads(config: DictConfig, run: RunDir) -> list[Path]:
    """Of a checkpoint, the file that tells which it is: its weights are tens of gigabytes."""
    if config.export.checkpoint == BEST:
        return [run.rl_checkpoints / SCORES]
    if config.export.checkpoint:
        return [Path(config.export.checkpoint).expanduser().absolute() / "actor" / "fsdp_config.json"]
    return [run.rl_checkpoints / checkpoints.TRACKER]


STAGE = Stage(
    name="export",
    title="Exporting to Hugging Face format",
    decides=Decides(("export", "rl.model"), harmless=("export.out", "export.require_change")),
    reads=_reads,
    makes=lambda config, run: [run.export / "config.json"],
    folder=lambda config, run: run.export,
    check=check,
    awaits=_awaits,
    run=run,
    again="aside",
)
