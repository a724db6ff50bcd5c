"""What the process of a stage does: a framework's variables, memory and crashes stay with its stage."""

from __future__ import annotations

import signal
from typing import Any

from ...environments.bfcl.sessions import limit_calls
from ...settings.resolve import run_of
from ..stages import stage_of


def run_stage(job: dict[str, Any]) -> dict[str, Any]:
    """Runs one stage in this process.

    Args:
        job: `stage` (its name), `config` (the file of the resolved configuration) and `run` (the run
            directory).

    Returns:
        The stage's result.
    """
    from omegaconf import DictConfig, OmegaConf

    # Requests to stop are for the driver; what is ignored here is ignored in every process that is started.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    config = OmegaConf.load(job["config"])
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    limit_calls(config.call_limits)
    return dict(stage_of(job["stage"]).run(config, run_of(config, job["run"])))
