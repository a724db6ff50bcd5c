"""`runs`: lists, compares and cleans runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...pages.table import Table
from ...run.lock import locked
from ..display import print_table, say
from . import clean as cleaning
from . import compare as comparing
from .scan import RunRecord, disk, one_run, runs_in

if TYPE_CHECKING:
    from omegaconf import DictConfig

_GIB = 2**30


def runs(config: DictConfig, words: Sequence[str] = ()) -> None:
    """Does what `runs.do` says.

    Args:
        config: Of the command.
        words: What the user gave.

    Raises:
        UserError: if there are no such runs, or one of them is being worked in.
    """
    settings = config.runs
    _check_aim(settings, config.run_dir, words)
    if settings.do == "compare":
        _compare(settings)
    elif settings.do == "clean":
        _clean(settings, bool(config.dry_run))
    else:
        _list(settings)


def _check_aim(settings: Any, run_dir: str, words: Sequence[str]) -> None:
    """Every other command works in `run_dir`; here all runs of the folder would be meant in its place.

    Raises:
        UserError: if one run was named in this way, with a recipe too where it is to be cleaned.
    """
    names = ("run_dir=", "recipe=") if settings.do == "clean" else ("run_dir=",)
    named = next((word for word in words if word.lstrip("+").startswith(names)), None)
    if named is not None and not settings.of:
        raise UserError(
            f"is not looked at here: {settings.do} takes all in folder={settings.folder}, or those in of",
            where=f"runs {settings.do} {named}",
            fix=f"Write of=[{run_dir}] for this run alone"
            if settings.do == "clean"
            else "Write folder=DIR for the runs below another folder",
        )


def _list(settings: Any) -> None:
    folder = Path(settings.folder).expanduser()
    records = list(runs_in(folder, links=True))
    found = [(record, *disk(record)) for record in records]
    if settings.format == "json":
        print(json.dumps([_as_json(*one) for one in found], indent=2))
        return
    if not found:
        say(f"There are no runs in {settings.folder}.")
        return
    rows = [
        (
            _name(record, folder),
            record.problem or _states(record),
            ", ".join(f"{name} {value:.3f}" for name, value in record.scores.items()),
            record.latest.replace("T", " ").removesuffix("Z"),
            record.outcome,
            str(record.attempts),
            f"{record.seconds / 60:,.1f}",
            f"{size / _GIB:,.2f}",
        )
        for record, size, _ in found
    ]
    head = ("run", "stages", "held-out", "latest start (UTC)", "it", "attempts", "minutes", "GiB")
    print_table(Table("", head, tuple(rows), texts=5))


def _name(record: RunRecord, folder: Path) -> str:
    """The run's path below the folder that was asked for; the folder itself by its name."""
    root, above = record.run.root, Path(os.path.realpath(folder))
    return str(root.relative_to(above)) if root.is_relative_to(above) and root != above else root.name


def _states(record: RunRecord) -> str:
    if record.finished:
        return f"done: {', '.join(record.stages)}"
    return ", ".join(f"{name} {one.get('state')}" for name, one in record.stages.items()) or "nothing began"


def _as_json(record: RunRecord, size: int, files: int) -> dict[str, Any]:
    return {
        "run": str(record.run.root),
        "problem": record.problem or None,
        "stages": {name: one.get("state") for name, one in record.stages.items()},
        "heldout": record.scores,
        "attempts": record.attempts,
        "latest": record.latest or None,
        "outcome": record.outcome or None,
        "seconds": record.seconds,
        "bytes": size,
        "files": files,
    }


def _compare(settings: Any) -> None:
    places = list(settings.of or ())
    if len(places) < 2:
        raise UserError("two runs at least are needed", where="runs.of", fix="Write of=[runs/a,runs/b]")
    records = [one_run(place) for place in places]
    if settings.format == "json":
        rows = comparing.differences(records)
        values = [
            {"kind": kind, "what": key, "values": dict(zip(places, row, strict=True))}
            for kind, key, row in rows
        ]
        print(json.dumps({"runs": places, "differences": values}, indent=2))
        return
    table = comparing.table(records, _names(places))
    if table.rows:
        print_table(table)
    else:
        say("The runs do not differ.")
    sizes = ", ".join(
        f"{disk(record)[0] / _GIB:,.2f} GiB in {place}" for record, place in zip(records, places, strict=True)
    )
    say(f"Disk: {sizes}")


def _names(places: Sequence[str]) -> list[str]:
    short = [Path(os.path.realpath(Path(place).expanduser())).name for place in places]
    return short if len(set(short)) == len(short) else list(places)


def _clean(settings: Any, dry: bool) -> None:
    given = settings.of
    records = (
        [one_run(place) for place in given] if given else list(runs_in(Path(settings.folder).expanduser()))
    )
    if not records:
        say(f"There are no runs in {settings.folder}.")
        return
    for record in records:
        if record.problem:
            say(f"left alone, since {record.problem}: {record.run.root}")
    spares = {record.run.root: cleaning.spare(record, list(settings.what)) for record in records}
    found = [one for some in spares.values() for one in some]
    if not found:
        say("There is nothing to clean.")
        return
    for one in found:
        say(f"{one.bytes / _GIB:8,.2f} GiB  {one.path} ({one.why})")
    total = sum(one.bytes for one in found) / _GIB
    if dry:
        say(f"Dry run: nothing was removed. These are {len(found)} folders, {total:,.2f} GiB.")
        return
    if not settings.yes and not _asked(f"Remove these {len(found)} folders, {total:,.2f} GiB? [y/N] "):
        raise UserError(
            "nothing was removed", where="runs clean", fix="Add yes=true to remove what is listed"
        )
    freed = 0
    kept: list[Path] = []
    for record in records:
        if not spares[record.run.root]:
            continue
        try:
            with locked(record.run):
                # Looked at again: a command may have ended in between.
                more, stay = cleaning.clean(
                    cleaning.spare(RunRecord.of(record.run.root), list(settings.what))
                )
        except OSError as error:
            raise UserError(
                f"cannot be cleaned ({error.strerror})",
                where=str(error.filename or record.run.root),
                fix="Change its permissions; what was removed so far is gone, nothing else has changed",
            ) from None
        freed, kept = freed + more, kept + stay
    say(f"{freed / _GIB:,.2f} GiB were freed.")
    for path in kept[:20]:
        say(f"kept, since this tool did not create it: {path}")
    if len(kept) > 20:
        say(f"… and {len(kept) - 20} more")


def _asked(question: str) -> bool:
    """Whether a person at a terminal says yes; nobody to ask is a no."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
