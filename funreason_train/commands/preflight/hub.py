"""Hub ids among the models of a run become folders that every node sees, before any node is asked for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import Problem, refuse
from ...models.folder import folder_problems
from ...models.hub import fetch_model, is_hub_id
from ...run.paths import RunDir
from ..display import say

if TYPE_CHECKING:
    from omegaconf import DictConfig


def settle_models(config: DictConfig, run: RunDir, stages: Sequence[str]) -> None:
    """Fetches the models that the stages name by hub id and puts their folders in the configuration.

    `RUN_DIR/hub/OWNER/NAME` is the model itself where other nodes have to read it, and otherwise a link into
    the hub's cache on this machine. Either way a run keeps the revision that it began with.

    Args:
        config: Changed in place.
        run: The run directory.
        stages: The stages that are going to run.

    Raises:
        UserError: if a model cannot be obtained, or is not whole.
    """
    shared = config.cluster.nodes > 1
    for name in ("sft", "rl"):
        if name in stages and is_hub_id(str(config[name].model)):
            config[name].model = str(_folder(str(config[name].model), run, shared))
    if "eval" in stages:
        for name, path in config.eval.models.items():
            if is_hub_id(str(path)):
                config.eval.models[name] = str(_folder(str(path), run, shared))


def _folder(name: str, run: RunDir, shared: bool) -> Path:
    folder = run.hub / name
    if not folder.exists():
        say(f"Fetching {name} from the hub.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if shared:
            fetch_model(name, folder)
        else:
            folder.unlink(missing_ok=True)  # a link whose cache was emptied
            folder.symlink_to(fetch_model(name))
    refuse(Problem(found, name) for found in folder_problems(folder))
    return folder
