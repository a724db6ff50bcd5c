"""What a stage is asked to do: the settings that decide it and the files that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...run.changes import Changes, changes, flat
from ...run.fingerprint import digests, fingerprint
from ...run.manifest import Manifest
from ...run.paths import RunDir
from ...run.stage import Stage

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Stands for the run directory in records, so that a run may be moved.
_HERE = "RUN_DIR"


@dataclass(frozen=True)
class Job:
    """One stage with what it is asked to do.

    Attributes:
        stage: Which.
        settings: Dotted key to value, resolved, of what the job uses, with the kind of device; paths in the
            run directory begin with `RUN_DIR`. Where it runs otherwise (cluster) is not among them.
        run: The run directory.
        reads: What it reads.
        unused: Patterns of settings that mean nothing in this job.
    """

    stage: Stage
    settings: Mapping[str, Any]
    run: RunDir
    reads: tuple[Path, ...]
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, stage: Stage, config: DictConfig, run: RunDir) -> Job:
        """The job that a configuration asks for."""
        from omegaconf import OmegaConf

        found: dict[str, Any] = {"device": config.cluster.device}
        for name in stage.decides.sections:
            node = OmegaConf.select(config, name)
            plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            found |= flat(plain, name)
        unused = tuple(stage.decides.unused(config))
        settings = {key: _portable(value, run) for key, value in _used(found, unused).items()}
        return cls(stage, settings, run, tuple(stage.reads(config, run)), unused)

    @cached_property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Path to digest and size of each file that it reads."""
        return {
            _portable(path, self.run): {
                "digest": digest,
                "bytes": None if digest == "missing" else Path(path).stat().st_size,
            }
            for path, digest in digests(self.reads).items()
        }

    @property
    def fingerprint(self) -> str:
        """One hash over what decides the result."""
        harmless = self.stage.decides.is_harmless
        return fingerprint(
            {key: value for key, value in self.settings.items() if not harmless(key)},
            {path: entry["digest"] for path, entry in self.inputs.items()},
        )

    def changes(self, manifest: Manifest) -> Changes:
        """What differs from the stage's record; nothing if there is none."""
        record = manifest.stage(self.stage.name)
        if not record:
            return Changes()
        settings = _used(record.get("settings", {}), self.unused)
        record = {"inputs": {}, **record, "settings": settings}
        return changes(self.stage.decides, record, self.settings, self.inputs)


def left_nothing(stage: Stage, config: DictConfig, run: RunDir, record: Mapping[str, Any]) -> bool:
    """Whether a stage ended before it had made anything that another job could spoil.

    Args:
        stage: Which.
        config: Of the command.
        run: The run directory.
        record: Of the manifest.
    """
    if record.get("state") not in ("failed", "stopped", "running"):
        return False
    folder = stage.folder(config, run)
    if folder.is_file() or stage.out(config) is not None:
        return False
    trains = stage.nodes and stage.reached(config, run) == 0
    return trains or not any(path.is_file() for path in folder.rglob("*"))


def _used(settings: Mapping[str, Any], unused: Sequence[str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in settings.items()
        if not any(fnmatchcase(key, pattern) for pattern in unused)
    }


def _portable(value: Any, run: RunDir) -> Any:
    """The value with the run directory's own path as `RUN_DIR`, and plain lists."""
    if isinstance(value, str):
        root = str(run.root)
        return _HERE + value[len(root) :] if value == root or value.startswith(f"{root}/") else value
    if isinstance(value, (list, tuple)):
        return [_portable(one, run) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _portable(inner, run) for key, inner in value.items()}
    return value
