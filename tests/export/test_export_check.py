"""What the export says before it starts, alone and as a part of a pipeline."""

import json
import zipfile
from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.export import stage
from funreason_train.rl import checkpoints
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of


def test_a_run_killed_before_its_first_checkpoint_can_go_on(tmp_path: Path) -> None:
    """The pipeline asks every stage first, when the checkpoint is still to come. The export insists."""
    run = RunDir.at(tmp_path)
    run.rl_checkpoints.mkdir(parents=True)
    config = compose("export", [f"run_dir={tmp_path}"])
    assert stage.check(config, run) == []
    with pytest.raises(UserError, match="no whole checkpoint"):
        stage.run(config, run)


def test_a_checkpoint_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    config = compose("export", [f"run_dir={tmp_path}", f"export.checkpoint={tmp_path}/global_step_3"])
    assert stage.check(config, RunDir.at(tmp_path))


def whole(folder: Path, ranks: int = 1) -> Path:
    """A checkpoint whose files are all there, with nothing in them."""
    actor = folder / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "huggingface" / "config.json").write_text("{}")
    (actor / "fsdp_config.json").write_text(json.dumps({"world_size": ranks}))
    parts = [f"{part}_world_size_{ranks}" for part in ("model", "optim", "extra_state")]
    files = [actor / f"{part}_rank_{rank}.pt" for part in parts for rank in range(ranks)]
    for file in (*files, folder / "data.pt"):
        zipfile.ZipFile(file, "w").close()
    return folder


def told(tmp_path: Path, *words: str) -> list[str]:
    run = [f"run_dir={tmp_path / 'run'}", *words]
    config = compose("export", run)
    return [str(one) for one in stage.check(config, run_of(config))]


@pytest.mark.parametrize("name", ["notes.txt", "config.json"])
def test_files_of_others_are_not_replaced_by_the_model(tmp_path: Path, name: str) -> None:
    """A folder with a model of somebody else's is one of them: its names are those of an export."""
    whole(tmp_path / "run/rl/checkpoints/global_step_3")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine")
    (found,) = told(tmp_path, f"export.out={tmp_path / 'mine'}")
    assert found.startswith(f"{tmp_path / 'mine'}: holds files that this tool did not create ({name})")
    assert told(tmp_path, f"export.out={tmp_path / 'mine' / name}") != []
    assert "is a file" in told(tmp_path, f"export.out={tmp_path / 'mine' / name}/below")[0]
    (tmp_path / "empty").mkdir()
    assert told(tmp_path, f"export.out={tmp_path / 'empty'}") == []


def test_neither_the_run_nor_its_checkpoint_is_replaced_by_the_model(tmp_path: Path) -> None:
    place = whole(tmp_path / "run/rl/checkpoints/global_step_3")
    for out in (tmp_path / "run", place):
        assert any("did not create" in one for one in told(tmp_path, f"export.out={out}"))


def test_an_earlier_export_of_the_run_may_be_made_again(tmp_path: Path) -> None:
    whole(tmp_path / "run/rl/checkpoints/global_step_3")
    out = tmp_path / "mine"
    out.mkdir()
    (out / "config.json").write_text("{}")
    Manifest(RunDir.at(tmp_path / "run")).update("export", state="done", result={"model": str(out)})
    assert told(tmp_path, f"export.out={out}") == []


def test_a_checkpoint_of_many_workers_that_is_not_whole_is_one_sentence(tmp_path: Path) -> None:
    place = whole(tmp_path / "run/rl/checkpoints/global_step_3", ranks=32)
    for file in (place / "actor").glob("*.pt"):
        file.unlink()
    (found,) = told(tmp_path, f"export.checkpoint={place}")
    assert "model_world_size_32_rank_0.pt is missing" in found and "and 93 more" in found
    assert "export.checkpoint=DIR" in found
    (found,) = told(tmp_path, f"export.checkpoint={tmp_path / 'nowhere'}")
    assert "there is no such folder" in found and "export.checkpoint=DIR" in found


@pytest.mark.parametrize("ranks", ["0", "-1", "1e999", "10000000000000"])
def test_a_number_of_workers_that_cannot_be_is_a_damaged_file(tmp_path: Path, ranks: str) -> None:
    place = whole(tmp_path / "run/rl/checkpoints/global_step_3")
    (place / "actor" / "fsdp_config.json").write_text(f'{{"world_size": {ranks}}}')
    assert checkpoints.flaws(place) == ["actor/fsdp_config.json is missing or unreadable"]
