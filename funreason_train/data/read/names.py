"""Names that the call language cannot write (`get-user`, `7SN.pj`, `user id`) stand under an alias in a row.

The rule: in each dotted part of a tool's name, and in an argument's name, every run of characters that an
identifier cannot have becomes `_`; a part that is still not one gets `_` in front (`7SN.pj` becomes
`_7SN.pj`); a name that Python would read as another (an accent of its own behind its letter) gets that one's
spelling; a name that is taken in the row, or stands as a word in its texts, gets `_2`, `_3` … behind it.
The same row always gets the same aliases. Tools, calls (so the history too), thoughts, replies, instructions
and descriptions show the alias, as do the documents of tools that a user brings along; what else the
user and the tools say stays as it is. In prose a name is replaced
where it can only be the name: if it holds a letter and, inside, something that is neither letter, digit nor
white space (`get-user`); or if it is quoted, or stands as `name(` or `name=`.

A row's aliases stand in its meta, as `names: {"tools": {ALIAS: NAME}, "arguments": {ALIAS: NAME}}`, and so in
`extra_info.meta` of the RL export; `restore` gives the very conversation back, `original_calls` the calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...calls import Call, is_argument_name, is_tool_name
from ...calls.names import normal_name
from ...calls.parse import CallSyntaxError, parse_calls
from ...dialogue import Trajectory, Turn
from ...dialogue.announced import offered, renamed
from .rows import RowError

#: {"tools": {alias: name}, "arguments": {alias: name}}
Names = Mapping[str, Mapping[str, str]]

FLAG = "aliased_names"

_LONGEST = 256  # characters of a name that gets an alias
_WORD = re.compile(r"\w+(?:\.\w+)*")
_ODD = re.compile(r"\W+")
_NOT_ASCII = re.compile(r"[^A-Za-z0-9_]+")
_LETTERS_APART = re.compile(r"[^\W\d_]\S*[^\w\s]\S*\w|\w\S*[^\w\s]\S*[^\W\d_]")
_BEFORE, _AFTER = r"(?<![\w.-])", r"(?!\w|[.-]\w)"


def alias_names(trajectory: Trajectory) -> Trajectory | None:
    """The conversation under aliases; None if every name can be written as it is.

    Raises:
        RowError: `name_not_callable` for a name of endless length.
    """
    calls = [call for turn in trajectory.turns for step in turn.steps for call in step.calls]
    odd_tools, odd_arguments, taken = _odd_names(all_tools(trajectory), calls)
    if not odd_tools and not odd_arguments:
        return None
    if any(len(name) > _LONGEST for name in (*odd_tools, *odd_arguments)):
        raise RowError("name_not_callable", f"a name has more than {_LONGEST} characters")
    for text in _texts(trajectory):
        taken.update(_WORD.findall(text))
    names = _choose(odd_tools, odd_arguments, taken)
    back = {kind: {name: alias for alias, name in pairs.items()} for kind, pairs in names.items()}
    renamed = _rename(trajectory, back, _mentions(back))
    flags = [*trajectory.meta.get("flags", ()), FLAG]
    return replace(renamed, meta={**trajectory.meta, "flags": flags, "names": names})


def restore(trajectory: Trajectory) -> Trajectory:
    """The conversation as it was before `alias_names`."""
    names: Names | None = trajectory.meta.get("names")
    if names is None:
        return trajectory
    aliases = {alias: name for pairs in names.values() for alias, name in pairs.items()}
    listed = "|".join(map(re.escape, _longest_first(aliases)))
    pattern = re.compile(rf"(?<![\w.])(?:{listed})(?!\w|\.\w)")
    found = _rename(trajectory, names, lambda text: pattern.sub(lambda match: aliases[match[0]], text))
    flags = [flag for flag in trajectory.meta["flags"] if flag != FLAG]
    meta = {key: value for key, value in trajectory.meta.items() if key not in ("names", "flags")}
    return replace(found, meta={**meta, "flags": flags} if flags else meta)


def all_tools(trajectory: Trajectory) -> Sequence[Mapping[str, Any]]:
    """The tools of the system message, and those that a user's message brings along."""
    return offered(trajectory.tools, (turn.user for turn in trajectory.turns))


def rename(trajectory: Trajectory, names: Names, apart: re.Pattern[str]) -> Trajectory:
    """The conversation under other names, in tools, calls and prose.

    Args:
        trajectory: The conversation.
        names: {kind: {new name: present name}}; every new name is of the call language and not taken.
        apart: Found in names that are replaced wherever they stand in prose; the others only where they are
            quoted or stand as a call or an argument.
    """
    back = {kind: {name: alias for alias, name in pairs.items()} for kind, pairs in names.items()}
    return _rename(trajectory, back, _mentions(back, apart))


def original_calls(calls: Iterable[Call], names: Names) -> list[Call]:
    """Calls under aliases, such as a model's answers, under the names that their tools really have.

    Args:
        calls: The calls.
        names: From the row's meta.
    """
    return [_call(call, names) for call in calls]


def parse_odd_calls(text: str, tools: Iterable[Mapping[str, Any]]) -> list[Call]:
    """Reads a call list in which tools and arguments may stand under names that the language cannot write.

    Args:
        text: As a data set writes it, for instance `[get-user(user-id=5)]`.
        tools: The offered tools, whose names are looked for.

    Raises:
        CallSyntaxError: it is not a call list even so.
    """
    try:
        return parse_calls(text)
    except CallSyntaxError as error:
        if error.reason == "not_a_list":  # no other name makes it one
            raise
        odd_tools, odd_arguments, _ = _odd_names(tools, ())
        odd_tools, odd_arguments = ([n for n in odd if n and n in text] for odd in (odd_tools, odd_arguments))
        if not odd_tools and not odd_arguments:
            raise
    names = _choose(odd_tools, odd_arguments, set(_WORD.findall(text)))
    shown = text
    for kind, mark in (("tools", r"\("), ("arguments", "=")):
        back = {name: alias for alias, name in names[kind].items()}
        if back:
            pattern = rf"(?<![\w.-])(?:{'|'.join(map(re.escape, _longest_first(back)))})(?=\s*{mark})"
            shown = re.sub(pattern, lambda match, back=back: back[match[0]], shown)  # type: ignore[misc]
    aliases = {alias: name for pairs in names.values() for alias, name in pairs.items()}
    found = re.compile("|".join(rf"(?<!\w){re.escape(alias)}(?!\w)" for alias in _longest_first(aliases)))

    def text_of(value: Any) -> Any:  # a text that speaks of a name has been changed too
        if isinstance(value, str):
            return found.sub(lambda match: aliases[match[0]], value)
        if isinstance(value, list):
            return [text_of(one) for one in value]
        return {text_of(k): text_of(v) for k, v in value.items()} if isinstance(value, dict) else value

    return [
        Call(call.name, {name: text_of(value) for name, value in call.arguments.items()})
        for call in original_calls(parse_calls(shown), names)
    ]


def _odd_names(
    tools: Iterable[Mapping[str, Any]], calls: Iterable[Call]
) -> tuple[list[str], list[str], set[str]]:
    """Tool names and argument names that need an alias, in order of appearance, and all names."""
    named: dict[str, None] = {}
    arguments: dict[str, None] = {}
    for call in calls:
        named[call.name] = None
        arguments.update(dict.fromkeys(call.arguments))
    for tool in tools:
        named[tool["name"]] = None
        arguments.update(dict.fromkeys(declared_arguments(tool["parameters"])))
    odd_tools = [name for name in named if not is_tool_name(name)]
    odd_arguments = [name for name in arguments if not is_argument_name(name)]
    return odd_tools, odd_arguments, {*named, *arguments} if odd_tools or odd_arguments else set()


def _choose(tools: Iterable[str], arguments: Iterable[str], taken: set[str]) -> dict[str, dict[str, str]]:
    """Aliases; `taken` grows by them."""
    names: dict[str, dict[str, str]] = {"tools": {}, "arguments": {}}
    for kind, odd in (("tools", tools), ("arguments", arguments)):
        for name in odd:
            parts = name.split(".") if kind == "tools" else [name]
            base = ".".join(map(_identifier, parts))
            alias, number = base if is_tool_name(base) else base + "_", 1
            while alias in taken:
                number += 1
                alias = f"{base}_{number}"
            taken.add(alias)
            names[kind][alias] = name
    return names


def _identifier(part: str) -> str:
    found = normal_name(part) or _ODD.sub("_", part)
    if not found.isidentifier():
        found = "_" + found
    return found if found.isidentifier() else "_" + _NOT_ASCII.sub("_", part)


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (-len(name), name))


def _mentions(
    back: Mapping[str, Mapping[str, str]], apart: re.Pattern[str] = _LETTERS_APART
) -> Callable[[str], str]:
    """Replaces the names in a text of prose by their aliases."""
    marks = {"tools": r"\s*\(", "arguments": r"\s*=(?!=)"}
    alias = {name: short for kind in ("arguments", "tools") for name, short in back[kind].items()}
    forms = []
    for name in _longest_first(alias):
        if not name.strip():
            continue
        quoted = re.escape(name)
        mark = marks["tools" if name in back["tools"] else "arguments"]
        if apart.search(name) and not any(map(str.isspace, name)):
            forms.append(f"{_BEFORE}{quoted}{_AFTER}")
        forms.append(f"{_BEFORE}{quoted}(?={mark})")
        forms.append(f"(?<=[`'\"]){quoted}(?=[`'\"])")
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(forms))
    return lambda text: pattern.sub(lambda match: alias[match[0]], text)


def _texts(trajectory: Trajectory) -> Iterable[str]:
    """Every text in which names are replaced."""
    yield trajectory.system or ""
    for turn in trajectory.turns:
        for step in turn.steps:
            yield step.thought
            yield step.text
    for tool in all_tools(trajectory):
        yield tool.get("description", "")
        for schema in declared_arguments(tool["parameters"]).values():
            yield schema.get("description", "")


def _rename(
    trajectory: Trajectory, names: Mapping[str, Mapping[str, str]], prose: Callable[[str], str]
) -> Trajectory:
    """Everything under other names, in either direction."""

    def turn(one: Turn) -> Turn:
        return replace(
            one,
            user=renamed(one.user, lambda tool: _tool(tool, names, prose)),
            steps=tuple(
                replace(
                    step,
                    thought=prose(step.thought),
                    text=prose(step.text),
                    calls=tuple(_call(call, names) for call in step.calls),
                )
                for step in one.steps
            ),
        )

    return replace(
        trajectory,
        system=None if trajectory.system is None else prose(trajectory.system),
        tools=tuple(_tool(tool, names, prose) for tool in trajectory.tools),
        turns=tuple(map(turn, trajectory.turns)),
    )


def _call(call: Call, names: Mapping[str, Mapping[str, str]]) -> Call:
    arguments = names["arguments"]
    return Call(
        names["tools"].get(call.name, call.name),
        {arguments.get(name, name): value for name, value in call.arguments.items()},
    )


def _tool(
    tool: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], prose: Callable[[str], str]
) -> Mapping[str, Any]:
    return {
        **tool,
        "name": names["tools"].get(tool["name"], tool["name"]),
        **({"description": prose(tool["description"])} if "description" in tool else {}),
        "parameters": _parameters(tool["parameters"], names["arguments"], prose),
    }


def declared_arguments(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument that parameters declare, in one of their alternatives or in all."""
    found = dict(parameters.get("properties", {}))
    for one in parameters.get("anyOf", ()):
        found = {**declared_arguments(one), **found}
    return found


def _parameters(
    parameters: Mapping[str, Any], arguments: Mapping[str, str], prose: Callable[[str], str]
) -> Mapping[str, Any]:
    shown = dict(parameters)
    if "properties" in shown:
        shown["properties"] = {
            arguments.get(name, name): {**schema, "description": prose(schema["description"])}
            if "description" in schema
            else schema
            for name, schema in shown["properties"].items()
        }
    if shown.get("required"):
        shown["required"] = [arguments.get(name, name) for name in shown["required"]]
    if "anyOf" in shown:
        shown["anyOf"] = [_parameters(one, arguments, prose) for one in shown["anyOf"]]
    return shown
