"""The rollouts of a run for the browser: an index of those that are shown, blocks of their texts and tokens.

A block holds one step, so a page that is refreshed while the run goes on reads only steps that are new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pages.embed import Texts, pack
from ...rl.train import records
from ...run.files import MISSHAPEN
from .reasons import meanings
from .sample import Sample, group_samples, packed_sample, question
from .tokens import packed_tokens

#: Shares of a page's bytes that texts and tokens may take.
_TEXTS, _TOKENS = 0.5, 0.45
#: What a line of a step has.
_NEEDED = {"group", "sample", "prompt", "answer"}


@dataclass
class StepBlocks:
    """One step.

    Attributes:
        step: Its number.
        lines: Responses in its file, those that are not shown among them.
        samples: What is shown: one dict a sample, without its texts.
        groups: Name, question and number of samples of each group that is shown.
        texts: The block of texts.
        tokens: The block of tokens, by sample; empty if there is none.
        read: What was read of the file: with another, the step has to be read again.
    """

    step: int
    lines: int
    samples: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    texts: str
    tokens: str
    read: tuple[Any, ...] = ()


@dataclass
class Rollouts:
    """The rollouts of a run, as far as they are shown.

    Attributes:
        folder: `rl/rollouts`.
        limit: Samples in all; whole groups, drawn evenly over the steps.
        size: Bytes that the blocks may take together; None where they are fetched one by one.
    """

    folder: Path
    limit: int
    size: float | None
    steps: dict[int, StepBlocks] = field(default_factory=dict)

    def refresh(self) -> None:
        """Reads what is new or has changed.

        Steps are read again with fewer samples where their texts take more than their share of the page.
        """
        files = self._files()
        counts = {step: _lines(file) for step, file in files.items()}
        limit = float(self.limit)
        for _ in range(4):
            quota = _even(counts, limit)
            self._read(files, quota)
            took = sum(len(one.texts) for one in self.steps.values())
            if self.size is None or took <= _TEXTS * self.size:
                return
            limit = min(limit, sum(counts.values())) * 0.9 * _TEXTS * self.size / took

    def _files(self) -> dict[int, Path]:
        found = {int(file.stem): file for file in self.folder.glob("*.jsonl") if file.stem.isdecimal()}
        return dict(sorted(found.items()))

    def _read(self, files: Mapping[int, Path], quota: Mapping[int, int]) -> None:
        tokens = None if self.size is None else _TOKENS * self.size / max(1, len(files))
        for gone in self.steps.keys() - files.keys():
            del self.steps[gone]
        for step, file in files.items():
            known = self.steps.get(step)
            read = (_state(file), _state(file.with_suffix(".npz")), quota[step], tokens and round(tokens))
            if known is None or known.read != read:
                self.steps[step] = _step(step, file, quota[step], tokens)
                self.steps[step].read = read

    @property
    def blocks(self) -> dict[str, str]:
        """The blocks of texts and tokens by name."""
        found = {}
        for step, one in self.steps.items():
            found[f"texts-{step}"] = one.texts
            if one.tokens:
                found[f"tokens-{step}"] = one.tokens
        return found

    def index(self) -> dict[str, Any] | None:
        """What the browser lists: columns of all samples that are shown; None if there is none."""
        steps = [one for _, one in sorted(self.steps.items()) if one.samples]
        if not steps:
            return None
        rows = [row for one in steps for row in one.samples]
        names = {key: _Names() for key in ("category", "reason", "row")}
        columns: dict[str, list[Any]] = {key: [] for key in rows[0]}
        for row in rows:
            for key, value in row.items():
                columns[key].append(names[key].number(value) if key in names else value)
        groups, first = [], 0
        for one in steps:
            groups += [{**group, "step": one.step} for group in one.groups]
            for place in range(first, first + len(one.samples)):
                columns["group"][place] += len(groups) - len(one.groups)
            first += len(one.samples)
        with_tokens = sum(columns["tokens_kept"])
        return {
            "steps": [one.step for one in steps for _ in one.samples],
            "columns": columns,
            "names": {key: value.all for key, value in names.items()},
            "groups": groups,
            "meanings": meanings(names["reason"].all),
            "note": self._note(len(rows), with_tokens),
        }

    def _note(self, shown: int, with_tokens: int) -> str:
        """What is left out, in a sentence."""
        lines = sum(one.lines for one in self.steps.values())
        responses = sum(row["responses"] for one in self.steps.values() for row in one.samples)
        parts = []
        if responses < lines:
            parts.append(
                f"{responses:,} of the run's {lines:,} responses are in this page: whole groups, the first"
                f" ones of each of {len(self.steps):,} steps. All of them are in {self.folder.parent.name}/"
                f"{self.folder.name}/STEP.jsonl."
            )
        if with_tokens < shown:
            kept = f"{with_tokens:,} of {shown:,}" if with_tokens else "None"
            parts.append(
                f"{kept} of these samples have their tokens here; `report serve` shows all that were kept."
            )
        return " ".join(parts)


class _Names:
    """Repeated words by number."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.all)
            self.all.append(name)
        return self._numbers[name]


def _even(counts: Mapping[int, int], limit: float) -> dict[int, int]:
    """How many responses of each step are shown: all, or the same number of each step as far as they go."""
    left, quota = limit, dict.fromkeys(counts, 0)
    for place, (step, count) in enumerate(sorted(counts.items(), key=lambda item: item[1])):
        quota[step] = min(count, int(left / (len(counts) - place)))
        left -= quota[step]
    return quota


def _step(step: int, file: Path, quota: int, tokens: float | None) -> StepBlocks:
    """Reads one step: whole groups until the quota is full, and at least one group."""
    chosen: list[Sample] = []
    kept, lines = 0, 0
    for group in group_samples(_readable(file)):
        lines += sum(len(one.lines) for one in group)
        if not chosen or (quota and kept < quota):
            chosen += group
            kept += sum(len(one.lines) for one in group)
    texts = Texts(f"rl/rollouts/{file.name} has them")
    packed, rows = [], []
    groups: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    token_block, with_tokens = packed_tokens(file.with_suffix(".npz"), chosen, tokens)
    for number, one in enumerate(chosen):
        if one.group not in names:
            names[one.group] = len(groups)
            groups.append({"name": one.group, "question": question(one.lines[0]["prompt"])})
        packed.append(packed_sample(one, texts))
        rows.append({**one.summary(), "group": names[one.group], "place": number} | with_tokens[number])
    block = pack({"texts": texts.all, "samples": packed}) if packed else ""
    return StepBlocks(step, lines, rows, groups, block, token_block)


def _readable(file: Path) -> Iterable[dict[str, Any]]:
    """The lines of a step's file; one that is being written, or that a crash cut off, ends it."""
    try:
        for line in records.read(file):
            if isinstance(line["prompt"], str) and isinstance(line["sample"], int) and {*line} >= _NEEDED:
                yield line
    except (OSError, *MISSHAPEN):
        return


def _lines(file: Path) -> int:
    try:
        with file.open("rb") as read:
            return sum(part.count(b"\n") for part in iter(lambda: read.read(1 << 20), b""))
    except OSError:
        return 0


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
