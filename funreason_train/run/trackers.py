"""Trackers elsewhere (wandb and its kin) that cannot be reached cost their figures, and not the run."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

#: Those that write to this machine: what they cannot write, the run cannot either.
LOCAL = frozenset({"console", "file", "tensorboard"})


def forgiving(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A tracker's function that goes on when it fails; the first failure is told in a line.

    Args:
        call: The function.
        name: Of the tracker; one that writes to this machine is left as it is.
    """
    if name in LOCAL:
        return call
    told = False

    @functools.wraps(call)
    def called(*values: Any, **options: Any) -> Any:
        nonlocal told
        try:
            return call(*values, **options)
        except Exception as error:
            if not told:
                told = True
                said = str(error).strip().splitlines() or [type(error).__name__]
                sys.stderr.write(
                    f"the tracker {name} takes no figures ({said[0][:200]}); the run goes on, and its "
                    "metrics.jsonl has them\n"
                )
            return None

    return called
