"""The rollout engine `transformers`: one Ray actor that holds the model and samples with it.

For machines without vLLM. It takes vLLM's place: a replica of it is registered with verl (replica.py),
verl's own sender hands it the trained weights (CUDA IPC on GPUs, shared memory elsewhere), and it gives its
memory back while the actor trains. It decodes whole batches with plain torch kernels, so it is right for
small models and short answers and far slower than vLLM for others.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ...dialogue import end_tokens
from .decode import Completion, Request, sample

#: How long requests are gathered into one batch, in seconds.
_GATHERING = 0.05


def weight_transfer() -> ModuleType:
    """verl's module of bucketed weight transfer, without the package around it, which imports vLLM."""
    name = "funreason_train.rl.rollout.verl_weight_transfer"
    if name not in sys.modules:
        package = importlib.util.find_spec("verl")
        assert package is not None and package.origin is not None
        file = Path(package.origin).parent / "workers/rollout/vllm_rollout/bucketed_weight_transfer.py"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


class Engine:
    """What verl calls of a rollout server (verl/workers/rollout/llm_server.py, replica.py), and `receive`.

    Args:
        config: verl's `RolloutConfig`.
        model: The model's folder.
        visible: The devices of the training worker beside which this one runs, as `CUDA_VISIBLE_DEVICES` has
            them; None on a machine without.
    """

    def __init__(self, config: Any, model: str, visible: str | None) -> None:
        if visible is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible  # before CUDA is asked for anything
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.config = config
        self.device = torch.device("cpu" if visible is None else "cuda:0")
        tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(
            model, dtype=getattr(torch, config.dtype), attn_implementation="sdpa"
        ).eval()
        self.model.to(self.device)
        ends = self.model.generation_config.eos_token_id
        self.ends = {*end_tokens(tokenizer), *(ends if isinstance(ends, list) else [ends])} - {None}
        self.pad = tokenizer.pad_token_id or 0
        self.steps: int | None = None  # of the trainer, when it sent the weights
        self.waiting: list[tuple[Request, asyncio.Future[Completion]]] = []
        self.work: asyncio.Task[None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def generate(
        self, prompt_ids: list[int], sampling_params: dict[str, Any], request_id: str, **_: Any
    ) -> Any:
        """Makes one completion; requests that come at about the same time share a batch."""
        from verl.workers.rollout.replica import TokenOutput

        await self.gate.wait()
        room = int(self.config.max_model_len) - len(prompt_ids)
        longest = min(
            int(self.config.response_length),
            int(self.config.prompt_length) + int(self.config.response_length) - len(prompt_ids),
            room,
        )
        if longest < 1:
            raise ValueError(
                f"a prompt of {len(prompt_ids)} tokens leaves no room in a context of "
                f"{self.config.max_model_len}"
            )
        request = Request.of(prompt_ids, sampling_params, longest)
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self.waiting.append((request, answer))
        if self.work is None or self.work.done():
            self.work = asyncio.create_task(self._drain())
        done = await answer
        return TokenOutput(
            token_ids=done.tokens,
            log_probs=done.log_probs if sampling_params.get("logprobs") else None,
            stop_reason="completed",
            extra_fields={"global_steps": self.steps},
        )

    async def _drain(self) -> None:
        await asyncio.sleep(_GATHERING)
        most = int(self.config.max_num_seqs)
        while self.waiting:
            batch, self.waiting = self.waiting[:most], self.waiting[most:]
            requests = [request for request, _ in batch]
            try:
                done = await asyncio.to_thread(sample, self.model, requests, self.ends, self.pad)
            except Exception as error:  # belongs to the callers, who wait for it
                for _, answer in batch:
                    answer.set_exception(error)
                continue
            for (_, answer), completion in zip(batch, done, strict=True):
                answer.set_result(completion)

    async def receive(self, handle: str, through_memory: bool, steps: int | None) -> None:
        """Takes over the trained weights from verl's sender.

        Args:
            handle: The socket that the sender listens on.
            through_memory: Whether they come through shared memory and not through CUDA's.
            steps: The trainer's step, for the records of the completions that follow.

        Raises:
            RuntimeError: if a weight is unknown or stays away.
        """
        await asyncio.to_thread(self._receive, handle, through_memory)
        self.steps = steps

    def _receive(self, handle: str, through_memory: bool) -> None:
        receiver = weight_transfer().BucketedWeightReceiver(handle, self.device, through_memory)
        seen: set[str] = set()

        def take(weights: list[tuple[str, torch.Tensor]], _last: bool) -> None:
            # Nothing is raised in here: the sender would wait for an answer forever.
            self.load(dict(weights))
            seen.update(name for name, _ in weights)

        receiver.receive_weights(take)
        places = self._places()
        unknown = {name for name in seen - set(places) if not self._tied(name)}
        if unknown or set(places) - seen:
            odd = sorted(unknown or set(places) - seen)[:3]
            what = "sent weights that this model does not have" if unknown else "did not send all weights"
            raise RuntimeError(f"the trainer {what}: {', '.join(odd)}")

    def _places(self) -> dict[str, torch.Tensor]:
        return dict(self.model.named_parameters())

    def _tied(self, name: str) -> bool:
        """Whether a weight is another one's by another name."""
        return bool(self.model.config.tie_word_embeddings) and name == "lm_head.weight"

    @torch.no_grad()
    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Copies weights into the model, in its own precision; names that it does not have are left out."""
        places = self._places()
        for name in weights.keys() & places.keys():
            places[name].copy_(weights[name])

    async def sleep(self) -> None:
        """Gives the device's memory to the training, where the profile asks for that."""
        if self.config.free_cache_engine and self.device.type != "cpu":
            await self._idle()
            self.model.to("cpu")
            torch.cuda.empty_cache()

    async def wake_up(self, tags: list[str] | None = None) -> None:
        """Takes the device's memory back; `tags` are vLLM's, weights and cache."""
        self.model.to(self.device)

    async def abort_all_requests(self, reject_request: bool = False) -> None:
        """Lets no request begin until `resume_generation`; those that began are finished."""
        self.gate.clear()
        await self._idle()

    async def resume_generation(self) -> None:
        """Lets requests begin again."""
        self.gate.set()

    async def _idle(self) -> None:
        if self.work is not None:
            await self.work

    async def nothing(self, **_: Any) -> None:
        """A cache lives as long as a batch, so between two there is none to clear; and no profiler."""

    clear_kv_cache = release_kv_cache = resume_kv_cache = start_profile = stop_profile = nothing
