"""In which ways the reward's `bfcl` variant and BFCL disagree, and how a case is told to be of one.

A class's test undoes in the answer what the class is about; if the other judge then accepts it as well,
nothing else was between them.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bfcl_reference import Entry, Reference

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
