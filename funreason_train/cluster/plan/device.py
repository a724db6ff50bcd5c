"""What a plan has to know of the machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One GPU and its surroundings, or the share of a machine that one training process has on a CPU.

    Attributes:
        memory: Bytes; of a CPU machine, all it has.
        host_memory: Bytes of the machine.
        per_node: GPUs of a machine; 1 for a CPU.
        flops: Peak of dense matrix products in the precision of training, per second.
        utilisation: Share of `flops` that whole training passes reach.
        bandwidth: Bytes a second from its memory.
        link: Bytes a second to another GPU of the same machine, in one direction.
        network: Bytes a second to another machine, its share.
        disk: Bytes a second that a machine writes.
        token_seconds: What each decoded token costs besides reading weights and cache.
        step_seconds: What each training step costs besides its passes, by stage.
        process_memory: Bytes of the processes themselves, by stage; counted on CPU only.
    """

    memory: float
    host_memory: float
    per_node: int
    flops: float
    utilisation: float
    bandwidth: float
    link: float
    network: float
    disk: float
    token_seconds: float
    step_seconds: tuple[tuple[str, float], ...] = ()
    process_memory: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, cluster: DictConfig | Mapping[str, Any], utilisation: float | None = None) -> Device:
        """The device of a profile (configuration node `cluster`).

        Args:
            cluster: With `memory` and `speed`; what is null is not known, 0 here, but for a CPU machine's
                memory, which is this one's.
            utilisation: In place of the profile's.
        """
        memory, speed = cluster["memory"] or {}, cluster["speed"] or {}
        host = float(memory.get("host_gib") or 0) * GIB
        if cluster["device"] == "cpu" and not host:
            import psutil

            host = float(psutil.virtual_memory().total)
        here = float(memory.get("gpu_gib") or 0) * GIB if cluster["device"] != "cpu" else host
        return cls(
            memory=here,
            host_memory=host,
            per_node=max(1, int(cluster["gpus_per_node"])),
            flops=float(speed.get("tflops") or 0) * 1e12,
            utilisation=float(utilisation or speed.get("utilisation") or 0),
            bandwidth=float(speed.get("memory_gbs") or 0) * 1e9,
            link=float(speed.get("link_gbs") or 0) * 1e9,
            network=float(speed.get("network_gbs") or 0) * 1e9,
            disk=float(speed.get("disk_gbs") or 0) * 1e9,
            token_seconds=float(speed.get("token_seconds") or 0),
            step_seconds=_pairs(speed.get("step_seconds")),
            process_memory=tuple((name, gib * GIB) for name, gib in _pairs(speed.get("process_gib"))),
        )

    @property
    def timed(self) -> bool:
        """Whether enough is known for times."""
        return min(self.speed, self.bandwidth, self.link, self.network) > 0

    @property
    def speed(self) -> float:
        """FLOP a second that training passes reach."""
        return self.flops * self.utilisation

    def fixed_seconds(self, stage: str) -> float:
        """Seconds that each step of a stage costs besides its passes."""
        return dict(self.step_seconds).get(stage, 0.0)

    def fixed_memory(self, stage: str) -> float:
        """Bytes of a stage's processes themselves."""
        return dict(self.process_memory).get(stage, 0.0)

    def slowest_link(self, gpus: int) -> float:
        """Bytes a second that a collective over `gpus` gets: a ring is as fast as its slowest link."""
        return self.network if gpus > self.per_node else self.link


def _pairs(values: Any) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(value)) for name, value in (values or {}).items())
