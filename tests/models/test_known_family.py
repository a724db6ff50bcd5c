"""A model that the installed transformers does not know is told before a cluster is held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.models.tokenizers import must_know

pytest.importorskip("transformers")


def folder(path: Path, **config: Any) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_a_family_that_nobody_knows_is_named_with_the_version(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"transformers [\d.]+ cannot read config\.json .*foo.*family"):
        must_know(folder(tmp_path, model_type="foo", hidden_size=8))


def test_a_value_of_another_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read config\.json"):
        must_know(folder(tmp_path, model_type="llama", rms_norm_eps="small", hidden_size="8"))


def test_a_known_one_and_a_folder_without_settings_pass(tmp_path: Path) -> None:
    must_know(tmp_path)
    must_know(folder(tmp_path, model_type="llama", hidden_size=8, num_attention_heads=2))
