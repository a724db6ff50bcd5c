"""Which checkpoint a run continues from after a kill at any moment (pitfalls verl#4873, DeepSpeed#3810)."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest

from funreason_train.models.weights import weight_defects
from funreason_train.sft.train.checkpoints import checkpoints, defects, latest_complete, settle


def tensors(path: Path, cut: int = 0, name: str = "w") -> None:
    data = bytes(16)
    header = json.dumps({name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    content = struct.pack("<Q", len(header)) + header + data
    path.write_bytes(content[: len(content) - cut])


def archive(path: Path, cut: int = 0) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", b"x" * 1000)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])


def checkpoint(folder: Path, step: int, workers: int = 1, zero: bool = False) -> Path:
    """A checkpoint as transformers writes it, whole."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    tensors(path / "model.safetensors")
    names = [f"rng_state_{rank}.pth" for rank in range(workers)] if workers > 1 else ["rng_state.pth"]
    if zero:
        (path / f"global_step{step}").mkdir()
        (path / "latest").write_text(f"global_step{step}")
        names += [
            f"global_step{step}/bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"
            for rank in range(workers)
        ]
        names += [
            f"global_step{step}/zero_pp_rank_{rank}_mp_rank_00_model_states.pt" for rank in range(workers)
        ]
    else:
        names += ["optimizer.pt", "scheduler.pt"]
    for name in names:
        archive(path / name)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def test_the_newest_by_number_not_by_name(tmp_path: Path) -> None:
    for step in (100, 20, 9):
        checkpoint(tmp_path, step)
    assert [path.name for path in checkpoints(tmp_path)] == [
        "checkpoint-9",
        "checkpoint-20",
        "checkpoint-100",
    ]
    assert latest_complete(tmp_path, 1) == tmp_path / "checkpoint-100"


def test_a_first_start_has_none(tmp_path: Path) -> None:
    assert latest_complete(tmp_path / "not there", 1) is None


@pytest.mark.parametrize(
    "name", ["trainer_state.json", "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
)
@pytest.mark.parametrize("how", ["missing", "cut off", "empty"])
def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path, name: str, how: str) -> None:
    checkpoint(tmp_path, 10)
    file = checkpoint(tmp_path, 20) / name
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-3] if how == "cut off" else b"")
    assert latest_complete(tmp_path, 1) == tmp_path / "checkpoint-10"
    told = settle(tmp_path, 1)
    assert len(told) == 1
    assert "checkpoint-20" in told[0]
    assert not (tmp_path / "checkpoint-20").exists()
    assert (tmp_path / "checkpoint-10").exists()


def outputs(root: Path) -> Path:
    return root / "checkpoints"


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_whole_weights_are_set_aside_and_never_deleted(tmp_path: Path, name: str) -> None:
    """`save_only_model=true` and a copy that left out the optimizer cost 16 steps of training before."""
    for _ in range(2):  # twice, so that a second one of that name finds its place taken
        path = checkpoint(outputs(tmp_path), 20)
        (path / name).unlink()
        (told,) = settle(outputs(tmp_path), 1)
        assert name in told and "set aside" in told and "set_aside/checkpoint-20" in told
    kept = sorted(path.name for path in (tmp_path / "set_aside").iterdir())
    assert kept == ["checkpoint-20", "checkpoint-20.2"]
    assert weight_defects(tmp_path / "set_aside" / "checkpoint-20.2") == []
    assert latest_complete(outputs(tmp_path), 1) is None


def test_a_cut_off_file_of_weights_is_of_no_use_and_is_removed(tmp_path: Path) -> None:
    path = checkpoint(outputs(tmp_path), 20)
    tensors(path / "model.safetensors", cut=3)
    (told,) = settle(outputs(tmp_path), 1)
    assert "is removed" in told
    assert not (tmp_path / "set_aside").exists()


def test_the_checkpoint_of_an_adapter_is_whole_without_the_model(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 10)
    (path / "model.safetensors").rename(path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text("{}")
    assert latest_complete(tmp_path, 1) == path
    tensors(path / "adapter_model.safetensors", cut=1)
    assert defects(path, 1) and latest_complete(tmp_path, 1) is None


def test_every_rank_must_have_left_its_random_state(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 10, workers=4)
    assert defects(path, 4) == []
    (path / "rng_state_3.pth").unlink()
    assert defects(path, 4) == ["rng_state_3.pth is missing"]


def test_zero_checkpoints_need_every_shard(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 10, workers=4, zero=True)
    assert defects(path, 4) == []
    next((path / "global_step10").glob("*rank_2*optim*")).unlink()
    assert defects(path, 4) == ["3 of 4 optimizer shards are there"]
    (path / "latest").unlink()
    assert len(defects(path, 4)) == 2


def test_sharded_weights_need_every_file_of_their_index(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    tensors(tmp_path / "model-1.safetensors", name="a")
    assert weight_defects(tmp_path) == ["model-2.safetensors is missing"]
    tensors(tmp_path / "model-2.safetensors", cut=1, name="b")
    (cut,) = weight_defects(tmp_path)
    assert cut.startswith("model-2.safetensors is cut off")
    tensors(tmp_path / "model-2.safetensors", name="b")
    assert weight_defects(tmp_path) == []
