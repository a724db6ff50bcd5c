"""What a model folder has to hold is decided in one place, whoever asks."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from funreason_train.models.folder import (
    context_of,
    folder_problems,
    is_hub_id,
    model_problems,
    number_of,
    quantised_problems,
)
from funreason_train.models.weights import weight_defects


def stored(path: Any, floats: int = 4) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [floats], "data_offsets": [0, 4 * floats]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4 * floats))


DEEP = b"[" * 100_000
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 11421896\n"
ODD = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text + b"\0"


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text('{"max_position_embeddings": 4096, "head_dim": null}')
    (path / "tokenizer.json").write_text("{}")
    (path / "chat_template.jinja").write_text("x")
    stored(path / "model.safetensors")
    return path


def test_a_whole_folder_has_no_problem(folder: Any) -> None:
    assert folder_problems(folder) == []
    assert context_of(folder, 99_999) == 4096 and context_of(folder, 7) == 7
    assert number_of(folder, "head_dim") is None


@pytest.mark.parametrize(
    ("tokenizer", "fits"),
    [
        ({"model": {"vocab": {"a": 0, "b": 31}}}, True),
        ({"model": {"vocab": {"a": 0, "b": 32}}}, False),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 31, "content": "<x>"}]}, True),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 99, "content": "<x>"}]}, False),
        ({"model": {"vocab": [["a", -1.0]] * 33}}, False),
        ({"model": {"vocab": [["a", -1.0]] * 32}}, True),
        ({"model": "another kind"}, True),
    ],
)
def test_a_tokenizer_with_tokens_beyond_the_weights_is_refused(
    folder: Path, tokenizer: Any, fits: bool
) -> None:
    (folder / "config.json").write_text('{"vocab_size": 32}')
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    found = folder_problems(folder)
    assert len(found) == (not fits)
    assert all("do not belong together" in problem and "32 tokens" in problem for problem in found)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", None, "no readable config.json"),
        ("config.json", b"[1]", "no readable config.json"),
        ("config.json", b"\xff\xfe", "no readable config.json"),
        ("config.json", DEEP, "no readable config.json"),
        ("config.json", LFS, "git lfs pull"),
        ("tokenizer.json", b"[]", "tokenizer.json cannot be read; copy it again"),
        ("tokenizer.json", DEEP, "tokenizer.json cannot be read"),
        ("tokenizer.json", LFS, "git lfs pull"),
        ("tokenizer_config.json", b'{"a": ', "tokenizer_config.json cannot be read; copy it again"),
        ("chat_template.jinja", b" ", "no chat template"),
        ("chat_template.jinja", b"\xff\xfe", "no chat template"),
        ("tokenizer.json", None, "no tokenizer"),
        ("chat_template.jinja", None, "no chat template"),
        ("model.safetensors", None, "no weights"),
        ("model.safetensors", b"", "model.safetensors cannot be read"),
        ("model.safetensors", struct.pack("<Q", 1 << 60) + b"{}", "model.safetensors is cut off"),
        ("model.safetensors", struct.pack("<Q", 2) + b"[]", "model.safetensors cannot be read"),
        ("model.safetensors", struct.pack("<Q", 7) + b'{"a":1}', "model.safetensors cannot be read"),
        ("model.safetensors", LFS, "git lfs pull"),
        ("model.safetensors", header(b"[" * 100_000), "model.safetensors cannot be read"),
        ("model.safetensors", header(b'{"a": {"data_offsets": [0, 0]}}'), "model.safetensors cannot be read"),
        *(
            ("model.safetensors", header(json.dumps({"a": ODD | change}).encode()), "cannot be read")
            for change in ({"shape": "ab"}, {"dtype": ["F32"]}, {"data_offsets": ["0", "0"]}, {"shape": [-1]})
        ),
        ("model.safetensors.index.json", b"{", "index.json cannot be read"),
        ("model.safetensors.index.json", DEEP, "index.json cannot be read"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": 3}}', "index.json cannot be read"),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}',
            "model.safetensors lacks 1 that its index names (b)",
        ),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}',
            "model-2.safetensors is missing",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_one_sentence(folder: Any, file: str, content: Any, says: str) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    (problem,) = folder_problems(folder)
    assert says in problem and str(folder) in problem


def test_an_adapter_is_told_as_that_with_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-4B"}')
    stored(tmp_path / "adapter_model.safetensors")
    (problem,) = folder_problems(tmp_path)
    assert "is a LoRA adapter" in problem and "RUN_DIR/sft/model" in problem and "Qwen/Qwen3-4B" in problem


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "a BertForMaskedLM"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "a LlamaForSequenceClassification"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "an encoder and a"),
        ({"architectures": ["Gemma3ForConditionalGeneration"]}, None),
        ({"architectures": ["Qwen3ForCausalLM"]}, None),
        ({"architectures": None}, None),
    ],
)
def test_a_model_that_writes_no_text_is_refused(folder: Path, config: Any, says: str | None) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    found = folder_problems(folder)
    assert len(found) == (says is not None) and all(str(says) in problem for problem in found)


def test_quantised_weights_are_refused_where_nothing_unpacks_them(folder: Path) -> None:
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "fp8"}}')
    assert folder_problems(folder) == [], "they can be evaluated"
    assert quantised_problems(str(folder), ["fp8"]) == [] == quantised_problems("a/hub_id")
    (problem,) = quantised_problems(str(folder), ["mxfp4"])
    assert "quantised (fp8)" in problem and "bfloat16" in problem


def test_a_folder_where_a_file_should_be_is_no_traceback(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    (problem,) = folder_problems(folder)
    assert "model.safetensors is missing" in problem


def test_a_file_that_was_cut_off_at_any_place_is_noticed(folder: Any) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    for keep in range(len(whole)):
        (folder / "model.safetensors").write_bytes(whole[:keep])
        assert weight_defects(folder), keep


def test_what_is_not_needed_is_not_missed(folder: Any) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "chat_template.jinja").unlink()
    assert model_problems(str(folder), weights=False, template=False) == []


@pytest.mark.parametrize(("name", "hub"), [("a/b", True), ("./a/b", False), ("/a/b", False), ("a/b/c", 0)])
def test_a_name_that_may_be_on_the_hub_passes(name: str, hub: bool | int) -> None:
    assert is_hub_id(name) == hub
    assert bool(model_problems(name)) != hub
