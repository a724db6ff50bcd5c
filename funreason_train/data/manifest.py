"""What a data folder was made of and by: inputs, configuration, versions, outputs. Written last."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .read.files import fingerprint, locate

#: Of what a data folder holds: manifest, `ledger.json` and exports. A change of any is another number.
FORMAT = 1
_PACKAGES = ("funreason-train", "pyarrow", "datasets", "transformers", "tokenizers")


def manifest(
    config: dict[str, Any], folder: Path, known: Mapping[str, str], proof: str | None
) -> dict[str, Any]:
    """The manifest of a finished folder; it holds no time and no host, so the same run makes the same bytes.

    Args:
        config: The whole configuration, resolved.
        folder: What has been made.
        known: SHA-256 of files that need not be read again.
        proof: Of token parity.

    Returns:
        `format`, `inputs` (source -> {file: SHA-256}, for a hub id {hub id: its name}), `outputs` (file ->
        SHA-256), `parity`, `config` (the sections data and protocol), `seed` and `versions`.
    """
    data = config["data"]
    return {
        "format": FORMAT,
        "inputs": {name: _inputs(data[name]) for name in data["datasets"]},
        "outputs": {
            name: known.get(name) or _digest(folder / name)
            for name in sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        },
        "parity": proof,
        "config": {"data": {**data, "out": None}, "protocol": config["protocol"]},
        "seed": config["seed"],
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }


def _inputs(node: dict[str, Any]) -> dict[str, str]:
    path = str(node["path"])
    return {path: "hub"} if locate(path) is None else fingerprint(path)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
