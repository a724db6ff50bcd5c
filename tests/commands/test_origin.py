"""What made a result besides its settings."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from funreason_train.commands.execution import provenance as origin
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a package in it that the code believes to be its own."""
    root = tmp_path / "checkout"
    (root / "package").mkdir(parents=True)
    (root / "package" / "code.py").write_text("a = 1\n")
    named = ["-c", "user.name=n", "-c", "user.email=e@e"]
    for words in (["init", "-q"], ["add", "-A"], [*named, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    monkeypatch.setattr(origin, "_PACKAGE", root / "package")
    return root


def test_a_clean_checkout_is_its_commit(checkout: Path, tmp_path: Path) -> None:
    found = origin.code(tmp_path)
    assert len(found["commit"]) == 40 and found["dirty"] is False and found["diff"] is None
    assert not (tmp_path / "dirty.diff").exists()


def test_what_is_not_committed_is_kept_with_its_hash(checkout: Path, tmp_path: Path) -> None:
    (checkout / "package" / "code.py").write_text("a = 2\n")
    found = origin.code(tmp_path)
    text = (tmp_path / "dirty.diff").read_text()
    assert found["dirty"] and "+a = 2" in text
    assert found["diff"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_key_in_the_code_is_not_kept(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "nobody-knows")
    (checkout / "package" / "code.py").write_text('a = "nobody-knows"\nb = "hf_abcdefghijklmnopqrstuvwxyz"\n')
    found = origin.code(tmp_path)
    text = (tmp_path / "dirty.diff").read_text()
    assert '+a = "[MY_TOKEN]"' in text and '+b = "[SECRET]"' in text
    assert found["diff"] == hashlib.sha256(text.encode()).hexdigest()


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "package").mkdir(parents=True)
    monkeypatch.setattr(origin, "_PACKAGE", tmp_path / "site" / "package")
    assert origin.code() == {"commit": None, "dirty": False, "diff": None}


def test_a_package_inside_of_another_checkout_does_not_take_its_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = checkout / "venv" / "site" / "package"
    inner.mkdir(parents=True)
    monkeypatch.setattr(origin, "_PACKAGE", inner)
    assert origin.code()["commit"] is None


def test_the_machine_is_described() -> None:
    found = origin.hardware()
    assert found["cores"] >= 1 and found["memory_bytes"] > 2**28 and found["processor"]


def test_the_run_that_an_input_came_from_is_its_parent(tmp_path: Path) -> None:
    first, second = RunDir.at(tmp_path / "first"), RunDir.at(tmp_path / "second")
    Manifest(first).update("sft", state="done", fingerprint="f")
    (first.sft_model).mkdir(parents=True)
    outside = tmp_path / "given" / "rows.json"
    reads = [first.sft_model, second.root / "data", outside]
    assert origin.parents(second, reads) == [{"run": str(first.root), "stage": "sft", "fingerprint": "f"}]
    first.manifest.write_text("{cut")
    assert origin.parents(second, reads) == []
