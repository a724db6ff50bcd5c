"""Where everything of one run lies. All knowledge of the run directory's layout is in this file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(Path(path).expanduser()))  # which a link to itself does not stop


@dataclass(frozen=True)
class RunDir:
    """The folder of one run; every path below is absolute.

    Attributes:
        root: The run directory itself.
        outs: Stage -> the user's own place for its result (`synth.out`, `data.out`, `export.out`).
    """

    root: Path
    outs: Mapping[str, Path] = field(default_factory=dict, hash=False)

    @classmethod
    def at(cls, root: str | os.PathLike[str], **outs: str | os.PathLike[str] | None) -> RunDir:
        """The run at `root`, which need not exist yet; a result whose place is None lies in it."""
        return cls(_absolute(root), {name: _absolute(out) for name, out in outs.items() if out})

    def holds(self, path: Path) -> bool:
        """Whether a path lies where this run's stages put their results."""
        return any(_absolute(path).is_relative_to(place) for place in (self.root, *self.outs.values()))

    def _result(self, stage: str) -> Path:
        """Where a stage's result lies, for itself and for every stage that reads it."""
        return self.outs.get(stage, self.root / stage)

    @property
    def manifest(self) -> Path:
        """What each stage read, made and measured."""
        return self.root / "manifest.json"

    @property
    def config(self) -> Path:
        """The resolved configuration of the latest command."""
        return self.root / "config.yaml"

    @property
    def synth(self) -> Path:
        """Conversations and executable tasks that were made here."""
        return self._result("synth")

    @property
    def synth_conversations(self) -> Path:
        """The conversations among them, which the stage data reads."""
        return self.synth / "conversations.jsonl"

    def tasks(self, split: str) -> Path:
        """The executable tasks of a split (`heldout`, `tuning`)."""
        return self.synth / "tasks" / f"{split}.jsonl"

    @property
    def data(self) -> Path:
        """Exports, ledger and rejected rows."""
        return self._result("data")

    @property
    def base_model(self) -> Path:
        """The tiny model that the pipeline makes when `model.path` is null."""
        return self.root / "base"

    @property
    def hub(self) -> Path:
        """Models of the hub, as `OWNER/NAME`: the revision that the run began with."""
        return self.root / "hub"

    @property
    def sft(self) -> Path:
        """Everything of the SFT stage."""
        return self.root / "sft"

    @property
    def sft_model(self) -> Path:
        """The fine-tuned model as a HF folder."""
        return self.sft / "model"

    @property
    def rl(self) -> Path:
        """Everything of the RL stage."""
        return self.root / "rl"

    @property
    def rl_checkpoints(self) -> Path:
        """verl's `global_step_N` folders."""
        return self.rl / "checkpoints"

    @property
    def export(self) -> Path:
        """The RL model as a HF folder."""
        return self._result("export")

    def stop(self, stage: str) -> Path:
        """Is there while a stage is asked to save and end."""
        return self.root / ".stage" / f"{stage}.stop"

    @property
    def logs(self) -> Path:
        """A folder for each attempt, by number (`run.attempts`)."""
        return self.root / "logs"

    @property
    def latest_logs(self) -> Path:
        """The logs of the attempt that runs, or ran last."""
        latest = self.logs / "latest"
        return latest.resolve() if latest.is_dir() else self.logs

    @property
    def incidents(self) -> Path:
        """Failures in plain words, and the stacks of stages that hung."""
        return self.root / "incidents"

    def progress(self, stage: str) -> Path:
        """How far a stage that runs is (`run.progress`)."""
        return self.root / ".stage" / f"{stage}.progress"

    def beats(self, stage: str) -> Path:
        """The signs of life of a stage's processes (`run.beat`)."""
        return self.root / ".stage" / f"{stage}.beats"

    @property
    def old(self) -> Path:
        """Results that a restart has set aside."""
        return self.root / "old"

    @property
    def plan(self) -> Path:
        """What a dry run wrote."""
        return self.root / "plan"

    @property
    def summary(self) -> Path:
        """The run's result in figures."""
        return self.root / "summary.json"

    @property
    def report(self) -> Path:
        """The run's result as a page."""
        return self.root / "report.html"

    def eval(self, name: str, benchmark: str = "heldout") -> Path:
        """Scores and failures of the model called `name`; each benchmark has a folder of its own."""
        folder = self.root / "eval" / name
        return folder if benchmark == "heldout" else folder / benchmark

    def eval_table(self, benchmark: str = "heldout") -> Path:
        """The models of the latest evaluation side by side, as Markdown."""
        return self.root / "eval" / ("table.md" if benchmark == "heldout" else f"{benchmark}.md")

    def eval_failures(self, benchmark: str = "heldout") -> Path:
        """What they got wrong, as a page."""
        return self.root / "eval" / ("failures.html" if benchmark == "heldout" else f"{benchmark}.html")
