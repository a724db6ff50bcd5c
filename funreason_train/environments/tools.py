"""Methods as tools: the decorator, and the document that a method's source makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ..calls import Schema, index_tools
from .schemas import hints_of, parameters_schema, sections, summary, type_schema

Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__tool__"


class ToolError(Exception):
    """What a tool answers to a call that the state does not allow; the caller sees `{"error": …}`."""


@dataclass(frozen=True)
class _Mark:
    """What the decorator was told; see `tool`."""

    requires: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    returns: Any = None


@overload
def tool(method: Method, /) -> Method: ...
@overload
def tool(
    *, requires: tuple[str, ...] = ..., ends: tuple[str, ...] = ..., returns: Mapping[str, Any] | None = ...
) -> Callable[[Method], Method]: ...
def tool(
    method: Any = None,
    /,
    *,
    requires: tuple[str, ...] = (),
    ends: tuple[str, ...] = (),
    returns: Mapping[str, Any] | None = None,
) -> Any:
    """Offers a method as a tool: its docstring is the description, its annotations are the parameters.

    The docstring's `Args` section describes the parameters; text after it is not shown to a model.

    Args:
        method: When used without parentheses.
        requires: Tools of the same environment of which each must have succeeded before, and must not have
            been ended since. A call without that is answered with an error.
        ends: Tools that count as not yet called after this one has succeeded, as a logout ends a login.
        returns: Field -> type of the answer of a successful call, as annotations; also read from a TypedDict
            as the method's return annotation. Only synthesis looks at it.
    """

    def mark(function: Any) -> Any:
        setattr(function, _MARK, _Mark(tuple(requires), tuple(ends), returns))
        return function

    return mark if method is None else mark(method)


@dataclass(frozen=True)
class Tool:
    """One tool of a class.

    Attributes:
        name: Of the method.
        document: See `Environment.tools`.
        schema: Of its parameters, compiled.
        hints: Parameter -> annotation.
        requires, ends: See `tool`.
    """

    name: str
    document: dict[str, Any]
    schema: Schema
    hints: Mapping[str, Any]
    requires: tuple[str, ...]
    ends: tuple[str, ...]


def tools_of(kind: type) -> dict[str, Tool]:
    """The marked methods of a class and of those it is made from, in the order of their source.

    Raises:
        TypeError: A tool cannot be described, or requires or ends one that is not there.
    """
    found: dict[str, Tool] = {}
    for one in reversed(kind.__mro__):
        for name, method in vars(one).items():
            if (mark := getattr(method, _MARK, None)) is not None:
                found[name] = _tool(kind, name, method, mark)
            else:
                found.pop(name, None)  # a subclass may take a tool back
    for made in found.values():
        if unknown := sorted({*made.requires, *made.ends} - found.keys()):
            raise TypeError(f"{kind.__name__}.{made.name} names {unknown[0]}, which is not one of its tools")
    return found


def _tool(kind: type, name: str, method: Callable[..., Any], mark: _Mark) -> Tool:
    try:
        document = describe(name, method, mark.returns)
        hints = hints_of(method)
    except TypeError as error:
        raise TypeError(f"{kind.__name__}.{name} cannot be a tool: {error}") from None
    if mark.requires:
        document["requires"] = list(mark.requires)
    schema = index_tools([document])[name]
    return Tool(name, document, schema, hints, mark.requires, mark.ends)


def describe(
    name: str, method: Callable[..., Any], returns: Mapping[str, Any] | None = None, *, strict: bool = True
) -> dict[str, Any]:
    """A method's document, without `requires`.

    Args:
        name: Of the tool.
        method: That is called.
        returns: See `tool`.
        strict: See `parameters_schema`.

    Raises:
        TypeError: A parameter or a field has a type that JSON does not have.
    """
    doc = inspect.getdoc(method) or ""
    document = {"name": name, "description": summary(doc), "parameters": parameters_schema(method, strict)}
    if returns is not None:
        properties = {field: type_schema(hint) for field, hint in returns.items()}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
    else:
        hint = hints_of(method).get("return", Any)
        try:
            schema = type_schema(hint)
        except TypeError:  # only whoever reads the answer needs a type that JSON has
            schema = {}
    told = sections(doc).get("Returns", {}).get("", "")
    if "properties" in schema or schema.get("type") not in (None, "object", "null"):
        document["returns"] = {**schema, "description": told} if told else schema
    return document
