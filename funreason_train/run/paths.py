"""Where everything of one run lies. All knowledge of the run directory's layout is in this file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunDir:
    """The folder of one run; every path below is absolute.

    Attributes:
        root: The run directory itself.
    """

    root: Path

    @classmethod
    def at(cls, root: str | os.PathLike[str]) -> RunDir:
        """The run at `root`, which need not exist yet."""
        return cls(Path(root).expanduser().resolve())

    @property
    def manifest(self) -> Path:
        """What each stage read, made and measured."""
        return self.root / "manifest.json"

    @property
    def config(self) -> Path:
        """The resolved configuration of the latest command."""
        return self.root / "config.yaml"

    @property
    def data(self) -> Path:
        """Exports, ledger, rejected rows and tasks."""
        return self.root / "data"

    @property
    def base_model(self) -> Path:
        """The tiny model that the pipeline makes when `model.path` is null."""
        return self.root / "base"

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
        return self.root / "export"

    @property
    def logs(self) -> Path:
        """One file a stage and attempt."""
        return self.root / "logs"

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


def write_json(path: Path, value: Any) -> None:
    """Writes `value` so that a reader never meets half a file (temporary file, then rename)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text` atomically, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # A file's name may be no text (a lone surrogate); written as an escape, it is valid JSON.
    with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in `path`."""
    value: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
