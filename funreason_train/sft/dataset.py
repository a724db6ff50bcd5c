"""The exported rows as LLaMA-Factory will read them, and their tokenised copy, cached by content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..cluster.environment import thread_variables
from ..run.files import read_json
from ..run.process import call_in_process
from . import tokenise

#: Training arguments that change the tokens.
_DECIDING = ("template", "mask_history", "packing", "neat_packing", "dataset", "eval_dataset")


@dataclass(frozen=True)
class Tokenised:
    """Rows ready for training.

    Attributes:
        folder: A `datasets` folder that LLaMA-Factory takes as `tokenized_path`.
        rows: Training rows.
        sequences: Training sequences; fewer than rows with packing.
        tokens: Tokens of the training sequences.
        learned: Tokens with a label.
        longest: Tokens of the longest training sequence.
    """

    folder: Path
    rows: int
    sequences: int
    tokens: int
    learned: int
    longest: int


def data_problems(folder: Path, datasets: list[str]) -> list[str]:
    """Everything wrong with the export that its index tells, each as a sentence.

    Args:
        folder: Where dataset_info.json lies.
        datasets: The entries that the run uses.
    """
    info_path = folder / "dataset_info.json"
    if not info_path.is_file():
        return [f"{info_path} is missing. Prepare the data first: funreason-train data, or set sft.data=DIR"]
    try:
        info = read_json(info_path)
    except ValueError as error:
        return [f"{info_path} is not JSON ({error}). Prepare the data again: funreason-train data"]
    problems = []
    for name in datasets:
        entry = info.get(name)
        if not isinstance(entry, Mapping):
            problems.append(f"{info_path} has no entry '{name}'. It has {', '.join(sorted(info)) or 'none'}")
            continue
        if "file_name" not in entry:
            problems.append(f"{info_path}: entry '{name}' names no file; only local files are used")
        elif not (folder / entry["file_name"]).is_file():
            problems.append(
                f"{folder / entry['file_name']} is missing. Prepare the data again: funreason-train data"
            )
        if entry.get("formatting") != "sharegpt" or "tools" in entry.get("columns", {}):
            problems.append(
                f"{info_path}: entry '{name}' must have formatting sharegpt and no tools column; any other "
                "form renders different prompts in training and in use"
            )
    return problems


def fingerprint(arguments: Mapping[str, Any], files: list[Path]) -> str:
    """Twelve hex digits that change whenever the tokens might."""
    digest = hashlib.sha256(version("llamafactory").encode())
    deciding = {key: arguments.get(key) for key in _DECIDING}
    if arguments["packing"]:
        deciding["cutoff_len"] = arguments["cutoff_len"]
    digest.update(json.dumps(deciding, sort_keys=True).encode())
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def prepare(arguments: Mapping[str, Any], parent: Path) -> Tokenised:
    """Tokenises the rows of `arguments` unless that is done already.

    Args:
        arguments: LLaMA-Factory's training arguments.
        parent: Where tokenised copies are kept; older ones are removed.

    Raises:
        UserError: if rows would be dropped or cut.
    """
    data = Path(arguments["dataset_dir"])
    info = read_json(data / "dataset_info.json")
    names = [arguments[key] for key in ("dataset", "eval_dataset") if arguments.get(key)]
    files = [data / "dataset_info.json", *(data / info[name]["file_name"] for name in names)]
    model = Path(arguments["model_name_or_path"])
    if model.is_dir():
        files += [
            file
            for pattern in ("tokenizer*", "*token*.json", "*.jinja")
            for file in sorted(model.glob(pattern))
        ]
    folder = parent / fingerprint(arguments, files)
    if not (folder / tokenise.REPORT).is_file():
        if parent.is_dir():
            shutil.rmtree(parent)
        parent.mkdir(parents=True)
        _spawn({"arguments": dict(arguments), "file": str(files[1]), "folder": str(folder)}, parent)
    report = read_json(folder / tokenise.REPORT)
    if problem := tokenise.objection(dict(report), int(report["rows"]), arguments.get("cutoff_len")):
        raise problem
    return Tokenised(folder=folder, **report)


def _spawn(task: dict[str, Any], parent: Path) -> None:
    cache = parent / "cache"
    workers = int(task["arguments"].get("preprocessing_num_workers") or 1)
    environment = {**thread_variables(workers), "HF_DATASETS_CACHE": str(cache)}
    environment["LLAMAFACTORY_VERBOSITY"] = os.environ.get("LLAMAFACTORY_VERBOSITY", "WARNING")
    try:
        call_in_process(tokenise.run, task, environment)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
