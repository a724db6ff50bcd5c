"""Runs a stage until it is done, fails in a way that will not pass, or has failed too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...run.paths import RunDir
from ...run.progress import read
from ...run.secrets import redacted
from ...run.stage import Stage
from ..display import say
from ..execution.spawn import StageFailed
from ..execution.stop import StopRequest
from . import incident
from .failures.judge import Verdict, judge, judge_mistake
from .failures.kinds import CONFIGURATION
from .incident import Incident
from .retry import Decision, Limits, Patience

if TYPE_CHECKING:
    from omegaconf import DictConfig


def supervised(
    stage: Stage,
    config: DictConfig,
    run: RunDir,
    attempt: Callable[[], dict[str, Any]],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Calls `attempt` until it succeeds or there is no sense in it; every failure leaves an incident.

    Without `supervise=true` a failure is told in an incident as well, and the stage is not started again.

    Args:
        stage: Which.
        config: Of the command.
        run: The run directory.
        attempt: Runs the stage once.
        sleep: Waits so many seconds.
        clock: Seconds from any start.

    Returns:
        What `attempt` returned.

    Raises:
        UserError: what the stage told as a mistake of the user's.
        StageFailed: the last failure; its message names the incident.
        StageStopped: if it was asked to stop, also while it waited for a new start.
    """
    settings = config.supervision
    retries = int(settings.retries) if config.supervise else 0
    patience = Patience(Limits(retries, float(settings.wait_seconds), float(settings.most_wait_seconds)))
    while True:
        try:
            return attempt()
        except UserError as error:
            verdict = judge_mistake(str(error))
            if verdict.kind is CONFIGURATION:  # one sentence says it all
                raise
            failed: Exception = error
            decision = _decide(patience, verdict, stage, config, run)
            path = _tell(stage, config, run, verdict, decision)
            if path and decision.wait is None:
                say(f"What happened, in words: {path}")
        except StageFailed as error:
            verdict, failed = _verdict(error), error
            decision = _decide(patience, verdict, stage, config, run)
            path = _tell(stage, config, run, verdict, decision, error)
            error.add(f"What happened, in words: {path}" if path else "")
        if decision.wait is None:
            raise failed
        say(
            f"{stage.title} failed ({verdict.kind}: {redacted(verdict.why)}); it is started again in "
            f"{decision.wait:.0f} s, new start {decision.number} of {decision.most}; see {path}"
        )
        _wait(stage, run, decision.wait, sleep, clock)


def _decide(patience: Patience, verdict: Verdict, stage: Stage, config: DictConfig, run: RunDir) -> Decision:
    if not config.supervise:
        return Decision(None, "supervise=true would have decided whether it is")
    return patience.after(verdict, _reached(stage, config, run))


def _reached(stage: Stage, config: DictConfig, run: RunDir) -> int:
    """How far the stage is safe; what is broken there shows when it goes on."""
    with suppress(OSError, ValueError):
        return stage.reached(config, run)
    return 0


def _verdict(error: StageFailed) -> Verdict:
    if error.log is None or not error.log.is_file():
        return judge((), error.code, error.why, error.hung)
    with error.log.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return judge(lines, error.code, error.why, error.hung)


def _tell(
    stage: Stage,
    config: DictConfig,
    run: RunDir,
    verdict: Verdict,
    decision: Decision,
    error: StageFailed | None = None,
) -> Any:
    """Writes the incident; None where the disk takes nothing more."""
    report = read(run.progress(stage.name))
    step = f"{report.done} of {report.total} {report.text}".strip() if report and report.total else ""
    found = Incident(
        (stage.name, stage.title),
        verdict,
        decision,
        error.code if error else None,
        error.log if error else None,
        step,
        _reached(stage, config, run),
        error.told if error else (),
    )
    try:
        return incident.write(found, run)
    except OSError:
        return None


def _wait(
    stage: Stage,
    run: RunDir,
    seconds: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Waits; a request to stop ends the command instead."""
    until = clock() + seconds
    with StopRequest(stage.title, run.stop(stage.name), heeded=False) as stop:
        while (left := until - clock()) > 0:
            stop.look()
            sleep(min(0.5, left))
