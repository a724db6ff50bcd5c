"""Validation scores: which checkpoint is best, that it is never pruned, and when a run ends by them."""

from pathlib import Path

import pytest
from rl.rl_runs import small_run, told
from rl.test_rl_checkpoints import save

from funreason_train.errors import UserError
from funreason_train.export import stage as export
from funreason_train.rl import best, checkpoints
from funreason_train.settings.compose import compose


def test_the_score_is_the_mean_of_verls_core_figure_of_each_source() -> None:
    metrics = {
        "val-core/shop/reward/mean@1": 0.5,
        "val-core/bank/reward/mean@1": 0.75,
        "val-core/bank/reward/best@1/mean": 1.0,
        "val-aux/bank/num_turns/mean": 3.0,
    }
    assert best.score_of(metrics) == 0.625
    assert best.score_of({"val-aux/x/score/mean@1": 1.0}) is None


def test_a_step_done_again_takes_the_place_of_what_came_after_it(tmp_path: Path) -> None:
    for step, score in ((5, 0.2), (10, 0.4), (15, 0.9)):
        best.note(tmp_path, step, score)
    assert best.note(tmp_path, 10, 0.3) == {5: 0.2, 10: 0.3} == best.scores(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"scores": 3}', '{"scores": {"x": 1}}', "\x00"])
def test_a_damaged_file_of_scores_is_none_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / best.SCORES).write_text(text)
    assert best.scores(tmp_path) == {}
    assert best.note(tmp_path, 5, 0.5) == {5: 0.5}


def test_the_best_checkpoint_is_kept_and_exported(tmp_path: Path) -> None:
    _, run = small_run(tmp_path / "run")
    folder = run.rl_checkpoints
    for step, score in ((5, 0.2), (10, 0.6), (15, 0.5), (20, 0.4)):
        save(folder, step)
        best.note(folder, step, score)
        checkpoints.prune(folder, keep=1)
    assert checkpoints.steps(folder) == [10, 20]
    assert checkpoints.best(folder) == (10, 0.6)
    chosen = compose("export", [f"run_dir={run.root}", "export.checkpoint=best"])
    assert export._checkpoint(chosen, run) == checkpoints.path_of(folder, 10)
    latest = compose("export", [f"run_dir={run.root}"])
    assert export._checkpoint(latest, run) == checkpoints.path_of(folder, 20)


def test_a_best_one_that_is_damaged_is_not_best(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10, damage="data.pt")
    best.note(tmp_path, 5, 0.2)
    best.note(tmp_path, 10, 0.6)
    assert checkpoints.best(tmp_path) == (5, 0.2)


def test_exporting_the_best_of_a_run_that_validated_nothing_says_what_to_set(tmp_path: Path) -> None:
    _, run = small_run(tmp_path / "run")
    save(run.rl_checkpoints, 5)
    chosen = compose("export", [f"run_dir={run.root}", "export.checkpoint=best"])
    assert export.check(chosen, run) == []
    with pytest.raises(UserError, match=r"none is best; set rl\.validate_every"):
        export.run(chosen, run)


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        (["rl.validate_every=0"], False),
        (["rl.validate_every=7"], False),
        (["rl.validate_every=10"], True),
        (["rl.validate_every=20"], True),
    ],
)
def test_a_run_that_may_end_at_a_validation_saves_there(words: list[str], fits: bool, tmp_path: Path) -> None:
    config, _ = small_run(tmp_path, "rl.save_every=10", "rl.stop_below_best=2", *words)
    problems = " ".join(told(config))
    assert ("each needs a checkpoint" in problems) != fits, problems
