"""From the rows of one source to checked conversations in the spool; what fails goes to `rejected.jsonl`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from ...dialogue import Trajectory
from ...run.parallel import Workers, chunks
from ...run.progress import report
from ..check.checks import Pass, content_digest
from ..export.split import opening_key
from ..ledger import Account
from ..spool import Kept, Spool, body, encode
from ..steps import closing_steps, untrained_steps
from .files import Unparsed, Unreadable, records, rows_in
from .formats import source_module
from .json_text import unwrap
from .rows import Rejection, RowError, excerpt

_ID = 200  # characters of a row's own id that are kept
_CHUNK = 128  # rows sent to a worker at a time


class RejectedWriter:
    """Writes `rejected.jsonl`.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> RejectedWriter:
        self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")  # valid in JSON
        return self

    def write(self, rejection: Rejection) -> None:
        """Appends one line."""
        self._file.write(json.dumps(rejection.to_json(), ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class Passed(NamedTuple):
    """A conversation that passed every check, as a worker hands it over.

    Attributes:
        kept: What stays in memory; where it lies and its unique id are still to come.
        data: As the spool holds it.
        flags: What was repaired or is odd.
        repairs: Kind of repair -> values.
        row: The beginning of the row, as text.
    """

    kept: Kept
    data: bytes
    flags: frozenset[str]
    repairs: Mapping[str, int]
    row: str


@dataclass(frozen=True)
class _Examine:
    """Parses, converts and checks rows; sent to the workers."""

    name: str
    node: Mapping[str, Any]
    checks: Sequence[Pass]
    sign: bool

    def __call__(self, rows: Sequence[Rejection | tuple[str, Any]]) -> list[Rejection | Passed]:
        return [one for row in rows for one in self._each(row)]

    def _each(self, row: Rejection | tuple[str, Any]) -> Iterator[Rejection | Passed]:
        """What becomes of what stands in one place: of one row, or of several that stand there as a list."""
        if isinstance(row, Rejection):
            yield row
            return
        position, held = row
        shown = held
        if isinstance(held, Unparsed):
            shown, held = held.line.strip(), held.parsed()
        several = rows_in(held)
        if several[0] is held:
            yield self._one(position, held, shown)
            return
        for number, one in enumerate(several):
            yield self._one(f"{position}[{number}]", one, one)

    def _one(self, position: str, row: Any, shown: Any) -> Rejection | Passed:
        if isinstance(row, Unreadable):
            return _rejection(self.name, position, row.raw, row.error)
        try:
            found = self._convert(row)
            identity = excerpt(found.id, _ID) or position
            meta = {**found.meta, "position": position}
            trajectory = replace(found, id=identity, source=self.name, meta=meta)
            for check in self.checks:
                trajectory = check(trajectory) or trajectory
            said = body(trajectory)
            untrained = untrained_steps(trajectory)
            content = content_digest(trajectory, said)
            calls = tuple(tuple(len(step.calls) for step in turn.steps) for turn in trajectory.turns)
            kept = Kept(
                source=self.name,
                key=opening_key(trajectory),
                position=position,
                offset=0,
                size=0,
                steps=sum(map(len, calls)),
                id=identity,
                closing=closing_steps(trajectory),
                calls=calls,
                digest=_apart(content, untrained),
                content=_with_demonstration(content, trajectory),
                task="task" in trajectory.meta,
                untrained=untrained,
                links=self._links(trajectory),
                signature=self._signature(trajectory),
            )
            flags = frozenset(trajectory.meta.get("flags", ()))
            repairs = trajectory.meta.get("repairs", {})
            return Passed(kept, encode(trajectory, said), flags, repairs, excerpt(shown))
        except RowError as error:
            return _rejection(self.name, position, row, error)
        except RecursionError:
            return _rejection(self.name, position, row, RowError("nested_too_deeply"))
        except Exception as error:  # a gap in a reader must cost one row, and be seen, but never the run
            detail = f"{type(error).__name__}: {error}"[:300]
            return _rejection(self.name, position, row, RowError("not_understood", detail))

    def _links(self, trajectory: Trajectory) -> bytes:
        from ..check.chains import links  # imports numpy, which a dry run can do without

        return links(trajectory)

    def _signature(self, trajectory: Trajectory) -> bytes:
        if not self.sign:
            return b""
        from ..check.near import signature

        return signature(trajectory)

    def _convert(self, row: Any) -> Trajectory:
        if isinstance(row, str) and row.lstrip()[:1] in ("{", "["):  # a whole row as JSON text
            row = unwrap(row)
        found: Trajectory = source_module(self.node["format"]).convert(row, self.node)
        return found


def _rows(name: str, node: Mapping[str, Any]) -> Iterator[Rejection | tuple[str, Any]]:
    """Every row of a source with its position; a damaged one as its rejection.

    Raises:
        UserError: the source cannot be opened.
    """
    place = str(node["path"])
    for position, row in records(place, split=node["split"], hub_file=node.get("hub_file"), parse=False):
        if isinstance(row, Unreadable):
            yield _rejection(name, position, row.raw, row.error)
        else:
            yield position, row


def _apart(digest: bytes, untrained: Collection[int]) -> bytes:
    """The digest of a conversation that is the same as another only if they train the same responses.

    Those that train others become one conversation with all of them (see `chains`).
    """
    if not untrained:
        return digest
    return hashlib.blake2b(digest + repr(sorted(untrained)).encode(), digest_size=16).digest()


def _with_demonstration(digest: bytes, trajectory: Trajectory) -> bytes:
    """The digest of all that the exports show of a conversation."""
    if "demonstration" not in trajectory.meta:
        return digest
    shown = json.dumps(trajectory.meta["demonstration"], sort_keys=True).encode()
    return hashlib.blake2b(digest + shown, digest_size=16).digest()


def _rejection(name: str, position: str, row: Any, error: RowError) -> Rejection:
    return Rejection(name, position, _id(row), error.reason, error.detail, excerpt(row))


def read_source(
    name: str,
    node: Mapping[str, Any],
    checks: Sequence[Pass],
    seen: set[bytes] | None,
    spool: Spool,
    account: Account,
    rejected: RejectedWriter,
    workers: Workers,
    sign: bool = False,
) -> list[Kept]:
    """Reads one source to its end.

    Args:
        name: The source's name in the config.
        node: Its node of the config.
        checks: Passes, in order; the first that raises decides, and each sees what the one before made.
        seen: Digests of the conversations read before, in any source, which are rejected; None keeps all.
        spool: Where conversations go.
        account: Receives the counts.
        rejected: Where the others go.
        workers: Who converts and checks.
        sign: Whether near-duplicates are looked for afterwards, which takes a signature of each row.

    Returns:
        The kept conversations, in the order read.
    """
    kept: list[Kept] = []
    names: dict[str, int] = {}
    work = chunks(_rows(name, node), _CHUNK)
    for done in workers.map(_Examine(name, node, checks, sign), work):
        for row in done:
            account.read += 1
            report(account.read, None, f"{name}: {account.read:,} rows read")
            if isinstance(row, Passed) and seen is not None and row.kept.digest in seen:
                error = RowError("duplicate")
                row = Rejection(name, row.kept.position, row.kept.id, error.reason, error.detail, row.row)
            if isinstance(row, Rejection):
                account.rejected[row.reason] += 1
                rejected.write(row)
                continue
            one = row.kept
            if seen is not None:
                seen.add(one.digest)
            one.offset, one.size = spool.append(row.data), len(row.data)
            one.id = _unique(one.id, names)
            kept.append(one)
            account.kept += 1
            account.note(row.flags)
            account.repairs.update(row.repairs)
    report(account.read, None, f"{name}: {account.read:,} rows read", now=True)
    return kept


def _unique(own: str, taken: dict[str, int]) -> str:
    """The id itself, or with `~2`, `~3` … where it is taken; `taken` remembers the last number of each."""
    identity = own
    while identity in taken:
        taken[own] += 1
        identity = f"{own}~{taken[own]}"
    taken[identity] = 1
    return identity


def _id(row: Any) -> str | None:
    identity = row.get("id") if isinstance(row, Mapping) else None
    return None if identity is None else excerpt(str(identity), 100)
