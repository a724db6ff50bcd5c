"""Shards of many ranks become whole tensors again, in the type they were stored in."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funreason_train.export import merge

torch = pytest.importorskip("torch")

#: Writes one rank's file as FSDP2 does, with a process group that exists only by name.
SAVE = """
import sys, torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore

whole = torch.arange(30, dtype=torch.float32).reshape(10, 3)
for shape in ((1,), (4,), (2, 4)):
    ranks = shape[0] * shape[-1] if len(shape) > 1 else shape[0]
    for rank in range(ranks):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("ddp", "fsdp")[-len(shape):])
        layout = [Replicate()] * (len(shape) - 1) + [Shard(0)]
        local = distribute_tensor(whole, mesh, layout, src_data_rank=None)
        state = {"weight": local, "buffer": torch.ones(2)}
        torch.save(state, f"{sys.argv[1]}/model_world_size_{ranks}_rank_{rank}.pt")
        dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checkpoints of 1 rank, of 4, and of 2 copies of 4."""
    folder = tmp_path_factory.mktemp("actor")
    done = subprocess.run([sys.executable, "-c", SAVE, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("ranks", [1, 4, 8])
def test_shards_become_whole(shards: Any, ranks: int) -> None:
    state = merge.whole_state(shards, ranks)
    assert torch.equal(state["weight"], torch.arange(30, dtype=torch.float32).reshape(10, 3))
    assert state["weight"].dtype == torch.float32
    assert torch.equal(state["buffer"], torch.ones(2))


def test_ranks_that_disagree_are_refused(tmp_path: Path) -> None:
    for rank, value in ((0, 1.0), (1, 2.0)):
        torch.save({"buffer": torch.full((2,), value)}, tmp_path / f"model_world_size_2_rank_{rank}.pt")
    with pytest.raises(ValueError, match="differs between ranks"):
        merge.whole_state(tmp_path, 2)


def test_ranks_with_other_parameters_are_refused(tmp_path: Path) -> None:
    for rank, name in ((0, "one"), (1, "two")):
        torch.save({name: torch.ones(2)}, tmp_path / f"model_world_size_2_rank_{rank}.pt")
    with pytest.raises(ValueError, match="rank 1 holds other parameters"):
        merge.whole_state(tmp_path, 2)


def test_nothing_but_tensors_is_read(tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return print, ("executed",)

    torch.save({"weight": Evil()}, tmp_path / "model_world_size_1_rank_0.pt")
    with pytest.raises(pickle.UnpicklingError):
        merge.whole_state(tmp_path, 1)
