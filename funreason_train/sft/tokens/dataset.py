"""The exported rows and their tokenised copy, cached by content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...cluster.environment import thread_variables
from ...run.files import read_json
from ...run.process import call_in_process
from . import tokenise

#: Packages whose versions may change the tokens.
_PACKAGES = ("funreason-train", "transformers", "tokenizers", "jinja2")
#: A tokenizer's files in a model folder.
TOKENIZER_FILES = ("tokenizer*", "*token*.json", "vocab.*", "merges.txt", "*.jinja", "chat_template.json")


@dataclass(frozen=True)
class Tokenised:
    """Rows ready for training.

    Attributes:
        folder: A `datasets` folder that LLaMA-Factory takes as `tokenized_path`.
        rows: Training rows.
        sequences: Training sequences; fewer than rows with packing.
        tokens: Tokens of the training sequences.
        learned: Tokens with a label.
        longest: Tokens of the longest training sequence; with trees, of the longest row.
        split: With trees, tokens of the rows alone.
        largest: With trees, tokens of the largest sequence.
    """

    folder: Path
    rows: int
    sequences: int
    tokens: int
    learned: int
    longest: int
    split: int = 0
    largest: int = 0

    @property
    def identity(self) -> str:
        """Of the training rows alone: a run may begin, or cease, to measure its loss on others."""
        return self.folder.name.partition("-")[0]


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


def fingerprint(job: Mapping[str, Any], files: list[Path]) -> str:
    """Twelve hex digits that change whenever the tokens might.

    Args:
        job: See `tokenise.tokenise`.
        files: The rows, their index and the tokenizer's files.
    """
    digest = hashlib.sha256()
    deciding: dict[str, Any] = {"packing": job["packing"], "splits": sorted(job["files"])}
    deciding["versions"] = {name: version(name) for name in _PACKAGES}
    if job["packing"]:
        deciding["cutoff_len"] = job["cutoff_len"]
    deciding |= {name: job[name] for name in ("tree", "segments") if job.get(name)}
    digest.update(json.dumps(deciding, sort_keys=True).encode())
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def job_of(
    arguments: Mapping[str, Any],
    workers: int | None,
    tree: Mapping[str, Any] | None = None,
    segments: bool = False,
) -> dict[str, Any]:
    """What has to be tokenised for a training run.

    Args:
        arguments: LLaMA-Factory's training arguments.
        workers: Processes; None for all cores.
        tree: Limits of trees, see `trees.write`; None: rows stay apart.
        segments: Whether to tell thoughts from answers.
    """
    data = Path(arguments["dataset_dir"])
    info = read_json(data / "dataset_info.json")
    splits = {"train": arguments["dataset"]}
    if arguments.get("eval_dataset"):
        splits["validation"] = arguments["eval_dataset"]
    return {
        "model": arguments["model_name_or_path"],
        "files": {split: str(data / info[name]["file_name"]) for split, name in splits.items()},
        "entries": {split: info[name] for split, name in splits.items()},
        "packing": arguments["packing"],
        "cutoff_len": arguments.get("cutoff_len"),
        "workers": workers,
        "tree": None if tree is None else dict(tree),
        "segments": segments,
    }


def _folder_name(job: Mapping[str, Any], index: Path) -> str:
    """The training rows' fingerprint and, where a loss is measured on other rows, theirs behind a dash."""
    model = Path(job["model"])
    words = (
        [file for pattern in TOKENIZER_FILES for file in sorted(model.glob(pattern))]
        if model.is_dir()
        else []
    )
    prints = [
        fingerprint({**job, "files": {split: file}}, [index, Path(file), *words])
        for split, file in sorted(job["files"].items())
    ]
    return "-".join(prints)


def prepare(
    arguments: Mapping[str, Any],
    parent: Path,
    workers: int | None = None,
    tree: Mapping[str, Any] | None = None,
    segments: bool = False,
) -> Tokenised:
    """Tokenises the rows of `arguments` unless that is done already.

    Args:
        arguments: LLaMA-Factory's training arguments.
        parent: Where tokenised copies are kept; older ones are removed.
        workers: Processes; None for all cores.
        tree: See `job_of`.
        segments: See `job_of`.

    Raises:
        UserError: if a row cannot be trained on or would have to be cut.
    """
    job = job_of(arguments, workers, tree, segments)
    folder = parent / _folder_name(job, Path(arguments["dataset_dir"]) / "dataset_info.json")
    if not (folder / tokenise.REPORT).is_file():
        if parent.is_dir():
            shutil.rmtree(parent)
        parent.mkdir(parents=True)
        cache = parent / "cache"
        try:
            call_in_process(
                tokenise.run,
                {**job, "folder": str(folder)},
                {**thread_variables(1), "HF_DATASETS_CACHE": str(cache)},
            )
        finally:
            shutil.rmtree(cache, ignore_errors=True)
    report = read_json(folder / tokenise.REPORT)
    if problem := tokenise.too_long(int(report["longest"]), job["cutoff_len"]):
        raise problem
    return Tokenised(folder=folder, **report)
