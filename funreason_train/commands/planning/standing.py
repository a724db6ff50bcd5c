"""What a command finds in its run directory, for a dry run: stages it would skip, continue or refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UserError
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...run.stage import Stage
from ..execution.job import Job, left_nothing
from ..execution.prose import another_job
from ..execution.restart import asked_for

if TYPE_CHECKING:
    from omegaconf import DictConfig


def standing(stages: Sequence[Stage], config: DictConfig, run: RunDir) -> tuple[list[str], UserError | None]:
    """What would become of what is there.

    Args:
        stages: What the command runs.
        config: Resolved.
        run: The run directory.

    Returns:
        A line for each stage that has been here before, and the first thing that would be refused.

    Raises:
        UserError: for a manifest that cannot be read, or a restart that the command cannot carry out.
    """
    manifest = Manifest(run)
    asked = asked_for(config, run, stages)
    afresh = asked is not None and not asked.carried_out(manifest)
    lines: list[str] = []
    certain = True  # whether all that a stage reads is there as it will be
    restarting = False
    for stage in stages:
        record = manifest.stage(stage.name)
        restarting = restarting or (afresh and asked is not None and stage.name == asked.stage.name)
        if restarting:
            if record:
                lines.append(f"{stage.name}: starts afresh; what is there is kept under old/")
            continue
        if not record:
            certain = False
            continue
        found = Job.of(stage, config, run).changes(manifest)
        if not certain:
            found = found.of_settings()
        if found.another and left_nothing(stage, config, run, record):
            certain = False
            continue
        if found.another and stage.again == "refuse":
            return lines, another_job(stage, run, found)
        made = all(path.exists() for path in stage.makes(config, run))
        if record.get("state") == "done" and made and not found.another and not found.grown and certain:
            lines.append(f"{stage.name}: done, and skipped")
            continue
        if found.another:
            lines.append(f"{stage.name}: made again, since it differs ({'; '.join(found.another)})")
        elif found.grown:
            lines.append(f"{stage.name}: goes on ({'; '.join(found.grown)})")
        elif record.get("state") != "done":
            step = stage.reached(config, run)
            lines.append(f"{stage.name}: continues" + (f" from step {step:,}" if step else ""))
        certain = False
    return lines, None
