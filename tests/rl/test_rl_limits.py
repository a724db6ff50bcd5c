"""Which figures warn and which end a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from rl.rl_runs import small_run, told

from funreason_train.errors import UserError
from funreason_train.rl.settings import limits
from funreason_train.rl.train import health

FLAT = [{"health/groups_without_signal": 1.0}, {"health/groups_without_signal": 0.97}]


def test_a_figure_warns_after_enough_steps_in_a_row() -> None:
    wanted = {"groups_without_signal": 0.9}
    assert limits.crossed(FLAT, wanted, patience=3) == [], "too few steps"
    lines = [*FLAT, {"health/groups_without_signal": 0.95}]
    (sentence,) = limits.crossed(lines, wanted, patience=3)
    assert "identical rewards (no gradient) is 0.95, above 0.9 in each of the last 3 steps" in sentence
    assert limits.crossed([*lines, {"health/groups_without_signal": 0.5}], wanted, patience=3) == []
    assert limits.crossed(lines, {"groups_without_signal": None}, patience=3) == []


def test_entropy_has_a_least() -> None:
    low = [{"health/entropy": 0.001}]
    assert "below 0.01 in this step" in limits.crossed(low, {"entropy": 0.01}, patience=1)[0]
    assert limits.crossed([{"health/entropy": 0.5}], {"entropy": 0.01}, patience=1) == []


@pytest.mark.parametrize("name", limits.FIGURES)
def test_every_figure_has_a_limit_that_is_crossed_beyond_it_and_not_at_it(name: Any) -> None:
    figure = limits.FIGURES[name]
    beyond, side = (0.2, "below") if figure.least else (0.4, "above")
    (sentence,) = limits.crossed([{figure.metric: beyond}], {name: 0.3}, patience=1)
    assert sentence == f"{figure.says} is {beyond:g}, {side} 0.3 in this step ({name})"
    assert limits.crossed([{figure.metric: 0.3}], {name: 0.3}, patience=1) == []
    assert limits.crossed([{figure.metric: 0.6 - beyond}], {name: 0.3}, patience=1) == []


def recorder(file: Any, health: Any) -> Any:
    """The trainer's record of steps, on a verl that does nothing."""
    from omegaconf import OmegaConf

    from funreason_train.rl.train import trainer

    class Verl:
        def __init__(self, config: Any) -> None:
            self.config, self.total_training_steps, self.global_steps = config, 9, 0

        def _compute_metrics(
            self, batch: Any, metrics: Any, timing: Any, global_steps: Any, epoch: Any
        ) -> None:
            metrics["timing_s/step"] = 1.0

    actor = {"actor": {"ppo_mini_batch_size": 4}, "rollout": {"agent": {"default_agent_loop": "protocol"}}}
    config = OmegaConf.create({"data": {"train_batch_size": 4}, "actor_rollout_ref": actor})
    return trainer._recording(Verl)(config, file, health, None)


def test_a_run_warns_and_ends_after_so_many_steps_beyond_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    health_settings = {"patience": 2, "warn": {"unclosed": 0.5}, "stop": {"reward_errors": 0.05}}
    record = recorder(file, health_settings)

    def step(number: Any, **figures: Any) -> None:
        record.global_steps = number
        record.line_at = file.stat().st_size if file.exists() else 0
        record._compute_metrics(None, {"health/score": 0.25, **figures}, {}, number, 0)

    step(1, **{"reward/error": 0.5, "reward/unclosed": 0.9})
    step(2, **{"reward/error": 0.0, "reward/unclosed": 0.8})
    step(3, **{"reward/error": 0.1, "reward/unclosed": 0.1})
    with pytest.raises(UserError) as caught:
        step(4, **{"reward/error": 0.2, "reward/unclosed": 0.1})
    text = str(caught.value)
    assert text.startswith("reinforcement learning was ended at step 4: the share of samples that the reward")
    assert "is 0.2, above 0.05 in each of the last 2 steps (reward_errors)" in text
    assert str(tmp_path / "rollouts" / "4.jsonl") in text and "continues from the last checkpoint" in text
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["step"], line["timing_s/step"]) for line in lines] == [
        (1, 1.0),
        (2, 1.0),
        (3, 1.0),
        (4, 1.0),
    ]
    warned = [json.loads(line) for line in (tmp_path / "warnings.jsonl").read_text().splitlines()]
    assert [line["step"] for line in warned] == [2]
    assert warned[0]["warnings"] == [
        "the share of answers without </think> is 0.8, above 0.5 in each of the last 2 steps (unclosed)"
    ]


def test_the_difference_between_engine_and_actor_is_over_what_the_model_wrote() -> None:
    rollout, actor = [[-1.0, -2.0, -9.0], [-3.0]], [[-1.5, -2.0, -1.0], [-2.0]]
    assert health.log_prob_difference(rollout, actor, [[1, 1, 0], [1]]) == pytest.approx(0.5)
    assert health.log_prob_difference([], [], []) == 0.0


def test_a_figure_that_a_mode_does_not_compute_is_passed_over() -> None:
    assert limits.crossed(FLAT, {"rollout_difference": 0.0}, patience=1) == []


def test_the_shipped_limits_name_figures_that_every_step_has(tmp_path: Path) -> None:
    config, _ = small_run(tmp_path)
    assert set(config.rl.health.warn) == set(config.rl.health.stop) == set(limits.FIGURES)


def test_mistakes_are_named(tmp_path: Path) -> None:
    config, _ = small_run(tmp_path, "rl.health.stop.over_long=much", "rl.health.patience=0")
    found = " ".join(told(config))
    assert "rl.health.stop.over_long=much: must be a number of at least 0, or null" in found
    assert "rl.health.patience=0: must be a whole number of at least 1" in found


def test_the_entropy_counts_what_the_model_wrote() -> None:
    assert health.sampled_entropy([[-1.0, -3.0, -50.0], [-2.0]], [[1, 1, 0], [1]]) == 2.0
    assert health.sampled_entropy([], []) == 0.0
