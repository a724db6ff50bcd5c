"""Tokenises the export once, with many processes, before the cluster is needed.

Runs in a process of its own (`run.process`), so that the driver stays light.
The prompt protocol renders every row with the model's own chat template (dialogue/encode.py), so that
training shows what rollouts and evaluation show, whatever family the model is of. LLaMA-Factory takes the
result as its `tokenized_path`; every training process then only maps it into memory.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ...calls.markers import TOKEN_LIKE
from ...dialogue import StepEncoder
from ...dialogue.chat_template import structure
from ...errors import UserError
from ...models.attention.maskable import unmaskable
from ...models.frameworks.known import must_know
from ...run.files import write_json
from ...run.parallel import Workers, import_meanwhile
from . import tables, trees
from .packing import IGNORED, joined, pack
from .rows import Form, Part, RowError, conversation, parts, read

REPORT = "report.json"


def tokenise(job: Mapping[str, Any], folder: Path) -> dict[str, int]:
    """Tokenises the training rows (and the evaluation rows, if any) into `folder`.

    Args:
        job: `model` (a folder or hub id), `files` and `entries` (split name -> its rows and its entry of
            dataset_info.json), `packing`, `cutoff_len` (or None), `workers` (or None for all cores), `tree`
            (see `trees.write`; None: rows stay apart) and `segments` (whether to tell thoughts from answers).
        folder: Appears complete or not at all.

    Returns:
        `rows`, `sequences` (fewer than rows with packing or trees), `tokens`, `learned` (tokens with a label)
        and `longest` (tokens of the longest sequence); with trees, see `trees.write`.

    Raises:
        UserError: naming the row that cannot be trained on, or the length that is needed.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # processes share the work, not threads
    import_meanwhile("datasets", "transformers.models.auto")  # while the workers start and work
    partial_folder = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial_folder, ignore_errors=True)
    work = partial_folder.with_name(partial_folder.name + ".parts")
    tree = job["tree"]
    try:
        opening = fitting(str(job["model"])) if tree else 0
        sides, rows = {}, 0
        report: dict[str, int] = {}
        with Workers(job["workers"]) as workers:
            for side, file in job["files"].items():
                done = _encode(workers, Path(file), job, side, work)
                if side == "train":
                    rows = sum(one.rows for one in done)
                    if not rows:
                        raise UserError(
                            "holds no rows", where=file, fix="Look into the data stage's ledger.json"
                        )
                    longest = max(one.longest for one in done)
                    if problem := too_long(longest, job["cutoff_len"]):
                        raise problem
                    if tree and (problem := trees.too_small(longest, tree["most"])):
                        raise problem
                shards = [one.file for one in done if one.rows]
                if tree:
                    # A measured loss is that of rows, batch by batch: each is a line of its own.
                    limits = tree if side == "train" else {"most": None, "packed": False}
                    file = work / f"{side}.trees.arrow"
                    measured = trees.write(shards, file, limits, side == "train", opening)
                    report, shards = measured if side == "train" else report, [str(file)]
                elif job["packing"]:
                    shards = _packed(shards, int(job["cutoff_len"]), work / f"{side}.packed.arrow")
                sides[side] = _dataset(shards)
        from datasets import DatasetDict, load_from_disk

        DatasetDict(sides).save_to_disk(str(partial_folder))
        if not tree:
            report = measure(_labels(load_from_disk(str(partial_folder))["train"]))
        if problem := objection(report, rows, job["cutoff_len"]):
            raise problem
        write_json(partial_folder / REPORT, report)
        partial_folder.rename(folder)
        return report
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(partial_folder, ignore_errors=True)


class Encoded(NamedTuple):
    """What became of one piece of the rows."""

    file: str
    rows: int
    longest: int
    problem: str | None


def _encode(workers: Workers, file: Path, job: Mapping[str, Any], side: str, work: Path) -> list[Encoded]:
    pieces = parts(file, work)
    work.mkdir(parents=True, exist_ok=True)
    one = partial(
        encode_part,
        model=str(job["model"]),
        entry=dict(job["entries"][side]),
        work=str(work / side),
        raw=bool(job["tree"]),
        segments=bool(job["segments"]),
    )
    try:
        done = list(workers.map(one, pieces))
    finally:  # where it does not, whatever failed did so for that
        must_know(Path(str(job["model"])))
    if problem := next((some.problem for some in done if some.problem), None):
        raise UserError(problem, where=str(file), fix="Prepare the data again, or take the row out")
    return done


def encode_part(
    part: Part, *, model: str, entry: dict[str, Any], work: str, raw: bool, segments: bool
) -> Encoded:
    """Writes the tokens of one piece as an Arrow stream; the first row that cannot be trained on ends it.

    Args:
        part: The piece.
        model: Whose tokenizer.
        entry: Of dataset_info.json.
        work: What the file's name begins with.
        raw: Whether trees are going to be made of the rows.
        segments: Whether to tell thoughts from answers.
    """
    encode, form = _encoder(model), Form.of(entry)
    file, rows, longest = f"{work}.{part.number:06}.arrow", 0, 0
    columns = (
        tables.schema(tables.RAW, tables.RAW_SCALARS)
        if raw
        else tables.schema(tables.LONG | (tables.SEGMENTS if segments else {}))
    )
    with tables.writing(file, columns) as add:
        try:
            batch: list[dict[str, Any]] = []
            for row in read(part):
                name = row.get("id")
                try:
                    one = encode(*conversation(row, form), "" if name is None else str(name), segments)
                except (RowError, UserError) as error:
                    which = (
                        f"the row {name!r}" if name is not None else f"row {rows + 1} of piece {part.number}"
                    )
                    return Encoded(file, rows, longest, f"{which} cannot be trained on: {error}")
                rows += 1
                longest = max(longest, len(one.ids))
                batch.append(tables.raw(one) if raw else tables.plain(one, segments))
            add(batch)
        except RowError as error:
            return Encoded(file, rows, longest, str(error))
    return Encoded(file, rows, longest, None)


def fitting(model: str) -> int:
    """Looks whether trees can be made for a model, its layers and its chat template.

    Returns:
        See `trees.opening`.

    Raises:
        UserError: if they cannot.
    """
    from transformers import AutoConfig, AutoTokenizer

    must_know(Path(model))
    if why := unmaskable(AutoConfig.from_pretrained(model, trust_remote_code=False).to_dict()):
        raise UserError(f"the model {why}", where="sft.tree", fix="Set sft.tree=false")
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    if problem := trees.rewriting(tokenizer):
        raise problem
    return trees.opening(tokenizer)


@lru_cache(maxsize=1)
def _encoder(model: str) -> Callable[[Sequence[Any], str, str, bool], tables.TokenRow]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    encoder = StepEncoder(tokenizer)
    # What only this family has, the encoder shields; a row with these was not escaped by the stage data.
    marks = [token for token in structure(tokenizer) if TOKEN_LIKE.fullmatch(token)]
    control = re.compile("|".join(map(re.escape, marks))) if marks else None

    def encode(messages: Sequence[Any], target: str, name: str, segments: bool) -> tables.TokenRow:
        for text in (*(one["content"] for one in messages), target):
            if control is not None and (match := control.search(text)):
                raise RowError(f"its text holds {match[0]}, with which this model's turns begin and end")
        step = encoder.encode(messages, target)
        answer = encoder.answer(messages, target, step) if segments else step.learned
        return tables.TokenRow(step.ids, step.prompt, step.learned, max(answer, step.learned), name)

    return encode


def _packed(shards: Sequence[str], length: int, file: Path) -> list[str]:
    rows = _rows(shards)
    first = next(rows)
    columns = tables.PACKED | (tables.SEGMENTS if len(first) > 2 else {})
    with tables.writing(file, tables.schema(columns)) as add:
        for group in pack(chain([first], rows), length):
            add([joined(group)])
    return [str(file)]


def _rows(shards: Sequence[str]) -> Iterator[Sequence[list[int]]]:
    """The ids and labels of each row, and its segments if it has them."""
    for batch in tables.batches(shards):
        names = [name for name in ("input_ids", "labels", "segments") if name in batch.schema.names]
        yield from (
            [one.as_py() for one in row] for row in zip(*(batch[name] for name in names), strict=True)
        )


def _dataset(shards: Sequence[str]) -> Any:
    from datasets import Dataset, concatenate_datasets

    return concatenate_datasets([Dataset.from_file(shard) for shard in shards])


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
        learns = numpy.asarray(row) != IGNORED
        report["rows"] += int(learns[:1].sum() + (learns[1:] & ~learns[:-1]).sum())
        report["sequences"] += 1
        report["tokens"] += len(learns)
        report["learned"] += int(learns.sum())
        report["longest"] = max(report["longest"], len(learns))
    return report


def too_long(longest: int, cutoff: int | None) -> UserError | None:
    """The refusal of rows longer than `cutoff` tokens, or None."""
    if cutoff is None or longest <= cutoff:
        return None
    return UserError(
        f"the longest row has {longest} tokens, and nothing may be cut",
        where=f"sft.cutoff_len={cutoff}",
        fix=f"Set sft.cutoff_len to at least {longest}, or drop long rows in the data stage",
    )


def objection(report: dict[str, int], rows: int, cutoff: int | None) -> UserError | None:
    """Why these rows cannot be trained on, or None."""
    if report["rows"] != rows:
        return UserError(
            f"the tokens hold {report['rows']} of {rows} rows",
            where="sft.data",
            fix="This is an error of the program; remove the folder sft/tokenized and report it",
        )
    return too_long(report["longest"], cutoff)


def run(job: dict[str, Any]) -> dict[str, int]:
    """See `tokenise`; the job's `folder` is where the tokens go."""
    return tokenise(job, Path(job["folder"]))
