"""The real command over a played stage that lives on the nodes of the fake cluster, and fails with one.

It stands for the console script where FUNREASON_FAKE_SUPERVISED is set; see `fakes/bin/funreason-train`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands.staged import TABLE
from omegaconf import DictConfig

from funreason_train.commands import cli, stages
from funreason_train.commands.execution import execute
from funreason_train.commands.execution.spawn import StageFailed
from funreason_train.errors import UserError
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.run.stage import Stage

STATE = Path(os.environ["FUNREASON_FAKE_STATE"])
#: What Ray's driver writes when a machine has gone.
LOST = (
    "Traceback (most recent call last):\n"
    "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n"
    "\tThe actor is dead because its node has died. Node Id: {node}\n"
)


def living() -> set[str]:
    """The nodes whose Ray runs."""
    import ray  # the stand-in

    return {one["NodeName"] for one in ray.nodes() if Path(f"/proc/{one['pid']}").exists()}


def played(stage: Stage, config: DictConfig, run: RunDir, lock: int, log: Path) -> tuple[dict[str, Any], int]:
    """Waits for the nodes as a stage does, then trains until it may finish or a node is gone."""
    until = time.monotonic() + float(config.cluster.wait_seconds)
    while len(nodes := living()) < config.cluster.nodes:
        if time.monotonic() > until:
            raise UserError(
                f"after {config.cluster.wait_seconds} s {len(nodes)} nodes have joined, 1 is missing"
            )
        time.sleep(0.02)
    (STATE / f"training.{len(list(STATE.glob('training.*'))) + 1}").touch()
    while not (STATE / "finish").exists():
        if gone := nodes - living():
            log.write_text(LOST.format(node=gone.pop()))
            raise StageFailed(f"the stage '{stage.name}' failed", log, 1, "ActorDiedError: its node has died")
        time.sleep(0.02)
    write_json(run.root / stage.name / "made", {})
    return {"nodes": sorted(nodes)}, 1


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        for name in TABLE:
            patch.setitem(stages.STAGES, name, TABLE[name])
        patch.setattr(execute, "spawn", played)
        code = cli.main(sys.argv[1:])
    sys.exit(code)
