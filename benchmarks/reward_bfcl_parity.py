"""Where the reward's `bfcl` variant and BFCL's own decoder and ast_checker disagree, and why.

    python benchmarks/reward_bfcl_parity.py [--per-entry N] [--write]

Judges every Python gold answer of bfcl-eval and N mutations of each entry (default 10, more than 20,000 in
all; 0 for every one) with both. Each disagreement has to fall into one of `CLASSES`, or the exit code is 1.
`--write` renews benchmarks/bfcl_parity.md.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bfcl_reference import Entry, Reference, entries
from call_mutations import mutations, right_calls

from funreason_train.calls import (
    Acceptance,
    AcceptedCall,
    Call,
    CallSyntaxError,
    check_call,
    parse_calls,
    render_calls,
)
from funreason_train.calls.markers import CALL_OPEN
from funreason_train.reward import compute_score, reason_of

DOCUMENT = Path(__file__).with_name("bfcl_parity.md")


@dataclass(frozen=True)
class Case:
    """One answer and what both say of it.

    Attributes:
        entry: The question.
        kind: What was done to a right answer.
        answer: The answer's text.
        theirs: `Reference.verdict`.
        ours: The reward's reason; `right` if it scores 1.
    """

    entry: Entry
    kind: str
    answer: str
    theirs: str
    ours: str

    @property
    def agrees(self) -> bool:
        """Whether both call it right, or neither does."""
        return (self.theirs == "right") == (self.ours == "right")


def score(answer: str, ground_truth: str) -> str:
    """The reward's reason for an answer after a proper thought."""
    return reason_of(compute_score("bfcl", f"</think>\n\n{answer}", ground_truth, None, variant="bfcl"))


class Judge:
    """Both judges."""

    def __init__(self) -> None:
        self.reference = Reference()

    def case(self, entry: Entry, kind: str, answer: str) -> Case:
        return Case(
            entry, kind, answer, self.reference.verdict(answer, entry), score(answer, entry.ground_truth)
        )

    def they_accept(self, case: Case, variants: Iterable[list[Call]]) -> bool:
        """Whether BFCL accepts one of these calls in the place of the answer's."""
        return any(self.reference.judge(render_calls(calls), case.entry) == "right" for calls in variants)


# The classes of disagreement. A test says whether a case belongs to one by undoing what the class is about.


def _nodes(case: Case) -> list[ast.AST]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(ast.walk(ast.parse(_as_bfcl_completes(case.answer), mode="eval")))
        except (SyntaxError, ValueError):
            return []


def _as_bfcl_completes(answer: str) -> str:
    """What BFCL's decoder makes of an answer before it parses it."""
    text = answer.strip("`\n ")
    text = ("" if text.startswith("[") else "[") + text + ("" if text.endswith("]") else "]")
    return text.strip().strip("'")


def _calls(case: Case) -> list[Call]:
    try:
        return parse_calls(case.answer)
    except CallSyntaxError:
        return []


def _reason(*reasons: str) -> Callable[[Case, Judge], bool]:
    return lambda case, _: case.ours in reasons


def _completed(case: Case, _: Judge) -> bool:
    return score(_as_bfcl_completes(case.answer), case.entry.ground_truth) == "right"


def _marker(case: Case, _: Judge) -> bool:
    for call in _calls(case):
        for gold in case.entry.gold:
            for name, value in call.arguments.items():
                empty = value == [] or (isinstance(value, str) and not value.strip(" ,./-_*^"))
                if empty and gold.name == call.name and "" in gold.arguments.get(name, ()):
                    return True
    return False


def _inside(change: Callable[[Any], Any], value: Any, inside: bool = False) -> Any:
    """Applies a change to everything in a list or an object."""
    if isinstance(value, list):
        return [_inside(change, item, True) for item in value]
    if isinstance(value, dict):
        return {key: _inside(change, item, True) for key, item in value.items()}
    return change(value) if inside else value


def _changed(calls: list[Call], change: Callable[[Any], Any]) -> list[Call]:
    return [
        replace(call, arguments={k: _inside(change, v) for k, v in call.arguments.items()}) for call in calls
    ]


def _loose(value: Any) -> Any:
    return float(value) if isinstance(value, bool | int) else value


def _types_inside(case: Case, _: Judge) -> bool:
    gold = [
        AcceptedCall(
            call.name, {k: [_inside(_loose, v) for v in values] for k, values in call.arguments.items()}
        )
        for call in case.entry.gold
    ]
    truth = {"calls": [{"name": g.name, "accepted": g.arguments} for g in gold], "tools": case.entry.tools}
    return score(render_calls(_changed(_calls(case), _loose)), json.dumps(truth)) == "right"


def _constants(case: Case, _: Judge) -> bool:
    return any(isinstance(node, ast.Name) and node.id in ("true", "false", "null") for node in _nodes(case))


def _plus(case: Case, _: Judge) -> bool:
    return any(isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd) for node in _nodes(case))


def _tuples(case: Case, judge: Judge) -> bool:
    tuples = any(isinstance(node, ast.Tuple) for node in _nodes(case))
    return tuples and judge.they_accept(case, [_calls(case)])


def _tags(case: Case, judge: Judge) -> bool:
    return case.answer.startswith(CALL_OPEN) and case.theirs == "undecodable"


def _contradiction(case: Case, _: Judge) -> bool:
    slugs = {problem.split(":")[0] for call in _calls(case) for problem in check_call(call, case.entry.tools)}
    return bool(slugs & {"unknown_argument", "missing_argument"})


def _stated(schema: Any) -> dict[str, Any]:
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return {name: part["default"] for name, part in properties.items() if "default" in part}


def _defaults(case: Case, judge: Judge) -> bool:
    """Writing out one stated default, or leaving it out, makes the difference."""
    schemas = {tool["name"]: tool["parameters"] for tool in case.entry.tools}
    calls = _calls(case)
    for at, call in enumerate(calls):
        known = _stated(schemas[call.name])
        inside = [
            {**call.arguments, name: {**value, key: default}}
            for name, value in call.arguments.items()
            if isinstance(value, dict)
            for key, default in _stated(schemas[call.name]["properties"].get(name)).items()
            if key not in value
        ]
        variants = [
            *({**call.arguments, n: v} for n, v in known.items() if n not in call.arguments),
            *({n: v for n, v in call.arguments.items() if n != gone} for gone in known),
            *inside,
        ]
        others = [[*calls[:at], Call(call.name, found), *calls[at + 1 :]] for found in variants]
        if judge.they_accept(case, others):
            return True
    return False


def _whole_numbers(case: Case, judge: Judge) -> bool:
    return judge.they_accept(
        case, [_changed(_calls(case), lambda value: float(value) if type(value) is int else value)]
    )


def _normal(text: str) -> str:
    return "".join(c for c in text if c not in " ,./-_*^").lower().replace("'", '"')


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _string_rule(case: Case, judge: Judge) -> bool:
    gold = {_normal(text): text for call in case.entry.gold for text in _strings(call.arguments)}

    def change(value: Any) -> Any:
        return gold.get(_normal(value), value) if isinstance(value, str) else value

    calls = [
        replace(call, arguments={k: _inside(change, v, True) for k, v in call.arguments.items()})
        for call in _calls(case)
    ]
    return judge.they_accept(case, [calls])


def _greedy(case: Case, judge: Judge) -> bool:
    """BFCL accepts the calls once they stand in the gold's order."""
    calls, gold = _calls(case), case.entry.gold

    def assigned(at: int, left: list[Call]) -> list[Call] | None:
        if at == len(gold):
            return []
        for call in left:
            if Acceptance([gold[at]], case.entry.tools).match([call]):
                rest = list(left)
                rest.remove(call)
                if (others := assigned(at + 1, rest)) is not None:
                    return [call, *others]
        return None

    order = assigned(0, calls)
    return order is not None and order != calls and judge.they_accept(case, [order])


@dataclass(frozen=True)
class Class:
    """A way to disagree.

    Attributes:
        name: In a few words.
        accepts: Who calls the answer right, `BFCL` or `we`.
        test: Whether a case is of this class.
        why: Why our verdict is the right one, for a reward.
    """

    name: str
    accepts: str
    test: Callable[[Case, Judge], bool]
    why: str


CLASSES = (
    Class("positional arguments", "BFCL", _reason("positional_argument"),
          "its decoder drops them without a word, so that `cd(\"src\")` counts as `cd()`"),
    Class("an argument twice", "BFCL", _reason("duplicate_argument"),
          "Python refuses such a call; its decoder takes the last value, which lets a model state several"),
    Class("comments", "BFCL", _reason("comment"),
          "its parser skips them; an answer is calls and nothing else, so text beside them is not paid for"),
    Class("names for texts", "BFCL", _reason("bare_name"),
          "a variable that does not exist counts as the text of its name; executing the call fails"),
    Class("brackets and fences that BFCL mends", "BFCL", _completed,
          "it strips back-ticks and quotes and adds missing brackets before it reads; the form that is "
          "taught is the bare list, and only what is paid for stays exact"),
    Class("`true`, `false`, `null`", "either", _constants,
          "its decoder reads them as texts: a right flag in JSON's spelling is refused, and a text \"null\" "
          "is met by a null. They mean what JSON says"),
    Class("the mark of an optional argument as its value", "BFCL", _marker,
          "\"\" in a possible answer says that the argument may be left out; there it also equals an empty "
          "text, a text of punctuation only, and an empty list, all of which pass something wrong"),
    Class("types inside lists and objects", "BFCL", _types_inside,
          "below the first level values are compared with ==, so that True, 1 and 1.0 are one; the tool's "
          "schema tells them apart"),
    Class("tags", "we", _tags,
          "calls inside one <tool_call> pair are the form that the paper prints; the released handler leaves "
          "them to a decoder that does not know them"),
    Class("a plus sign", "we", _plus,
          "its decoder negates the operand of every sign: `+5` becomes -5"),
    Class("tuples for lists", "we", _tuples,
          "JSON has no tuples: what reaches the tool is a list either way"),
    Class("a gold that its tool contradicts", "we", _contradiction,
          "the gold leaves out a required argument, or uses one that the function's document lacks, and the "
          "checker then refuses the gold answer itself. The gold decides; `doctor` reports such rows"),
    Class("a stated default", "we", _defaults,
          "an optional argument that is written out with its stated default, or left out where the default "
          "is accepted, asks for the same"),
    Class("whole numbers in lists of floats", "we", _whole_numbers,
          "1 equals 1.0 where the schema says number, in a list as well as outside; there only outside"),
    Class("the string rule everywhere", "we", _string_rule,
          "case, spaces and ,./-_*^ do not count in any string; there they count where the schema says "
          "another type, and below the first level of an object"),
    Class("calls assigned one by one", "we", _greedy,
          "it gives each gold call the first call that fits and never reconsiders; a one-to-one assignment "
          "exists"),
)  # fmt: skip


def class_of(case: Case, judge: Judge) -> Class | None:
    """The first class that a disagreement belongs to."""
    who = "BFCL" if case.theirs == "right" else "we"
    return next((one for one in CLASSES if one.accepts in (who, "either") and one.test(case, judge)), None)


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

Made by `python benchmarks/reward_bfcl_parity.py --per-entry {per_entry} --write` with bfcl-eval
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
