"""What a Google-style docstring says of a function and of its parameters (pure)."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples|Note|Notes):\s*$")
_ENTRY = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def summary(doc: str) -> str:
    """A docstring up to its first section."""
    lines = []
    for line in doc.splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def sections(doc: str) -> dict[str, dict[str, str]]:
    """The entries of a Google-style docstring's sections, each on one line; text without a name is at ""."""
    found: dict[str, dict[str, str]] = {}
    name = entry = ""
    indent = 0
    for line in doc.splitlines():
        if section := _SECTION.match(line):
            name, entry, indent = section[1], "", 0
            found[name] = {}
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
