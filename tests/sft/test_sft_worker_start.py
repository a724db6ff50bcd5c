"""How training processes begin: none waits for its place without end, and one of them chooses for all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funreason_train.cluster import Profile
from funreason_train.settings.compose import compose
from funreason_train.sft.train import workers

#: One of two processes: its rank, its view of the checkpoints, where they meet, where its choice goes.
CHOOSE = """
import sys, torch.distributed as dist
from pathlib import Path
from funreason_train.sft.train.worker import chosen_checkpoint

rank, output, meeting, said = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
said.write_text(str(chosen_checkpoint(output, 2, leader=rank == 0)))
dist.destroy_process_group()
"""


@pytest.mark.parametrize("profile", ["cpu", "h20x32"])
def test_ray_tries_a_placement_a_few_times_and_not_for_ever(
    tmp_path: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    class Trainer:
        def __init__(self, *_: Any, **settings: Any) -> None:
            asked.update(settings)

        def fit(self) -> None:
            pass

    monkeypatch.setattr(workers, "_trainer_class", lambda own_ray: Trainer)
    config = compose("sft", [f"cluster={profile}"])
    workers._attempt({"workers": 32}, Profile.of(config.cluster), tmp_path / "ray", config.sft)
    assert 0 <= asked["run_config"].failure_config.controller_failure_limit <= 5
    assert asked["torch_config"].timeout_s == config.sft.collective_timeout


def test_the_leader_chooses_the_checkpoint_and_the_others_are_told(tmp_path: Path) -> None:
    """A network file system may show a folder to one node before the others."""
    seen, unseen = tmp_path / "seen", tmp_path / "unseen"
    checkpoint = seen / "checkpoint-4"
    for folder in (checkpoint, unseen):
        folder.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text('{"global_step": 4}')
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"):
        write_whole(checkpoint / name)
    chosen = [tmp_path / "choice0", tmp_path / "choice1"]
    ranks = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", CHOOSE, str(rank), str(view)),
                *(str(tmp_path / "meeting"), str(chosen[rank])),
            ]
        )
        for rank, view in enumerate((seen, unseen))
    ]
    assert [one.wait(timeout=300) for one in ranks] == [0, 0]
    assert [file.read_text() for file in chosen] == [str(checkpoint)] * 2


def write_whole(file: Path) -> None:
    import torch
    from safetensors.torch import save_file

    if file.suffix == ".safetensors":
        save_file({"weight": torch.zeros(1)}, file)
    else:
        torch.save({}, file)
