"""What traces aim at: all tools in turn, those of a file, or those that a model gets wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...environments.protocol import brief
from ...errors import UserError

_CALLED = re.compile(r"(?:missing_result|needless_call): \[?([\w.]+)\(")
_FORMS = "Write one tool a line, or give failures.jsonl of an evaluation or the rollouts of RL"


@dataclass(frozen=True)
class Targets:
    """The tools that a file names.

    Attributes:
        file: The file.
        counts: Name (`TOOL` or `ENVIRONMENT:TOOL`) -> how often it is to come up.
        listed: Name -> the line that it stands on by itself. A list is written for these environments, so all
            of it has to be there; what was got wrong in an evaluation may be anyone's tool.
    """

    file: Path
    counts: Counter[str]
    listed: Mapping[str, int]

    @classmethod
    def read(cls, path: str) -> Targets:
        """Reads a file; no environment is needed for it.

        Args:
            path: A text file with one tool a line (`TOOL` or `ENVIRONMENT:TOOL`) or a JSON list of such
                names, or JSON lines (or a list of them): failures of an evaluation or rollouts of RL, where
                the tools of the gold calls count, each as often as it was got wrong.

        Raises:
            UserError: the file is not there, cannot be read, or names no tool.
        """
        file = Path(path).expanduser()
        try:
            lines = _lines(file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise UserError(
                "there is no such file", where=str(file), fix="Give a file, or coverage"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the targets cannot be read ({error})", where=str(file), fix=_FORMS) from None
        counts: Counter[str] = Counter()
        listed: dict[str, int] = {}
        for number, text in enumerate(lines, 1):
            if not (text := text.strip()):
                continue
            if text.startswith(("{", "[")):
                counts.update(_row(text, number, file))
                continue
            if len(text.split()) > 1:
                what = f"line {number} is no tool's name ({brief(text, 60)})"
                raise UserError(what, where=str(file), fix=_FORMS)
            counts[text] += 1
            listed.setdefault(text, number)
        if not counts:
            rows = [text for text in lines if text.lstrip().startswith("{")]
            right = bool(rows) and all(map(_is_right, map(json.loads, rows)))
            what = "nothing was got wrong there, so it names no tool" if right else "it names no tool"
            raise UserError(what, where=str(file), fix=_FORMS)
        return cls(file, counts, listed)

    def among(self, tools: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
        """Those that environments offer.

        Args:
            tools: Environment -> its tools.

        Returns:
            Environment -> tools, each once for every time that it is to come up.

        Raises:
            UserError: none of them is offered, or one of a list is not.
        """
        offered = {one for name, known in tools.items() for tool in known for one in (tool, f"{name}:{tool}")}
        for name, number in self.listed.items():
            if name not in offered:
                raise UserError(
                    f"line {number} names {name}, which no environment of synth.environments offers",
                    where=str(self.file),
                    fix=_meant(name, offered) or f"They offer, for example, {_example(tools)}",
                )
        found: dict[str, list[str]] = {}
        for name, known in tools.items():
            chosen = [
                tool for tool in known for _ in range(self.counts[tool] + self.counts[f"{name}:{tool}"])
            ]
            if chosen:
                found[name] = chosen
        if not found:
            first = next(iter(self.counts))
            raise UserError(
                f"no tool of the environments {', '.join(tools)} is among those that it names ({first}, …)",
                where=str(self.file),
                fix=_meant(first, offered) or f"They offer, for example, {_example(tools)}",
            )
        return found


def _lines(text: str) -> list[str]:
    """A file's lines; a list of JSON that is written over several of them is one, or a line for each row."""
    lines = text.splitlines()
    if len(lines) < 2 or lines[0].strip()[:1] != "[":
        return lines
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return lines
    rows = all(isinstance(one, Mapping) for one in found)
    return [json.dumps(one) for one in (found if rows else [found])]


def _meant(name: str, offered: set[str]) -> str:
    near = get_close_matches(name, sorted(offered), 1)
    return f"Did you mean {near[0]}?" if near else ""


def _example(tools: Mapping[str, tuple[str, ...]]) -> str:
    return next((known[0] for known in tools.values() if known), "no tool")


def _row(text: str, number: int, file: Path) -> list[str]:
    """The tools that a line of JSON holds.

    Raises:
        UserError: it is no JSON, or nothing that is known.
    """
    try:
        return _wanted(json.loads(text))
    except (ValueError, RecursionError):
        raise UserError(f"line {number} is not JSON", where=str(file), fix=_FORMS) from None
    except (AttributeError, TypeError):
        raise UserError(
            f"line {number} is neither a failure of an evaluation nor a rollout", where=str(file), fix=_FORMS
        ) from None


def _wanted(row: Any) -> list[str]:
    """The tools of the gold calls of what was got wrong; of any other row every call that it holds."""
    if isinstance(row, Mapping):
        if _is_right(row):
            return []
        if isinstance(row.get("turns"), list):
            # An evaluation's record: what was missed stands in the reasons.
            reasons = [str(reason) for turn in row["turns"] for reason in turn.get("reasons", ())]
            return [name for reason in reasons for name in _CALLED.findall(reason)]
        gold = next((row[key] for key in ("gold", "ground_truth", "task", "missing") if row.get(key)), row)
        return _names(json.loads(gold) if isinstance(gold, str) and gold.lstrip()[:1] in "[{" else gold)
    return [one for one in row if isinstance(one, str)] or _names(row)


def _is_right(row: Mapping[str, Any]) -> bool:
    return row.get("right") is True or row.get("score") == 1


def _names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("arguments"), Mapping):
            return [value["name"]]
        return [name for one in value.values() for name in _names(one)]
    if isinstance(value, (list, tuple)):
        return [name for one in value for name in _names(one)]
    return []
