"""What each node is told, and the interface by which nodes reach each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.profiles import cluster

from funreason_train.cluster.topology import (
    interface_of,
    interface_variables,
    node_commands,
    source_address,
)

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "cluster"


def test_one_command_for_each_node_and_the_script_is_there() -> None:
    commands = node_commands(cluster("h20x32"), "sft", ["sft.epochs=2", "run_dir=a b"])
    assert len(commands) == 4
    assert [f"NODE_RANK={rank} " in command for rank, command in enumerate(commands)] == [True] * 4
    assert all(
        command.endswith("bash launch/sft_h20x32.sh sft.epochs=2 'run_dir=a b'") for command in commands
    )
    assert (ROOT / "launch" / "sft_h20x32.sh").is_file()


def test_machines_without_a_script_of_their_own_use_the_general_one() -> None:
    """commands.txt may only name what is there."""
    rack = cluster("cpu", "cluster.name=rack", "cluster.nodes=2")
    commands = node_commands(rack, "rl", ["+recipe=mine.yaml", "cluster=rack.yaml"])
    assert commands[1].endswith(" bash launch/stage.sh rl +recipe=mine.yaml cluster=rack.yaml")
    assert (ROOT / "launch" / "stage.sh").is_file()
    own = ["+recipe=mine.yaml"]  # where the recipe has renamed its machines, no profile has that name
    assert node_commands(rack, "rl", own)[0].endswith(" bash launch/stage.sh rl +recipe=mine.yaml")
    renamed = ["cluster=cpu", "cluster.name=rack", "cluster.nodes=2"]
    assert node_commands(rack, "rl", renamed)[0].endswith(f" bash launch/stage.sh rl {' '.join(renamed)}")


def test_one_machine_runs_the_stage_itself() -> None:
    assert node_commands(cluster("cpu"), "rl") == ["funreason-train rl cluster=cpu"]


def test_gpus_get_the_environment_of_their_own_from_a_launch_script() -> None:
    assert node_commands(cluster("gpu80x8"), "rl") == ["bash launch/stage.sh rl cluster=gpu80x8"]


def test_a_script_is_found_from_any_folder(tmp_path: Path) -> None:
    command = node_commands(cluster("h20x32"), "sft", here=tmp_path)[0]
    assert command.endswith(f"bash {ROOT / 'launch' / 'sft_h20x32.sh'}")


def test_the_interface_is_the_one_that_holds_the_address() -> None:
    held = {"lo": ["127.0.0.1"], "eth1": ["10.0.0.7"], "eth10": ["10.0.1.7"], "down": []}
    assert interface_of("10.0.1.7", held) == "eth10"
    assert interface_of("10.9.9.9", held) is None


def test_the_route_to_this_machine_starts_at_this_machine() -> None:
    assert source_address("127.0.0.1") == "127.0.0.1"
    assert source_address("no.such.host.invalid") is None


def test_loopback_is_never_forced_on_nccl() -> None:
    assert interface_variables("127.0.0.1", {}) == {}


def test_a_variable_set_by_hand_stays(monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("funreason_train.cluster.topology.source_address", lambda peer: "10.0.0.7")
    monkeypatch.setattr("funreason_train.cluster.topology.interface_of", lambda address, held: "eth1")
    assert interface_variables("10.0.0.1", {"NCCL_SOCKET_IFNAME": "ib0"}) == {"GLOO_SOCKET_IFNAME": "eth1"}
    assert interface_variables("10.0.0.1", {})["NCCL_SOCKET_IFNAME"] == "=eth1"
