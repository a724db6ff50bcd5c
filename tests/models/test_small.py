"""A small model of another one's architecture: the same kind, its own tokenizer, nothing of its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.models.small import known_folder, make_small, small_sizes


def test_queries_share_keys_as_in_the_model() -> None:
    qwen = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 2560}
    assert small_sizes(qwen) == {
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "hidden_size": 128,
    }
    assert small_sizes({"num_attention_heads": 9, "num_key_value_heads": 9})["num_key_value_heads"] == 4


def test_what_a_model_does_not_have_is_not_added() -> None:
    assert "head_dim" not in small_sizes({"num_attention_heads": 8, "num_key_value_heads": 8})
    assert small_sizes({"layer_types": ["full"] * 36})["layer_types"] == ["full"] * 2


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_the_copy_is_small_whole_and_of_the_same_kind(tmp_path: Path, kind: str) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    sizes: dict[str, Any] = {
        **{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "vocab_size": 300},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "tie_word_embeddings": True},
    }
    config = (Qwen3Config if kind == "qwen3" else LlamaConfig)(**sizes)
    source, target = tmp_path / "source", tmp_path / "target"
    config.architectures = ["Qwen3ForCausalLM" if kind == "qwen3" else "LlamaForCausalLM"]
    config.save_pretrained(source)
    (source / "tokenizer.json").write_text("{}")
    (source / "chat_template.jinja").write_text("{{ messages }}")
    (source / "model-00001-of-00002.safetensors").write_bytes(b"large")
    make_small({"source": str(source), "target": str(target), "seed": 0})
    model = AutoModelForCausalLM.from_pretrained(target)
    assert model.num_parameters() < 1_000_000
    made = json.loads((target / "config.json").read_text())
    assert made["model_type"] == kind and made["vocab_size"] == 300
    assert (made["num_attention_heads"], made["num_key_value_heads"]) == (4, 1)
    assert (target / "chat_template.jinja").read_text() == "{{ messages }}"
    assert sorted(file.name for file in target.glob("*.safetensors")) == ["model.safetensors"]


def test_a_model_of_the_hub_is_known_only_if_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert known_folder("nobody/nothing-of-this-name") is None
    assert known_folder(str(tmp_path / "missing")) is None
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert known_folder(str(folder)) is None, "without a tokenizer it is of no use"
    (folder / "tokenizer.json").write_text("{}")
    assert known_folder(str(folder)) == folder
