"""The audit over a parquet file: rows in, sentences out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Problem, UserError, refuse
from .audit import Finding, audit, source_of
from .options import check_options

_COLUMNS = ["data_source", "reward_model"]
_SHOWN = 3


@dataclass(frozen=True)
class Audit:
    """What an audit of a file found.

    Attributes:
        file: The file.
        rows: How many rows were looked at.
        sources: How many of them each data_source has.
        findings: Everything that is wrong, in the order of the rows; `Finding.row` counts in the file.
    """

    file: Path
    rows: int
    sources: Mapping[str, int]
    findings: tuple[Finding, ...]

    def sentence(self) -> str:
        """The findings in one sentence; empty if there are none."""
        if not self.findings:
            return ""
        rows = len({finding.row for finding in self.findings})
        shown = "; ".join(
            f"row {finding.row} ({finding.data_source}): {finding.message}"
            for finding in self.findings[:_SHOWN]
        )
        more = f"; and {len(self.findings) - _SHOWN} more" if len(self.findings) > _SHOWN else ""
        return (
            f"{self.file}: the reward cannot be trusted on {rows} of the {self.rows} rows looked at: "
            f"{shown}{more}. Fix the rows or the reward's settings; "
            "`funreason-train doctor reward=FILE` lists all"
        )


def spread(count: int, limit: int | None) -> list[int]:
    """The numbers of `limit` of `count` rows, evenly spread; None: all of them."""
    wanted = min(count, limit or count)
    return [at * count // wanted for at in range(wanted)]


def read_spread(file: Path, columns: list[str], limit: int | None) -> tuple[list[int], list[dict[str, Any]]]:
    """`limit` rows of a parquet file, evenly spread, with their numbers; None: all of them.

    Raises:
        UserError: if the file cannot be read, or lacks a column.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    try:
        source = parquet.ParquetFile(file, pre_buffer=False)
        missing = [name for name in columns if name not in source.schema_arrow.names]
        if missing:
            raise UserError(f"{file}: the column {', '.join(missing)} is missing; is it an RL export?")
        table = source.read(columns=columns, use_threads=False)
    except (ArrowException, OSError) as error:
        raise UserError(f"{file}: cannot be read as parquet ({' '.join(str(error).split())})") from None
    numbers = spread(table.num_rows, limit)
    return numbers, table.take(numbers).to_pylist() if numbers else []


def audit_file(file: Path, limit: int | None = None, **options: Any) -> Audit:
    """Scores the gold answer and the trivial answers of a file's rows.

    Args:
        file: An RL export, as the data stage writes it.
        limit: Look at so many rows, spread evenly over the file; None: all.
        **options: The reward's options.

    Raises:
        UserError: if the file cannot be read, has other columns, or an option does not exist.
    """
    refuse(Problem(mistake, "rl.reward") for mistake in check_options(options))
    numbers, rows = read_spread(file, _COLUMNS, limit)
    found = audit(rows, **options)
    findings = tuple(Finding(numbers[item.row], item.data_source, item.case, item.message) for item in found)
    return Audit(file, len(rows), Counter(map(source_of, rows)), findings)
