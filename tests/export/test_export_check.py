"""What the export says before it starts, alone and as a part of a pipeline."""

from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.export import stage
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose


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
