"""The order of rows: decided by seed and epoch alone, so that a resumed run meets the rows it has left.

transformers draws the order of length groups from the global generator, which a resumed run finds in another
state: its second epoch has the first one's order, and repeats some rows and leaves out others (trainer.py,
`_run_epoch`; prototypes of both are in tests/sft/test_sft_order.py).

Its length groups also run from long to short for fifty steps, again and again (trainer_pt_utils.py,
`get_length_grouped_indices`). Rows of one length are often of one kind, so what short rows teach is always
learned last. Here the groups are mixed; what that is worth is told in docs/training.md.

Loaded by training processes alone (imports torch and transformers).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Generator, randperm
from torch.utils.data import Sampler
from transformers import TrainerCallback

_GROUPS = 50  # so many are sorted together, as in transformers


class EpochSampler(Sampler[int]):
    """All rows once an epoch, in an order of that epoch, the same on every rank.

    Args:
        lengths: Tokens of each row, to bring rows of similar length together; None mixes them freely.
        group: Rows that all ranks take at once, so that none waits for another with longer ones. A step of
            several such groups has rows of several lengths.
        rows: How many rows there are.
        seed: Of the run.
    """

    def __init__(self, rows: int, seed: int, lengths: Sequence[int] | None = None, group: int = 1) -> None:
        self.rows, self.seed, self.lengths, self.group, self.epoch = rows, seed, lengths, group, 0

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next iteration is."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        generator = Generator()
        # Distinct for every pair of small numbers, and not the seed of the epoch's neighbour in another run.
        generator.manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.lengths is None:
            return iter(randperm(self.rows, generator=generator).tolist())
        return iter(grouped(self.lengths, self.group, generator))


def grouped(lengths: Sequence[int], group: int, generator: Generator) -> list[int]:
    """Rows in groups of similar length, the groups in a random order.

    The group with the longest row comes first, so that an out-of-memory shows at once; rows that do not fill
    a group come last.

    Args:
        lengths: Tokens of each row.
        group: Rows of a group.
        generator: Draws rows and order.
    """
    rows = randperm(len(lengths), generator=generator).tolist()
    pool = group * max(1, min(_GROUPS, len(rows) // (4 * group)))
    groups: list[list[int]] = []
    for at in range(0, len(rows), pool):
        some = sorted(rows[at : at + pool], key=lambda row: lengths[row], reverse=True)
        groups += [some[start : start + group] for start in range(0, len(some), group)]
    rest = groups.pop() if len(groups[-1]) < group else []
    groups = [groups[at] for at in randperm(len(groups), generator=generator).tolist()]
    if groups:
        longest = max(range(len(groups)), key=lambda at: lengths[groups[at][0]])
        groups[0], groups[longest] = groups[longest], groups[0]
        if rest and lengths[rest[0]] > lengths[groups[0][0]]:
            rest[0], groups[0][0] = groups[0][0], rest[0]
    return [row for one in [*groups, rest] for row in one]


def seed_epochs(seed: int) -> None:
    """Makes LLaMA-Factory's trainer take its order from an `EpochSampler`, in this process."""
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

    def sampler(self: Any, train_dataset: Any = None) -> EpochSampler:
        data = self.train_dataset if train_dataset is None else train_dataset
        arguments = self.args
        if arguments.train_sampling_strategy != "group_by_length":
            return EpochSampler(len(data), seed)
        lengths = row_lengths(data)
        group = arguments.train_batch_size * arguments.world_size
        return EpochSampler(len(data), seed, lengths, group)

    CustomSeq2SeqTrainer._get_train_sampler = sampler


def row_lengths(data: Any) -> list[int]:
    """Tokens of each row, from the offsets of the Arrow file and not by reading the tokens."""
    import pyarrow.compute as pc

    found: list[int] = []
    for batch in data.select_columns(["input_ids"]).with_format("arrow").iter(batch_size=10_000):
        found += pc.list_value_length(batch["input_ids"]).to_pylist()
    return found


class OrderCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Tells the sampler its epoch; accelerate's own way ends at a resumed loader of several ranks."""

    def __init__(self) -> None:
        self._next = 0
        self._sampler: EpochSampler | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Counts the epochs that are done, as the trainer does, and finds the sampler."""
        steps = max(1, math.ceil(len(train_dataloader) / args.gradient_accumulation_steps))
        self._next = state.global_step // steps
        self._sampler = find_sampler(train_dataloader)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Sets the epoch before its first row is drawn."""
        assert self._sampler is not None
        self._sampler.set_epoch(self._next)
        self._next += 1


def find_sampler(loader: Any) -> EpochSampler:
    """The sampler inside a data loader and what accelerate wraps around it.

    Raises:
        RuntimeError: if there is none, so that no run goes on in an order of its own.
    """
    found = getattr(loader, "batch_sampler", None)
    while found is not None and not isinstance(found, EpochSampler):
        found = getattr(found, "batch_sampler", None) or getattr(found, "sampler", None)
    if found is None:
        raise RuntimeError("the trainer does not take the order of its rows from this project")
    return found
