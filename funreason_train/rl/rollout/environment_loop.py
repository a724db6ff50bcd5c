"""How an episode in an environment becomes training samples (a verl agent loop).

verl imports this module in its agent workers only. What is played, and why each response is a sample of its
own, stands in `episodes`; here it meets verl's rollout engine, reward function and sample format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput

from ...environments import Task, load_environments
from .agent_loop import ProtocolLoop
from .episodes import EpisodeRules, Played, Write, Written, play_episode, record
from .sampling import sample_seed


class EnvironmentLoop(ProtocolLoop):
    """One task, several responses, one score."""

    def __init__(
        self, *words: Any, style: Any, responses: int, seconds: float, modules: Sequence[str], **more: Any
    ) -> None:
        super().__init__(*words, **more)
        load_environments(modules)
        self.rules = EpisodeRules(
            style=style,
            responses=responses,
            seconds=seconds,
            prompt_tokens=self.rollout_config.prompt_length,
            response_tokens=self.rollout_config.response_length,
        )

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> list[AgentLoopOutput]:  # type: ignore[override]
        """Plays the row's task. An episode whose environment failed is marked; it gets no reward and no mask.

        Args:
            sampling_params: temperature, top_p, top_k and whether log-probabilities are wanted.
            **row: The parquet row; `extra_info["task"]` is the executable task as JSON.

        Returns:
            One output a response; verl gives each of them the score of the last.

        Raises:
            ValueError: if the task's first prompt is longer than the run allows; it is never cut.
        """

        async def write(prompt: list[int], number: int) -> Written:
            seed = sample_seed(self.config.data.seed, row, number)
            output = await self.server_manager.generate(
                request_id=uuid4().hex, prompt_ids=prompt, sampling_params={**sampling_params, "seed": seed}
            )
            log_probs = list(output.log_probs) if output.log_probs else None
            self.work.at("environment call")
            return Written(list(output.token_ids), log_probs, dict(output.extra_fields))

        self.work.begins("environment call")
        try:
            return await self._play(row, write, bool(sampling_params.get("logprobs", True)))
        finally:
            self.work.ends("environment call")

    async def _play(self, row: dict[str, Any], write: Write, log_probs: bool) -> list[AgentLoopOutput]:
        task = Task.from_json(json.loads(row["extra_info"]["task"]))
        played = await play_episode(task, write, self.tokenizer, self.rules)
        scored = self.scored(
            row, played.samples[-1].text, {**dict(row["extra_info"]), "turns": played.outcomes}
        )
        scored["environment_fault"] = float(played.fault is not None)
        if played.fault is not None:
            scored["score"] = 0.0
        outputs = [_output(played, at, _unasked(row), log_probs) for at in range(len(played.samples))]
        outputs[-1].reward_score = float(scored["score"])
        outputs[-1].extra_fields["reward_extra_info"] = scored
        return outputs


def _unasked(row: dict[str, Any]) -> dict[str, Any]:
    """What the engine would have said of a response that nobody wrote."""
    step = int(row.get("global_steps") or 1) - 1
    return {"min_global_steps": step, "max_global_steps": step}


def _output(played: Played, at: int, unasked: dict[str, Any], log_probs: bool) -> AgentLoopOutput:
    sample = played.samples[at]
    said = {**unasked, **(sample.written.extra or {})}
    return AgentLoopOutput(
        prompt_ids=sample.prompt,
        response_ids=sample.written.ids,
        response_mask=[0 if played.fault is not None else 1] * len(sample.written.ids),
        response_logprobs=sample.written.log_probs if log_probs else None,
        num_turns=2 * len(played.samples),
        metrics=AgentLoopMetrics(generate_sequences=sample.generating, tool_calls=sample.acting),
        extra_fields={**said, "reward_extra_info": {}, "response": record(played, sample)},
    )
