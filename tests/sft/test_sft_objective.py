"""The balanced loss against cases worked out by hand, and what a checkpoint keeps of it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

THOUGHT, ANSWER = 1, 2


def logits(*chances: float) -> Any:
    """Over two tokens, so that token 1 has these probabilities, one position each."""
    return torch.tensor([[[math.log(1 - chance), math.log(chance)] for chance in chances]])


def test_each_segment_is_averaged_over_the_whole_batch_and_not_a_pass() -> None:
    from funreason_train.sft.train.objective import Alpha, Objective

    objective = Objective(Alpha(0.75), totals=(3.0, 2.0))  # of all passes and ranks together
    first = objective.loss(
        logits(0.5, 0.25, 0.9),
        torch.tensor([[1, 1, -100]]),
        torch.tensor([[THOUGHT, THOUGHT, 0]]),
    )
    second = objective.loss(
        logits(0.5, 0.125, 0.5), torch.ones(1, 3, dtype=torch.long), torch.tensor([[THOUGHT, ANSWER, ANSWER]])
    )
    two = math.log(2)
    assert first.item() == pytest.approx(0.75 * (two + 2 * two) / 3)
    assert second.item() == pytest.approx(0.75 * two / 3 + 0.25 * (3 * two + two) / 2)
    objective.finish_step(0.1)
    found = objective.log_line()
    assert found == {
        "thought_loss": pytest.approx(4 * two / 3), "answer_loss": pytest.approx(2 * two), "alpha": 0.75,
    }  # fmt: skip
    assert objective.log_line() == {}, "told once"


def test_a_batch_without_answers_is_the_thoughts_share_alone() -> None:
    from funreason_train.sft.train.objective import Alpha, Objective

    objective = Objective(Alpha(0.5, learned=True), totals=(1.0, 0.0))
    loss = objective.loss(logits(0.5), torch.tensor([[1]]), torch.tensor([[THOUGHT]]))
    assert loss.item() == pytest.approx(0.5 * math.log(2))
    objective.finish_step(0.1)
    assert objective.alpha is not None and objective.alpha.value == 0.5, "nothing to weigh against"


def test_alpha_moves_to_the_easier_segment_as_torch_s_adam_would_and_stays_a_share() -> None:
    from funreason_train.sft.train.objective import Alpha

    alpha, theirs = Alpha(0.7, learned=True), torch.nn.Parameter(torch.tensor(0.7, dtype=torch.double))
    adam = torch.optim.Adam([theirs], lr=0.01)
    for derivative in (0.5, -0.2, 0.1, 0.4):
        alpha.move(derivative, 0.01)
        theirs.grad = torch.tensor(derivative, dtype=torch.double)
        adam.step()
    assert alpha.value == pytest.approx(theirs.item(), rel=1e-9) and alpha.value < 0.7
    for _ in range(200):
        alpha.move(1.0, 0.01)
    assert alpha.value == 0.0
    fixed = Alpha(0.7)
    fixed.move(1.0, 0.5)
    assert fixed.value == 0.7


def test_a_resumed_run_goes_on_with_the_alpha_and_the_count_of_its_checkpoint() -> None:
    from transformers import TrainerState

    from funreason_train.sft.train.objective import Alpha, Objective, ObjectiveCallback

    before = Objective(Alpha(0.7, learned=True), split=123)
    assert before.alpha is not None
    before.alpha.move(0.3, 0.01)
    state = TrainerState(stateful_callbacks=[ObjectiveCallback(before)], global_step=5)
    after = Objective(Alpha(0.7, learned=True))
    ObjectiveCallback(after).on_train_begin(None, state, None)
    assert (after.alpha, after.split) == (before.alpha, 123)
    fresh = Objective(Alpha(0.7, learned=True))
    ObjectiveCallback(fresh).on_train_begin(None, TrainerState(), None)
    assert (fresh.alpha, fresh.split) == (Alpha(0.7, learned=True), 0)


def test_rows_in_padded_and_packed_batches_keep_their_segments() -> None:
    from funreason_train.sft.tokens.collate import PackedCollator
    from funreason_train.sft.tokens.packing import joined
    from funreason_train.sft.tokens.tables import TokenRow, plain
    from funreason_train.sft.tokens.tree_batch import SegmentCollator
    from funreason_train.sft.train.objective import chosen, segment_totals

    rows = [
        plain(TokenRow([5, 6, 7, 8, 9], 2, 2, 4, ""), True),
        plain(TokenRow([5, 6, 7], 1, 1, 2, ""), True),
    ]

    def pad(features: list[dict[str, list[int]]]) -> dict[str, Any]:
        width = max(len(one["labels"]) for one in features)
        fill = {"input_ids": 0, "attention_mask": 0, "labels": -100}
        return {
            name: torch.tensor([one[name] + [fill[name]] * (width - len(one[name])) for one in features])
            for name in fill
        }

    packed = joined([(one["input_ids"], one["labels"], one["segments"]) for one in rows])
    line = PackedCollator(SimpleNamespace(pad_token_id=0), "varlen")
    for batch in (SegmentCollator(pad)(rows), SegmentCollator(line)([packed])):
        assert segment_totals([batch]).tolist() == [3.0, 2.0]
        segments = batch.pop("segments")
        inputs, kinds = chosen(batch, segments)
        learned = inputs["shift_labels"] != -100
        pairs = zip(inputs["shift_labels"][learned].tolist(), kinds[learned].tolist(), strict=True)
        assert sorted(pairs) == [(6, 1), (7, 1), (7, 2), (8, 1), (9, 2)]


@pytest.mark.parametrize("alpha", [1.5, -0.1])
def test_an_alpha_outside_0_and_1_is_one_sentence(alpha: float) -> None:
    from funreason_train.settings import check
    from funreason_train.settings.compose import compose
    from funreason_train.settings.resolve import resolve

    config = resolve(compose("sft", [f"balance.alpha={alpha}"]), "sft")
    problem = check.problems(config)["sft.balance.alpha"]
    assert problem.where == f"sft.balance.alpha={alpha}" and problem.what == "must be a number from 0 to 1"
