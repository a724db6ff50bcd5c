"""The order of rows: decided by seed and epoch alone, so that a resumed run meets the rows it has left.

transformers draws the order of length groups from the global generator, which a resumed run finds in another
state: its second epoch has the first one's order, and repeats some rows and leaves out others (trainer.py,
`_run_epoch`; prototypes of both are in tests/sft/test_sft_order.py).

Its length groups also run from long to short for fifty steps, again and again (trainer_pt_utils.py,
`get_length_grouped_indices`). Rows of one length are often of one kind, so what short rows teach is always
learned last. Here the steps are mixed; what that is worth is told in docs/training.md.

Loaded inside a training process (imports torch and transformers inside the functions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Generator, randperm
from torch.utils.data import Sampler
from transformers import TrainerCallback

_STEPS = 50  # rows of so many steps are sorted together, as in transformers


class EpochSampler(Sampler[int]):
    """All rows once an epoch, in an order of that epoch, the same on every rank.

    Args:
        lengths: Tokens of each row, to bring rows of similar length together; None mixes them freely.
        group: Rows of a step, of all ranks together: the order is the same for any number of ranks.
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
    """Rows in steps of similar length, the steps in a random order.

    The step with the longest row comes first, so that an out-of-memory shows at once; rows that do not fill a
    step come last.

    Args:
        lengths: Tokens of each row.
        group: Rows of a step.
        generator: Draws rows and order.
    """
    rows = randperm(len(lengths), generator=generator).tolist()
    pool = group * max(1, min(_STEPS, len(rows) // (4 * group)))
    steps: list[list[int]] = []
    for at in range(0, len(rows), pool):
        some = sorted(rows[at : at + pool], key=lambda row: lengths[row], reverse=True)
        steps += [some[start : start + group] for start in range(0, len(some), group)]
    rest = steps.pop() if len(steps[-1]) < group else []
    order = randperm(len(steps), generator=generator).tolist()
    steps = [steps[at] for at in order]
    if steps:
        longest = max(range(len(steps)), key=lambda at: lengths[steps[at][0]])
        steps[0], steps[longest] = steps[longest], steps[0]
        if rest and lengths[rest[0]] > lengths[steps[0][0]]:
            rest[0], steps[0][0] = steps[0][0], rest[0]
    return [row for step in [*steps, rest] for row in step]


def seed_epochs(seed: int) -> None:
    """Makes LLaMA-Factory's trainer take its order from an `EpochSampler`, in this process."""
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

    def sampler(self: Any, train_dataset: Any = None) -> EpochSampler:
        data = self.train_dataset if train_dataset is None else train_dataset
        arguments = self.args
        if arguments.train_sampling_strategy != "group_by_length":
            return EpochSampler(len(data), seed)
        lengths = row_lengths(data)
        group = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
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
