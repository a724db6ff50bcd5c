"""The stage `synth`: conversations and executable tasks made in live environments, written as files.

funreason-train synth maker=embedded trajectories=2000 out=made
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..environments import write_tasks
from ..errors import UserError
from ..run.files import write_json
from ..run.fingerprint import digest_file
from ..run.paths import RunDir
from ..run.progress import report
from ..run.stage import Decides, Stage
from .makers import maker
from .rows import conversation_row, line
from .settings import problems

if TYPE_CHECKING:
    from omegaconf import DictConfig

_MADE = ("manifest.json", "conversations.jsonl", "tasks")


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that can be seen before anything is made.

    Args:
        config: The whole configuration.
        run: The run directory.
    """
    return [*map(str, problems(config.synth)), *_strange(_out(config, run))]


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Makes everything under `synth.out`, or `RUN_DIR/synth`; the folder appears only once it is complete.

    Args:
        config: The whole configuration.
        run: The run directory.

    Returns:
        `{"out", "conversations": count, "tasks": {split: count}, "headline"}`.

    Raises:
        UserError: everything that `check` finds, and what a maker cannot do.
    """
    from omegaconf import OmegaConf

    if found := check(config, run):
        raise UserError("; ".join(found))
    settings = cast(dict[str, Any], OmegaConf.to_container(config.synth, resolve=True))
    out, name, seed = _out(config, run), settings["maker"], config.seed
    node = settings[name] | {"trajectories": settings["trajectories"]}
    makes = maker(name)
    with _fresh(out) as work:
        count = 0
        with (work / "conversations.jsonl").open("w", encoding="utf-8") as file:
            for count, trajectory in enumerate(makes.read(node, seed), start=1):
                file.write(line(conversation_row(trajectory)))
                report(count, node["trajectories"], f"{count} conversations")
        (work / "tasks").mkdir()
        tasks = {
            split: write_tasks(
                work / "tasks" / f"{split}.jsonl",
                makes.tasks(split, settings[f"{split}_tasks"], seed, node["categories"]),
            )
            for split in ("heldout", "tuning")
        }
        files = sorted(path for path in work.rglob("*") if path.is_file())
        manifest = {
            "format": 1,
            "outputs": {str(path.relative_to(work)): digest_file(path) for path in files},
            "config": {**settings, "out": None},
            "seed": seed,
        }
        write_json(work / "manifest.json", manifest)
    told = ", ".join(f"{number} {split} tasks" for split, number in tasks.items())
    return {
        "out": str(out),
        "conversations": count,
        "tasks": tasks,
        "headline": f"{count} conversations, {told}",
    }


def _out(config: DictConfig, run: RunDir) -> Path:
    return Path(str(config.synth.out)).expanduser().resolve() if config.synth.out else run.synth


def _strange(out: Path) -> Iterator[str]:
    """Whether something stands in the way that this stage did not make, and which it would replace."""
    if out.exists() and not out.is_dir():
        yield f"{out} is a file that this tool did not create; give a folder as out=DIR"
    elif out.is_dir() and (strange := sorted({one.name for one in out.iterdir()} - set(_MADE))):
        named = ", ".join(strange[:3])
        yield f"{out} holds files that this tool did not create ({named}); give another out=DIR"


@contextmanager
def _fresh(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place at the end; after an error nothing has changed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
        old = out.with_name(f".{out.name}.{os.getpid()}.old")
        if out.exists():
            out.rename(old)
        work.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


STAGE = Stage(
    name="synth",
    title="Making conversations and tasks",
    decides=Decides(("seed", "synth")),
    reads=lambda config, run: [],
    makes=lambda config, run: [_out(config, run) / "manifest.json"],
    folder=_out,
    check=check,
    run=run,
    out=lambda config: config.synth.out,
)
