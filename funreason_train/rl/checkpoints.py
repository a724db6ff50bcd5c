"""verl's checkpoints on disk: which are whole, which one a run continues from, which may go.

A checkpoint is `global_step_N/` with `actor/` (one file of model, optimiser and extra state a rank,
`fsdp_config.json`, `huggingface/`) and `data.pt` (the position in the data);
`latest_checkpointed_iteration.txt` names the latest (verl/trainer/ppo/v1/trainer_base.py and
utils/checkpoint/fsdp_checkpoint_manager.py). verl writes that file last but not atomically, and prunes by
itself without looking at what it keeps; both are done here instead.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from ..models.best import Best, best_of
from ..run.files import MISSHAPEN, write_text
from .best import scores

TRACKER = "latest_checkpointed_iteration.txt"
_PREFIX = "global_step_"
_MOST_RANKS = 2**16  # more are a damaged file's, and each would be looked for
_PARTS = ("model", "optim", "extra_state")


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint folder, whole or not, in order."""
    found = (path.name.removeprefix(_PREFIX) for path in folder.glob(f"{_PREFIX}*") if path.is_dir())
    return sorted(int(name) for name in found if name.isdigit())


def path_of(folder: Path, step: int) -> Path:
    """The checkpoint folder of a step."""
    return folder / f"{_PREFIX}{step}"


def world_size(checkpoint: Path) -> int | None:
    """How many workers wrote the checkpoint; None if it does not say."""
    try:
        found = int(
            json.loads((checkpoint / "actor" / "fsdp_config.json").read_text(encoding="utf-8"))["world_size"]
        )
    except (OSError, *MISSHAPEN):
        return None
    return found if 1 <= found <= _MOST_RANKS else None


def flaws(checkpoint: Path) -> list[str]:
    """What keeps the checkpoint from being resumed; empty for a whole one.

    Every file of every rank must be there and be a finished archive: torch writes the archive's table of
    contents last, so a file that was cut off by a crash or a full disk has none.
    """
    ranks = world_size(checkpoint)
    if ranks is None:
        return ["actor/fsdp_config.json is missing or unreadable"]
    files = [
        checkpoint / "actor" / f"{part}_world_size_{ranks}_rank_{rank}.pt"
        for part in _PARTS
        for rank in range(ranks)
    ]
    files.append(checkpoint / "data.pt")
    missing = [file for file in files if not file.is_file()]
    cut = [file for file in files if file.is_file() and not zipfile.is_zipfile(file)]
    found = [f"{file.relative_to(checkpoint)} is missing" for file in missing]
    found += [f"{file.relative_to(checkpoint)} is incomplete" for file in cut]
    if not (checkpoint / "actor" / "huggingface" / "config.json").is_file():
        found.append("actor/huggingface/config.json is missing")
    return found


def latest(folder: Path) -> int:
    """The latest step with a whole checkpoint; 0 if there is none."""
    return next((step for step in reversed(steps(folder)) if not flaws(path_of(folder, step))), 0)


def best(folder: Path) -> Best | None:
    """The whole checkpoint with the best validation score; None if none was validated."""
    held = scores(folder)
    return best_of(held, {step for step in held if not flaws(path_of(folder, step))})


def settle(folder: Path) -> int:
    """Makes verl's bookkeeping agree with what is there, and returns the step a run continues from.

    Folders that a crash left half-written behind the latest whole checkpoint are removed and the tracker is
    rewritten, so verl resumes from a checkpoint that can be loaded or starts afresh.
    """
    step = latest(folder)
    for other in steps(folder):
        if other > step:
            shutil.rmtree(path_of(folder, other))
    if step:
        write_text(folder / TRACKER, str(step))
    else:
        (folder / TRACKER).unlink(missing_ok=True)
    return step


def prune(folder: Path, keep: int) -> list[int]:
    """Removes all but the `keep` latest whole checkpoints and the best one, and returns the removed steps.

    Nothing goes unless the newest checkpoint is whole; a damaged one does not count as kept.
    """
    present = steps(folder)
    if not present or flaws(path_of(folder, present[-1])):
        return []
    whole = [step for step in present if not flaws(path_of(folder, step))]
    kept = set(whole[-max(1, keep) :])
    if found := best(folder):
        kept.add(found.step)
    removed = [step for step in present if step not in kept]
    for step in removed:
        shutil.rmtree(path_of(folder, step))
    return removed


class KeepVerified:
    """Verifies a save, then prunes older ones (verl/trainer/ppo/checkpoint_callback.py)."""

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def on_save(self, trainer: Any, global_step: int, checkpoint_dir: str, **_: Any) -> None:
        """Raises OSError if what was just saved cannot be resumed from: better now than at the end."""
        folder = Path(checkpoint_dir)
        found = flaws(folder)
        if found:
            raise OSError(f"the checkpoint {folder} cannot be resumed from: {'; '.join(found)}")
        prune(folder.parent, self.keep)
