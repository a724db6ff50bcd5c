"""Groups of workers that hold the same weights save them once (rl.fsdp_size), and all of them can resume."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.rl import checkpoints
from funreason_train.rl.verl import session
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

SCRIPT = Path(__file__).with_name("copies_script.py")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies")
    line = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_second_group_links_to_what_the_first_saved(saved: Path) -> None:
    for part in ("model", "optim"):
        files = [saved / "saved2" / f"{part}_world_size_4_rank_{rank}.pt" for rank in range(4)]
        assert [file.is_symlink() for file in files] == [False, False, True, True]
        assert [file.resolve() for file in files[2:]] == files[:2]
        assert files[2].readlink().parent == Path(".")  # a run directory may be moved
    extra = [saved / "saved2" / f"extra_state_world_size_4_rank_{rank}.pt" for rank in range(4)]
    assert not any(file.is_symlink() for file in extra)


def test_weights_that_are_held_once_are_saved_by_each(saved: Path) -> None:
    assert not any(file.is_symlink() for file in (saved / "saved4").iterdir())


@pytest.mark.parametrize("width", [2, 4])
def test_every_worker_finds_its_weights_moments_and_random_state_again(saved: Path, width: int) -> None:
    for rank in range(4):
        assert json.loads((saved / f"worker{width}_{rank}.json").read_text()) == {"same": True, "rng": True}


def test_such_a_checkpoint_is_whole_and_one_whose_first_group_is_cut_is_not(
    saved: Path, tmp_path: Path
) -> None:
    step = tmp_path / "global_step_1"
    step.mkdir()
    (saved / "saved2").rename(step / "actor")
    (step / "data.pt").write_bytes((step / "actor" / "extra_state_world_size_4_rank_0.pt").read_bytes())
    assert checkpoints.flaws(step) == []
    (step / "actor" / "model_world_size_4_rank_1.pt").write_bytes(b"cut")
    flaws = checkpoints.flaws(step)
    assert [flaw.split()[0] for flaw in flaws] == [
        f"actor/model_world_size_4_rank_{rank}.pt" for rank in (1, 3)
    ]
    (step / "actor").rename(saved / "saved2")


def test_the_workers_of_a_run_with_groups_load_it(tmp_path: Path) -> None:
    for word, there in (("rl.fsdp_size=8", True), ("rl.fsdp_size=null", False)):
        variables = session.environment(compose("rl", [f"run_dir={tmp_path}", word]), RunDir.at(tmp_path))
        modules = variables["VERL_USE_EXTERNAL_MODULES"].split(",")
        assert ("funreason_train.rl.verl.copies" in modules) is there
