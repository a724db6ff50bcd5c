"""What every process of verl's sets before it joins the others."""

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from funreason_train.rl.verl import process
from funreason_train.rl.verl.naming import TIMEOUT
from funreason_train.run import beat


@pytest.fixture
def verl(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for verl.utils.distributed; its `joined` holds what process groups were asked for."""
    joined = []

    def initialize(timeout_second: Any = None, backend: Any = None) -> None:
        joined.append((timeout_second, backend))

    module = types.SimpleNamespace(initialize_global_process_group_ray=initialize, joined=joined)
    parent = types.ModuleType("verl")
    utils = types.ModuleType("verl.utils")
    parent.__dict__["utils"], utils.__dict__["distributed"] = utils, module
    for name, value in {"verl": parent, "verl.utils": utils, "verl.utils.distributed": module}.items():
        monkeypatch.setitem(__import__("sys").modules, name, value)
    return module


def test_a_supervised_driver_loads_no_verl_before_it_has_set_what_verl_reads(tmp_path: Path) -> None:
    """verl chooses its platform and loads what we register when it is imported, by variables of the run."""
    look = "import sys, funreason_train.rl.stage; print(*sys.modules.keys() & {'verl', 'torch'})"
    environ = {**os.environ, beat.VARIABLE: str(tmp_path), TIMEOUT: "60"}
    done = subprocess.run(
        [sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_long_save_does_not_end_the_others_wait(verl: Any) -> None:
    """verl ignores its own nccl_timeout, and NCCL's ten minutes are less than a save of 45 GiB takes."""
    process.set_group_defaults(environ={TIMEOUT: "7200"})
    verl.initialize_global_process_group_ray(timeout_second=None)
    verl.initialize_global_process_group_ray(timeout_second=5, backend="nccl")
    assert verl.joined == [(7200, None), (5, "nccl")]


def test_on_cpu_gloo_is_the_default_however_often_it_is_set(verl: Any) -> None:
    process.set_group_defaults(environ={TIMEOUT: "60"})
    process.set_group_defaults("gloo", environ={TIMEOUT: "60"})
    verl.initialize_global_process_group_ray()
    assert verl.joined == [(60, "gloo")]


def test_workers_on_a_cluster_that_runs_already_use_the_route_to_its_head(
    verl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_head_address", lambda: "10.0.0.1")
    monkeypatch.setattr("funreason_train.cluster.topology.source_address", lambda peer: "10.0.0.7")
    monkeypatch.setattr("funreason_train.cluster.topology.interface_of", lambda address, held: "eth1")
    environ = {"NCCL_SOCKET_IFNAME": "ib0"}
    process.set_group_defaults(environ=environ)
    verl.initialize_global_process_group_ray()
    assert environ == {"NCCL_SOCKET_IFNAME": "ib0", "GLOO_SOCKET_IFNAME": "eth1"}


def test_outside_ray_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    environ: dict[str, str] = {}
    process.use_route_to_head(environ)
    assert environ == {}
