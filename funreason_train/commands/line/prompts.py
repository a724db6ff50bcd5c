"""Which prompts an evaluation shows: those that its models learned from, where the command names none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...dialogue import prompt_style
from ...errors import UserError
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...settings.words import Word

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Settings with which a command says itself how prompts are rendered.
_NAMED = ("protocol", "recipe")
#: Where a run keeps its models -> the stages whose records tell with which prompts they were made.
_MODELS = {"export": ("rl", "data"), "sft/model": ("data",), "base": ("data",)}
_KEYS = ("system", "escape", "answer")


def settle_prompts(config: DictConfig, words: Sequence[str]) -> str:
    """Takes over the protocol of the run that made the models; a model that sees other prompts seems worse.

    Args:
        config: Of `eval`, resolved; changed in place.
        words: The command line's.

    Returns:
        What the user should know of it, a sentence; empty if the prompts are those of the training.
    """
    own = prompt_style(config.protocol)
    models = {str(name): _trained_with(Path(str(path))) for name, path in (config.eval.models or {}).items()}
    unlike = {name: found for name, found in models.items() if found and prompt_style(found) != own}
    if not unlike:
        return ""
    first = next(iter(unlike.values()))
    shown = f"protocol.system={first['system']}, .escape={str(first['escape']).lower()}"
    named = any(Word.read(word).key.split(".")[0] in _NAMED for word in words)
    if not named and all(found == first for found in models.values() if found):
        for key in _KEYS:
            config.protocol[key] = first[key]
        return f"Prompts are those of the training ({shown}), since the command names none."
    return (
        f"Warning: {', '.join(unlike)} learned from other prompts ({shown}) than are shown here "
        f"(protocol.system={config.protocol.system}): scores may say little."
    )


def _trained_with(model: Path) -> Mapping[str, Any] | None:
    """The protocol that a run noted for one of its models; None where nothing is known."""
    for place, stages in _MODELS.items():
        depth = place.count("/") + 1
        if "/".join(model.parts[-depth:]) != place:
            continue
        run = RunDir.at(model.parents[depth - 1])
        try:
            records = [Manifest(run).stage(stage) for stage in stages] if run.manifest.is_file() else []
        except (UserError, OSError):
            return None
        for record in records:
            found = {key: record.get("settings", {}).get(f"protocol.{key}") for key in _KEYS}
            if None not in found.values():
                return found
    return None
