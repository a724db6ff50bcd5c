"""Models that know the reference: the offline agents' answers, carried through a server and the real parsing.

The request ends with the answer that the mock server has to give (`answer_of`), so prompts, HTTP, retries,
budget and the reading of answers are those of a run.
"""

import json
from typing import Any

from funreason_train.synth.agents.model import ModelAgents
from funreason_train.synth.agents.offline import OfflineAgents

_MARK = "\n@@ORACLE@@"


def answer_of(body: Any) -> Any:
    """What the server answers: what stands at the end of the request."""
    return body["messages"][-1]["content"].rpartition(_MARK)[2]


class Oracle(ModelAgents):
    """Sends along what is to be answered, in the form in which a model writes it."""

    def __init__(self, *arguments: Any, errors: Any = None) -> None:
        super().__init__(*arguments)
        self._offline = OfflineAgents(errors or {})

    async def abstract(self, job: Any) -> Any:
        made = (await self._offline.abstract(job)).to_json()
        made["inputs"] = {name: one.get("description", name) for name, one in made["inputs"].items()}
        self._mine.answer = f"Sure! Here it is:\n```json\n{json.dumps(made)}\n```"
        return await super().abstract(job)

    async def query(self, job: Any) -> Any:
        made = await self._offline.query(job)
        hard = made.hard.partition("That was only for you to know. ")[2] or made.hard
        self._mine.answer = json.dumps({"hard": hard, "easy": made.easy})
        return await super().query(job)

    async def respond(self, job: Any) -> Any:
        self._mine.answer = "<think>" + await self._offline.respond(job)
        return await super().respond(job)

    async def criticise(self, job: Any) -> Any:
        self._mine.answer = await self._offline.criticise(job)
        return await super().criticise(job)

    def _answer(self, role: Any, messages: Any) -> Any:
        last = {**messages[-1], "content": messages[-1]["content"] + _MARK + self._mine.answer}
        return super()._answer(role, [*messages[:-1], last])
