"""The stage `data`: every source read and checked, cut into steps, measured, mixed and exported.

funreason-train data datasets=[apigen,funreason_mt] apigen.path=FILE funreason_mt.path=FILE out=DIR
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..environments import loading_problems, module_files
from ..environments.bfcl.documents import bfcl_folder
from ..errors import Problem, UserError, refuse
from ..run.files import fresh_folder, not_ours, read_lines, write_json
from ..run.paths import RunDir
from ..run.stage import Decides, Stage, model_files
from . import settings
from .manifest import manifest
from .measure.lengths import chosen_tokenizer, tokenizer_problems
from .prepare import Preparation
from .report import ledger_table

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OURS = ("manifest.json", "ledger.json")
_MADE = (*_OURS, "rejected.jsonl", "card.md", "card.html", "sft", "rl", "tasks")


def check(config: DictConfig, run: RunDir) -> list[Problem | str]:
    """Every problem that can be seen without reading a row.

    Args:
        config: The whole configuration.
        run: The run directory.
    """
    made = run.synth_conversations
    found: list[Problem | str] = [*settings.problems(config.data, None if made.exists() else made)]
    if config.data.decontaminate == "bfcl" and bfcl_folder() is None:
        fix = "Install the extra cpu or gpu, or set data.decontaminate=off"
        found.append(Problem("bfcl-eval is not installed", "data.decontaminate=bfcl", fix))
    found += [*tokenizer_problems(config), *loading_problems(config.environment_modules)]
    return [*found, *not_ours(run.data, _MADE, mark=_OURS)]


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Makes everything under `data.out`, or `RUN_DIR/data`; the folder appears only once it is complete.

    Args:
        config: The whole configuration.
        run: The run directory.

    Returns:
        `{"out", "sources": the ledger, "sft": {side: rows}, "rl": {side: rows},
        "environment": {side: rows}, "headline", "shown": its tables}`.

    Raises:
        UserError: everything that `check` finds, a source that cannot be opened, no row left, an overlong
            step where `overlong: fail`, or tokens that differ between the frameworks.
    """
    from omegaconf import OmegaConf

    refuse([*_not_made(config, run), *check(config, run)])
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    out = run.data
    with fresh_folder(out) as work:
        preparation = Preparation(plain, run, work)
        try:
            result = preparation.run()
        except UserError as error:
            if not (work / "ledger.json").exists():
                raise
            kept = _keep_failed(work, out)
            fix = f"{error.fix}. Ledger and rejected rows of this run are in {kept}"
            raise UserError(error.what, where=error.where, fix=fix) from None
        if not any(result["sft"].values()):
            raise _nothing_left(result["sources"], _keep_failed(work, out))
        write_json(work / "manifest.json", manifest(plain, work, preparation.digests, preparation.proof))
    table = ledger_table(result["sources"], out, settings.passed_over(config.data))
    return {"out": str(out), **result, "headline": _headline(result), "shown": [table.to_json()]}


def _not_made(config: DictConfig, run: RunDir) -> Iterator[Problem]:
    """Whether the conversations that the stage synth makes are asked for and not there."""
    made = run.synth_conversations
    for name in config.data.datasets:
        node = config.data.get(name)
        if node is not None and node.get("path") == str(made) and not made.exists():
            fix = (
                "Run `funreason-train synth` in this run directory first, or name other conversations with "
                f"{name}.path=FILE"
            )
            yield Problem("is not there", f"data.{name}.path={made}", fix)


def _headline(result: Mapping[str, Any]) -> str:
    kept, rejected = (
        sum(count if isinstance(count, int) else sum(count.values()) for count in counts)
        for counts in zip(
            *((row["kept"], row["rejected"]) for row in result["sources"].values()), strict=True
        )
    )
    return (
        f"{kept} conversations kept, {rejected} rejected; {result['sft']['train']} rows for SFT, "
        f"{result['rl']['train']} prompts for RL"
    )


def _keep_failed(work: Path, out: Path) -> Path:
    """Keeps what a run without result leaves to read: in `out`, or beside an earlier result."""
    kept = out if not out.exists() else out.with_name(out.name + ".failed")
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("ledger.json", "rejected.jsonl"):
        shutil.copy(work / name, kept / name)
    return kept


def _nothing_left(ledger: Mapping[str, Any], out: Path) -> UserError:
    counts = "; ".join(
        f"{name}: {account['read']} read"
        + "".join(f", {count} rejected as {reason}" for reason, count in account["rejected"].items())
        for name, account in ledger.items()
    )
    first = next(read_lines(out / "rejected.jsonl"), None)
    example = f"; the first one, {first['position']}: {first['detail']}" if first else ""
    return UserError(
        f"no row is left to train on ({counts}{example})",
        fix=f"Rejected rows and reasons are in {out / 'rejected.jsonl'}; check that path and format fit",
    )


def _reads(config: DictConfig, run: RunDir) -> list[Path]:
    named = [config.data.get(name) for name in config.data.datasets]
    files = [Path(node.path) for node in named if node is not None and node.get("path")]
    return [*files, *model_files(config.model.path), *module_files(config.environment_modules)]


def _unused(config: DictConfig) -> Iterator[str]:
    data = config.data
    nodes = {name: node for name, node in data.items() if hasattr(node, "keys") and "format" in node}
    yield from (f"data.{name}.*" for name in nodes if name not in data.datasets)
    if data.decontaminate == "off":
        yield "data.decontaminate_*"
    compared = any(node.dedup != "exact" for name, node in nodes.items() if name in data.datasets)
    if not compared or (data.dedup != "near" and not data.val_share):
        yield "data.near_threshold"
    if chosen_tokenizer(config) is not None:  # the tiny model is not built
        yield from (f"model.{key}" for key in config.model if key not in ("path", "tokenizer"))


STAGE = Stage(
    name="data",
    title="Preparing data",
    decides=Decides(
        ("seed", "protocol", "model", "environment_modules", "data"),
        # The limits on what is lost stop a run and change no row; where lengths are remembered changes none.
        harmless=(
            "data.out",
            "data.processes",
            "data.length_cache",
            "data.parity",
            "data.parity_rows",
            "data.max_*_share",
            # What is only shown.
            "data.*.licence",
            "data.*.hub_file",
        ),
        unused=_unused,
    ),
    reads=_reads,
    makes=lambda config, run: [run.data / "manifest.json"],
    folder=lambda config, run: run.data,
    check=check,
    run=run,
    out=lambda config: config.data.out,
)
