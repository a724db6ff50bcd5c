"""What can be done with what a command has made."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...run.paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Words that the next command needs as well: they say for what the run is.
_KEPT = ("+recipe=", "cluster=", "model=")


def next_step(command: str, config: DictConfig, run: RunDir, words: Sequence[str] = ()) -> str:
    """The command that usually follows, as the user would type it; empty if none does.

    Args:
        command: What was done.
        config: Its configuration.
        run: Its record (see `home_of`).
        words: What the user gave.
    """
    if command not in _NEXT:
        return ""
    following, settings = _NEXT[command](config, run)
    # What is evaluated is named below, but on which machine, and with which prompts, is as before.
    kept = [word for word in words if word.startswith(_KEPT[: 2 if following == "eval" else None])]
    place = [f"run_dir={config.run_dir}"] if RunDir.at(config.run_dir).root == run.root else []
    return shlex.join(["funreason-train", following, *kept, *settings, *map(_short, place)])


_Next = Callable[["DictConfig", RunDir], tuple[str, list[str]]]


def _after_synth(config: DictConfig, run: RunDir) -> tuple[str, list[str]]:
    words = ["datasets=[synth]"]
    if config.synth.out:
        file = Path(str(config.synth.out)).expanduser().resolve() / "conversations.jsonl"
        words.append(_short(f"data.synth.path={file}"))
    return "data", words


def _after_data(config: DictConfig, run: RunDir) -> tuple[str, list[str]]:
    if not config.data.out:
        return "sft", []
    words = [f"sft.data={Path(str(config.data.out)).expanduser().resolve() / 'sft'}"]
    if not config.model.path and run.base_model.is_dir():
        words.append(f"model={run.base_model}")
    return "sft", [_short(word) for word in words]


def _after_export(config: DictConfig, run: RunDir) -> tuple[str, list[str]]:
    return "eval", [_short(f"model={config.export.out or run.export}")]


_NEXT: dict[str, _Next] = {
    "synth": _after_synth,
    "data": _after_data,
    "sft": lambda config, run: ("rl", []),
    "rl": lambda config, run: ("export", []),
    "export": _after_export,
}


def _short(word: str) -> str:
    """The word with a path below the working directory made relative."""
    key, _, value = word.partition("=")
    path = Path(value)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        value = str(path.relative_to(Path.cwd()))
    return f"{key}={value}"
