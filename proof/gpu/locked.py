"""The part of a lock that is about some packages: `locked.py LOCK NAMES`, both files; standard library only.

Prints the requirements with their hashes, as the lock has them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def names_in(text: str) -> list[str]:
    """The names of a list with one a line; `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def chosen(lock: str, names: list[str]) -> str:
    """The lock's entries of these packages.

    Raises:
        ValueError: naming packages that are not in the lock.
    """
    entries: dict[str, str] = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        if "==" in block:
            entries[_plain(block.split("==")[0])] = block.rstrip() + "\n"
    if missing := [name for name in names if _plain(name) not in entries]:
        raise ValueError(f"not in the lock: {', '.join(missing)}")
    return "".join(entries[_plain(name)] for name in names)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    lock, names = (Path(file).read_text(encoding="utf-8") for file in sys.argv[1:])
    try:
        sys.stdout.write(chosen(lock, names_in(names)))
    except ValueError as error:
        sys.exit(f"Error: {error}")
