"""Which figures warn and which end a run."""

from rl_runs import small_run

from funreason_train.rl import health, limits, stage

FLAT = [{"health/groups_without_signal": 1.0}, {"health/groups_without_signal": 0.97}]


def test_a_figure_warns_after_enough_steps_in_a_row():
    wanted = {"groups_without_signal": 0.9}
    assert limits.crossed(FLAT, wanted, patience=3) == [], "too few steps"
    lines = [*FLAT, {"health/groups_without_signal": 0.95}]
    (sentence,) = limits.crossed(lines, wanted, patience=3)
    assert "the share of groups without signal is 0.95, above 0.9 in each of the last 3 steps" in sentence
    assert limits.crossed([*lines, {"health/groups_without_signal": 0.5}], wanted, patience=3) == []
    assert limits.crossed(lines, {"groups_without_signal": None}, patience=3) == []


def test_entropy_has_a_least():
    low = [{"health/entropy": 0.001}]
    assert "below 0.01 in this step" in limits.crossed(low, {"entropy": 0.01}, patience=1)[0]
    assert limits.crossed([{"health/entropy": 0.5}], {"entropy": 0.01}, patience=1) == []


def test_a_figure_that_a_mode_does_not_compute_is_passed_over():
    assert limits.crossed(FLAT, {"rollout_difference": 0.0}, patience=1) == []


def test_the_shipped_limits_name_figures_that_every_step_has(tmp_path):
    config, _ = small_run(tmp_path)
    assert limits.problems(config.rl.health) == []
    assert set(config.rl.health.warn) == set(config.rl.health.stop) == set(limits.FIGURES)


def test_mistakes_are_named(tmp_path):
    config, run = small_run(tmp_path, "rl.health.stop.over_long=much", "rl.health.patience=0")
    found = " ".join(stage.check(config, run))
    assert "rl.health.stop.over_long=much" in found
    assert "rl.health.patience=0" in found
    (sentence,) = limits.problems({"patience": 1, "warn": {"unclosd": 0.5}, "stop": {}})
    assert sentence == "rl.health.warn.unclosd: there is no such figure; did you mean unclosed?"


def test_the_entropy_counts_what_the_model_wrote():
    assert health.sampled_entropy([[-1.0, -3.0, -50.0], [-2.0]], [[1, 1, 0], [1]]) == 2.0
    assert health.sampled_entropy([], []) == 0.0
