"""What a server answered, written down, and played back without the server.

A line is one session: `{"tools": […], "calls": [{"name", "arguments", "text", "ok", "value"}, …]}`, with the
server's own names, and `said` where a model reads something else (`renaming`). A session that is played back
follows a recorded one that was asked the same so far, whichever that is, so the order in which sessions are
used does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ...errors import UserError
from ...run.files import write_json
from ..protocol import Result

if TYPE_CHECKING:
    from mcp_types import Tool


def keep_learnt(folder: Path, name: str, learnt: Mapping[str, Any]) -> None:
    """Writes down beside a server's cassette what was found out of it (`McpEnvironment.learnt`)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", learnt)


def read_learnt(folder: Path, name: str) -> dict[str, Any] | None:
    """What `keep_learnt` wrote; None if there is no such file.

    Raises:
        UserError: It cannot be read.
    """
    file = folder / f"{name}.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        unsteady, ids = ([str(one) for one in found.get(key, ())] for key in ("unsteady", "ids"))
        return {"unsteady": unsteady, "tools": found["tools"], "ids": ids}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot be read ({type(error).__name__}: {error})", where=str(file)) from None


class Recorded:
    """A session whose calls are written down when it ends."""

    def __init__(self, session: Any, file: Path) -> None:
        self._session, self._file = session, file
        self._calls: list[dict[str, Any]] = []

    @property
    def tools(self) -> list[Tool]:
        return list(self._session.tools)

    @property
    def fault(self) -> str | None:
        return self._session.fault

    @property
    def said(self) -> str:
        return str(self._session.said)

    def know(self, forms: frozenset[str]) -> None:
        """As `Session.know`."""
        self._session.know(forms)

    def call(self, name: str, arguments: dict[str, Any], look: bool = False) -> Result:
        """As `Session.call`."""
        result: Result = self._session.call(name, arguments, look)
        told = {"text": result.text, "ok": result.ok, "value": result.value}
        if not look and self.said != result.text:
            told["said"] = self.said
        self._calls.append({"name": name, "arguments": arguments, **told})
        return result

    def close(self) -> None:
        """Appends the session's line; several processes may share a file."""
        tools = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in self._session.tools
        ]
        line = json.dumps({"tools": tools, "calls": self._calls}) + "\n"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._file}.lock"), self._file.open("a", encoding="utf-8") as file:
            file.write(line)
        self._calls = []


class Cassette:
    """The recorded sessions of one server.

    Args:
        file: What `Recorded` wrote.

    Raises:
        UserError: The file cannot be read or is no cassette.
    """

    def __init__(self, file: Path) -> None:
        from mcp_types import Tool

        self.missed: str | None = None  # the first call that no session had made
        try:
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            self.sessions = [[_key(call) for call in line["calls"]] for line in lines]
            self.answers = [[Result(c["text"], c["ok"], c["value"]) for c in line["calls"]] for line in lines]
            self.said = [[str(c.get("said", c["text"])) for c in line["calls"]] for line in lines]
            self.tools = [Tool.model_validate(tool) for tool in lines[0]["tools"]]
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(
                f"cannot be read as a cassette ({type(error).__name__}: {error})",
                where=str(file),
                fix="Record one with synth.cassette.record=DIR",
            ) from None

    def play(self) -> Playback:
        """A session that answers from the record."""
        return Playback(self)


class Playback:
    """A session of a cassette; it fails where no recorded session went on as this one does."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette
        self._following = list(range(len(cassette.sessions)))
        self._at = 0
        self.tools = cassette.tools
        self.fault: str | None = None
        self.said = ""

    def know(self, forms: frozenset[str]) -> None:
        """Nothing: answers stand there as they were shown."""

    def call(self, name: str, arguments: dict[str, Any], look: bool = False) -> Result:
        """The recorded answer to this call at this place."""
        asked, at = _key({"name": name, "arguments": arguments}), self._at
        sessions = self._cassette.sessions
        going_on = [one for one in self._following if len(sessions[one]) > at and sessions[one][at] == asked]
        if not going_on:
            self.fault = f"no recorded session made this call {at + 1}th: {name}"
            self._cassette.missed = self._cassette.missed or self.fault
            return Result(f"Error: {self.fault}", False)
        self._following, self._at = going_on, at + 1
        self.said = self._cassette.said[going_on[0]][at]
        return self._cassette.answers[going_on[0]][at]

    def close(self) -> None:
        """Nothing has to be let go."""


def _key(call: Mapping[str, Any]) -> str:
    return json.dumps([call["name"], call["arguments"]], sort_keys=True)
