"""Fingerprints: the same episodes are kept, any others are played again."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from funreason_train.environments import Limits
from funreason_train.evaluate.heldout import Rules
from funreason_train.evaluate.job import fingerprint, model_fingerprint
from funreason_train.evaluate.serve.generate import Sampling
from funreason_train.run import fingerprint as prints

SAMPLING, RULES = Sampling(0.0, 0.7, 64, 4096, 0), Rules("compact", Limits())


def test_a_model_is_known_by_its_files_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    assert model_fingerprint(tmp_path / "a") == model_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(b"Weights")
    changed = model_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("A card.")
    (tmp_path / "b" / "LICENSE").write_text("Free.")
    assert changed == model_fingerprint(tmp_path / "b")
    assert changed != model_fingerprint(tmp_path / "a")
    (tmp_path / "b" / "chat_template.jinja").write_text("x")
    assert changed != model_fingerprint(tmp_path / "b")


def test_everything_that_decides_an_episode_is_in_its_fingerprint() -> None:
    first = fingerprint("m", "t", SAMPLING, RULES, "float32")
    others = [
        fingerprint("n", "t", SAMPLING, RULES, "float32"),
        fingerprint("m", "u", SAMPLING, RULES, "float32"),
        fingerprint("m", "t", replace(SAMPLING, max_tokens=65), RULES, "float32"),
        fingerprint("m", "t", SAMPLING, replace(RULES, style="bfcl"), "float32"),
        fingerprint("m", "t", SAMPLING, replace(RULES, limits=Limits(responses=2)), "float32"),
        fingerprint("m", "t", SAMPLING, RULES, "bfloat16"),
        fingerprint("m", "t", SAMPLING, RULES, "float32", modules=["e"]),
    ]
    assert len({first, *others}) == 8
    assert first == fingerprint("m", "t", replace(SAMPLING), Rules("compact", Limits()), "float32")


def test_a_copied_model_of_any_size_is_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of an evaluation is played again because weights were copied; other weights are noticed."""
    monkeypatch.setattr(prints, "_LARGE", 1 << 20)
    for name in ("a", "b", "other", "header"):
        (tmp_path / name).mkdir()
        weights = bytearray(random.Random(0).randbytes(5 << 20))
        if name == "other":
            weights[:] = bytes(byte ^ 1 for byte in weights)  # as training leaves them
        if name == "header":
            weights[100] ^= 1
        (tmp_path / name / "model.safetensors").write_bytes(weights)
    os.utime(tmp_path / "b" / "model.safetensors", (1, 1))
    found = {name: model_fingerprint(tmp_path / name) for name in ("a", "b", "other", "header")}
    assert found["a"] == found["b"]
    assert len(set(found.values())) == 3
