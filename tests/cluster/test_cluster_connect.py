"""pitfall verl#242: Ray waits forever for GPUs that are not there; we wait with a deadline and name them."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from cluster.profiles import cluster

from funreason_train.cluster import Profile, connect
from funreason_train.cluster.connect import missing_nodes, unanswered, wait_for_nodes
from funreason_train.errors import UserError
from funreason_train.settings.load import load_settings

H20 = cluster("h20x32")


def node(number: int, gpus: int = 8, alive: bool = True) -> dict[str, Any]:
    return {
        "NodeName": f"{number}@h20-{number}",
        "Alive": alive,
        "Resources": {"CPU": 64.0, "GPU": float(gpus)},
    }


class Clock:
    """Time that passes only by sleeping."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "10.0.0.1:abc", "10.0.0.1:99999", "http://n1:8265", "ray://n1:10001", "n1:6379 "]
)
def test_an_address_that_ray_would_answer_with_a_traceback_is_a_sentence(address: str) -> None:
    with pytest.raises(UserError, match=r"^RAY_ADDRESS=.*must be HOST:PORT of the head"):
        Profile.of(H20).joins({"RAY_ADDRESS": address})
    with pytest.raises(UserError, match=r"cluster\.address=.*must be HOST:PORT of the head"):
        load_settings("sft", ["cluster=h20x32", f"cluster.address='{address}'"])


@pytest.mark.parametrize("address", ["auto", "local", "n1.lan:6379", "[fe80::1]:6379"])
def test_addresses_that_ray_takes_pass(address: str) -> None:
    assert Profile.of(H20).joins({"RAY_ADDRESS": address}) == address


def test_a_cluster_that_does_not_answer_is_told_before_ray_asks_for_minutes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert unanswered(address, 0) is None
    assert unanswered(address, 0) == "Connection refused"


def test_returns_as_soon_as_the_last_node_joins() -> None:
    clock = Clock()
    said: list[str] = []
    joined = [[node(0)], [node(0), node(1)], [node(i) for i in range(4)]]
    looks = iter([*joined[:1] * 3, *joined[1:]])
    wait_for_nodes(Profile.of(H20), lambda: next(looks), clock=clock, sleep=clock.sleep, say=said.append)
    assert clock.now == 4.0
    assert len(said) == 2, "each change is announced once"


def test_the_deadline_names_who_is_there_and_what_is_missing() -> None:
    clock = Clock()
    nodes = [node(0), node(1, gpus=6), node(2), node(3, alive=False)]
    with pytest.raises(UserError) as caught:
        wait_for_nodes(Profile.of(H20), lambda: nodes, clock=clock, sleep=clock.sleep, say=lambda _: None)
    text = str(caught.value)
    assert clock.now >= H20.wait_seconds
    assert "1 of 4 nodes are missing" in text
    assert "1@h20-1 has 6 of 8 GPUs" in text
    assert "0@h20-0 (8 GPUs)" in text
    assert "cluster.wait_seconds" in text


def test_the_same_number_of_gpus_on_too_few_machines_is_not_enough() -> None:
    assert missing_nodes(Profile.of(H20), [node(0, 16), node(1, 16)]) is not None


def test_a_larger_cluster_will_do() -> None:
    assert missing_nodes(Profile.of(H20), [node(i) for i in range(6)]) is None


def test_without_gpus_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("funreason_train.cluster.profile.visible_gpus", lambda *_: 0)
    with pytest.raises(UserError, match="has no GPU"), connect(H20):
        pytest.fail("must not get here")
