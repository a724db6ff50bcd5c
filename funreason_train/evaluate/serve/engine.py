"""vLLM in this process: the fastest way to play tasks on one device.

No server, no client and no second import: one loop hands a finished completion's successor straight back to
the scheduler, and the next model reuses the imported framework.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...models.frameworks.known import must_serve
from .generate import Generated, Sampling


@dataclass(frozen=True)
class EngineOptions:
    """How vLLM is set up; see configs/eval.yaml for what each one does."""

    device: str
    dtype: str
    tensor_parallel: int
    sequences: int
    batched_tokens: int
    block_size: int | None
    kv_cache_bytes: int | None
    gpu_memory: float
    eager: bool
    max_model_tokens: int
    seed: int
    whole_prompts: bool = False

    def arguments(self, model: str) -> dict[str, Any]:
        """vLLM's own engine arguments for the model folder `model`."""
        values: dict[str, Any] = {
            "model": model,
            "dtype": self.dtype,
            "tensor_parallel_size": self.tensor_parallel,
            "max_num_seqs": self.sequences,
            "max_num_batched_tokens": self.batched_tokens,
            "max_model_len": self.max_model_tokens,
            "enable_prefix_caching": True,
            "enforce_eager": self.eager,
            "seed": self.seed,
            "trust_remote_code": False,
            "disable_log_stats": True,
        }
        if self.whole_prompts:
            # vLLM winds a request's generator back when a step took only part of its prompt; torch's CPU
            # generators cannot be wound back (`set_offset` in vllm/v1/worker/gpu_model_runner.py), and the
            # engine would die.
            values["enable_chunked_prefill"] = False
            values["max_num_batched_tokens"] = max(self.batched_tokens, self.max_model_tokens)
        if self.block_size is not None:
            values["block_size"] = self.block_size
        if self.kv_cache_bytes is not None:
            values["kv_cache_memory_bytes"] = self.kv_cache_bytes
        if self.device != "cpu":
            values["gpu_memory_utilization"] = self.gpu_memory
        return values


def environment(options: EngineOptions, threads: int) -> dict[str, str]:
    """The variables that torch and vLLM read when they are imported."""
    values = {
        "HF_HUB_OFFLINE": "1",  # every model is a folder by now
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
    }
    if options.device == "cpu":
        # One process an engine: with a tiny model a second process costs more than it overlaps. Threads are
        # not pinned to cores, which other engines share.
        values |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        if options.eager:
            # vLLM compiles its CPU sampler even then, which takes ten seconds and a C++ compiler.
            values["TORCH_COMPILE_DISABLE"] = "1"
    return values


class VllmGenerator:
    """A `Generator` on a vLLM engine."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """Queues a prompt; see `Generator`."""
        from vllm import SamplingParams

        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.room(len(prompt)),
            seed=sampling.seed_of(key),
        )
        self._engine.add_request(key, {"prompt_token_ids": prompt}, parameters)

    def collect(self) -> list[Generated]:
        """Runs the model for one step of the whole batch; see `Generator`."""
        found = []
        for output in self._engine.step():
            if output.finished:
                best = output.outputs[0]
                found.append(
                    Generated(output.request_id, best.text, len(best.token_ids), best.finish_reason or "")
                )
        return found


@contextmanager
def vllm_engine(model: str, options: EngineOptions) -> Iterator[VllmGenerator]:
    """A loaded model; its memory is given back on exit, so that another can follow in the same process."""
    from vllm import EngineArgs, LLMEngine
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    try:
        engine = LLMEngine.from_engine_args(EngineArgs(**options.arguments(model)))
    except Exception:
        must_serve(model)  # or else that is the cause
        raise
    try:
        yield VllmGenerator(engine)
    finally:
        core = getattr(engine, "engine_core", None)
        if core is not None and hasattr(core, "shutdown"):
            core.shutdown()
        del engine, core
        gc.collect()
        cleanup_dist_env_and_memory()
