"""What a docstring says of a function and of its parameters (pure): Google's style, numpy's and Sphinx's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

#: Google's headings, and other words for them.
_NAMES = {
    **dict.fromkeys(("Args", "Arguments", "Parameters", "Params"), "Args"),
    **dict.fromkeys(("Keyword Args", "Keyword Arguments", "Other Parameters"), "Args"),
    **dict.fromkeys(("Returns", "Return"), "Returns"),
    **{name: name for name in ("Raises", "Yields", "Attributes", "Example", "Examples", "Note", "Notes")},
    **{name: name for name in ("Warns", "Warning", "Warnings", "See Also", "References", "Todo")},
}
_SECTION = re.compile(rf"^({'|'.join(_NAMES)}):\s*$")
_ENTRY = re.compile(r"^(\w+)\s*(?:\((?:[^()]|\([^()]*\))*\))?:\s*(.*)$")
_UNDERLINE = re.compile(r"^-{3,}\s*$")
#: `:param str city: The town.` of Sphinx, or `@param city: The town.`
_FIELD = re.compile(r"^[:@](\w+)(?:[ \t]+([^:]*))?:(?:\s+(.*)|\s*)$")
_FIELDS = {
    **dict.fromkeys(("param", "parameter", "arg", "argument", "key", "keyword", "kwarg"), "Args"),
    **dict.fromkeys(("ivar", "var", "cvar"), "Attributes"),
    **dict.fromkeys(("return", "returns"), "Returns"),
}
_ASIDE = ("type", "rtype", "vartype", "raise", "raises", "except", "exception", "yield", "yields", "meta")


def summary(doc: str) -> str:
    """A docstring up to its first section."""
    lines = []
    for line in _as_google(doc):
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def sections(doc: str) -> dict[str, dict[str, str]]:
    """The entries of a docstring's sections, under Google's names of these, each on one line; text without a
    name is at "".
    """
    found: dict[str, dict[str, str]] = {}
    name = entry = ""
    indent = 0
    for line in _as_google(doc):
        if section := _SECTION.match(line):
            name, entry, indent = _NAMES[section[1]], "", 0
            found.setdefault(name, {})
        elif name and line.strip():
            depth = len(line) - len(line.lstrip())
            indent = indent or depth
            if depth == 0:
                name = ""
            elif depth == indent and name != "Returns" and (match := _ENTRY.match(line.strip())):
                entry = match[1]
                found[name][entry] = match[2]
            else:
                found[name][entry] = f"{found[name].get(entry, '')} {line.strip()}".strip()
    return found


@cache
def _as_google(doc: str) -> tuple[str, ...]:
    """The lines of a docstring, in Google's style if they are in another."""
    lines = doc.splitlines()
    if any(_UNDERLINE.match(line) for line in lines):
        lines = list(_of_numpy(lines))
    if any(_field(line) for line in lines):
        lines = list(_of_sphinx(lines))
    return tuple(lines)


def _of_numpy(lines: list[str]) -> Iterator[str]:
    """Sections of numpy's style: headings are underlined, entries are not indented. Others are notes."""
    name = ""
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if line[:1].strip() and _UNDERLINE.match(below):
            name = _NAMES.get(line.strip(), "Notes")
            yield f"{name}:"
        elif not name:
            yield line
        elif not line.strip() or _UNDERLINE.match(line):
            continue
        elif line[0].isspace():
            yield f"        {line.strip()}" if name != "Returns" else f"    {line.strip()}"
        elif name != "Returns":  # there it is a type alone
            for one in re.split(r"\s:(?:\s|$)", line)[0].split(","):
                yield f"    {one.strip().lstrip('*')}:"


def _of_sphinx(lines: list[str]) -> Iterator[str]:
    """Fields, `:param city: …`, each as a section of its own; what follows and is indented belongs to it."""
    begun, shown = False, True
    for line in lines:
        if (match := _field(line)) is None:
            if not begun:
                yield line
            elif line[:1].isspace() and shown:
                yield f"        {line.strip()}"
            else:
                shown = False
            continue
        begun, shown = True, match[1] not in _ASIDE
        heading, said = _FIELDS.get(match[1], "Raises"), match[3] or ""
        yield f"{heading}:"
        if heading == "Returns":
            yield f"    {said}"
        elif heading != "Raises":
            yield f"    {(match[2] or '').split()[-1].lstrip('*') if match[2] else ''}: {said}"


def _field(line: str) -> re.Match[str] | None:
    match = _FIELD.match(line)
    return match if match is not None and (match[1] in _FIELDS or match[1] in _ASIDE) else None
