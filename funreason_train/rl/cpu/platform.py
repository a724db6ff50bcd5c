"""A CPU as verl's accelerator (verl/plugin/platform/platform_base.py, the documented extension point)."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


class _CpuModule(types.ModuleType):
    """`torch.cpu` with the memory and random-state functions of `torch.cuda` that verl calls."""

    @staticmethod
    def _nothing(*_args: Any, **_kwargs: Any) -> None:
        """Host memory has no cache to empty and no device to choose."""

    @staticmethod
    def _zero(*_args: Any, **_kwargs: Any) -> int:
        return 0

    empty_cache = ipc_collect = set_device = _nothing
    set_per_process_memory_fraction = reset_peak_memory_stats = _nothing
    memory_allocated = memory_reserved = max_memory_allocated = max_memory_reserved = _zero

    @staticmethod
    def mem_get_info(*_args: Any) -> tuple[int, int]:
        memory = psutil.virtual_memory()
        return memory.available, memory.total

    @staticmethod
    def get_rng_state(*_args: Any) -> torch.Tensor:
        return torch.get_rng_state()

    @staticmethod
    def set_rng_state(state: torch.Tensor, *_args: Any) -> None:
        torch.set_rng_state(state)

    @staticmethod
    def get_device_name(*_args: Any) -> str:
        return "CPU"

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One process, one device: the host's memory. Chosen by name alone (`VERL_PLATFORM=cpu`)."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _CpuModule("funreason_train.rl.cpu.device")

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        # Asked only when verl guesses the platform; this one has to be named.
        return False

    def current_device(self) -> Any:
        # verl hands this to tensor.to(); an integer would mean cuda:<integer>.
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        return None

    def synchronize(self, device_index: int | None = None) -> None:
        return None

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        return None

    def empty_cache(self) -> None:
        return None

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None:
        return None

    def profiler_stop(self) -> None:
        return None

    def ray_resource_name(self) -> str:
        # verl's resource pools count only Ray's GPU and NPU; a CPU run declares logical GPUs to Ray, one a
        # worker.
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        # No CUDA IPC: verl then sends weights to the rollout through shared memory.
        return False

    def rollout_env_vars(self) -> dict[str, str]:
        return {}

    def cudart(self) -> None:
        return None
