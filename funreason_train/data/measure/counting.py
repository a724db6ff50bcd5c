"""The lengths of all kept conversations: remembered from earlier runs, or counted in the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...models.tokenizers import load_tokenizer
from ...run.parallel import BATCH, Workers, chunks
from ...run.progress import report
from ..spool import Kept, read_spool
from ..steps import cut
from .length_cache import LengthCache, cache_folder, fingerprint
from .lengths import Lengths, Unlike

#: (prompt, target) tokens of each step of a conversation, by the conversation's content.
ByContent = dict[bytes, list[tuple[int, int]]]


@lru_cache(maxsize=1)
def loaded(path: str, run: Path) -> Any:
    """A tokenizer, loaded once a process and run: the folder may hold another one in the next run.

    Args:
        path: Its folder or hub id.
        run: What is this run's alone, such as its spool.

    Raises:
        UserError: see `load_tokenizer`.
    """
    return load_tokenizer(path)


@lru_cache(maxsize=1)
def _lengths(path: str, run: Path, by_roles: bool) -> Lengths:
    return Lengths(loaded(path, run), by_roles)


@dataclass(frozen=True)
class _Measure:
    """Lengths of every step of some conversations; sent to the workers, each of which loads the tokenizer."""

    spool: Path
    protocol: Mapping[str, Any]
    tokenizer: str
    by_roles: bool = True

    def __call__(self, kept: Sequence[Kept]) -> list[list[tuple[int, int]]]:
        steps = [[one.shown for one in cut(t, self.protocol)] for t in read_spool(self.spool, kept)]
        return _lengths(self.tokenizer, self.spool, self.by_roles).count(steps)


def count(
    kept: Sequence[Kept],
    spool: Path,
    protocol: Mapping[str, Any],
    tokenizer: str,
    cache: str | None,
    workers: Workers,
) -> tuple[ByContent, int, int]:
    """The lengths of conversations.

    Args:
        kept: The conversations.
        spool: The file that holds them.
        protocol: The node `protocol` of the configuration.
        tokenizer: Its folder or hub id.
        cache: Where counts are remembered; see `cache_folder`.
        workers: Who counts.

    Returns:
        The lengths, and of how many conversations they were remembered and counted.
    """
    memory = LengthCache(cache_folder(cache), fingerprint(loaded(tokenizer, spool), protocol))
    known: ByContent = memory.get(one.content for one in kept)
    missing = list({one.content: one for one in kept if one.content not in known}.values())
    work = _Measure(spool, protocol, tokenizer)
    try:
        counted = _counted(missing, work, workers)
    except Unlike:
        counted = _counted(missing, replace(work, by_roles=False), workers)
    memory.put(counted)
    return known | counted, len(known), len(counted)


def _counted(kept: Sequence[Kept], work: _Measure, workers: Workers) -> ByContent:
    found: ByContent = {}
    done = workers.map(work, chunks(kept, BATCH))
    for some, lengths in zip(chunks(kept, BATCH), done, strict=True):
        report(len(found), len(kept), "counting tokens")
        found |= {one.content: sizes for one, sizes in zip(some, lengths, strict=True)}
    return found
