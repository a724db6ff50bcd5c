"""A config.json that does not describe the weights beside it is found without loading anything."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from funreason_train.models.folder import model_problems

QWEN = {
    "model_type": "qwen3", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
    "vocab_size": 20,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 3,
}  # fmt: skip


def weights(layers: int = 2) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (20, 8), "model.norm.weight": (8,)}
    for number in range(layers):
        layer = f"model.layers.{number}"
        shapes |= {
            f"{layer}.self_attn.q_proj.weight": (12, 8),
            f"{layer}.self_attn.k_proj.weight": (6, 8),
            f"{layer}.self_attn.v_proj.weight": (6, 8),
            f"{layer}.self_attn.o_proj.weight": (8, 12),
            f"{layer}.mlp.gate_proj.weight": (12, 8),
            f"{layer}.mlp.up_proj.weight": (12, 8),
            f"{layer}.mlp.down_proj.weight": (8, 12),
        }
    return shapes


def folder(path: Path, config: dict[str, Any], shapes: dict[str, tuple[int, ...]] | None = None) -> Path:
    path.mkdir(exist_ok=True)
    entries, at = {}, 0
    for name, shape in (shapes or weights()).items():
        size = 4
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(at))
    (path / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "chat_template.jinja"):
        (path / name).write_text("{}")
    return path


def test_a_config_that_fits_has_no_problem(tmp_path: Path) -> None:
    assert model_problems(str(folder(tmp_path / "m", QWEN))) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden_size": 16}, "hidden_size is 16, model.embed_tokens of the weights says 8"),
        ({"vocab_size": 21}, "vocab_size is 21, model.embed_tokens of the weights says 20"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3, the weights have 2"),
        ({"num_hidden_layers": 1}, "num_hidden_layers is 1, the weights have 2"),
        ({"intermediate_size": 13}, "intermediate_size is 13, mlp.gate_proj of the weights says 12"),
        ({"num_key_value_heads": 4}, "num_key_value_heads x head_dim is 12, self_attn.k_proj"),
        ({"head_dim": 4}, "num_attention_heads x head_dim is 16, self_attn.q_proj"),
    ],
)
def test_each_size_is_compared(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    found = model_problems(str(folder(tmp_path / "m", {**QWEN, **change})))
    assert any(says in text for text in found), found
    assert all(str(tmp_path / "m") in text and "came with them" in text for text in found)
    assert len(found) <= 3, "one sentence a size, not one a layer"


@pytest.mark.parametrize("value", ["8", 8.0, -8, 0, True, 10**30, float("nan")])
@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "num_key_value_heads", "head_dim"])
def test_what_is_no_size_is_named(tmp_path: Path, name: str, value: Any) -> None:
    (text,) = model_problems(str(folder(tmp_path / "m", {**QWEN, name: value})))
    assert f"{name} is {json.dumps(value)}" in text and "no size of a model" in text


@pytest.mark.parametrize(
    "name", ["hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "model_type"]
)
def test_what_is_left_out_would_become_a_default_of_the_framework(tmp_path: Path, name: str) -> None:
    config = {key: value for key, value in QWEN.items() if key != name}
    (text,) = model_problems(str(folder(tmp_path / "m", config)))
    assert f"it does not say {name}" in text
    assert model_problems(str(folder(tmp_path / "part", {"text_config": config}))) == []


def test_an_output_layer_that_is_missing_would_begin_with_random_numbers(tmp_path: Path) -> None:
    untied = {**QWEN, "tie_word_embeddings": False}
    (text,) = model_problems(str(folder(tmp_path / "m", untied)))
    assert "tie_word_embeddings is false, and the weights have no output layer" in text
    whole = {**weights(), "lm_head.weight": (20, 8)}
    assert model_problems(str(folder(tmp_path / "whole", untied, whole))) == []
    assert model_problems(str(folder(tmp_path / "tied", {**QWEN, "tie_word_embeddings": True}))) == []
    (text,) = model_problems(str(folder(tmp_path / "odd", {**QWEN, "tie_word_embeddings": "yes"})))
    assert 'tie_word_embeddings is "yes"' in text


def test_other_families_names_are_read(tmp_path: Path) -> None:
    gpt = {"model_type": "gpt2", "n_embd": 8, "n_layer": 3, "n_head": 2, "vocab_size": 20}
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (20, 8),
        "h.0.attn.c_attn.weight": (8, 24),
        "h.1.attn.c_attn.weight": (8, 24),
    }
    (text,) = model_problems(str(folder(tmp_path / "m", gpt, shapes)))
    assert "num_hidden_layers is 3, the weights have 2" in text


@pytest.mark.parametrize(
    "name",
    [
        "visual.blocks.5.mlp.gate_proj.weight",  # Qwen2.5-VL
        "vision_tower.vision_model.encoder.layers.26.self_attn.q_proj.weight",  # Gemma 3, LLaVA
        "model.audio_tower.layers.31.self_attn.k_proj.weight",
    ],
)
def test_a_part_for_pictures_or_sounds_has_sizes_of_its_own(tmp_path: Path, name: str) -> None:
    assert model_problems(str(folder(tmp_path / "m", QWEN, {**weights(), name: (7, 5)}))) == []


def test_layers_that_guess_further_tokens_are_counted_apart(tmp_path: Path) -> None:
    """DeepSeek-V3 and GLM-4.5 store them behind the last layer."""
    assert (
        model_problems(str(folder(tmp_path / "m", {**QWEN, "num_nextn_predict_layers": 1}, weights(3)))) == []
    )
    (text,) = model_problems(str(folder(tmp_path / "n", QWEN, weights(3))))
    assert "num_hidden_layers is 2, the weights have 3" in text


def test_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    """Experts have sizes of their own, names of other families tell nothing, sizes may be left out."""
    odd = {
        **weights(),
        "model.layers.0.mlp.experts.0.gate_proj.weight": (5, 8),
        "visual.patch.weight": (3, 3),
    }
    assert model_problems(str(folder(tmp_path / "a", QWEN, odd))) == []
    others: dict[str, tuple[int, ...]] = {"model.blocks.1.mixer.weight": (3, 3)}
    assert model_problems(str(folder(tmp_path / "b", {"model_type": "x", "n_layer": 2}, others))) == []
    assert model_problems(str(folder(tmp_path / "c", {"text_config": QWEN}))) == []


def test_a_cut_off_file_is_told_as_that(tmp_path: Path) -> None:
    file = folder(tmp_path / "m", QWEN) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    (text,) = model_problems(str(tmp_path / "m"))
    assert "is cut off" in text and "copy or fetch them again" in text
