"""Answers that are almost right: named ways to spoil, vary or rewrite a right call list."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from funreason_train.calls import AcceptedCall, Call, render_calls

Tools = list[dict[str, Any]]


def right_calls(gold: list[AcceptedCall], draw: random.Random, *, optional: float = 1.0) -> list[Call]:
    """A choice of accepted values; an argument that may be left out stays with probability `optional`."""

    def one(call: AcceptedCall) -> Call:
        found = {}
        for name, values in call.arguments.items():
            real = [value for value in values if value != ""]
            if real and ("" not in values or draw.random() < optional):
                found[name] = _choice(draw.choice(real), draw)
        return Call(call.name, found)

    return [one(call) for call in gold]


def _choice(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict):
        found = {}
        for key, values in value.items():
            real = [item for item in values if item != ""] if isinstance(values, list) else [values]
            if real:
                found[key] = draw.choice(real)
        return found
    if isinstance(value, list):
        return [_choice(item, draw) if isinstance(item, dict) else item for item in value]
    return value


# Changes of one argument's value. Each returns the new value, or `value` itself if it does not apply.


def _text(change: Callable[[str], str]) -> Callable[[Any, random.Random], Any]:
    return lambda value, _: change(value) if isinstance(value, str) else value


def _number(change: Callable[[Any], Any]) -> Callable[[Any, random.Random], Any]:
    return lambda value, _: change(value) if type(value) in (int, float) else value


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return float(value) if type(value) is int and abs(value) < 2**53 else value


def _deep(change: Callable[[Any], Any]) -> Callable[[Any, random.Random], Any]:
    """Applies a change to everything inside a list or an object."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        return change(value)

    return lambda value, _: walk(value) if isinstance(value, list | dict) else value


def _list(change: Callable[[list[Any]], Any]) -> Callable[[Any, random.Random], Any]:
    return lambda value, _: change(value) if isinstance(value, list) else value


def _object(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any, random.Random], Any]:
    return lambda value, _: change(value) if isinstance(value, dict) else value


def _flag(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return bool(value) if type(value) is int and value in (0, 1) else value


def _shuffled(value: Any, draw: random.Random) -> Any:
    return draw.sample(value, len(value)) if isinstance(value, list) else value


VALUES: dict[str, Callable[[Any, random.Random], Any]] = {
    "another case": _text(str.swapcase),
    "more punctuation": _text(lambda text: text + "."),
    "spaces inside": _text(lambda text: text.replace("", " ")),
    "another text": _text(lambda text: text + "x"),
    "only punctuation": _text(lambda _: "-"),
    "empty text": _text(lambda _: ""),
    "other quotes inside": _text(lambda text: f"'{text}'"),
    "one more": _number(lambda value: value + 1),
    "negated": _number(lambda value: -value),
    "number as text": _number(str),
    "whole number as float or back": _number(_whole),
    "flag as number or back": lambda value, _: _flag(value),
    "flag as text": lambda value, _: str(value) if isinstance(value, bool) else value,
    "flag negated": lambda value, _: not value if isinstance(value, bool) else value,
    "null": lambda value, _: None,
    "in a list": lambda value, _: [value],
    "list without its last": _list(lambda value: value[:-1]),
    "list with its last twice": _list(lambda value: [*value, *value[-1:]]),
    "list in another order": _shuffled,
    "list as text": lambda value, _: json.dumps(value) if isinstance(value, list | dict) else value,
    "whole numbers as floats inside": _deep(_whole),
    "flags as numbers inside": _deep(_flag),
    "another case inside": _deep(lambda value: value.swapcase() if isinstance(value, str) else value),
    "more punctuation inside": _deep(lambda value: value + "." if isinstance(value, str) else value),
    "object with another key": _object(lambda value: {**value, "more": 1}),
    "object without a key": _object(lambda value: dict(list(value.items())[1:])),
}  # fmt: skip


def _one_value(calls: list[Call], draw: random.Random, kind: str) -> list[Call] | None:
    places = [(at, name) for at, call in enumerate(calls) for name in call.arguments]
    draw.shuffle(places)
    for at, name in places:
        old = calls[at].arguments[name]
        new = VALUES[kind](old, draw)
        if repr(new) != repr(old):
            changed = replace(calls[at], arguments={**calls[at].arguments, name: new})
            return [*calls[:at], changed, *calls[at + 1 :]]
    return None


# Changes of the calls as such.


def _change_one(
    calls: list[Call], draw: random.Random, change: Callable[[Call], Call | None]
) -> list[Call] | None:
    at = draw.randrange(len(calls))
    changed = change(calls[at])
    return None if changed is None else [*calls[:at], changed, *calls[at + 1 :]]


def _without_an_argument(calls: list[Call], tools: Tools, draw: random.Random) -> list[Call] | None:
    def change(call: Call) -> Call | None:
        if not call.arguments:
            return None
        gone = draw.choice(sorted(call.arguments))
        return Call(call.name, {name: value for name, value in call.arguments.items() if name != gone})

    return _change_one(calls, draw, change)


def _with_a_parameter(
    calls: list[Call], tools: Tools, draw: random.Random, default: bool
) -> list[Call] | None:
    """States a parameter that the answer leaves out: with its default, or with something else."""

    def change(call: Call) -> Call | None:
        offered = (tool["parameters"]["properties"] for tool in tools if tool["name"] == call.name)
        schema: dict[str, Any] = next(offered, {})
        for name in draw.sample(sorted(schema), len(schema)):
            known = schema[name].get("default")
            if name not in call.arguments and (not default or "default" in schema[name]):
                return Call(call.name, {**call.arguments, name: known if default else "surely not"})
        return None

    return _change_one(calls, draw, change)


def _another_tool(calls: list[Call], tools: Tools, draw: random.Random) -> list[Call] | None:
    def change(call: Call) -> Call | None:
        others = [tool["name"] for tool in tools if tool["name"] != call.name]
        return Call(draw.choice(others), call.arguments) if others else None

    return _change_one(calls, draw, change)


def _turned(calls: list[Call], tools: Tools, draw: random.Random) -> list[Call] | None:
    return calls[::-1] if len(calls) > 1 else None


CALLS: dict[str, Callable[[list[Call], Tools, random.Random], list[Call] | None]] = {
    "calls turned round": _turned,
    "arguments turned round": lambda calls, tools, draw: [
        Call(call.name, dict(reversed(list(call.arguments.items())))) for call in calls
    ],
    "a call less": lambda calls, tools, draw: calls[:-1] or None,
    "a call twice": lambda calls, tools, draw: [*calls, draw.choice(calls)],
    "everything twice": lambda calls, tools, draw: [*calls, *calls],
    "one call for all": lambda calls, tools, draw: [calls[0]] * len(calls) if len(calls) > 1 else None,
    "another tool's call more": lambda calls, tools, draw: [*calls, Call(draw.choice(tools)["name"])],
    "another tool": _another_tool,
    "an unknown tool": lambda calls, tools, draw: [Call("no_such_tool", calls[0].arguments), *calls[1:]],
    "an argument less": _without_an_argument,
    "an unknown argument": lambda calls, tools, draw: [
        Call(calls[0].name, {**calls[0].arguments, "no_such_argument": 1}),
        *calls[1:],
    ],
    "a default written out": lambda calls, tools, draw: _with_a_parameter(calls, tools, draw, True),
    "another parameter": lambda calls, tools, draw: _with_a_parameter(calls, tools, draw, False),
}  # fmt: skip


# Rewritings of the text.


def _python(calls: list[Call], value: Callable[[Any], str] = repr) -> str:
    return (
        "["
        + ", ".join(
            f"{c.name}({', '.join(f'{k}={value(v)}' for k, v in c.arguments.items())})" for c in calls
        )
        + "]"
    )


def _json_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tuples(value: Any) -> str:
    if not isinstance(value, list):
        return repr(value)
    inner = ", ".join(map(_tuples, value))
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def _plus(value: Any) -> str:
    return f"+{value!r}" if type(value) in (int, float) and value > 0 else repr(value)


def _bare(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else repr(value)


def _hexadecimal(value: Any) -> str:
    return hex(value) if type(value) is int and value >= 0 else repr(value)


def _underscored(value: Any) -> str:
    return f"{value:_}" if type(value) is int else repr(value)


def _exponent(value: Any) -> str:
    return f"{value:e}" if type(value) is float else repr(value)


def _sum(value: Any) -> str:
    return f"{value} + 0" if type(value) is int else repr(value)


def _first_argument(text: str, change: Callable[[str, str], str]) -> str | None:
    """Changes `name=` of the first call that has an argument."""
    head, bracket, rest = text.partition("(")
    name, sign, value = rest.partition("=")
    return f"{head}({change(name, value)}" if bracket and sign and name.isidentifier() else None


def _string(change: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: change(value) if isinstance(value, str) else repr(value)


def _values(spell: Callable[[Any], str]) -> Callable[[list[Call], Tools], str | None]:
    """Writes each argument's value in its own way."""
    return lambda calls, tools: _python(calls, spell)


def _around(form: str) -> Callable[[list[Call], Tools], str | None]:
    """Writes the list into a text that has `{list}`, or its inside where that has `{calls}`."""

    def rewrite(calls: list[Call], tools: Tools) -> str | None:
        text = render_calls(calls)
        return form.replace("{list}", text).replace("{calls}", text[1:-1])

    return rewrite


def _argument(form: str) -> Callable[[list[Call], Tools], str | None]:
    """Writes the first argument of the first call that has one as `form`, with `{name}` and `{rest}`."""

    def rewrite(calls: list[Call], tools: Tools) -> str | None:
        text = render_calls(calls)
        return _first_argument(text, lambda name, rest: form.replace("{name}", name).replace("{rest}", rest))

    return rewrite


TEXTS: dict[str, Callable[[list[Call], Tools], str | None]] = {
    "Python's own spelling": _values(repr),
    "JSON's spelling of values": _values(_json_value),
    "tuples for lists": _values(_tuples),
    "a plus sign": _values(_plus),
    "names for texts": _values(_bare),
    "hexadecimal numbers": _values(_hexadecimal),
    "underscored numbers": _values(_underscored),
    "numbers with exponent": _values(_exponent),
    "sums": _values(_sum),
    "f-strings": _values(_string(lambda text: f"f{text!r}")),
    "u-strings": _values(_string(lambda text: f"u{text!r}")),
    "bytes": _values(_string(lambda text: f"b{text!a}")),
    "parentheses round values": _values(lambda value: f"({value!r})"),
    "adjacent strings": _values(_string(lambda text: f"{text[:2]!r} {text[2:]!r}")),
    "a comma at the end": _around("[{calls},]"),
    "lines": _around("[\n{calls}\n]\n"),
    "no brackets": _around("{calls}"),
    "round brackets": _around("({calls},)"),
    "one bracket": _around("[{calls}"),
    "a code fence": _around("```\n{list}\n```"),
    "a named code fence": _around("```python\n{list}\n```"),
    "quotes round it": _around("'{list}'"),
    "tags": _around("<tool_call>\n{list}\n</tool_call>"),
    "prose before": _around("I will call {list}"),
    "prose after": _around("{list} will do it."),
    "a comment": _around("[{calls}  # done\n]"),
    "a variable": _around("calls = {list}"),
    "two lists": _around("{list}, {list}"),
    "a list in a list": _around("[{list}]"),
    "a method of a call": _around("[{calls}.result()]"),
    "JSON": lambda calls, tools: json.dumps([call.to_json() for call in calls]),
    "the tools": lambda calls, tools: json.dumps(tools),
    "nothing": lambda calls, tools: "",
    "an empty list": lambda calls, tools: "[]",
    "plain text": lambda calls, tools: "There is nothing to call.",
    "a positional argument": _argument("{rest}"),
    "a positional argument more": _argument('"x", {name}={rest}'),
    "unpacked arguments": _argument("**{}, {name}={rest}"),
    "an argument twice": _argument("{name}=0, {name}={rest}"),
    "a call for a value": _argument("{name}=f(x=1), more={rest}"),
}


def _spoiled_text(text: str, draw: random.Random) -> str:
    """One to three characters are lost, doubled or replaced."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text)) if text else 0
        put = draw.choice(("", "", text[at : at + 1] * 2, draw.choice("[](){}=,:'\"\\#+-. \n0aT_")))
        text = text[:at] + put + text[at + 1 :]
    return text


def mutations(gold: list[AcceptedCall], tools: Tools, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Every mutation that applies: its name and the answer as text.

    Args:
        gold: The right calls; none of their arguments may accept nothing.
        tools: The offered tools.
        draw: Chooses among accepted values and places to change.
    """
    yield "every accepted value", render_calls(right_calls(gold, draw))
    yield "only what is required", render_calls(right_calls(gold, draw, optional=0.0))
    for kind in VALUES:
        if changed := _one_value(right_calls(gold, draw), draw, kind):
            yield kind, render_calls(changed)
    for kind, change in CALLS.items():
        if changed := change(right_calls(gold, draw, optional=0.5), tools, draw):
            yield kind, render_calls(changed)
    for kind, rewrite in TEXTS.items():
        calls = right_calls(gold, draw, optional=0.5)
        text = rewrite(calls, tools)
        if text is not None and text != render_calls(calls):
            yield kind, text
    for _ in range(2):
        yield "spoiled text", _spoiled_text(render_calls(right_calls(gold, draw)), draw)
