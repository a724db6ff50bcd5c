"""Passes requests to stop on to the stage that runs: SIGUSR1, SIGTERM, or a file (FUNREASON_STOP_FILE)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ...run.files import write_text
from ...run.stop import VARIABLE
from ..display import say

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM)


class StageStopped(Exception):
    """A stage has ended as asked; the message says how far it is."""

    #: Of the attempt (`run.attempts`).
    outcome = "stopped"


class StopRequest:
    """Listens while a stage runs. A first signal asks the stage to save and end, a second SIGTERM interrupts.

    Args:
        title: The stage.
        note: The file that the stage looks for.
        heeded: Whether the stage looks for it. Others are ended at once: they begin anew when asked again.
    """

    def __init__(self, title: str, note: Path, heeded: bool) -> None:
        self._title, self._note, self._heeded = title, note, heeded
        self._asked = self._told = self._terminated = False
        self._before: dict[int, Any] = {}

    @property
    def terminated(self) -> bool:
        """Whether SIGTERM came, which a launch script sends to the stage's process as well."""
        return self._terminated

    def __enter__(self) -> StopRequest:
        self._note.unlink(missing_ok=True)
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @staticmethod
    def answer() -> None:
        """Tells a batch system that the run has saved: beside the file that asked lies `FILE.saved`."""
        if file := os.environ.get(VARIABLE):
            try:
                write_text(Path(f"{file}.saved"), "")
            except OSError as error:  # the exit code says it as well
                say(f"{file}.saved could not be written ({error.strerror}); the run has saved all the same")

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self._terminated:
            raise KeyboardInterrupt
        self._terminated = self._terminated or number == signal.SIGTERM
        self._asked = True

    def look(self) -> None:
        """Passes a request on, once.

        Raises:
            StageStopped: if the stage does not look for requests.
        """
        file = os.environ.get(VARIABLE)
        if self._told or not (self._asked or (file and Path(file).exists())):
            return
        self._told = True
        if not self._heeded:
            raise StageStopped(f"{self._title} was ended as asked; the same command runs it again")
        write_text(self._note, "")
        say(f"{self._title} was asked to stop: it saves after the step that it is doing, and ends.")
