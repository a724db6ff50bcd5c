"""A folder is compared with what it should hold, and every way of being broken is noticed."""

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.models import verify
from funreason_train.models.folder import folder_problems
from funreason_train.models.weights import Stored, stored_tensors

torch = pytest.importorskip("torch")
STATE = {
    "embed": torch.arange(12, dtype=torch.float32).reshape(4, 3),
    "norm": torch.ones(3, dtype=torch.float32),
}


def folder_of(path: Any, state: Any = STATE) -> Any:
    from safetensors.torch import save_file

    path.mkdir(exist_ok=True)
    save_file(dict(state), path / "model.safetensors")
    (path / "config.json").write_text("{}")
    (path / "tokenizer.json").write_text("{}")
    (path / "chat_template.jinja").write_text("x")
    return path


def wanted() -> Any:
    return {name: Stored("float32", tuple(tensor.shape), Path()) for name, tensor in STATE.items()}


def everything(folder: Any) -> Any:
    found = folder_problems(folder) + verify.key_problems(stored_tensors(folder), wanted())
    return found + verify.value_problems(folder, STATE)


def test_a_sound_folder_has_no_problem(tmp_path: Path) -> None:
    assert everything(folder_of(tmp_path / "model")) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda state: state.pop("norm"), "1 tensors are missing: norm"),
        (lambda state: state.update(extra=torch.ones(1)), "1 tensors are unknown: extra"),
        (lambda state: state.update(norm=torch.ones(4)), "another shape: norm is (4,), not (3,)"),
        (
            lambda state: state.update(norm=torch.ones(3, dtype=torch.bfloat16)),
            "another type: norm is bfloat16",
        ),
        (lambda state: state.update(norm=torch.tensor([1.0, float("nan"), 1.0])), "NaN or infinity: norm"),
        (lambda state: state.update(embed=STATE["embed"] + 1), "differ from the checkpoint: embed"),
    ],
)
def test_broken_weights(tmp_path: Path, change: Any, part: str) -> None:
    """verl#2252, #2262, #903, #4553."""
    state = dict(STATE)
    change(state)
    assert any(part in problem for problem in everything(folder_of(tmp_path / "model", state)))


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("config.json", "no readable config.json"),
        ("tokenizer.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template"),
        ("model.safetensors", "no weights"),
    ],
)
def test_missing_files(tmp_path: Path, file: str, part: str) -> None:
    folder = folder_of(tmp_path / "model")
    (folder / file).unlink()
    assert any(part in problem for problem in folder_problems(folder))


def test_a_chat_template_inside_the_tokenizers_settings_counts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    assert folder_problems(folder) == []


@pytest.mark.parametrize("keep", [4, 30, -1])
def test_a_file_that_was_cut_off_is_no_safetensors_file(tmp_path: Path, keep: int) -> None:
    file = folder_of(tmp_path / "model") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        stored_tensors(file.parent)


def test_changed_tensors_are_counted_against_another_folder(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one")
    two = folder_of(tmp_path / "two", {**STATE, "norm": STATE["norm"] * 2})
    assert verify.changed(two, one) == (1, 2)
    assert verify.changed(one, one) == (0, 2)
