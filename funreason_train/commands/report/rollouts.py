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
from .sample import Sample, group_samples, packed_sample
from .tokens import packed_tokens

#: Shares of a page's bytes that texts and tokens may take.
_TEXTS, _TOKENS = 0.5, 0.45
#: So many samples are shown where whole groups make more than were asked for, one of every step; beyond, some
#: steps are left out.
_SMOOTH = 5_000
#: Bytes that the rest of a page hardly ever needs of what is kept for it.
_SPARE = 1e6
#: What a line of a step has.
_NEEDED = {"group", "sample", "prompt", "answer"}


@dataclass
class StepBlocks:
    """One step.

    Attributes:
        step: Its number.
        lines: Responses in its file, those that are not shown among them.
        samples: What is shown: one dict a sample, without its texts.
        groups: What the list shows of each group, see `sample.Group.summary`.
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
        limit: Samples in all; whole groups, drawn evenly over the steps, or over some of very many.
        size: Bytes that the blocks may take together; None where they are fetched one by one.
    """

    folder: Path
    limit: int
    size: float | None
    steps: dict[int, StepBlocks] = field(default_factory=dict)
    _group: float = 0.0  # responses of a group where not every step can show one
    _counted: dict[int, tuple[tuple[int, int], int]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Reads what is new or has changed.

        Steps are read again with fewer samples, and some of them with none, where there are too many or their
        texts take more than their share of the page.
        """
        files = self._files()
        counts = {step: self._count(step, file) for step, file in files.items()}
        limit = float(self.limit)
        for _ in range(4):
            self._read(files, counts, _even(counts, limit, self._group))
            shown, groups = self._shown(), sum(len(one.groups) for one in self.steps.values())
            took = 0.0 if self.size is None else self._took() / (_TEXTS * self.size)
            # Every step has a group, unless they are too many: then some steps are left out.
            steps = sum(bool(one.groups) for one in self.steps.values())
            many = shown > 1.5 * max(limit, _SMOOTH) or (groups == steps and self._crowded())
            if took <= 1 and not many:
                return
            if many:
                self._group = shown / max(1, groups)
            if took > 1:
                limit = min(limit, sum(counts.values())) * 0.9 / took

    def _shown(self) -> int:
        return sum(row["responses"] for one in self.steps.values() for row in one.samples)

    def _took(self) -> int:
        return sum(len(one.texts) for one in self.steps.values())

    def _crowded(self) -> bool:
        """Whether the blocks do not fit a page even beside little else."""
        return self.size is not None and sum(map(len, self.blocks.values())) > self.size + _SPARE

    def _count(self, step: int, file: Path) -> int:
        """Responses of a step; its file is read again only if it has changed."""
        state = _state(file)
        if step not in self._counted or self._counted[step][0] != state:
            self._counted[step] = state, _lines(file)
        return self._counted[step][1]

    def _files(self) -> dict[int, Path]:
        files = (file for file in self.folder.glob("*.jsonl") if file.is_file())
        found = {int(file.stem): file for file in files if file.stem.isdecimal()}
        return dict(sorted(found.items()))

    def _read(self, files: Mapping[int, Path], counts: Mapping[int, int], quota: Mapping[int, int]) -> None:
        tokens = None if self.size is None else _TOKENS * self.size / max(1, sum(map(bool, quota.values())))
        for gone in self.steps.keys() - files.keys():
            del self.steps[gone]
        for step, file in files.items():
            known = self.steps.get(step)
            read = (_state(file), _state(file.with_suffix(".npz")), quota[step], tokens and round(tokens))
            if known is None or known.read != read:
                self.steps[step] = _step(step, file, counts[step], quota[step], tokens)
                self.steps[step].read = read

    @property
    def blocks(self) -> dict[str, str]:
        """The blocks of texts and tokens by name."""
        found = {}
        for step, one in self.steps.items():
            if one.texts:
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
        responses, steps = self._shown(), sum(bool(one.samples) for one in self.steps.values())
        few = f"{steps:,} of " if steps < len(self.steps) else ""
        parts = []
        if responses < lines:
            parts.append(
                f"{responses:,} of the run's {lines:,} responses are in this page: whole groups, the first "
                f"ones of each of {few}{len(self.steps):,} steps. All of them are in "
                f"{self.folder.parent.name}/{self.folder.name}/STEP.jsonl."
            )
        if any("of" in group for one in self.steps.values() for group in one.groups):
            parts.append("Of the largest groups only the first samples are here; their figures are of all.")
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


def _even(counts: Mapping[int, int], limit: float, group: float) -> dict[int, int]:
    """How many responses of each step are shown: all, or the same number of each step as far as they go.

    Args:
        counts: Responses of each step.
        limit: In all.
        group: Responses of a group, if not every step can show one: then steps at even distances do, the last
            among them.
    """
    left, quota = limit, dict.fromkeys(counts, 0)
    steps, most = sorted(counts), max(1, int(limit / group)) if group else len(counts)
    if len(steps) > most:
        steps = [steps[(number + 1) * len(steps) // most - 1] for number in range(most)]
    for place, step in enumerate(sorted(steps, key=lambda step: counts[step])):
        quota[step] = min(counts[step], max(1, int(left / (len(steps) - place))))
        left -= quota[step]
    return quota


def _step(step: int, file: Path, lines: int, quota: int, tokens: float | None) -> StepBlocks:
    """Reads one step: groups until the quota is full, and at least one; nothing for none."""
    if not quota:
        return StepBlocks(step, lines, [], [], "", "")
    chosen: list[Sample] = []
    groups: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    kept = 0
    for group in group_samples(_readable(file)):
        chosen += group.samples
        if names.setdefault(group.name, len(groups)) == len(groups):
            groups.append(group.summary())
        kept += sum(len(one.lines) for one in group.samples)
        if kept >= quota:
            break
    texts = Texts(f"rl/rollouts/{file.name} has them")
    packed, rows = [], []
    token_block, with_tokens = packed_tokens(file.with_suffix(".npz"), chosen, tokens)
    for number, one in enumerate(chosen):
        packed.append(packed_sample(one, texts))
        rows.append({**one.summary(), "group": names[one.group], "place": number} | with_tokens[number])
    block = pack({"texts": texts.all, "samples": packed}) if packed else ""
    return StepBlocks(step, lines, rows, groups, block, token_block)


def _readable(file: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    """The lines of a step's file, each with its place; one that is being written, or cut off, ends it."""
    try:
        for place, line in enumerate(records.read(file)):
            if isinstance(line["prompt"], str) and isinstance(line["sample"], int) and {*line} >= _NEEDED:
                yield place, line
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
