"""The section `cluster`: the machines of a run, and what each stage has to know of their kind."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import model_validator

from ..settings.section import Count, NotNegative, Path, Positive, Section, ShareAboveZero, Text, wrong
from .profile import address_problem

#: The values of a process's environment variables.
Variables = dict[str, str | int | float | bool]


class ClusterSft(Section):
    """What SFT takes from the machines."""

    workers: Count | None
    per_device_batch: Count
    precision: Literal["fp32", "bf16"]
    attention: Literal["auto", "varlen", "fa2", "sdpa", "disabled"]
    gradient_checkpointing: bool
    liger: bool
    deepspeed: Path | None


class Memory(Section):
    """Facts about the hardware."""

    gpu_gib: Positive
    host_gib: Positive


class PerStage(Section):
    """A figure for each stage that trains."""

    sft: NotNegative
    rl: NotNegative


class Speed(Section):
    """How fast the hardware is, for plans."""

    tflops: Positive
    utilisation: ShareAboveZero
    memory_gbs: Positive
    link_gbs: Positive
    network_gbs: Positive
    disk_gbs: Positive
    token_seconds: NotNegative
    step_seconds: PerStage
    process_gib: PerStage


class Cluster(Section):
    """configs/cluster/cpu.yaml explains each key."""

    name: Text
    device: Literal["cpu", "cuda"]
    nodes: Annotated[int, Ge(1), Le(10_000)]
    gpus_per_node: Annotated[int, Ge(0), Le(1024)]
    cpus_per_worker: Count | None
    address: Text | None
    object_store_bytes: Count | None
    temp_dir: Path | None
    wait_seconds: NotNegative
    env: Variables
    memory: Memory | None
    speed: Speed | None
    sft: ClusterSft

    @model_validator(mode="after")
    def _rules(self) -> Cluster:
        if self.device == "cuda" and not self.gpus_per_node:
            raise wrong("must be at least 1 with cluster.device=cuda", keys=["gpus_per_node"])
        if self.device == "cpu" and self.gpus_per_node:
            raise wrong("must be 0 with cluster.device=cpu", keys=["gpus_per_node"])
        gpus = self.nodes * self.gpus_per_node
        if gpus and self.sft.workers is not None and self.sft.workers > gpus:
            raise wrong(f"must be at most {gpus}, a process for each GPU of all nodes", keys=["sft.workers"])
        if self.address is not None and (problem := address_problem(self.address)):
            raise wrong(problem, keys=["address"])
        return self
