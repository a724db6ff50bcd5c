"""How one sample is made: the protocol's prompt, one completion, its score (a verl agent loop).

verl imports this module in its agent workers only. The prompt is rendered here and nowhere else in RL, so the
rollout engine sees exactly the ids of `dialogue.protocol`; the completion is decoded with its special tokens,
so that the reward sees the tags however the tokenizer marks them (verl#1724).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput
from verl.trainer.ppo.reward import get_custom_reward_fn

from ...dialogue import end_tokens
from ...run.beat import Work
from ..train.records import over_long
from .sampling import sample_seed
from .tokens import completion_text, prompt_ids


class ProtocolLoop(AgentLoopBase):
    """One prompt, one completion, one score. verl makes one of these a sample, so it is cheap to make."""

    #: What this process is doing, for the watchdog.
    work: ClassVar[Work] = Work("agent")
    #: The reward function that verl's configuration names, loaded once a process.
    _score: ClassVar[Callable[..., Mapping[str, Any]] | None] = None

    def __init__(self, trainer_config: Any, server_manager: Any, tokenizer: Any, **_: Any) -> None:
        # The base class builds verl's own renderer for every sample; this loop has the protocol instead.
        self.config = trainer_config.config
        self.rollout_config = self.config.actor_rollout_ref.rollout
        self.server_manager = server_manager
        self.tokenizer = tokenizer
        if ProtocolLoop._score is None:
            ProtocolLoop._score = get_custom_reward_fn(self.config)

    def scored(self, row: Mapping[str, Any], text: str, extra_info: dict[str, Any]) -> dict[str, Any]:
        """What the reward says of a completion: `score`, and numbers besides."""
        assert ProtocolLoop._score is not None
        self.work.at("reward")
        return dict(
            ProtocolLoop._score(
                data_source=row["data_source"],
                solution_str=text,
                ground_truth=row["reward_model"]["ground_truth"],
                extra_info=extra_info,
            )
        )

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """Makes one sample.

        Args:
            sampling_params: temperature, top_p, top_k and whether log-probabilities are wanted.
            **row: The parquet row: raw_prompt (the messages), data_source, reward_model, extra_info, …

        Raises:
            ValueError: if the prompt is longer than the run allows; it is never cut.
        """
        self.work.begins("rollout")
        try:
            return await self._sample(sampling_params, row)
        finally:
            self.work.ends("rollout")

    async def _sample(self, sampling_params: dict[str, Any], row: dict[str, Any]) -> AgentLoopOutput:
        ids = prompt_ids(row["raw_prompt"], self.tokenizer)
        if len(ids) > self.rollout_config.prompt_length:
            raise ValueError(
                f"a prompt has {len(ids)} tokens, this run allows {self.rollout_config.prompt_length}"
            )
        started = time.monotonic()
        output = await self.server_manager.generate(
            request_id=uuid4().hex,
            prompt_ids=ids,
            sampling_params={**sampling_params, "seed": sample_seed(self.config.data.seed, row)},
        )
        generated = time.monotonic()
        length = self.rollout_config.response_length
        response = list(output.token_ids)[:length]
        text = completion_text(response, self.tokenizer)
        cut = not response or response[-1] not in end_tokens(self.tokenizer)
        result = self.scored(row, text, dict(row.get("extra_info") or {}))
        if cut:
            result = over_long(result)
        return AgentLoopOutput(
            prompt_ids=ids,
            response_ids=response,
            response_mask=[1] * len(response),
            response_logprobs=list(output.log_probs)[:length] if output.log_probs else None,
            reward_score=float(result["score"]),
            num_turns=2,
            metrics=AgentLoopMetrics(
                generate_sequences=generated - started, compute_score=time.monotonic() - generated
            ),
            extra_fields={
                **output.extra_fields,
                "reward_extra_info": {**result, "unclosed": float("</think>" not in text), "cut": float(cut)},
            },
        )
