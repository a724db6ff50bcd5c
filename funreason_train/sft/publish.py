"""From a trainer's folder to a model folder that stages and engines take; appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..dialogue import turn_close
from ..run.files import fresh_folder, read_json, write_json
from .tokens.dataset import TOKENIZER_FILES

#: What the trainer leaves in its output folder that belongs to the model.
_MODEL_FILES = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
#: LoRA's matrices, in a trainer's folder and in the folder of that name beside a model's weights.
_ADAPTER_FILES = "adapter_*"
ADAPTER = "adapter"


def publish(source: Path, target: Path, base: Path) -> None:
    """Takes the model over into `target` (hard links where possible).

    Args:
        source: The trained model.
        target: The new folder.
        base: The model that training started from: its tokenizer is taken as it stands, so that the tokens
            stay what they were.
    """
    take_over(_files(source, base), target)


def take_over(files: Iterable[Path], target: Path) -> None:
    """Makes the folder `target` of these files (hard links where possible)."""
    with fresh_folder(target) as folder:
        _link(files, folder)


def hand_over(checkpoint: Path, target: Path, base: str) -> None:
    """Keeps a checkpoint's model from being rotated away: the same files under other names, no copy.

    Of a LoRA checkpoint only the matrices, in `target/adapter`: `make` puts them into the weights.

    Args:
        checkpoint: A trainer's folder.
        target: The new folder.
        base: The model that training started from, a folder.
    """
    if _is_adapter(checkpoint):
        with fresh_folder(target) as folder:
            _link_adapter(checkpoint, folder)
    else:
        make({"checkpoint": str(checkpoint), "out": str(target), "base": base})


def make(job: Mapping[str, Any]) -> None:
    """Makes the plain model of a checkpoint, LoRA's matrices merged; imports transformers, for those torch.

    Args:
        job: `checkpoint`, `out` (the new folder, which may hold the checkpoint) and `base` (the folder of the
            model that training started from).

    Raises:
        RuntimeError: if a merged model is not base and matrices together.
    """
    checkpoint, base = Path(job["checkpoint"]), Path(job["base"])
    with fresh_folder(Path(job["out"])) as folder:
        source = checkpoint
        if _is_adapter(checkpoint):
            from .train.merge import merge

            source = folder / "merged"
            merge(str(base), checkpoint, source)
            _link_adapter(checkpoint, folder)
        _link(_files(source, base), folder)
        if source != checkpoint:
            shutil.rmtree(source)
        stop_at_turns_end(folder, str(base))


def stop_at_turns_end(folder: Path, base: str) -> None:
    """Makes engines stop at the token that ends a turn, where the base's tokenizer names another as its end.

    Llama 3's names `<|end_of_text|>`, while its chat template, and so every row, ends an answer with
    `<|eot_id|>`.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    close = tokenizer(turn_close(tokenizer).strip(), add_special_tokens=False)["input_ids"]
    if len(close) == 1:
        also_stop_at(folder / "generation_config.json", close[0])


def also_stop_at(file: Path, token: int) -> None:
    """Adds a token to those that end a completion in a `generation_config.json`, unless it is among them."""
    settings = dict(read_json(file)) if file.is_file() else {}
    before = settings.get("eos_token_id")
    ends = before if isinstance(before, list) else [] if before is None else [before]
    if token not in ends:
        write_json(file, {**settings, "eos_token_id": [*ends, token]})


def _files(source: Path, base: Path) -> list[Path]:
    files = {file.name: file for pattern in TOKENIZER_FILES for file in base.glob(pattern)}
    files |= {file.name: file for pattern in _MODEL_FILES for file in source.glob(pattern)}
    return list(files.values())


def _is_adapter(checkpoint: Path) -> bool:
    return (checkpoint / "adapter_config.json").is_file()


def _link_adapter(checkpoint: Path, folder: Path) -> None:
    (folder / ADAPTER).mkdir()
    _link(checkpoint.glob(_ADAPTER_FILES), folder / ADAPTER)


def _link(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        try:
            os.link(file.resolve(), folder / file.name)
        except OSError:
            shutil.copy2(file, folder / file.name)
