"""What a model folder has to hold, and where one comes from: a folder here, or a hub id."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import refuse
from .fit import read_object, tokenizer_problem, unreadable
from .hub import fetch_model, is_hub_id
from .shapes import config_problems, other_kind
from .weights import weight_defects

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


def model_problems(path: str, *, weights: bool = True, template: bool = True) -> list[str]:
    """What is wrong with a model that a setting names; a hub id passes until it is fetched.

    Args:
        path: A folder or a hub id.
        weights: Whether it must hold weights.
        template: Whether its tokenizer must have a chat template.
    """
    if is_hub_id(path):
        return []
    return folder_problems(Path(path).expanduser(), weights=weights, template=template)


def folder_problems(folder: Path, *, weights: bool = True, template: bool = True) -> list[str]:
    """What is missing from a model folder, each as a sentence with the way out; see `model_problems`."""
    if not folder.is_dir():
        return [f"{folder}: there is no such model folder; give a Hugging Face folder or a hub id"]
    config = read_config(folder)
    if config is None and (folder / "adapter_config.json").is_file():
        adapter = read_object(folder / "adapter_config.json") or {}
        base = adapter.get("base_model_name_or_path") or "its base"
        return [
            f"{folder}: this is a LoRA adapter and no model; name the folder that it was merged into (in a "
            f"run, RUN_DIR/sft/model), or merge it into {base} with peft's merge_and_unload"
        ]
    found = []
    if config is None and (folder / "config.json").is_file():
        found.append(f"{folder}: there is no readable config.json (it {unreadable(folder / 'config.json')})")
    elif config is None:
        found.append(
            f"{folder}: there is no readable config.json, so this is not a Hugging Face model folder"
        )
    elif why := other_kind(config):
        found.append(f"{folder}: {why}")
    if weights and not any(folder.glob("*.safetensors")):
        found.append(f"{folder}: there are no weights (*.safetensors); convert or export the model first")
    elif weights and (defects := weight_defects(folder)):
        found.append(f"{folder}: the weights are not whole ({'; '.join(defects)}); copy or fetch them again")
    elif weights:
        found += [f"{folder}: {problem}" for problem in config_problems(config, folder)]
    if not has_tokenizer(folder):
        found.append(
            f"{folder}: there is no tokenizer ({', '.join(_TOKENIZER_FILES)}); copy it from the base model"
        )
    elif problem := tokenizer_problem(folder, number_of(folder, "vocab_size")):
        found.append(f"{folder}: {problem}")
    elif template and not has_chat_template(folder):
        found.append(
            f"{folder}: the tokenizer has no chat template, which renders the prompts; "
            "copy chat_template.jinja from the model it was trained from"
        )
    return found


def quantised_problems(path: str, unpacked: Collection[str] = ()) -> list[str]:
    """Why a model's weights cannot be trained as they are stored.

    Args:
        path: A folder or a hub id, which passes.
        unpacked: The methods of quantisation that the framework undoes by itself.
    """
    config = None if is_hub_id(path) else read_config(Path(path).expanduser())
    given = (config or {}).get("quantization_config")
    if not given:
        return []
    method = given.get("quant_method") if isinstance(given, dict) else None
    if method in unpacked:
        return []
    return [
        f"{path}: its weights are stored quantised ({method or 'quantization_config'}), which cannot be "
        "trained; take the same model in bfloat16 or float32"
    ]


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def has_chat_template(folder: Path) -> bool:
    """Whether the folder holds a chat template, in a file of its own or in the tokenizer's settings."""
    if any(_has_text(folder / name) for name in _TEMPLATE_FILES):
        return True
    kept = (read_object(folder / "tokenizer_config.json") or {}).get("chat_template")
    return bool(kept) and isinstance(kept, str | list | dict)


def read_config(folder: Path) -> dict[str, Any] | None:
    """The model's `config.json`, or None if it cannot be read."""
    return read_object(folder / "config.json")


def number_of(folder: Path, name: str) -> int | None:
    """A whole number above 0 of the model's configuration, or of the language model in it; None without."""
    config = read_config(folder) or {}
    for part in (config, config.get("text_config")):
        value = part.get(name) if isinstance(part, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def own_context(folder: Path) -> int | None:
    """The most tokens that a model was made for; None if it does not say."""
    return number_of(folder, "max_position_embeddings")


def context_of(folder: Path, most: int) -> int:
    """Tokens of prompt and completion together: `most`, or the model's own context if that is less."""
    own = own_context(folder)
    return most if own is None else min(most, own)


def local_folder(path: str) -> Path:
    """The model's folder; a hub id is downloaded, its weights as safetensors only."""
    if not is_hub_id(path):
        return Path(path).expanduser().absolute()
    folder = fetch_model(path)
    refuse(folder_problems(folder))
    return folder


def _has_text(file: Path) -> bool:
    try:
        return bool(file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return False
