"""The section `data` of the configuration, small data sets on disk, and a small real tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from funreason_train.data import stage
from funreason_train.dialogue import CONTROL_MARKERS, QWEN_CHAT_TEMPLATE
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of

CONFIGS = Path(__file__).parents[2] / "configs"
FIXTURES = Path(__file__).parents[1] / "fixtures"
APIGEN = FIXTURES / "apigen_8rows.jsonl"
FUNREASON = FIXTURES / "funreason_mt_3rows.jsonl"


def node(name: str) -> dict[str, Any]:
    """A data set's node, as shipped."""
    found: dict[str, Any] = yaml.safe_load((CONFIGS / "dataset" / f"{name}.yaml").read_text())
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., DictConfig]:
    """`settings("data.val_share=0.2")`: the shipped defaults, parity and lengths off, then the overrides."""

    def composed(*words: str) -> DictConfig:
        off = ("parity=off", "tokenizer=off", "length_cache=off", f"run_dir={tmp_path / 'run'}")
        sets = ("datasets=[apigen,funreason_mt]", f"apigen.path={APIGEN}", f"funreason_mt.path={FUNREASON}")
        return compose("data", [*off, *sets, *words])

    return composed


@pytest.fixture
def prepare(settings: Callable[..., DictConfig]) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """Runs the stage with overrides; gives the folder and the result."""

    def run(*words: str) -> tuple[Path, dict[str, Any]]:
        config = settings(*words)
        result = stage.run(config, run_of(config))
        return Path(result["out"]), result

    return run


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE with Qwen's markers and our chat template, as a HF folder."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    texts = [APIGEN.read_text(), FUNREASON.read_text()]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    bpe.add_tokens([AddedToken(marker, normalized=False, special=False) for marker in CONTROL_MARKERS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=QWEN_CHAT_TEMPLATE,
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    fast.save_pretrained(folder)
    return folder
