"""Excerpts of logs with what they are, and how often the classifier is right about them.

    python tests/commands/supervise/failures/failure_corpus.py     prints what docs/operating.md shows

`tests/fixtures/failures/known` were there while the rules were written. Those in `held_out` were written
after them, and no rule was changed on their account. Those in `practice` are what torch, NCCL, Ray, vLLM,
hubs, kernels and batch systems print, from memory; rules were mended for them, and only the cause is marked.

A file holds the excerpts of one kind. An excerpt begins with `--- code=EXIT_CODE`; before each line stands
what it is: `R ` cause, `C ` consequence, `T ` tidying up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from funreason_train.commands.supervise.failures.judge import Verdict, judge
from funreason_train.commands.supervise.failures.kinds import KINDS

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "failures"
ROLES = {"R": "cause", "C": "consequence", "T": "tidying up", " ": "not told"}
NAMES = [kind.name for kind in KINDS if kind.name != "hang"]


@dataclass(frozen=True)
class Excerpt:
    """One log's end."""

    kind: str
    number: int
    code: int
    lines: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return judge(self.lines, self.code)

    def roles(self) -> Counter[tuple[str, str]]:
        """(what a line is, what it was taken for), of the lines that tell something."""
        verdict = self.verdict
        taken = {cause.line: "T" for cause in verdict.teardown}
        taken |= {cause.line: "C" for cause in verdict.cascade}
        taken |= {verdict.root.line: "R"} if verdict.root else {}
        pairs = ((mark, taken.get(at, " ")) for at, mark in enumerate(self.marks, start=1))
        return Counter((ROLES[mark], ROLES[found]) for mark, found in pairs if mark != " " or found != " ")


def excerpts(part: str) -> list[Excerpt]:
    """Those of `known` or `held_out`."""
    found = []
    for file in sorted((FOLDER / part).glob("*.txt")):
        kind = file.stem.replace("_", " ")
        for number, text in enumerate(file.read_text(encoding="utf-8").split("--- code=")[1:], start=1):
            code, *lines = text.rstrip("\n").split("\n")
            marks, plain = tuple(line[:1] or " " for line in lines), tuple(line[2:] for line in lines)
            found.append(Excerpt(kind, number, int(code), plain, marks))
    return found


def confusion(part: str) -> Counter[tuple[str, str]]:
    """(what an excerpt is, what it was taken for)."""
    return Counter((one.kind, one.verdict.kind.name) for one in excerpts(part))


def table(part: str) -> str:
    """The matrix as Markdown: a row for what they are, a column for what they were taken for."""
    found = confusion(part)
    taken = [*NAMES, *(["hang"] if any(pair[1] == "hang" for pair in found) else [])]
    lines = [f"| {part.replace('_', ' ')} | {' | '.join(taken)} |", "|---" * (len(taken) + 1) + "|"]
    for kind in NAMES:
        lines.append(f"| {kind} | " + " | ".join(str(found[kind, one] or "") for one in taken) + " |")
    right = sum(count for (one, two), count in found.items() if one == two)
    return "\n".join([*lines, f"\n{right} of {found.total()} are judged rightly."])


def role_table(part: str) -> str:
    """The same of the lines' roles."""
    found: Counter[tuple[str, str]] = sum((one.roles() for one in excerpts(part)), Counter())
    names = list(ROLES.values())
    lines = [f"| {part.replace('_', ' ')} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(str(found[name, one] or "") for one in names) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    for part in ("known", "held_out"):
        print(table(part), role_table(part), sep="\n\n", end="\n\n")
        for one in excerpts(part):
            if one.verdict.kind.name != one.kind or any(a != b for a, b in one.roles()):
                wrong = [f"{a} -> {b}" for a, b in one.roles() if a != b]
                print(f"# {one.kind} {one.number}: {one.verdict.kind} {wrong} ({one.verdict.why[:70]})")
