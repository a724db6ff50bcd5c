"""From the rows of one source to checked conversations in the spool; what fails goes to `rejected.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..dialogue import Trajectory
from ..progress import report
from .checks import Pass
from .files import Unreadable, records
from .ledger import Account
from .rows import Rejection, RowError, excerpt
from .sources import source_module
from .split import opening_key
from .spool import Kept, Spool


class RejectedWriter:
    """Writes `rejected.jsonl`.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> RejectedWriter:
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def write(self, rejection: Rejection) -> None:
        """Appends one line."""
        self._file.write(json.dumps(rejection.to_json(), ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def conversations(
    name: str, node: Mapping[str, Any], seed: int
) -> Iterator[tuple[str, Any, Trajectory | RowError]]:
    """Every row of a source as (position, the row itself, the conversation or why there is none).

    Args:
        name: The source's name in the config.
        node: Its node of the config.
        seed: For sources that make their conversations themselves.

    Raises:
        UserError: the source cannot be opened.
    """
    module = source_module(node["format"])
    if hasattr(module, "read"):
        for number, trajectory in enumerate(module.read(node, seed)):
            yield f"{name}[{number}]", {"id": trajectory.id}, trajectory
        return
    for position, row in records(node["path"], split=node["split"]):
        if isinstance(row, Unreadable):
            yield position, row.raw, row.error
            continue
        try:
            yield position, row, module.convert(row, node)
        except RowError as error:
            yield position, row, error
        except RecursionError:
            yield position, row, RowError("nested_too_deeply")


def read_source(
    name: str,
    node: Mapping[str, Any],
    seed: int,
    checks: Sequence[Pass],
    spool: Spool,
    account: Account,
    rejected: RejectedWriter,
) -> list[Kept]:
    """Reads one source to its end.

    Args:
        name: The source's name in the config.
        node: Its node of the config.
        seed: See `conversations`.
        checks: Passes, in order; the first that raises decides.
        spool: Where conversations go.
        account: Receives the counts.
        rejected: Where the others go.

    Returns:
        The kept conversations, in the order read.
    """
    kept: list[Kept] = []
    names: set[str] = set()
    for position, row, found in conversations(name, node, seed):
        account.read += 1
        report(account.read, None, f"{name}: {account.read} rows read")
        try:
            if isinstance(found, RowError):
                raise found
            trajectory = _named(found, name, position, names)
            for check in checks:
                check(trajectory)
            kept.append(spool.append(trajectory, opening_key(trajectory), position))
        except (RowError, RecursionError) as error:
            problem = error if isinstance(error, RowError) else RowError("nested_too_deeply")
            account.rejected[problem.reason] += 1
            rejected.write(Rejection(name, position, _id(row), problem.reason, problem.detail, excerpt(row)))
            continue
        names.add(trajectory.id)
        account.kept += 1
        account.flags.update(set(trajectory.meta.get("flags", ())))
    return kept


def _named(trajectory: Trajectory, name: str, position: str, taken: set[str]) -> Trajectory:
    """The trajectory with its source's name, an id that is unique there, and the position it was read at."""
    own = trajectory.id or position
    identity, again = own, 2
    while identity in taken:
        identity, again = f"{own}~{again}", again + 1
    return replace(trajectory, id=identity, source=name, meta={**trajectory.meta, "position": position})


def _id(row: Any) -> str | None:
    identity = row.get("id") if isinstance(row, Mapping) else None
    return None if identity is None else excerpt(str(identity), 100)
