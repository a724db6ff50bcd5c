"""The record behind skip, resume and lineage."""

from pathlib import Path

import pytest

from funreason_train.run import fingerprint as prints
from funreason_train.run import manifest as lineage
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir


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


def test_updates_survive_a_new_process(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    lineage.Manifest(run).update("sft", state="running", attempts=1)
    lineage.Manifest(run).update("sft", state="done")
    assert lineage.Manifest(run).stage("sft") == {"state": "done", "attempts": 1}
    lineage.Manifest(run).forget("sft")
    assert lineage.Manifest(run).stage("sft") == {}


def test_changed_settings_name_the_key_and_both_values() -> None:
    old, new = {"sft": {"epochs": 1, "lr": 2}, "seed": 0}, {"sft": {"epochs": 3, "lr": 2}, "seed": 0}
    assert lineage.changed_settings(old, new) == ["sft.epochs: 1 -> 3"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n  "a": 1\n}\n'
