"""Agents that are models behind an OpenAI-compatible endpoint, one for all roles or one for each.

They work in threads: a method blocks until its answer is there. What a model wrote is text to be checked, and
is never evaluated.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ...calls import CallSyntaxError, parse_calls
from ...calls.markers import THINK_CLOSE, THINK_OPEN
from ...dialogue import Message
from ..chain.advanced import AdvancedTool, inputs_of
from ..chain.conversation import Rejected
from ..chain.query import Queries
from .account import Usage
from .base import Abstracting, Criticising, Querying, Responding
from .endpoint import Endpoint, Unanswered
from .prompts import as_calls, as_documents, as_values, prompt, read_object

ROLES = ("tooling", "querying", "reasoning", "critiquing")
_LONG_ANSWER = 4000  # characters of a hint or a query beyond which it is none

_KINDS: Mapping[str, str] = {
    "missing_parameter": "The user forgets to tell one value; the assistant will ask for it later.",
    "parallel": "The wishes do not depend on each other.",
    "error": "Something will go wrong on the way; the user does not know that.",
}


class ModelAgents:
    """All four agents.

    Args:
        endpoint: Where the models are.
        models: Role (`ROLES`) -> the model's name there.
    """

    def __init__(self, endpoint: Endpoint, models: Mapping[str, str]) -> None:
        self.endpoint, self.models = endpoint, models
        self._mine = threading.local()

    def take_usage(self) -> Usage:
        """What this thread has used since it last asked for this."""
        found = getattr(self._mine, "usage", None) or Usage()
        self._mine.usage = Usage()
        return found

    def take_roles(self) -> dict[str, Usage]:
        """The same by role."""
        found: dict[str, Usage] = getattr(self._mine, "roles", {})
        self._mine.roles = {}
        return found

    async def abstract(self, job: Abstracting) -> AdvancedTool:
        """One tool that does what the trace does.

        Raises:
            Rejected: the model gave no such answer.
        """
        inputs = inputs_of(job.needs, job.graph)
        shown = [(one.shown[0], one.shown[1]) for one in (*job.needs.given, *job.needs.earlier)]
        asked = prompt(
            "tooling",
            calls=as_calls(one.call for one in job.needs.trace),
            documents=as_documents(_documents(job)),
            inputs=as_values(shown),
        )
        answer = read_object(self._ask("tooling", asked))
        if answer is None:
            raise Rejected("query", "advanced_unreadable")
        told = answer.get("inputs")
        told = told if isinstance(told, Mapping) else {}
        schemas = {
            str(name): {**inputs.get(str(name), {}), "description": str(meaning)[:300]}
            for name, meaning in told.items()
        }
        name, described, output = (str(answer.get(key) or "") for key in ("name", "description", "output"))
        if not described.strip():
            raise Rejected("query", "advanced_unreadable", "it has no description")
        return AdvancedTool(name, described[:1000], schemas, output[:300])

    async def query(self, job: Querying) -> Queries:
        """What the user says, hard and easy.

        Raises:
            Rejected: the model gave no such answer.
        """
        needs = job.needs
        told = [one.shown for one in needs.given if one not in job.left_out]
        names = dict.fromkeys(one.call.name for one in needs.trace)
        hidden = [one.value for one in job.left_out] + list(needs.derived)
        earlier = [one.parameter.rpartition(".")[2].replace("_", " ") for one in needs.earlier]
        asked = prompt(
            "querying",
            place="The conversation begins with it." if job.first else "The conversation has been going on.",
            advanced=as_documents([job.advanced.to_json()]),
            calls=as_calls(one.call for one in needs.trace),
            values=as_values(told, indent="     "),
            earlier=f"   - It refers to the {', '.join(earlier)} of before without the value.\n"
            if earlier
            else "",
            tools=", ".join(names),
            hidden=", ".join(dict.fromkeys(map(str, hidden))) or "(none)",
            noise=f"It holds {job.noise} sentence(s) that have nothing to do with the wish."
            if job.noise
            else "It holds nothing besides.",
            kind=_KINDS.get(job.kind, ""),
        )
        answer = read_object(self._ask("querying", asked)) or {}
        hard, easy = answer.get("hard"), answer.get("easy")
        if not (isinstance(hard, str) and isinstance(easy, str) and hard.strip() and easy.strip()):
            raise Rejected("query", "query_unreadable")
        if max(len(hard), len(easy)) > _LONG_ANSWER:
            raise Rejected("query", "query_too_long")
        hard = hard.strip()
        return Queries(f"{job.long}\n\n{hard}" if job.long else hard, easy.strip())

    async def respond(self, job: Responding) -> str:
        """A completion as the project reads it, from whatever form the model gave it."""
        answer = self._answer("reasoning", _for_chat(job.messages()))
        return completion_of(answer.text, answer.thought)

    async def criticise(self, job: Criticising) -> str:
        """A hint for another try; whether it gives the answer away is found out by code."""
        asked = prompt(
            "critiquing",
            reason=job.reason,
            made=as_calls(job.made),
            gold=as_calls(job.gold),
            documents=as_documents(job.tools),
        )
        hint = self._ask("critiquing", asked)
        _, _, hint = hint.rpartition(THINK_CLOSE)
        return " ".join(hint.split())[:_LONG_ANSWER]

    # -- asking --------------------------------------------------------------------------------------------

    def _ask(self, role: str, asked: str) -> str:
        return self._answer(role, [{"role": "user", "content": asked}]).text

    def _answer(self, role: str, messages: list[dict[str, str]]) -> Any:
        try:
            answer = self.endpoint.ask(self.models[role], messages)
        except Unanswered as error:
            raise Rejected("endpoint", error.reason, error.detail) from None
        if not hasattr(self._mine, "usage"):
            self._mine.usage = Usage()
        self._mine.usage.add(answer.usage)
        roles = self._mine.__dict__.setdefault("roles", {})
        roles.setdefault(role, Usage()).add(answer.usage)
        return answer


def completion_of(text: str, thought: str = "") -> str:
    """A model's answer as a completion after the prompt's own `<think>`.

    Args:
        text: What it wrote: with `<think>`, with `</think>` alone, or with neither.
        thought: What the server says that it thought; it then stands before the whole text.

    Returns:
        `thought</think>\\n\\nanswer`. Without any mark the calls at the end are the answer, and what stands
        before them is the thought; a text without thought stays as it is, and is then malformed.
    """
    text = text.strip()
    if thought.strip() and THINK_CLOSE not in text:
        return f"{thought.strip()}{THINK_CLOSE}\n\n{text}"
    if THINK_CLOSE in text:
        return text.removeprefix(THINK_OPEN).lstrip()
    before, _, last = text.removeprefix(THINK_OPEN).strip().rpartition("\n")
    try:
        called = bool(parse_calls(last.strip()))
    except CallSyntaxError:
        called = False
    return f"{before.strip()}{THINK_CLOSE}\n\n{last.strip()}" if called and before.strip() else text


def _for_chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The conversation as any chat server takes it: results of calls as the user's, for want of call ids."""
    found: list[dict[str, str]] = []
    for one in messages:
        role, content = str(one["role"]), str(one["content"])
        if role == "system":
            content += "\n" + prompt("reasoning")
        if role == "tool":
            role, content = "user", f"The calls answered:\n{content}"
        found.append({"role": role, "content": content})
    return found


def _documents(job: Abstracting) -> list[Mapping[str, Any]]:
    names = dict.fromkeys(one.call.name for one in job.needs.trace)
    return [job.graph.tools[name].document for name in names]
