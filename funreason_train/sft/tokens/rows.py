"""The exported rows, read as conversations: LLaMA-Factory's sharegpt form with the names its index gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...calls.markers import THINK_CLOSE, THINK_OPEN
from ...dialogue import Message
from ...errors import UserError

_CHUNK = 4 << 20  # bytes of rows that one process reads at a time
#: LLaMA-Factory's own names, where the index leaves them out (data/parser.py, DatasetAttr).
_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


class RowError(Exception):
    """Why a row cannot be trained on; one sentence without the row's name."""


class Form(NamedTuple):
    """Under which names a row holds its parts."""

    messages: str
    system: str | None
    tags: dict[str, str]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Form:
        """The form that an entry of dataset_info.json describes."""
        columns = entry.get("columns", {})
        return cls(
            columns.get("messages", "conversations"),
            columns.get("system"),
            _TAGS | dict(entry.get("tags", {})),
        )


def conversation(row: Mapping[str, Any], form: Form) -> tuple[list[Message], str]:
    """The prompt's messages and the target of a row.

    Raises:
        RowError: if it is not a conversation that ends in an answer with a thought.
    """
    tags, turns = form.tags, row.get(form.messages)
    if not isinstance(turns, list) or not turns:
        raise RowError(f"it has no list '{form.messages}'")
    roles = {
        tags["user_tag"]: "user",
        tags["observation_tag"]: "tool",
        tags["assistant_tag"]: "assistant",
        tags["function_tag"]: "assistant",
        tags["system_tag"]: "system",
    }
    messages: list[Message] = []
    for number, turn in enumerate(turns):
        role = roles.get(str(turn.get(tags["role_tag"]))) if isinstance(turn, dict) else None
        text = turn.get(tags["content_tag"]) if isinstance(turn, dict) else None
        if role is None or not isinstance(text, str):
            raise RowError(f"message {number + 1} has no known role or no text")
        messages.append({"role": role, "content": text})  # type: ignore[typeddict-item]
    system = row.get(form.system) if form.system else None
    if messages[0]["role"] == "system":
        system = system or messages[0]["content"]
        messages = messages[1:]
    for number, one in enumerate(messages):
        if (one["role"] == "assistant") != bool(number % 2):
            raise RowError(
                f"message {number + 1} is of the role {one['role']}: questions (or results) and answers "
                "have to alternate"
            )
    if not messages or messages[-1]["role"] != "assistant":
        raise RowError("it does not end in an answer")
    target = messages.pop()["content"]
    if not target.startswith(THINK_OPEN) or THINK_CLOSE not in target:
        raise RowError(f"its answer does not begin with a thought in {THINK_OPEN}…{THINK_CLOSE}")
    if isinstance(system, str) and system:
        messages.insert(0, {"role": "system", "content": system})
    return messages, target


class Part(NamedTuple):
    """A piece of a file of rows, one a line.

    Attributes:
        file: The file.
        number: Its place among the pieces.
        start: The first byte.
        end: The byte behind the last.
    """

    file: str
    number: int
    start: int
    end: int


def parts(file: Path, work: Path, size: int = _CHUNK) -> list[Part]:
    """Cuts a file of rows into pieces of whole lines.

    Args:
        file: As the data stage writes it (a JSON list, one row a line), JSON lines, or any other JSON list,
            which is written anew below `work` first.
        work: A folder for that.
        size: About how many bytes a piece has.

    Raises:
        UserError: if the file cannot be read as rows.
    """
    if not _by_lines(file):
        file = _as_lines(file, work)
    found: list[Part] = []
    length = file.stat().st_size
    with file.open("rb") as opened:
        start = 0
        while start < length:
            opened.seek(min(start + size, length))
            opened.readline()
            end = opened.tell()
            found.append(Part(str(file), len(found), start, end))
            start = end
    return found


def read(part: Part) -> Iterator[Mapping[str, Any]]:
    """The rows of a piece.

    Raises:
        RowError: for a line that is not a JSON object.
    """
    with open(part.file, "rb") as opened:
        opened.seek(part.start)
        for line in opened.read(part.end - part.start).splitlines():
            text = line.strip().removesuffix(b",")
            if text in (b"", b"[", b"]", b"[]"):
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                raise RowError(f"a line is not JSON ({error})") from None
            if not isinstance(row, dict):
                raise RowError("a line is not a JSON object")
            yield row


def _by_lines(file: Path) -> bool:
    """Whether the first row stands on a line of its own."""
    with file.open("rb") as opened:
        for line in opened:
            text = line.strip().removesuffix(b",")
            if text in (b"", b"[", b"[]"):
                continue
            try:
                return isinstance(json.loads(text), dict)
            except ValueError:
                return False
    return True


def _as_lines(file: Path, work: Path) -> Path:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"cannot be read ({error})", where=str(file), fix="Prepare the data again") from None
    if not isinstance(rows, list):
        raise UserError("holds no list of rows", where=str(file), fix="Prepare the data again")
    work.mkdir(parents=True, exist_ok=True)
    target = work / f"{file.name}l"
    with target.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return target
