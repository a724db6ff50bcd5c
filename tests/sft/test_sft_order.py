"""The order of rows belongs to seed and epoch, so a resumed run meets exactly the rows that it has left."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def test_transformers_own_order_belongs_to_the_state_of_a_global_generator() -> None:
    """What this project does not rely on: an epoch begun anew has another order (trainer.py)."""
    from transformers.trainer_pt_utils import LengthGroupedSampler

    torch.manual_seed(0)
    sampler = LengthGroupedSampler(2, lengths=[5] * 64)
    first, second = list(sampler), list(sampler)
    torch.manual_seed(0)
    resumed = list(LengthGroupedSampler(2, lengths=[5] * 64))
    assert resumed == first != second
    assert len(set(second[:32] + resumed[32:])) < 64, "rows are repeated and left out"


@pytest.mark.parametrize("lengths", [None, [5] * 64, list(range(1, 65))])
def test_every_epoch_has_all_rows_in_an_order_that_can_be_drawn_again(lengths: list[int] | None) -> None:
    from funreason_train.sft.tokens.order import EpochSampler

    sampler = EpochSampler(64, seed=3, lengths=lengths, group=4)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        torch.manual_seed(epoch * 17)  # whatever the global generator says
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(64))
    assert orders[0] != orders[1] != orders[2]
    resumed = EpochSampler(64, seed=3, lengths=lengths, group=4)
    resumed.set_epoch(1)
    assert list(resumed) == orders[1]
    other = EpochSampler(64, seed=4, lengths=lengths, group=4)
    assert list(other) != orders[0]


def test_rows_of_similar_length_meet_and_the_longest_comes_first() -> None:
    from funreason_train.sft.tokens.order import EpochSampler

    lengths = [(number * 37) % 100 + 1 for number in range(200)]
    order = list(EpochSampler(200, seed=0, lengths=lengths, group=4))
    assert lengths[order[0]] == max(lengths)
    spread = [
        max(some) - min(some) for at in range(0, 200, 4) if (some := [lengths[n] for n in order[at : at + 4]])
    ]
    assert sum(spread) / len(spread) < 15, "a random order has about 60"


def test_long_and_short_groups_are_mixed() -> None:
    """A sorted pool runs from long to short, so each would end with rows of the same kind."""
    from funreason_train.sft.tokens.order import EpochSampler

    lengths = [(number * 37) % 100 + 1 for number in range(2000)]
    order = list(EpochSampler(2000, seed=0, lengths=lengths, group=4))
    groups = [sum(lengths[n] for n in order[at : at + 4]) for at in range(0, 2000, 4)]
    falls = sum(now > then for now, then in itertools.pairwise(groups[1:]))
    assert 0.4 * len(groups) < falls < 0.6 * len(groups)


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 7, 18, 203])
def test_no_row_is_lost_where_groups_do_not_fill_up(rows: int) -> None:
    from funreason_train.sft.tokens.order import EpochSampler

    for longest in range(min(rows, 20)):
        lengths = [5 + number % 3 for number in range(rows)]
        lengths[longest] = 99
        order = list(EpochSampler(rows, seed=longest, lengths=lengths, group=4))
        assert sorted(order) == list(range(rows)) and order[0] == longest


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_epoch_reaches_the_sampler_of_a_resumed_loader_on_every_rank(ranks: int) -> None:
    """accelerate's `set_epoch` stops at the batches of several ranks, so the callback goes to the sampler."""
    from accelerate import skip_first_batches
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader

    from funreason_train.sft.tokens.order import EpochSampler, OrderCallback

    class State:
        global_step = 6  # of 4 steps an epoch: in the middle of the second

    class Arguments:
        gradient_accumulation_steps = 2

    def rows(rank: int, skip: int, epoch_by_hand: bool) -> list[int]:
        sampler = EpochSampler(16 * ranks, seed=1)
        loader = prepare_data_loader(
            DataLoader(list(range(16 * ranks)), batch_size=2, sampler=sampler),
            num_processes=ranks, process_index=rank, put_on_device=False,
        )  # fmt: skip
        if epoch_by_hand:
            sampler.set_epoch(1)
        else:
            callback = OrderCallback()
            callback.on_train_begin(Arguments, State, None, train_dataloader=loader)
            callback.on_epoch_begin(Arguments, State, None)
        shown = skip_first_batches(loader, skip) if skip else loader
        if hasattr(shown, "set_epoch"):
            shown.set_epoch(1)
        return [int(one) for batch in shown for one in batch]

    seen: list[int] = []
    for rank in range(ranks):
        whole, resumed = rows(rank, 0, True), rows(rank, 4, False)
        assert resumed == whole[8:]
        seen += whole
    assert sorted(seen) == list(range(16 * ranks))
