"""The record behind skip, resume and lineage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.run import fingerprint as prints
from funreason_train.run.files import write_json
from funreason_train.run.manifest import FORMAT, Manifest
from funreason_train.run.paths import RunDir

GOLDEN = Path(__file__).with_name("manifest.json")
BEFORE = Path(__file__).with_name("manifest_2.json")


def test_the_fingerprint_follows_settings_and_file_contents(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text("[1]")
    first = prints.fingerprint({"seed": 0}, prints.digests([file]))
    assert first == prints.fingerprint({"seed": 0}, prints.digests([file]))
    assert first != prints.fingerprint({"seed": 1}, prints.digests([file]))
    file.write_text("[2]")
    assert first != prints.fingerprint({"seed": 0}, prints.digests([file]))


def test_a_missing_input_is_recorded_as_missing(tmp_path: Path) -> None:
    assert prints.digests([tmp_path / "no.json"]) == {str(tmp_path / "no.json"): "missing"}


def test_large_weights_are_told_apart_by_content_and_not_by_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prints, "_LARGE", 1000)
    monkeypatch.setattr(prints, "_BLOCK", 64)
    one, copy, other, rows = (tmp_path / name for name in ("a.safetensors", "b.pt", "c.bin", "d.json"))
    content = bytes(range(256)) * 100
    one.write_bytes(content)
    copy.write_bytes(content)
    other.write_bytes(content[:-1] + b"x")
    rows.write_bytes(content)
    digests = [prints.digest_file(path) for path in (one, copy, other, rows)]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sampled:") and not digests[3].startswith("sampled:")


def filled(run: RunDir) -> Manifest:
    """A manifest with one of everything."""
    manifest = Manifest(run)
    manifest.update(
        "sft",
        state="running",
        fingerprint="f",
        settings={"device": "cpu", "seed": 0, "sft.epochs": 3, "sft.model": "RUN_DIR/base"},
        inputs={"RUN_DIR/data/sft/train.json": {"digest": "d", "bytes": 12}},
        attempts=1,
        versions={"funreason-train": "0.1.0"},
        origin={
            "attempt": 1,
            "started": "2026-01-02T03:04:05Z",
            "git": {"commit": "c0ffee", "dirty": True, "diff": "d1ff"},
            "lock": "10c4",
            "template": "7e3",
            "hardware": {"processor": "one", "cores": 2, "memory_bytes": 3, "gpus": ["NVIDIA H20"]},
            "parents": [{"run": "/runs/first", "stage": "sft", "fingerprint": "f0"}],
        },
    )
    manifest.update("sft", state="done", result={"steps": 9}, seconds=1.5, peak_bytes=7)
    manifest.update("rl", state="failed")
    request = {"request": {"stage": "rl", "word": "", "settings": "s"}, "time": "2026-01-02 03:04:05"}
    move = {"stage": "rl", "source": "/run/rl", "target": "/run/old/rl.1"}
    manifest.set_aside({"rl": "/run/old/rl.1"}, {**request, "moves": [move], "state": "moved"})
    return manifest


def test_the_file_is_the_golden_one(tmp_path: Path) -> None:
    """What other programs read: a change here needs a new FORMAT."""
    run = RunDir.at(tmp_path)
    filled(run)
    assert run.manifest.read_text() == GOLDEN.read_text()
    assert json.loads(GOLDEN.read_text())["format"] == FORMAT


def test_the_golden_file_is_read(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    run.manifest.write_text(GOLDEN.read_text())
    manifest = Manifest(run)
    assert manifest.stage("sft")["result"] == {"steps": 9}
    assert manifest.restart["request"]["stage"] == "rl"
    assert manifest.stage("rl") == {}


@pytest.mark.parametrize("oldest", [False, True])
def test_the_format_before_is_read_and_goes_on_as_this_one(tmp_path: Path, oldest: bool) -> None:
    """A run that another version began is not lost by an update; the oldest files lack restarts."""
    run = RunDir.at(tmp_path)
    value = json.loads(BEFORE.read_text())
    if oldest:
        del value["restart"], value["old"]
    run.manifest.write_text(json.dumps(value))
    before = run.manifest.read_text()
    manifest = Manifest(run)
    assert manifest.stage("sft")["result"] == {"steps": 9} and manifest.stage("sft")["fingerprint"] == "f"
    assert bool(manifest.restart) == bool(manifest.moved) == (not oldest)
    assert run.manifest.read_text() == before, "reading changes nothing"
    manifest.update("rl", state="running")
    after = json.loads(run.manifest.read_text())
    assert after["format"] == FORMAT and after["stages"]["sft"] == value["stages"]["sft"]
    assert after["old"] == value.get("old", [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2}', "another version"),
        (
            '{"version": 1, "stages": {}}',
            "another version of funreason-train (format 1; this one reads 2 and 3)",
        ),
        ('{"format": 99, "stages": {}}', "format 99"),
        ("{}", "format None"),
        ("[]", "is not the manifest of a run"),
        ("{ha", "is not the manifest of a run"),
    ],
)
def test_another_format_is_one_clear_sentence(tmp_path: Path, text: str, said: str) -> None:
    run = RunDir.at(tmp_path)
    run.manifest.write_text(text)
    with pytest.raises(UserError) as caught:
        Manifest(run)
    assert said in str(caught.value) and str(run.manifest) in str(caught.value)
    assert "run_dir=DIR" in str(caught.value)


def test_updates_survive_a_new_process(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    Manifest(run).update("sft", state="running", attempts=1)
    Manifest(run).update("sft", state="done")
    assert Manifest(run).stage("sft") == {"state": "done", "attempts": 1}
    Manifest(run).set_aside({"sft": None}, {})
    assert Manifest(run).stage("sft") == {}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n  "a": 1\n}\n'
