"""The reference of all settings, made from the comments in configs/ and the types of the models.

python -m funreason_train.settings.reference > docs/settings.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..pages.table import Table
from .describe import describe, sections, shown
from .keys import every_key
from .places import formats, group_choices, shipped

_KEY = re.compile(r"( *)([\w.]+):(?: (.*))?$")
_HEAD = """\
# Settings

Made by `python -m funreason_train.settings.reference` from configs/ and the sections' models; do not edit it.

Every setting is given as `KEY=VALUE` after a command. A key of the command's own section needs no section:
`funreason-train sft epochs=3` is `funreason-train sft sft.epochs=3`. `funreason-train COMMAND --cfg job`
prints the settings that would be used. `${...}` takes over the value of another setting.

Choices of groups, each also a file of your own (`GROUP=FILE.yaml`): {groups}.
"""

#: Files of configs/ and the node that their keys stand in, in the order of the reference.
_FILES = (
    ("config", ""),
    ("model/tiny", "model"),
    ("cluster/cpu", "cluster"),
    ("synth", "synth"),
    ("data", "data"),
    ("sft", "sft"),
    ("rl", "rl"),
    ("reward/binary", "rl.reward"),
    ("algorithm/grpo", "rl.algorithm"),
    ("export", "export"),
    ("eval", "eval"),
    ("pipeline", "pipeline"),
    ("doctor", "doctor"),
    ("report", "report"),
    ("serve_env", "serve_env"),
)


@dataclass(frozen=True)
class Setting:
    """One key of a file.

    Attributes:
        key: Dotted, in its file.
        default: As the file writes it; None for a group of keys.
        comment: The comment above it or behind it.
    """

    key: str
    default: str | None
    comment: str


def settings_of(file: Path) -> Iterator[Setting]:
    """Every key of a YAML file with its comment, in the file's order."""
    comment: list[str] = []
    parents: list[tuple[int, str]] = []
    skipping = False
    lines = file.read_text(encoding="utf-8").splitlines()
    last = (0, 0)  # depth and line of the key before
    for number, line in enumerate(lines[len(_head_of(lines)) :], 1):
        if line.startswith("defaults:"):
            skipping = True
            continue
        if skipping and line.startswith(("  -", "- ")):
            continue
        skipping = False
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.lstrip("# ").rstrip())
        elif not text:
            comment = []
        elif found := _KEY.fullmatch(line.split("  # ")[0].rstrip()):
            indent, name, value = len(found[1]), found[2], found[3]
            while parents and parents[-1][0] >= indent:
                parents.pop()
            key = ".".join([*(parent for _, parent in parents), name])
            behind = line.partition("  # ")[2].strip() if "  # " in line else ""
            own = " ".join([*comment, behind]).strip()
            together = last == (len(parents), number - 1)  # stands under the comment of the key before
            yield Setting(key, value, own or ("as above" if together else ""))
            comment, last = [], (len(parents), number)
            if value is None:
                parents.append((indent, name))


def _head_of(lines: list[str]) -> list[str]:
    """The comment that a file begins with, and which speaks of all of it."""
    return list(takewhile(lambda line: line.startswith("#"), lines))


def reference() -> str:
    """The whole page, as Markdown."""
    groups = "; ".join(f"`{group}`: {', '.join(names)}" for group, names in group_choices().items())
    parts = [_HEAD.replace("{groups}", groups)]
    known = every_key()
    for name, node in _FILES:
        parts.append(_section(name, f"`{node}`" if node else "Every command", node, known))
    for name in formats():
        types = _of_format(name)
        parts.append(_section(f"dataset/{name}", f"Data sets of the format `{name}`", "", types))
    return "\n".join(parts)


_COLUMNS = ("Key", "Default", "Allowed", "Meaning")


def _section(name: str, title: str, node: str, known: dict[str, Any]) -> str:
    rows = []
    file = shipped("configs") / f"{name}.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    for one in settings_of(file):
        key = f"{node}.{one.key}" if node else one.key
        if any(key.startswith(f"{free}.") for free in _FREE):
            continue
        annotation = known.get(key)
        if one.default is None and annotation is not None and sections(annotation):
            allowed, default = "a group of keys", ""
        else:
            allowed = "" if annotation is None else describe(annotation)
            default = "" if one.default is None else f"`{shown(one.default, 60)}`"
        rows.append((f"`{one.key}`", default, allowed, one.comment))
    head = " ".join(line.lstrip("# ") for line in _head_of(lines) if "@package" not in line)
    return (
        f"## {title}\n\nconfigs/{name}.yaml. {head}\n\n"
        + Table("", _COLUMNS, tuple(rows), texts=4).markdown()
    )


#: Where other programs' keys begin.
_FREE = ("rl.devices.cuda.verl", "rl.devices.cpu.verl", "rl.devices.cuda.env", "rl.devices.cpu.env")


def _of_format(name: str) -> dict[str, Any]:
    """The types of a data set's keys."""
    import yaml

    from .describe import fields
    from .root import models

    node = yaml.safe_load((shipped("configs") / "dataset" / f"{name}.yaml").read_text(encoding="utf-8"))
    fitting = [
        fields(group)
        for group in sections(models()["data"].EXTRA).values()
        if set(fields(group)) == set(node)
    ]
    return fitting[0] if fitting else {}


if __name__ == "__main__":
    print(reference(), end="")
