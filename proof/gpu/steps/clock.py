"""Time and memory of a piece of work on the device."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any


def timed(work: Callable[[], Any], device: str, repeats: int = 3) -> float:
    """Seconds of one call, the mean after a first one that warms up."""
    work()
    _wait(device)
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait(device)
    return (time.perf_counter() - started) / repeats


def measured(work: Callable[[], Any], device: str) -> tuple[dict[str, Any], Any]:
    """Runs work twice; what the second run took, and what the first gave.

    Returns:
        `ms` and `peak_gib` (beyond what was there before; None without a GPU), or `out_of_memory`; and the
        result, None without memory for it.
    """
    import torch

    on_gpu = device == "cuda"
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    try:
        result = work()
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
    except torch.OutOfMemoryError:
        return {"out_of_memory": True}, None
    figures: dict[str, Any] = {"ms": round(1000 * (time.perf_counter() - started), 1)}
    figures["peak_gib"] = round((torch.cuda.max_memory_allocated() - before) / 2**30, 2) if on_gpu else None
    return figures, result


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
