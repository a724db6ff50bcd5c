"""Engines run on what this machine has, whatever the cluster's profile says of its machines."""

from itertools import pairwise
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.evaluate.serve import serving
from funreason_train.settings.compose import compose


def environments(monkeypatch: pytest.MonkeyPatch, gpus: Any, *words: Any, most: int = 100) -> Any:
    monkeypatch.setattr(serving, "visible_gpus", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    config = compose("eval", ["cluster=h20x32", "models={m: /nowhere}", *words])
    return serving.replica_environments(config, serving.engine_options(config), None, most)


@pytest.mark.parametrize(("gpus", "found"), [(1, 1), (4, 4), (8, 8), (16, 16), (0, 8)])
def test_as_many_engines_as_this_machine_has_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus: int, found: int
) -> None:
    names = [one["CUDA_VISIBLE_DEVICES"] for one in environments(monkeypatch, gpus)]
    assert names == [str(number) for number in range(found)]


def test_gpus_are_shared_out_and_no_engine_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [one["CUDA_VISIBLE_DEVICES"] for one in environments(monkeypatch, 5, "tensor_parallel=2")]
    assert names == ["0,1", "2,3"]
    assert len(environments(monkeypatch, 8, most=3)) == 3


@pytest.mark.parametrize("words", [["replicas=3"], ["tensor_parallel=4"]])
def test_too_few_gpus_are_told(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    with pytest.raises(UserError, match="more than this machine's 2"):
        environments(monkeypatch, 2, *words)


@pytest.mark.parametrize("pid", [1, 239, 240, 4_194_304])
def test_engines_look_for_ports_apart_from_one_another(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    monkeypatch.setattr("os.getpid", lambda: pid)
    ports = [int(one["VLLM_PORT"]) for one in environments(monkeypatch, 8)]
    assert [later - port for port, later in pairwise(ports)] == [50] * 7
    assert min(ports) >= 20_000 and max(ports) < 32_000 - 50, "Linux hands out those from 32,768 on"
    told = environments(monkeypatch, 2, "cluster.env.VLLM_PORT=40000")
    assert [one["VLLM_PORT"] for one in told] == ["40000"] * 2
