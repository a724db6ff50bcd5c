"""Which environment variables reach the workers: an allow-list, never the whole environment.

Ray stores a job's environment in its own records and refuses large ones (RLinf#1531), so tokens and keys stay
out; a worker inherits those from the shell that started Ray on its machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_NAMES = (
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "DS_ACCELERATOR",
    "FUNREASON_CALL_LIMITS",
    "FUNREASON_PROGRESS",
    "HF_DATASETS_CACHE",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "LLAMAFACTORY_VERBOSITY",
    "PYTHONPATH",
    "TMPDIR",
    "TRITON_CACHE_DIR",
    "WANDB_MODE",
)
#: Each node has its own; the launch script sets them where it starts Ray, or `topology` derives them.
_OF_THE_NODE = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_PREFIXES = ("GLOO_", "NCCL_", "TORCH_NCCL_", "TORCH_EXTENSIONS_", "UCX_")

#: Settings of the OpenMP runtime that let several processes share few cores: threads spin a moment at a
#: barrier, then sleep. Those that go on spinning while their partner waits for a core made small layers
#: 3 times slower where two processes shared 2 cores; those that sleep at once, 1.2 times where one had them
#: for itself. A thousand turns cost a tenth in the first case, nothing in the second
#: (benchmarks/sft/threads.py).
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def forwarded(
    extra: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment variables that workers get from the driver.

    Args:
        extra: What the stage and the device profile set; goes before the driver's own.
        environ: The driver's environment.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _NAMES or name.startswith(_PREFIXES)) and name not in _OF_THE_NODE
    }
    return {**kept, **(extra or {})}


def thread_variables(threads: int) -> dict[str, str]:
    """The variables that give a process `threads` OpenMP threads which do not fight over cores."""
    return {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", **QUIET_THREADS}
