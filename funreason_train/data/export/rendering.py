"""Kept conversations as rows of both exports: rendered in the workers, written here in their order."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...run.parallel import BATCH, Workers, chunks
from ...run.progress import report
from ..spool import Kept, read_spool
from ..steps import cut
from .sharegpt import SftBlock, SftWriter, sft_blocks
from .verl import RlBatch, RlWriter, rl_batch


@dataclass(frozen=True)
class RlShares:
    """How much of two kinds of responses, from 0 to 1, stands in the RL set; all others do.

    Attributes:
        closing: Of the texts that close a turn after tool results.
        one_call: Of the responses with exactly one call.
    """

    closing: float
    one_call: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> RlShares:
        """The shares that the node `data` of the configuration asks for."""
        return cls(data["rl_closing_share"], data["rl_one_call_share"])


@dataclass(frozen=True)
class Render:
    """Both exports of some conversations; sent to the workers.

    Attributes:
        spool: The file that holds the conversations.
        protocol: The node `protocol` of the configuration.
        shares: See `rl_steps`.
    """

    spool: Path
    protocol: Mapping[str, Any]
    shares: RlShares

    def __call__(
        self, work: tuple[tuple[int, int], Sequence[Kept]]
    ) -> tuple[list[SftBlock], RlBatch, RlBatch]:
        """Takes the numbers of the first RL row and task, and conversations.

        Returns:
            SFT's rows, RL's rows of steps, and its rows of executable tasks.
        """
        first, kept = work
        shown, gold, lengths = [], [], []
        tasks, openings, spans = [], [], []
        for one, trajectory in zip(kept, read_spool(self.spool, kept), strict=True):
            cuts = cut(trajectory, self.protocol)
            if playable(one):
                tasks.append(json.dumps(trajectory.meta["task"], ensure_ascii=False))
                openings.append(cuts[0].gold)
                spans.append(tuple(map(max, *one.lengths, *one.lengths)) if one.lengths else None)
            in_rl = rl_steps(one, self.shares)
            for number in one.trained:
                each = cuts[number]
                shown.append(each.shown)
                if number in in_rl:
                    gold.append(each.gold)
                    lengths.append(one.lengths[number] if one.lengths else None)
        return (
            sft_blocks(shown),
            rl_batch(gold, first[0], lengths),
            rl_batch(openings, first[1], spans, tasks),
        )


def rl_steps(kept: Kept, shares: RlShares) -> set[int]:
    """Numbers of the steps that stand in the RL set.

    Which steps of a kind are chosen depends on the conversation's name alone, so every machine chooses the
    same, and a larger share holds all that a smaller one does.

    Args:
        kept: A conversation.
        shares: How much of each kind.
    """
    calls = [count for turn in kept.calls for count in turn]

    def stands(number: int) -> bool:
        share = shares.closing if number in kept.closing else shares.one_call if calls[number] == 1 else 1.0
        return zlib.crc32(f"{kept.source}/{kept.id}/{number}".encode()) / 2**32 < share

    return {number for number in kept.trained if stands(number)}


def playable(kept: Kept) -> bool:
    """Whether a conversation goes into the file of executable tasks: it is one, and nothing was dropped."""
    return kept.task and not kept.dropped


def write_side(
    work: Path, side: str, chosen: Sequence[Kept], render: Render, workers: Workers
) -> tuple[int, int, str]:
    """Writes one side of all exports.

    Args:
        work: The folder that gets `sft/` and `rl/`.
        side: `train` or `val`.
        chosen: The side's conversations, in their order.
        render: How they are rendered.
        workers: Who renders.

    Returns:
        How many steps and how many tasks RL has, and the SHA-256 of the SFT file.
    """

    def numbered() -> Iterator[tuple[tuple[int, int], Sequence[Kept]]]:
        steps = tasks = 0
        for some in chunks(chosen, BATCH):
            yield (steps, tasks), some
            steps += sum(len(rl_steps(one, render.shares)) for one in some)
            tasks += sum(map(playable, some))

    with (
        SftWriter(work / "sft", side) as sft_out,
        RlWriter(work / "rl", side) as rl_out,
        RlWriter(work / "rl", side, tasks=True) as tasks_out,
    ):
        for number, (blocks, steps, tasks) in enumerate(workers.map(render, numbered())):
            report(number * BATCH, len(chosen), f"writing {side}")
            sft_out.write(blocks)
            rl_out.write(steps)
            tasks_out.write(tasks)
    return rl_out.rows, tasks_out.rows, sft_out.digest.hexdigest()
