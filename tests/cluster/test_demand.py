"""verl#242 and Ray Train: neither ever stops waiting for CPUs or GPUs that are taken or were never there."""

from typing import Any

import pytest
from cluster.profiles import cluster

from funreason_train.cluster import Profile
from funreason_train.cluster.connect import wait_for_nodes
from funreason_train.cluster.demand import Demand, shortage
from funreason_train.errors import UserError

H20 = Profile.of(cluster("h20x32"))
RL = Demand("RL", 32, 3, 1, 9, "cluster.nodes")


def node(
    number: Any, cpus: int = 64, gpus: int = 8, free_cpus: Any = None, free_gpus: Any = None
) -> dict[str, Any]:
    free = {"CPU": cpus if free_cpus is None else free_cpus, "GPU": gpus if free_gpus is None else free_gpus}
    return {
        "NodeName": f"{number}@h20-{number}",
        "Alive": True,
        "Resources": {"CPU": float(cpus), "GPU": float(gpus)},
        "Available": free,
    }


def test_an_empty_cluster_has_room() -> None:
    assert shortage(RL, [node(n) for n in range(4)]) is None


def test_gpus_of_another_job_are_named_with_their_node() -> None:
    said = shortage(RL, [*(node(n) for n in range(3)), node(3, free_gpus=5)])
    assert said is not None
    assert "3@h20-3 has 64 of 64 CPUs and 5 of 8 GPUs free, room for 5 workers" in said
    assert "RL asks for 32 workers of 3 CPUs and 1 GPU" in said


def test_a_gpu_beside_the_workers_has_to_be_free_as_well() -> None:
    beside = Demand("SFT", 31, 3, 1, 2, "cluster.sft.workers", 1)
    assert shortage(beside, [node(n) for n in range(4)]) is None
    said = shortage(beside, [*(node(n) for n in range(3)), node(3, free_gpus=7)])
    assert said is not None and "31 workers of 3 CPUs and 1 GPU, and 2 CPUs and 1 GPU besides" in said


def test_too_few_cpus_are_told() -> None:
    """verl reserves 3 CPUs a GPU and waited forever on nodes with 2."""
    said = shortage(Demand("RL", 2, 3, 1, 3, "x"), [node(0, cpus=2, gpus=1), node(1, cpus=2, gpus=1)])
    assert said is not None and "room for 0 workers" in said


def test_the_framework_own_processes_count() -> None:
    nodes = [node(n, cpus=24) for n in range(4)]
    assert shortage(RL, nodes) is not None
    assert shortage(Demand("RL", 32, 3, 1, 0, "x"), nodes) is None


def test_a_worker_without_gpu_needs_none() -> None:
    assert shortage(Demand("SFT", 4, 1, 0, 2, "x"), [node(0, cpus=6, gpus=0)]) is None


def test_a_node_that_has_left_has_no_room() -> None:
    nodes = [node(n) for n in range(4)]
    nodes[2]["Alive"] = False
    assert shortage(RL, nodes) is not None


def test_busy_gpus_are_waited_for_until_the_deadline_and_then_named() -> None:
    now, free = [0.0], [4, 4, 8]

    def look() -> list[Any]:
        return [*(node(n) for n in range(3)), node(3, free_gpus=free.pop(0) if len(free) > 1 else free[0])]

    def sleep(seconds: Any) -> None:
        now[0] += seconds

    wait_for_nodes(H20, look, RL, clock=lambda: now[0], sleep=sleep, say=lambda _: None)
    assert now[0] == 2.0
    free[:] = [4]
    with pytest.raises(UserError) as caught:
        wait_for_nodes(H20, look, RL, clock=lambda: now[0], sleep=sleep, say=lambda _: None)
    assert "4 of 8 GPUs free" in str(caught.value) and "cluster.nodes" in str(caught.value)
