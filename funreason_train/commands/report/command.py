"""`funreason-train report [serve]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UserError
from ...run.files import unwritable
from ...run.paths import RunDir
from ..display import say
from ..records.scan import refuse_a_result
from .build import Report, write_report
from .serve import serve

if TYPE_CHECKING:
    from omegaconf import DictConfig


def report(config: DictConfig, run: RunDir) -> None:
    """Writes the report, or shows it while the run goes on.

    Raises:
        UserError: if the run directory is not there, holds no run, or nothing can listen at the port.
    """
    if not run.root.is_dir():
        raise UserError("there is no run", where=f"run_dir={run.root}", fix="Name the folder of a run")
    settings = config.report
    if settings.do == "serve":
        serve(Report(run, settings.rollouts, None), settings.host, settings.port)
        return
    refuse_a_result(run.root, f"run_dir={run.root}")
    if not any((run.manifest.is_file(), run.rl.is_dir(), run.sft.is_dir(), (run.root / "eval").is_dir())):
        raise UserError(
            "the folder holds nothing that a stage has made",
            where=f"run_dir={run.root}",
            fix="Name the folder of a run",
        )
    try:
        path = write_report(run, settings.rollouts, settings.megabytes)
    except OSError as error:
        raise unwritable(run.root, error) from None
    say(f"Report: {path} ({path.stat().st_size / 1e6:.1f} MB)")
