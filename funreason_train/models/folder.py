"""Whether a folder holds a model that can be evaluated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..errors import UserError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def is_hub_id(path: str) -> bool:
    """Whether `path` is no folder here but may be one `owner/name` on the hub."""
    return not Path(path).exists() and bool(_HUB_ID.fullmatch(path)) and not path.startswith(".")


def folder_problems(folder: Path) -> list[str]:
    """What is missing from a model folder, each as a sentence with the way out."""
    if not folder.is_dir():
        return [f"{folder}: there is no such model folder; give a Hugging Face folder or a hub id"]
    found = []
    if read_config(folder) is None:
        found.append(
            f"{folder}: there is no readable config.json, so this is not a Hugging Face model folder"
        )
    if not any(folder.glob("*.safetensors")):
        found.append(f"{folder}: there are no weights (*.safetensors); convert or export the model first")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        found.append(
            f"{folder}: there is no tokenizer ({', '.join(_TOKENIZER_FILES)}); copy it from the base model"
        )
    elif not _has_chat_template(folder):
        found.append(
            f"{folder}: the tokenizer has no chat template, which renders the prompts; "
            "copy chat_template.jinja from the model it was trained from"
        )
    return found


def read_config(folder: Path) -> dict[str, Any] | None:
    """The model's `config.json`, or None if it cannot be read."""
    return _read_object(folder / "config.json")


def context_of(folder: Path, most: int) -> int:
    """Tokens of prompt and completion together: `most`, or the model's own context if that is less."""
    config = read_config(folder) or {}
    own = config.get("max_position_embeddings") or (config.get("text_config") or {}).get(
        "max_position_embeddings"
    )
    return min(most, int(own)) if own else most


def local_folder(path: str) -> Path:
    """The model's folder; a hub id is downloaded, its weights as safetensors only."""
    if not is_hub_id(path):
        return Path(path).expanduser().absolute()
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(path, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"])
        )
    except Exception as error:
        raise UserError(
            f"the model cannot be fetched ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=path,
            mend="Give a local folder, or check the name, the network and the access token",
        ) from None
    if found := folder_problems(folder):
        raise UserError("; ".join(found))
    return folder


def _has_chat_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    return bool((_read_object(folder / "tokenizer_config.json") or {}).get("chat_template"))


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
