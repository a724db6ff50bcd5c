"""`funreason-train doctor`: whether the reward, the rows and the tokenizer fit, before any GPU is booked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..reward.sample import Audit, audit_file
from ..run.paths import RunDir
from .display import console

if TYPE_CHECKING:
    from omegaconf import DictConfig


def doctor(config: DictConfig, run: RunDir) -> None:
    """Prints what was looked at and what was found.

    Raises:
        UserError: if anything was found, or nothing could be looked at.
    """
    from omegaconf import OmegaConf

    file = Path(config.doctor.reward or run.data / "rl" / "train.parquet").expanduser().absolute()
    if not file.is_file():
        raise UserError(
            f"{file}: there is no such file; name an RL export with reward=FILE, or a run_dir that has one"
        )
    rows = config.doctor.rows
    options = OmegaConf.to_container(config.rl.reward, resolve=True)
    assert isinstance(options, dict)
    result = _audit(file, rows, {str(name): value for name, value in options.items()})
    _show(result)
    problems = [sentence for sentence in (result.sentence(), _tokenizer(config)) if sentence]
    if not result.rows:
        problems.append(f"{file}: holds no row")
    if problems:
        raise UserError("; ".join(problems))
    console.print("No problems found.")


def _audit(file: Path, rows: int | None, options: dict[str, Any]) -> Audit:
    """Scores answers; where the file holds executable tasks, plays their gold calls as well.

    A reward for whole tasks scores nothing else.
    """
    from ..rl.settings.tasks import audit_tasks, holds_tasks

    if not holds_tasks(file):
        return audit_file(file, rows, **options)
    console.print("The rows are executable tasks: their gold calls are played.")
    played = audit_tasks(file, rows)
    if options.get("variant") == "progress":
        return played
    scored = audit_file(file, rows, **options)
    return replace(scored, findings=scored.findings + played.findings)


def _show(result: Audit) -> None:
    from rich.markup import escape
    from rich.table import Table

    title = f"Reward on {result.rows} rows of {escape(result.file.name)}"
    table = Table(title=title, title_justify="left")
    for name in ("data_source", "rows", "rows with findings"):
        table.add_column(name, justify="left" if name == "data_source" else "right")
    for source, count in sorted(result.sources.items()):
        bad = {finding.row for finding in result.findings if finding.data_source == source}
        table.add_row(escape(source), str(count), str(len(bad)))
    console.print(table)
    for finding in result.findings:
        console.print(
            f"row {finding.row} ({finding.data_source}), {finding.case}: {finding.message}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _tokenizer(config: DictConfig) -> str:
    """What the tokenizer does to an answer's tags, as a sentence; empty if they survive."""
    name = config.doctor.tokenizer or config.rl.model
    if config.doctor.tokenizer is None and not Path(str(name)).is_dir():
        console.print("No tokenizer looked at: the model is not there yet (tokenizer=FOLDER names one).")
        return ""
    from transformers import AutoTokenizer

    from ..rl.rollout.tokens import lost_in_decoding

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError) as error:
        return f"{name}: no tokenizer could be loaded ({' '.join(str(error).split())[:200]})"
    lost = lost_in_decoding(tokenizer)
    if not lost:
        console.print(f"The tags of an answer survive decoding with the tokenizer of {name}.", soft_wrap=True)
        return ""
    return f"{name}: its tokenizer loses parts of an answer, which the reward then cannot see: {lost[0]!r}"
