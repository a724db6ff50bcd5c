"""Which checkpoints count, which one a run continues from, and which may go."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from rl.rl_runs import small_run

from funreason_train.errors import UserError
from funreason_train.rl import checkpoints, stage


def save(folder: Any, step: Any, ranks: int = 1, damage: Any = None) -> Any:
    """A checkpoint as verl leaves it; `damage` is the name of a file to cut off or leave out."""
    actor = checkpoints.path_of(folder, step) / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "huggingface" / "config.json").write_text("{}")
    (actor / "fsdp_config.json").write_text(json.dumps({"world_size": ranks}))
    names = [
        f"{part}_world_size_{ranks}_rank_{rank}.pt"
        for part in ("model", "optim", "extra_state")
        for rank in range(ranks)
    ]
    for file in [*(actor / name for name in names), actor.parent / "data.pt"]:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("data", "x" * 100)
        if damage == file.name:
            file.write_bytes(file.read_bytes()[:50])
    if damage == "missing":
        (actor / names[-1]).unlink()
    return actor.parent


def test_a_whole_checkpoint_has_no_flaw(tmp_path: Path) -> None:
    assert checkpoints.flaws(save(tmp_path, 3, ranks=4)) == []


@pytest.mark.parametrize("damage", ["model_world_size_2_rank_1.pt", "data.pt", "missing"])
def test_cut_off_and_missing_files_are_flaws(tmp_path: Path, damage: str) -> None:
    assert checkpoints.flaws(save(tmp_path, 3, ranks=2, damage=damage))


def test_a_run_continues_from_the_latest_whole_checkpoint(tmp_path: Path) -> None:
    """What a kill in the middle of a save leaves behind is cleared away; verl's tracker may be empty then."""
    save(tmp_path, 5)
    save(tmp_path, 10)
    save(tmp_path, 15, damage="data.pt")
    (tmp_path / checkpoints.TRACKER).write_text("")
    assert checkpoints.settle(tmp_path) == 10
    assert (tmp_path / checkpoints.TRACKER).read_text() == "10"
    assert checkpoints.steps(tmp_path) == [5, 10]


def test_without_a_whole_checkpoint_a_run_starts_afresh(tmp_path: Path) -> None:
    save(tmp_path, 5, damage="missing")
    (tmp_path / checkpoints.TRACKER).write_text("5")
    assert checkpoints.settle(tmp_path) == 0
    assert not (tmp_path / checkpoints.TRACKER).exists()


def test_older_checkpoints_go_once_the_newest_is_verified(tmp_path: Path) -> None:
    """verl#4873, #724."""
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    assert checkpoints.prune(tmp_path, keep=2) == [1, 2]
    assert checkpoints.steps(tmp_path) == [3, 4]


def test_nothing_goes_while_the_newest_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2, damage="data.pt")
    assert checkpoints.prune(tmp_path, keep=1) == []
    with pytest.raises(OSError, match=r"data\.pt is incomplete"):
        checkpoints.KeepVerified(1).on_save(None, 2, str(checkpoints.path_of(tmp_path, 2)))
    assert checkpoints.steps(tmp_path) == [1, 2]


def test_a_damaged_older_one_does_not_count_as_kept(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2, damage="data.pt")
    save(tmp_path, 3)
    checkpoints.KeepVerified(2).on_save(None, 3, str(checkpoints.path_of(tmp_path, 3)))
    assert checkpoints.steps(tmp_path) == [1, 3]


def test_another_number_of_workers_is_refused_with_the_way_out(tmp_path: Path) -> None:
    config, run = small_run(tmp_path)
    save(run.rl_checkpoints, 4, ranks=2)
    assert "written by 2 workers" in " ".join(stage.check(config, run))


def test_a_run_that_is_done_starts_nothing(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "rl.steps=4")
    save(run.rl_checkpoints, 4)
    (run.rl / "metrics.jsonl").write_text(
        '{"step": 4, "health/score": 0.5}\n{"step": 5, "health/score": 0.9}\n{"step": 6, "hea'
    )
    result = stage.run(config, run)
    assert (result["steps"], result["resumed_from"], result["reward"]) == (4, 4, 0.5)


def test_a_run_is_not_made_shorter_than_what_it_has_trained(tmp_path: Path) -> None:
    config, run = small_run(tmp_path, "rl.steps=3")
    save(run.rl_checkpoints, 4)
    with pytest.raises(UserError, match=r"trained 4 steps already.*more than the 3.*restart=rl"):
        stage.run(config, run)
    assert checkpoints.steps(run.rl_checkpoints) == [4]


def test_more_steps_train_on_from_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = small_run(tmp_path, "rl.steps=6")
    save(run.rl_checkpoints, 4)
    totals = []

    def train(config: Any, run: Any, verl: Any, metrics: Any, environment: Any) -> None:
        totals.append((verl.trainer.total_training_steps, checkpoints.latest(run.rl_checkpoints)))
        save(run.rl_checkpoints, 6)

    monkeypatch.setattr(stage, "_train", train)
    result = stage.run(config, run)
    assert (result["steps"], result["resumed_from"], totals) == (6, 4, [(6, 4)])


@pytest.mark.parametrize(("saved", "damage", "reached"), [(3, None, 3), (4, "data.pt", 3)])
def test_a_run_that_ends_before_its_target_failed_whatever_verl_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: int, damage: str | None, reached: int
) -> None:
    """verl#7401: it may end with code 0 and nothing trained, or with a save cut off."""
    config, run = small_run(tmp_path, "rl.steps=4")

    def end_early(*_: Any) -> None:
        save(run.rl_checkpoints, 3)
        if saved != 3:
            save(run.rl_checkpoints, saved, damage=damage)

    monkeypatch.setattr(stage, "_train", end_early)
    with pytest.raises(RuntimeError, match=f"ended at step {reached} of 4 without an error"):
        stage.run(config, run)
    monkeypatch.setattr(stage, "_train", lambda *_: save(run.rl_checkpoints, 4))
    assert checkpoints.settle(run.rl_checkpoints) == 3
    result = stage.run(config, run)
    assert (result["steps"], result["resumed_from"]) == (4, 3)
    assert result["checkpoint"] == str(checkpoints.path_of(run.rl_checkpoints, 4))
