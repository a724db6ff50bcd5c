"""Where the reward's `bfcl` variant and BFCL's own decoder and ast_checker disagree, and why.

    python benchmarks/reward/reward_bfcl_parity.py [--per-entry N] [--write]

Judges every Python gold answer of bfcl-eval and N mutations of each entry (default 10, more than 20,000 in
all; 0 for every one) with both. Each disagreement has to fall into one of `CLASSES`, or the exit code is 1.
`--write` renews benchmarks/reward/bfcl_parity.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import bfcl_spaces
from bfcl_reference import entries
from call_mutations import mutations, right_calls
from parity_classes import CLASSES, Case, Class, Judge, class_of

from funreason_train.calls import render_calls

DOCUMENT = Path(__file__).with_name("bfcl_parity.md")


def gold_cases(judge: Judge) -> Iterator[Case]:
    """Every gold answer: the first accepted value of each argument."""
    for entry in entries():
        try:
            calls = [call.example() for call in entry.gold]
        except ValueError:  # an argument for which nothing is accepted
            calls = right_calls(entry.gold, random.Random(0))
        yield judge.case(entry, "gold", render_calls(calls))


def mutated_cases(judge: Judge, per_entry: int, every: int = 1) -> Iterator[Case]:
    """Mutations of each entry's gold, drawn by the entry's id: the same at each run."""
    for entry in list(entries())[::every]:
        if any(not values for call in entry.gold for values in call.arguments.values()):
            continue
        draw = random.Random(entry.id)
        found = list(mutations(entry.gold, entry.tools, draw))
        for kind, answer in draw.sample(found, min(per_entry or len(found), len(found))):
            yield judge.case(entry, kind, answer)


UNANSWERABLE = "an argument is listed with no accepted value at all, so that no call can be right"


def _report(golds: list[Case], cases: list[Case], judge: Judge, per_entry: int) -> tuple[str, int]:
    """The document, and the number of unexplained disagreements."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        if not case.agrees:
            one = class_of(case, judge)
            found.setdefault(one.name if one else "", []).append(case)
    unexplained = found.pop("", [])
    rows = []
    for case in golds:
        one = None if case.agrees else class_of(case, judge)
        if case.ours == "ground_truth" or one:
            rows.append(
                f"| {case.entry.id} | {case.ours} | {case.theirs} | {one.name if one else UNANSWERABLE} |"
            )
        elif not case.agrees or case.ours != "right":
            unexplained.append(case)
    for case in unexplained:
        print("UNEXPLAINED", case.kind, case.theirs, case.ours, case.entry.id, case.answer[:300], sep=" | ")
    table = "\n".join(_row(one, found[one.name]) for one in CLASSES if one.name in found)
    others = "\n".join(rows)
    both = Counter((case.theirs == "right", case.ours == "right") for case in cases)
    untried = sum(case.theirs == "evaluates" for case in cases)
    text = f"""# The reward's `bfcl` variant and BFCL's ast_checker

Made by `python benchmarks/reward/reward_bfcl_parity.py --per-entry {per_entry} --write` with bfcl-eval
{version("bfcl-eval")}.

## Gold answers

Of {len(golds):,} Python gold answers (the first accepted value of every argument), the reward calls
{sum(case.ours == "right" for case in golds):,} right and BFCL's own decoder and checker
{sum(case.theirs == "right" for case in golds):,}. The others:

| entry | reward | BFCL | why |
|---|---|---|---|
{others}

## Mutated answers

{len(cases):,} answers of {len({case.kind for case in cases})} kinds: both call {both[True, True]:,} right and
{both[False, False]:,} wrong; BFCL alone accepts {both[True, False]:,}, the reward alone
{both[False, True]:,}. Unexplained: {len(unexplained)}. Not tried with BFCL: {untried:,} answers that hold
arithmetic, which its decoder would hand to `eval()`; the reward calls them wrong.

| class | accepted by | answers | why ours is right | example |
|---|---|---:|---|---|
{table}
"""
    text += f"\n## White space round the list\n\n{bfcl_spaces.table()}"
    if empty := [one.name for one in CLASSES if one.name not in found]:
        text += f"\nClasses without an answer in this run: {', '.join(empty)}.\n"
    return text, len(unexplained)


def _row(one: Class, members: list[Case]) -> str:
    by = " or ".join(sorted({"BFCL" if case.theirs == "right" else "the reward" for case in members}))
    example = min((case.answer for case in members), key=lambda text: (len(text), text))
    return f"| {one.name} | {by} | {len(members):,} | {one.why} | {_code(example)} |"


def _code(text: str) -> str:
    shown = " ".join(text.split())
    fence = "``" if "`" in shown else "`"
    return f"{fence}{' ' if fence == '``' else ''}{shown}{' ' if fence == '``' else ''}{fence}".replace(
        "|", "\\|"
    )


def main() -> int:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-entry", type=int, default=10)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    judge = Judge()
    golds, cases = list(gold_cases(judge)), list(mutated_cases(judge, chosen.per_entry))
    text, unexplained = _report(golds, cases, judge, chosen.per_entry)
    print(text)
    if chosen.write:
        DOCUMENT.write_text(text, encoding="utf-8")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
