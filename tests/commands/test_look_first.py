"""What sft, rl and pipeline look at before they start: disk, hosts and files follow from the settings."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands.staged import SFT, install

from funreason_train.cluster.preflight import locked_versions
from funreason_train.commands.cli import main
from funreason_train.commands.preflight.budget import checkpoint_bytes
from funreason_train.commands.preflight.needs import needs
from funreason_train.commands.stages import STAGES
from funreason_train.errors import UserError
from funreason_train.run.files import write_json
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings.load import load_settings

MIB = 2**20


def settings(run: RunDir, *words: str) -> Any:
    return load_settings("pipeline", [f"run_dir={run.root}", *words])


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.at(tmp_path / "run")


def test_full_sft_needs_room_for_the_kept_checkpoints_the_next_one_and_the_model(run: RunDir) -> None:
    config = settings(run, "sft.save_total_limit=2")
    assert checkpoint_bytes(config, run, ["sft"], MIB) == MIB * (3 * 12 + 4)


def test_loras_matrices_are_small_and_its_merged_model_is_not(run: RunDir) -> None:
    config = settings(run, "sft.finetuning_type=lora", "sft.per_device_batch=1")
    assert checkpoint_bytes(config, run, ["sft"], MIB) == MIB * 4


def test_weights_that_several_groups_of_workers_hold_are_written_once(run: RunDir) -> None:
    words = ["cluster=h20x32", "rl.keep_checkpoints=2"]
    one = checkpoint_bytes(settings(run, *words, "rl.fsdp_size=null"), run, ["rl"], MIB)
    four = checkpoint_bytes(settings(run, *words, "rl.fsdp_size=8"), run, ["rl"], MIB)
    assert one == four == MIB * 3 * 12


def test_what_is_written_already_need_not_be_free_and_a_finished_stage_needs_nothing(run: RunDir) -> None:
    config = settings(run, "sft.save_total_limit=2")
    run.sft.mkdir(parents=True)
    (run.sft / "optimizer.pt").write_bytes(b"0" * 12 * 1000)
    assert checkpoint_bytes(config, run, ["sft"], 1000) == 1000 * (2 * 12 + 4)
    Manifest(run).update("sft", state="done")
    assert checkpoint_bytes(config, run, ["sft"], 1000) == 0


def test_the_models_size_comes_from_its_weights(run: RunDir, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    header = b'{"w":{"dtype":"F32","shape":[10,10],"data_offsets":[0,400]}}'
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"0" * 400)
    config = settings(run, f"model={model}", "pipeline.stages=[sft]", "sft.save_total_limit=1")
    found = needs(config, run, ["sft"])
    assert found.expected.disk == {str(run.root): 100 * (2 * 12 + 4)}
    assert str(model) in found.asked["files"]
    assert needs(settings(run), run, ["sft"]).expected.disk is None


@pytest.mark.parametrize(
    ("variables", "words", "hosts"),
    [
        ({}, [], []),
        ({}, ["rl.loggers=[wandb]"], ["api.wandb.ai:443"]),
        ({}, ["sft.report_to=[wandb]"], []),  # only rl runs
        ({"WANDB_MODE": "offline"}, ["rl.loggers=[wandb]"], []),
        ({"WANDB_BASE_URL": "http://wandb.lab:8080"}, ["rl.loggers=[wandb]"], ["wandb.lab:8080"]),
        ({"MLFLOW_TRACKING_URI": "file:/runs"}, ["rl.loggers=[mlflow]"], []),
        ({"MLFLOW_TRACKING_URI": "https://u:pw@flow.lab/x"}, ["rl.loggers=[mlflow]"], ["flow.lab:443"]),
        ({"https_proxy": "http://proxy.lab:3128"}, ["rl.loggers=[wandb]"], ["proxy.lab:3128"]),
    ],
)
def test_a_tracker_has_to_be_reachable_if_it_is_asked_for(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, variables: dict, words: list[str], hosts: list[str]
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_MODE", "WANDB_BASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert needs(settings(run, *words), run, ["rl"]).asked["hosts"] == hosts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WANDB_BASE_URL", "https://lab:port"),
        ("WANDB_BASE_URL", "http://[::1"),
        ("https_proxy", "http://proxy:80x"),
        ("https_proxy", "proxy:99999"),
    ],
)
def test_an_address_that_is_none_is_one_sentence(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Before a training and in `doctor` it was a traceback."""
    for name in ("WANDB_MODE", "WANDB_BASE_URL", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=rf"^{variable}: is not an address .* https://HOST:PORT"):
        needs(load_settings("rl", [f"run_dir={run.root}", "rl.loggers=[wandb]"]), run, ["rl"])


def test_the_shared_folder_is_tried_only_where_there_are_several_nodes(run: RunDir) -> None:
    assert needs(settings(run), run, ["sft"]).asked["shared"] is None
    assert needs(settings(run, "cluster.nodes=2"), run, ["sft"]).asked["shared"] == str(run.root)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_versions_are_those_of_the_lock(device: str) -> None:
    found = locked_versions(device)
    assert {"torch", "ray", "transformers", "verl", "llamafactory"} <= found.keys()
    assert ("vllm" in found) == (device == "cuda")


def test_an_error_stops_the_stage_before_it_starts_and_doctor_off_skips_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spawned = install(monkeypatch)
    monkeypatch.setitem(STAGES, "sft", lambda: replace(SFT, nodes=True))
    write_json(run.root / "rows.json", [])
    monkeypatch.setattr(
        "funreason_train.commands.preflight.needs.locked_versions", lambda _: {"ray": "0.0.1"}
    )
    assert main(["sft", f"run_dir={run.root}"]) == 2
    said = capsys.readouterr().err
    assert "versions: ray is " in said and "the lock says 0.0.1" in said and "doctor=off" in said
    assert not spawned.done
    assert main(["sft", f"run_dir={run.root}", "doctor=off"]) == 0
    assert spawned.done == ["sft"]


def test_doctor_ends_with_2_and_names_what_it_could_not_look_at(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", f"run_dir={run.root}"]) == 0
    shown = capsys.readouterr().out
    assert "unchecked" in shown and "NVLink" in shown and "No problems found." in shown
    assert not run.root.exists(), "one machine is looked at without writing anything"
    (run.root.parent / "file").write_text("")
    assert main(["doctor", f"run_dir={run.root.parent / 'file' / 'run'}"]) == 2
    assert "disk" in capsys.readouterr().err


def test_a_profile_that_this_machine_cannot_hold_is_an_error_of_doctor(
    run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("funreason_train.cluster.preflight.facts._matmul", lambda: "ok")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["doctor", "cluster=gpu80x8", f"run_dir={run.root}"]) == 2
    assert "needs 1 x 8 GPUs but this machine has no GPU" in capsys.readouterr().err
