"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import Problem, UserError

#: What reading a value raises that is of another shape than expected, as in a file that others have changed.
MISSHAPEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def is_full(error: OSError) -> bool:
    """Whether a file could not be written for want of room, on its disk or of what its owner may use."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` so that a reader never meets half a file (temporary file, then rename)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text` atomically, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A file's name may be no text (a lone surrogate); written as an escape, it is valid JSON.
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # half a file would be in the way on a disk that is full
            temporary.unlink()
        raise


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in `path`.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, or nested beyond all bounds.
    """
    try:
        value: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def read_lines(path: Path) -> Iterator[Any]:
    """The values of a file of JSON lines; one that a crash cut off is passed over; nothing without a file."""
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(ValueError, RecursionError):
                    yield json.loads(line)


def not_ours(
    out: Path, made: Collection[str], mark: Collection[str] = (), ignored: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """What a stage did not make stands where its result goes, and would be replaced.

    Args:
        out: The result's folder.
        made: The names in it that the stage makes.
        mark: Names of which one has to be there, or the folder is another's.
        ignored: Beginnings of names that may be there as well.
    """
    fix = "Give another out=DIR"
    if out.exists() and not out.is_dir():
        yield Problem("is a file that this tool did not create", str(out), fix)
    elif out.is_dir():
        names = sorted(one.name for one in out.iterdir() if not one.name.startswith(ignored))
        strange = [name for name in names if name not in made]
        if strange or (names and mark and not {*names} & {*mark}):
            named = f" ({', '.join(strange[:3])})" if strange else ""
            yield Problem(f"holds files that this tool did not create{named}", str(out), fix)


@contextmanager
def fresh_folder(out: Path, alone: bool = True) -> Iterator[Path]:
    """A folder beside `out` that takes its place at the end; after an error nothing has changed.

    Args:
        out: The folder to make.
        alone: Whether nobody else makes it meanwhile, on any machine, as under the lock of a run directory.
            Then what processes that were killed have left of it is removed.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if alone:
        _remove_leftovers(out)
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


def _remove_leftovers(out: Path) -> None:
    """Removes what killed processes left of `out`; an older result only where there is a newer one."""
    kinds = "tmp|old" if out.exists() else "tmp"
    name = re.compile(rf"\.{re.escape(out.name)}\.(\d+)\.(?:{kinds})")
    for folder in list(out.parent.iterdir()):
        match = name.fullmatch(folder.name)
        with suppress(OSError):
            if match and not Path(f"/proc/{match[1]}").exists() and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def unwritable(root: Path, error: OSError) -> UserError:
    """What is said when a run directory takes no files: it is full, read-only or somebody else's."""
    file = next((one for one in (root, *root.parents) if os.path.isfile(one)), None)
    why = error.strerror if file is None else f"{file} is a file, not a folder"
    mend = "Free some space, change its permissions, or choose" if file is None else "Choose"
    return UserError(
        f"{platform.node()}: the run directory cannot be written ({why})",
        where=str(root),
        fix=f"{mend} another place with run_dir=DIR",
    )
