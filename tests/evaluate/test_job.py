"""Fingerprints: the same episodes are kept, any others are played again."""

from dataclasses import replace

from funreason_train.environments import Limits
from funreason_train.evaluate.heldout import Rules
from funreason_train.evaluate.job import fingerprint, model_fingerprint
from funreason_train.evaluate.serve.generate import Sampling

SAMPLING, RULES = Sampling(0.0, 0.7, 64, 4096, 0), Rules("compact", Limits())


def test_a_model_is_known_by_its_files_wherever_it_lies(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    assert model_fingerprint(tmp_path / "a") == model_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(b"Weights")
    changed = model_fingerprint(tmp_path / "b")
    assert changed != model_fingerprint(tmp_path / "a")
    (tmp_path / "b" / "chat_template.jinja").write_text("x")
    assert changed != model_fingerprint(tmp_path / "b")


def test_everything_that_decides_an_episode_is_in_its_fingerprint():
    first = fingerprint("m", "t", SAMPLING, RULES, "float32")
    others = [
        fingerprint("n", "t", SAMPLING, RULES, "float32"),
        fingerprint("m", "u", SAMPLING, RULES, "float32"),
        fingerprint("m", "t", replace(SAMPLING, max_tokens=65), RULES, "float32"),
        fingerprint("m", "t", SAMPLING, replace(RULES, style="bfcl"), "float32"),
        fingerprint("m", "t", SAMPLING, replace(RULES, limits=Limits(responses=2)), "float32"),
        fingerprint("m", "t", SAMPLING, RULES, "bfloat16"),
    ]
    assert len({first, *others}) == 7
    assert first == fingerprint("m", "t", replace(SAMPLING), Rules("compact", Limits()), "float32")
