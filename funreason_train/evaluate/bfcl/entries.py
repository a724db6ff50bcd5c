"""bfcl-eval's entries in sessions of the sandbox: what a session answers.

It needs the standard library, bfcl-eval and this package's `calls`, `dialogue` and `environments`, so that
any version of bfcl-eval can run in an environment of its own.

A session that plays one multi-turn or agentic entry, which takes completions one after another:

    {"open": ID}           ->   {"ask": [messages to append to the conversation]} or {"done": row}
    {"text": completion}   ->   {"ask": …} or {"done": row}

A session at the desk, for everything that executes no call:

    {"hello": null}                      ->   what there is; see `Entries.hello`
    {"first": ID}                        ->   {"ask": the messages of a single-turn entry}
    {"check": ID, "text": completion}    ->   {"done": row}
    {"failed": ID, "reason": why}        ->   {"done": row}

A row is `{"id", "category", "right", "reasons", "gold", "question", "unclosed"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...dialogue import PromptStyle
from ...environments.bfcl.execute import one_line
from ...environments.sandbox.channel import Channel
from ...environments.sandbox.host import Prepared
from ...environments.sandbox.limits import LimitReached, lock
from . import bridge
from .categories import WEB_SEARCH, is_prerequisite
from .execute import Executor

_WEB_WALL = 900.0  # seconds on the clock for one call with the web, where bfcl-eval waits and tries again


@dataclass(frozen=True)
class EntryOptions:
    """Which entries there are and how they are shown and judged.

    Attributes:
        categories: To offer.
        memory: Folder of the memory categories' snapshots.
        style: Of the system prompt.
        unclosed: How a single-turn answer without `</think>` counts.
    """

    categories: tuple[str, ...]
    memory: str
    style: PromptStyle = "bfcl"
    unclosed: bridge.Unclosed = "failed"


@dataclass(frozen=True)
class _Entry:
    category: str
    value: dict[str, Any]
    truth: Any
    functions: Any
    before: list[str]


class Entries:
    """All entries, loaded once; each session has a copy of its own, as it is a forked process."""

    def __init__(self, options: EntryOptions) -> None:
        self.options, self.memory = options, Path(options.memory)
        self.version = bridge.load_bfcl()
        self.entries: dict[str, _Entry] = {}
        self.listed: dict[str, list[str]] = {}
        self.not_run: dict[str, str] = {}
        for category in options.categories:
            if reason := bridge.not_runnable(category):
                self.not_run[category] = reason
                continue
            entries, truths = bridge.load_entries(category, self.memory)
            functions = {} if is_interactive(category) else bridge.functions_to_check(category)
            for value in entries:
                name = value["id"]
                before = list(value.get("depends_on", ()))
                self.entries[name] = _Entry(category, value, truths.get(name), functions.get(name), before)
            self.listed[category] = [entry["id"] for entry in entries]
        self.network = any(category in WEB_SEARCH for category in self.listed)

    def hello(self, isolation: str) -> dict[str, Any]:
        """`{"version", "isolation", "entries": {category: [id, …]}, "needs": {id: [id, …]}, "not_run":
        {category: reason}}`.
        """
        return {
            "version": self.version,
            "isolation": isolation,
            "entries": self.listed,
            "needs": {name: entry.before for name, entry in self.entries.items() if entry.before},
            "not_run": self.not_run,
        }

    def serve(self, channel: Channel) -> None:
        """Serves one session."""
        for request in channel.requests():
            if "open" in request:
                self._play(self.entries[request["open"]], channel)
                return
            channel.send(self._at_the_desk(request, channel.isolation))

    def _at_the_desk(self, request: Mapping[str, Any], isolation: str) -> dict[str, Any]:
        if "hello" in request:
            return self.hello(isolation)
        if "first" in request:
            return {"ask": self._first_messages(self.entries[request["first"]])}
        if "failed" in request:
            return {"done": _row(self.entries[request["failed"]], [str(request["reason"])], 0)}
        entry = self.entries[request["check"]]
        made = bridge.handler(self.options.style, lambda messages: "")
        answer = made._parse_query_response_prompting(str(request["text"]))["model_responses"]
        reasons = self._judge(made, bridge.untouched(entry.value), entry, answer)
        return {"done": _row(entry, reasons, made.unclosed)}

    def _first_messages(self, entry: _Entry) -> list[dict[str, Any]]:
        value = {"question": [list(entry.value["question"][0])], "function": entry.value["function"]}
        made = bridge.handler(self.options.style, lambda messages: "")
        data = made._pre_query_processing_prompting(value)
        return list(made.add_first_turn_message_prompting(data, value["question"][0])["message"])

    def _play(self, entry: _Entry, channel: Channel) -> None:
        """Plays and judges one multi-turn or agentic entry."""
        if self.network and entry.category not in WEB_SEARCH:
            lock(network=False)
        if entry.category in WEB_SEARCH:
            channel.watchdog.wall = max(channel.watchdog.wall, _WEB_WALL)
            channel.watchdog.arm()
        if is_prerequisite(entry.value["id"]):
            bridge.restore_memory(entry.value, entry.before, self.memory)
        sent = 0

        def ask(messages: list[dict[str, Any]]) -> str:
            nonlocal sent
            channel.send({"ask": messages[sent:]})
            sent = len(messages)
            request = channel.receive()
            if request is None:
                raise BrokenPipeError("the evaluation is gone")
            return str(request["text"])

        bridge.use_executor(Executor(channel.watchdog.arm))
        made = bridge.handler(self.options.style, ask)
        kept = bridge.untouched(entry.value)
        reasons: list[str] = []
        try:
            result, _ = made.inference(entry.value, False, True)
            refused = list(made.refused)
            if not is_prerequisite(kept["id"]):
                reasons = self._judge(made, kept, entry, result)
                if reasons and refused:
                    reasons.append(f"refused: {len(refused)} answers ({', '.join(sorted(set(refused)))})")
        except LimitReached as error:
            reasons = [str(error)]
        channel.send({"done": _row(entry, reasons, made.unclosed, kept["question"])})

    def _judge(self, made: Any, kept: dict[str, Any], entry: _Entry, result: Any) -> list[str]:
        try:
            return bridge.judge(
                made, kept, entry.category, result, entry.truth, entry.functions, self.options.unclosed
            )
        except Exception as error:  # a checker that trips over an answer must not count for it
            return [f"checker: {type(error).__name__}: {one_line(error)}"]


def is_interactive(category: str) -> bool:
    """Whether entries take several completions and call functions."""
    return category.startswith(("multi_turn", "memory", "web_search"))


def _row(entry: _Entry, reasons: list[str], unclosed: int, question: Any = None) -> dict[str, Any]:
    value = entry.value
    return {
        "id": value["id"],
        "category": entry.category,
        "right": not reasons,
        "reasons": reasons,
        "gold": entry.truth,
        "question": value["question"] if question is None else question,
        "unclosed": unclosed,
    }


def prepare(options: Mapping[str, Any]) -> Prepared:
    """Loads bfcl-eval and the entries; see `sandbox.host`."""
    entries = Entries(EntryOptions(**{**options, "categories": tuple(options["categories"])}))
    return Prepared(entries.serve, entries.network)
