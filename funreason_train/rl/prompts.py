"""What is known of the prompts before anything starts: how many, how long, and whether they can be scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..reward.gold import read_gold
from .tasks import read_task

#: Columns that verl's data set and the reward read.
COLUMNS = ("data_source", "prompt", "reward_model", "extra_info")
_SHOWN = 3  # examples named in a message


@dataclass(frozen=True)
class Prompts:
    """The prompts of one parquet file.

    Attributes:
        file: The file.
        rows: How many prompts it holds.
        longest: Tokens of the longest one, as the data stage measured them; None if it did not.
        problems: Why the file cannot be trained on, one sentence each.
    """

    file: Path
    rows: int = 0
    longest: int | None = None
    problems: tuple[str, ...] = ()


def read(file: Path, tasks: bool = False) -> Prompts:
    """Reads what has to be known of `file`, without the prompts' text.

    A file that is missing, unreadable, empty or without gold answers is described in `problems`; nothing is
    raised.

    Args:
        file: An RL export.
        tasks: Whether each row has to hold an executable task.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    if not file.is_file():
        return Prompts(
            file,
            problems=(
                f"{file}: there is no such file. Run `funreason-train data` with the same run_dir first",
            ),
        )
    try:
        # Without threads: the process may fork later (cpu/warm.py).
        source = parquet.ParquetFile(file, pre_buffer=False)
        missing = [name for name in COLUMNS if name not in source.schema_arrow.names]
        if missing:
            return Prompts(file, problems=(f"{file}: the column {', '.join(missing)} is missing",))
        rows = source.read(columns=["reward_model", "extra_info"], use_threads=False)
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        return Prompts(file, problems=(f"{file}: cannot be read as parquet ({reason})",))
    if rows.num_rows == 0:
        return Prompts(file, problems=(f"{file}: holds no prompt",))
    without_gold: dict[int, str] = {}
    longest, measured = 0, True
    unplayable: dict[int, str] = {}
    for number, (reward, extra) in enumerate(_pairs(rows)):
        if flaw := gold_flaw((reward or {}).get("ground_truth")):
            without_gold[number] = flaw
        if tasks and (problem := _unplayable((extra or {}).get("task"))):
            unplayable[number] = problem
        tokens = (extra or {}).get("prompt_tokens")
        measured = measured and tokens is not None
        longest = max(longest, int(tokens or 0))
    problems = []
    if without_gold:
        numbers = list(without_gold)
        shown = ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")
        problems.append(
            f"{file}: {len(numbers)} of {rows.num_rows} rows lack a readable gold answer (row {shown}), the "
            f"first because {without_gold[numbers[0]]}. reward_model.ground_truth is a JSON string with the "
            "keys calls and tools"
        )
    if unplayable:
        first = next(iter(unplayable))
        problems.append(
            f"{file}: {len(unplayable)} of {rows.num_rows} rows cannot be played (row {first}: "
            f"{unplayable[first]}). rl.rollout_mode=environment needs the files rl/env_*.parquet, which "
            "`funreason-train data` writes for sources with environments (embedded, bfcl_world, tasks)"
        )
    return Prompts(file, rows.num_rows, longest if measured else None, tuple(problems))


def _pairs(table: Any) -> Iterator[tuple[Any, Any]]:
    for batch in table.to_batches():
        yield from zip(
            batch.column("reward_model").to_pylist(), batch.column("extra_info").to_pylist(), strict=True
        )


def _unplayable(task: Any) -> str:
    """Why a row's task cannot be played; empty if it can."""
    try:
        read_task(task)
    except UserError as error:
        return str(error)
    return ""


def gold_flaw(ground_truth: Any) -> str:
    """Why the reward cannot read a ground truth; empty if it can."""
    try:
        read_gold(ground_truth)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""
