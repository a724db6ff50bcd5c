"""Tokenises the export once, on CPU, before the cluster is needed.

Runs in a process of its own (`run.process`), so that the driver stays light.
LLaMA-Factory does the work, with the very arguments of the training run; every training process then only
maps the result into memory. What LLaMA-Factory would drop with a warning or cut without one stops the stage.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..run.files import write_json

REPORT = "report.json"
_IGNORED = -100  # label of a token that is not learned (llamafactory.extras.constants.IGNORE_INDEX)
_NO_LIMIT = 1 << 24  # tokens; longer than any row, so that the first pass cuts nothing


def tokenise(arguments: dict[str, Any], file: Path, folder: Path) -> dict[str, int]:
    """Tokenises the training rows (and the evaluation rows, if any) into `folder`.

    Args:
        arguments: LLaMA-Factory's training arguments; `cutoff_len` may be missing.
        file: The training rows as exported.
        folder: Appears complete or not at all.

    Returns:
        `rows`, `sequences` (fewer than rows with packing), `tokens`, `learned` (tokens with a label) and
        `longest` (tokens of the longest sequence).

    Raises:
        UserError: if a row was dropped, has nothing to learn, or is longer than `cutoff_len`.
    """
    # One process without a device: only the tokenizer is used.
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    os.environ.update({**alone, "MASTER_PORT": "0", "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"})
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    rows = _exported_rows(file)
    limit = arguments.get("cutoff_len")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    plain = {key: value for key, value in arguments.items() if key != "deepspeed"}
    plain |= {"use_cpu": True, "bf16": False, "tokenized_path": str(partial), "report_to": "none"}
    plain["output_dir"] = str(partial) + ".out"  # only named, never made
    plain["enable_liger_kernel"] = False
    if not arguments["packing"]:
        plain["cutoff_len"] = _NO_LIMIT
    model_args, data_args, training_args, _, _ = get_train_args(plain)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    dataset = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)
    report = measure(_labels(dataset["train_dataset"]))
    if problem := objection(report, rows, limit):
        shutil.rmtree(partial, ignore_errors=True)
        raise problem
    write_json(partial / REPORT, report)
    partial.rename(folder)
    return report


def _exported_rows(file: Path) -> int:
    """How many rows `file` holds; the same reader, and the same cache, as LLaMA-Factory's."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    try:
        rows = int(load_dataset("json", data_files=[str(file)], split="train").num_rows)
    except DatasetGenerationError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise UserError(
            f"cannot be read ({reason})", where=str(file), mend="Prepare the data again"
        ) from None
    if rows == 0:
        raise UserError("holds no rows", where=str(file), mend="Look into the data stage's ledger.json")
    return rows


def _labels(dataset: Any) -> Iterator[Any]:
    """The labels of each sequence as a numpy array, straight from the Arrow file."""
    for batch in dataset.select_columns(["labels"]).with_format("arrow").iter(batch_size=1000):
        for row in batch["labels"]:
            yield row.values.to_numpy()


def measure(labels: Iterable[Sequence[int]]) -> dict[str, int]:
    """Counts what was tokenised.

    Args:
        labels: One array a sequence, -100 where nothing is learned.

    Returns:
        See `tokenise`; `rows` are the runs of learned tokens, one a row even where rows were packed.
    """
    import numpy

    report = dict.fromkeys(("rows", "sequences", "tokens", "learned", "longest"), 0)
    for row in labels:
        learns = numpy.asarray(row) != _IGNORED
        report["rows"] += int(learns[:1].sum() + (learns[1:] & ~learns[:-1]).sum())
        report["sequences"] += 1
        report["tokens"] += len(learns)
        report["learned"] += int(learns.sum())
        report["longest"] = max(report["longest"], len(learns))
    return report


def objection(report: dict[str, int], rows: int, cutoff: int | None) -> UserError | None:
    """Why these rows cannot be trained on, or None."""
    if report["rows"] != rows:
        return UserError(
            f"LLaMA-Factory kept {report['rows']} of {rows} rows",
            where="sft.data",
            mend="A row is dropped if its roles do not alternate, it has nothing to learn or, when packing, "
            "it is longer than sft.cutoff_len; the stage's log shows which",
        )
    if cutoff is not None and report["longest"] > cutoff:
        return UserError(
            f"the longest row has {report['longest']} tokens, and nothing may be cut",
            where=f"sft.cutoff_len={cutoff}",
            mend=f"Set sft.cutoff_len to at least {report['longest']}, or drop long rows in the data stage",
        )
    return None


def run(job: dict[str, Any]) -> dict[str, int]:
    """See `tokenise`, whose arguments are the job's `arguments`, `file` and `folder`."""
    return tokenise(job["arguments"], Path(job["file"]), Path(job["folder"]))
