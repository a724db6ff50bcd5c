"""What a training process does besides training, as far as it needs no framework."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from funreason_train.models.weights import stored_tensors
from funreason_train.sft.publish import also_stop_at
from funreason_train.sft.train.worker import clear_final


@pytest.mark.parametrize(
    ("before", "after"),
    [({"eos_token_id": 1}, [1, 9]), ({"eos_token_id": [9, 1]}, [9, 1]), ({}, [9]), (None, [9])],
)
def test_engines_stop_at_the_token_that_ends_a_turn(
    tmp_path: Path, before: dict[str, object] | None, after: list[int]
) -> None:
    file = tmp_path / "generation_config.json"
    if before is not None:
        file.write_text(json.dumps({"top_p": 0.9, **before}))
    also_stop_at(file, 9)
    found = json.loads(file.read_text())
    assert found["eos_token_id"] == after
    assert before is None or found["top_p"] == 0.9, "what else was there stays"


def test_what_llamafactory_would_refuse_to_start_beside_is_removed(tmp_path: Path) -> None:
    kept = ["config.json", "trainer_log.jsonl", "checkpoint-3"]
    gone = ["done.json", "model.safetensors", "model-00001-of-00002.safetensors", "adapter_model.safetensors"]
    for name in (*kept, *gone, "model.safetensors.index.json"):
        (tmp_path / name).touch()
    (tmp_path / "merged").mkdir()
    clear_final(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_that_a_model_uses_twice_are_saved_once_also_from_deepspeeds_copies(
    tmp_path: Path, tied: bool
) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from funreason_train.sft.train.callbacks import TiedCallback

    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
            num_key_value_heads=1, head_dim=8, tie_word_embeddings=tied,
        )
    )  # fmt: skip
    copies = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path / "before", state_dict=dict(copies))
    assert "lm_head.weight" in stored_tensors(tmp_path / "before"), "there is nothing to be done any more"
    TiedCallback().on_train_begin(None, None, None, model=model)
    model.save_pretrained(tmp_path / "after", state_dict=dict(copies))
    assert ("lm_head.weight" in stored_tensors(tmp_path / "after")) is not tied
    again = Qwen3ForCausalLM.from_pretrained(tmp_path / "after").state_dict()
    assert all(again[name].equal(tensor) for name, tensor in copies.items())
