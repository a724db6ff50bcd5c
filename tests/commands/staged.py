"""Two stages that stand in for SFT and RL: they make a file and start nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from funreason_train.commands.execution import execute as executing
from funreason_train.commands.pipeline import run_stages
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.run.stage import Decides, Stage
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve


def config_of(run: RunDir, *words: str) -> DictConfig:
    return resolve(compose("sft", [f"run_dir={run.root}", *words]), "sft")


def _stage(name: str, reads: Callable[[DictConfig, RunDir], list[Path]], **more: Any) -> Stage:
    return Stage(
        name=name,
        title=name.upper(),
        decides=Decides(
            ("seed", name),
            harmless=("sft.save_steps", "sft.report_to", "rl.health.*"),
            grows=("sft.epochs", "sft.max_steps", "rl.steps"),
        ),
        reads=reads,
        makes=lambda config, run: [run.root / name / "made"],
        folder=lambda config, run: run.root / name,
        check=lambda config, run: ["sft.schedule must not be 'bad'"] if config.sft.schedule == "bad" else [],
        run=lambda config, run: {},
        **more,
    )


SFT = _stage("sft", lambda config, run: [run.root / "rows.json"])
RL = _stage("rl", lambda config, run: [run.root / "sft" / "made"])
EXPORT = _stage("export", lambda config, run: [run.root / "rl" / "made"], again="aside")
TABLE: dict[str, Callable[[], Stage]] = {"sft": lambda: SFT, "rl": lambda: RL, "export": lambda: EXPORT}


class Spawned:
    """Stands in for the stages' processes: `crash` is raised in the stage of its name, once."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.logs: list[str] = []
        self.crash: dict[str, BaseException] = {}

    def __call__(
        self, stage: Stage, config: DictConfig, run: RunDir, lock: int, log: Path
    ) -> tuple[dict[str, Any], int]:
        folder = run.root / stage.name
        self.done.append(stage.name)
        self.logs.append(str(log.relative_to(run.logs)))
        log.write_text("")
        write_json(folder / "begun", {"epochs": config.sft.epochs, "attempt": len(self.done)})
        if stage.name in self.crash:
            raise self.crash.pop(stage.name)
        write_json(
            folder / "made", {"seed": config.seed, "epochs": config.sft.epochs, "steps": config.rl.steps}
        )
        return {"attempt": len(self.done)}, 1


def command(run: RunDir, *words: str, names: tuple[str, ...] = ("sft",)) -> None:
    """What the user types."""
    run_stages(list(names), config_of(run, *words), run)


def install(monkeypatch: Any) -> Spawned:
    """Puts the stages in the place of the real ones."""
    from funreason_train.commands import stages

    for name in reversed(list(stages.STAGES)):  # what is taken out last is put back first: the order is kept
        monkeypatch.delitem(stages.STAGES, name)
    for name, stage in TABLE.items():
        monkeypatch.setitem(stages.STAGES, name, stage)
    spawned = Spawned()
    monkeypatch.setattr(executing, "spawn", spawned)
    return spawned
