"""A model folder from a GGUF file: its tokenizer, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.models import gguf


def fields(**changed: Any) -> dict[str, Any]:
    """The metadata of a file with the 256 byte tokens, one merge and two control tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = [*sorted(ByteLevel.alphabet()), "he", "<|im_start|>", "<|im_end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 2) + [3, 3],
        **changed,
    }


def test_the_tokenizer_is_the_files_own() -> None:
    tokenizer = gguf.build_tokenizer(fields(), "x.gguf")
    text = "<|im_start|>he said 42 é<|im_end|>"
    found = tokenizer.encode(text)
    assert found.tokens[:2] == ["<|im_start|>", "he"] and found.tokens[-1] == "<|im_end|>"
    assert {"4", "2"} <= set(found.tokens)  # digits stand alone
    assert tokenizer.decode(found.ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "changed",
    [
        {"tokenizer.ggml.model": "llama"},
        {"tokenizer.ggml.pre": "qwen2"},
        {"tokenizer.ggml.tokens": None},
        {"tokenizer.ggml.merges": []},
    ],
)
def test_another_kind_of_vocabulary_is_one_sentence(changed: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"x\.gguf: its vocabulary .*Hugging Face folder"):
        gguf.build_tokenizer(fields(**changed), "x.gguf")


def test_a_tokenizer_that_loses_text_is_refused() -> None:
    some = fields()
    lost = some["tokenizer.ggml.tokens"].index("L")
    some["tokenizer.ggml.tokens"][lost] = "another"
    with pytest.raises(UserError, match="does not give a text back"):
        gguf.build_tokenizer(some, "x.gguf")


def test_the_command_tells_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gguf.main([]) == 2 and "usage" in capsys.readouterr().err
    assert gguf.main([str(tmp_path / "none.gguf"), str(tmp_path / "out")]) == 2
    assert "there is no such file. Give a .gguf file" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert gguf.main([str(tmp_path / "none.gguf"), str(tmp_path / "out")]) == 2
    assert "is there already" in capsys.readouterr().err
