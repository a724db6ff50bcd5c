"""Episodes whose environment failed teach nothing: with verl's own advantages and losses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from environments.breaking import PLACES, install
from rl.episode_script import RULES, TASKS, TOKENIZER, flat, gold, run

from funreason_train.rl.rollout.episodes import play_episode
from funreason_train.rl.train import records
from funreason_train.rl.train.quarantine import apart, as_padding, validated

torch = pytest.importorskip("torch")
SHOP = next(task for task in TASKS if task.environment == "shop" and task.turns[0].steps)
BROKEN = replace(SHOP, environment="breaking")
TOKENS = 3


def batch(rows: list[tuple[str, float]], mask: dict[str, int] | None = None) -> Any:
    """verl's batch of responses, each a key and the score of its episode."""
    from verl.protocol import DataProto

    scores = torch.zeros(len(rows), TOKENS)
    scores[:, -1] = torch.tensor([score for _, score in rows])
    masks = torch.ones(len(rows), TOKENS)
    for at, (key, _) in enumerate(rows):
        if mask and key in mask:
            masks[at] = mask[key]
    data = {"token_level_rewards": scores, "response_mask": masks}
    groups = np.array([key.split("_")[0] for key, _ in rows], dtype=object)
    return DataProto.from_dict(tensors=data, non_tensors={"uid": groups})


def advantages(rows: list[tuple[str, float]], faulty: tuple[str, ...] = (), estimator: str = "grpo") -> Any:
    from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

    compute = apart(compute_advantage_for_multi_trajectories, set(faulty))
    data = batch(rows, dict.fromkeys(faulty, 0))
    found = compute(data, batch_keys=[key for key, _ in rows], adv_estimator=estimator, num_repeat=4)
    assert list(found.non_tensor_batch["uid"]) == [key.split("_")[0] for key, _ in rows]
    return {key: found.batch["advantages"][at] for at, (key, _) in enumerate(rows)}


WELL = [("a_0_0", 1.0), ("a_1_0", 0.0), ("a_2_0", 1.0), ("a_2_1", 1.0), ("b_0_0", 0.0), ("b_1_0", 1.0)]
FAULTY = [("a_3_0", 0.0), ("a_3_1", 0.0)]


def test_a_group_is_compared_as_if_the_faulty_episode_had_never_been() -> None:
    alone = advantages(WELL)
    together = advantages([*WELL, *FAULTY], ("a_3_0", "a_3_1"))
    for key, value in alone.items():
        assert torch.equal(together[key], value)
    assert not together["a_3_0"].any() and not together["a_3_1"].any()
    spoilt = advantages([*WELL, *FAULTY])
    assert not torch.equal(spoilt["a_0_0"], alone["a_0_0"]), "which verl by itself does not do"


def test_the_last_one_left_of_a_group_has_no_signal() -> None:
    rows = [("a_0_0", 1.0), ("a_1_0", 0.0), ("b_0_0", 1.0), ("b_1_0", 0.0)]
    found = advantages(rows, ("a_1_0",))
    assert not found["a_0_0"].any() and found["b_0_0"].any()


@pytest.mark.parametrize("mode", ["token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean"])
def test_no_loss_comes_of_a_masked_episode(mode: str) -> None:
    from verl.trainer.ppo.core_algos import agg_loss

    losses = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [700.0, 800.0, 900.0]], requires_grad=True)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 0]])
    masked = agg_loss(losses, mask, mode)
    assert torch.allclose(masked, agg_loss(losses[:2], mask[:2], mode))
    masked.backward()
    assert losses.grad is not None and not losses.grad[2].any()


def test_egpo_compares_without_it_as_well() -> None:
    from funreason_train.rl.train import egpo

    estimator = egpo.register(0.4, 2.0)

    def found(rows: list[tuple[str, float]], faulty: tuple[str, ...] = ()) -> Any:
        estimator.entropies = torch.full((len(rows),), 0.1)
        estimator.stand_ins = records.stand_ins([key for key, _ in rows])
        return advantages(rows, faulty, egpo.NAME)

    alone, together = found(WELL), found([*WELL, *FAULTY], ("a_3_0", "a_3_1"))
    assert all(torch.equal(together[key], value) for key, value in alone.items())
    assert not together["a_3_0"].any()


@pytest.mark.parametrize("place", PLACES)
def test_an_episode_in_which_the_environment_fails_says_so(place: str) -> None:
    install(place, skip=1)
    played, _ = run(BROKEN, flat(gold(SHOP)))
    assert played.fault and any("environment_failed: " in reason for reason in played.reasons)
    assert played.samples and all(sample.written.ids for sample in played.samples)


def test_one_that_fails_before_the_first_prompt_has_a_sample_that_nobody_wrote() -> None:
    install("reset")

    async def write(prompt: Any, number: Any) -> Any:
        raise AssertionError("nothing is asked")

    played = asyncio.run(play_episode(BROKEN, write, TOKENIZER, RULES))
    (sample,) = played.samples
    assert "nobody listens" in str(played.fault) and len(sample.written.ids) == len(sample.prompt) == 1
    assert played.outcomes == [{"state_equal": False, "results_seen": False}] * len(BROKEN.turns)


def rows(faulty: int, well: int) -> list[records.Row]:
    response = {"figures": {"unclosed": 0.0, "cut": 0.0}}
    found = [
        records.Row(f"a_{n}_0", 1.0, {"environment_fault": 0.0, "acc": 1.0}, response) for n in range(well)
    ]
    return found + [
        records.Row(f"a_{well + n}_0", 0.0, {"environment_fault": 1.0, "acc": 0.0}, response)
        for n in range(faulty)
    ]


def test_figures_count_it_apart() -> None:
    figures = records.figures(rows(faulty=1, well=3))
    assert figures["health/environment_faults"] == 0.25
    assert figures["health/score"] == figures["reward/acc"] == 1.0
    assert "reward/environment_fault" not in figures
    assert records.figures(rows(0, 3))["health/environment_faults"] == 0.0
    assert records.figures(rows(3, 0))["health/environment_faults"] == 1.0


def test_its_line_in_the_records_says_why() -> None:
    row = records.Row(
        "a_0_0",
        0.0,
        {"environment_fault": 1.0, "score": 0.0},
        {"turn": 0, "response": 0, "calls": [], "results": [], "ok": [], "gold": [], "figures": {}}
        | {"reasons": ["environment_failed: the server gave no answer"]},
    )
    line = records.line(row, "p", "a", None)
    assert line["environment_fault"] == 1.0 and "no answer" in line["reasons"][0]


def validation(scores: list[float | None], of_each: int) -> tuple[dict[str, float], float]:
    """verl's own figures of a validation; None is an episode whose environment failed."""
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    uids = [f"p{at // of_each}" for at in range(len(scores))]
    infos = {
        "reward": [score or 0.0 for score in scores],
        "acc": [score or 0.0 for score in scores],
        "environment_fault": [float(score is None) for score in scores],
    }
    expected = {("shop", uid): of_each for uid in uids}
    sources, uids, kept, turns, wanted, share = validated(
        ["shop"] * len(uids), uids, infos, [1] * len(uids), expected
    )
    assert len(turns) == len(uids) == len(sources)
    found = process_validation_metrics(sources, uids, kept, expected_acc_counts=wanted)
    return {name: values["mean@1"] for name, values in found.get("shop", {}).items()}, share


def test_validation_leaves_it_out() -> None:
    found, share = validation([1.0, None, 0.0, 1.0, None], of_each=1)
    assert share == 0.4 and found["acc"] == found["reward"] == pytest.approx(2 / 3)
    assert "environment_fault" not in found
    assert validation([1.0, 0.0, 1.0], of_each=1)[0] == validation([None, 1.0, 0.0, 1.0], of_each=1)[0]
    assert validation([None, None], of_each=1) == ({}, 1.0)


def test_validation_counts_an_episode_that_was_lost_as_wrong_all_the_same() -> None:
    """One of two expected ones never came: that is verl's rule, and not what is left out here."""
    *_, wanted, _ = validated(
        ["shop"], ["a"], {"acc": [1.0], "environment_fault": [0.0]}, [1], {("shop", "a"): 2}
    )
    assert wanted == {("shop", "a"): 2}


def test_figures_of_a_step_take_it_for_padding_only_while_they_are_made() -> None:
    tags: list[dict[str, Any]] = [{"n": 1}, {"n": 2}, {"is_padding": True}]
    batch = SimpleNamespace(keys=["a_0_0", "a_1_0", "a_0_0"], tags=tags)
    with as_padding(batch, {"a_1_0"}):
        assert [tag.get("is_padding", False) for tag in tags] == [False, True, True]
    assert [tag.get("is_padding", False) for tag in tags] == [False, False, True]


@pytest.mark.parametrize(("faulty", "noted"), [(0, {3: 0.5}), (1, {3: 0.5}), (3, {})])
def test_the_trainer_notes_a_validation_score_of_the_others_unless_too_many_failed(
    tmp_path: Path, faulty: int, noted: dict[int, float]
) -> None:
    """Four episodes beside the faulty ones, half of them right; beyond the limit the score is nobody's."""
    from omegaconf import OmegaConf
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    from funreason_train.rl import best
    from funreason_train.rl.train import trainer

    class Verl:
        _val_metrics_update = PPOTrainer._val_metrics_update

        def __init__(self, config: Any) -> None:
            self.config, self.global_steps = config, 3

        def _validate(self) -> Any:
            rows = [1.0, 0.0, 1.0, 0.0, *[0.0] * faulty]
            faults = [0.0] * 4 + [1.0] * faulty
            uids = [f"p{at}" for at in range(len(rows))]
            infos = {"reward": rows, "acc": rows, "environment_fault": faults}
            expected = {("shop", uid): 1 for uid in uids}
            return self._val_metrics_update(
                ["shop"] * len(rows), uids, infos, [1] * len(rows), expected_acc_counts=expected
            )

    actor = {"actor": {"ppo_mini_batch_size": 4}, "rollout": {"agent": {"default_agent_loop": "environment"}}}
    config = {"data": {"train_batch_size": 4}, "actor_rollout_ref": actor}
    config["trainer"] = {"default_local_dir": str(tmp_path)}
    health = {"stop": {"environment_faults": 0.3}}
    made = trainer._recording(Verl)(OmegaConf.create(config), tmp_path / "metrics.jsonl", health, None)
    found = made._validate()
    assert found["val-core/shop/acc/mean@1"] == 0.5
    assert found["health/validation_environment_faults"] == pytest.approx(faulty / (4 + faulty))
    assert best.scores(tmp_path) == noted
