"""The stage `data`: every source read and checked, cut into steps, measured, mixed and exported.

funreason-train data datasets=[apigen,funreason_mt] apigen.path=FILE funreason_mt.path=FILE out=DIR
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import UserError
from ..run.paths import RunDir, write_json
from . import augment
from .decontaminate import bfcl_folder
from .files import locate
from .lengths import tokenizer_problems
from .manifest import manifest
from .prepare import Preparation
from .report import print_ledger
from .sources import source_module

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OURS = ("manifest.json", "ledger.json")
_WORDS = ("dedup", "decontaminate", "length_cache", "parity", "tokenizer")  # keys that may be `off`


def check(config: DictConfig, run: RunDir) -> list[str]:
    """Every problem that can be seen without reading a row.

    Args:
        config: The whole configuration.
        run: The run directory.
    """
    data, problems = config.data, []
    if not data.datasets:
        problems.append("data.datasets names no data set; set for instance datasets=[embedded]")
    for name in data.datasets:
        node = data.get(name)
        if not isinstance(node, Mapping) and not hasattr(node, "keys"):
            problems.append(
                f"there is no data set '{name}'; declare one of your own with {name}.format=openai"
                f" {name}.path=FILE, or use {', '.join(_known(data))}"
            )
            continue
        problems += _node_problems(name, node)
    for key, choices in (
        ("dedup", ("near", "exact", "off")),
        ("decontaminate", ("bfcl", "off")),
        ("names", ("alias", "reject")),
        ("overlong", ("drop", "fail")),
        ("parity", ("sample", "off")),
    ):
        if _word(data[key]) not in choices:
            problems.append(f"data.{key} is '{data[key]}'; it takes {' or '.join(choices)}")
    problems += augment.problems(data.augment)
    if not 0 <= data.max_dropped_share <= 1:
        problems.append(f"data.max_dropped_share is {data.max_dropped_share}; it is a share, from 0 to 1")
    for key in ("near_threshold", "decontaminate_share"):
        if not 0 < data[key] <= 1:
            problems.append(f"data.{key} is {data[key]}; it is a share, above 0 up to 1")
    if _word(data.decontaminate) == "bfcl" and bfcl_folder() is None:
        problems.append(
            "data.decontaminate is bfcl, but bfcl-eval is not installed; install the extra cpu or gpu,"
            " or set data.decontaminate=off"
        )
    if not 0 <= data.val_share < 1:
        problems.append(f"data.val_share is {data.val_share}; it is a share, from 0 to below 1")
    if not 0 <= data.rl_closing_share <= 1:
        problems.append(f"data.rl_closing_share is {data.rl_closing_share}; it is a share, from 0 to 1")
    problems += tokenizer_problems(config)
    out = _out(config, run)
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in _OURS):
        problems.append(f"{out} holds files that are not ours to replace; give another out=DIR")
    return problems


def _known(data: Any) -> list[str]:
    """The data sets that the configuration declares."""
    return [str(name) for name in data if hasattr(data.get(name), "keys") and "format" in data.get(name)]


def _node_problems(name: str, node: Any) -> list[str]:
    try:
        module = source_module(node.format)
        if hasattr(module, "convert") and "path" in node:
            if not node.path:
                return [f"data.{name}.path is not set; give a file, a folder or a hub id"]
            locate(str(node.path))
    except UserError as error:
        return [f"data.{name}: {error}"]
    options = getattr(module, "OPTIONS", {})
    needed = ["rows", "weight", *(("path", "split") if hasattr(module, "convert") else ()), *options]
    if missing := [key for key in needed if key not in node]:
        return [
            f"data.{name} lacks {', '.join(missing)}; configs/dataset/{node.format}.yaml explains each key"
        ]
    for key, choices in options.items():
        if node[key] not in choices:
            return [f"data.{name}.{key} is '{node[key]}'; it takes {' or '.join(choices)}"]
    if not 0 < node.weight <= 100:
        return [
            f"data.{name}.weight is {node.weight}; it says how often a conversation counts, above 0 up to 100"
        ]
    return []


def run(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Makes everything under `data.out`, or `RUN_DIR/data`; the folder appears only once it is complete.

    Args:
        config: The whole configuration.
        run: The run directory.

    Returns:
        `{"out", "sources": the ledger, "sft": {side: rows}, "rl": {side: rows}, "environment": {side: rows},
        "tasks": {split: tasks}}`.

    Raises:
        UserError: everything that `check` finds, a source that cannot be opened, no row left, an overlong
            step where `overlong: fail`, or tokens that differ between the frameworks.
    """
    from omegaconf import OmegaConf

    if problems := check(config, run):
        raise UserError("; ".join(problems))
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    plain["data"] |= {key: _word(plain["data"][key]) for key in _WORDS}
    out = _out(config, run)
    with _fresh(out) as work:
        preparation = Preparation(plain, run, work)
        try:
            result = preparation.run()
        except UserError as error:
            if not (work / "ledger.json").exists():
                raise
            kept = _keep_failed(work, out)
            mend = f"{error.mend}. Ledger and rejected rows of this run are in {kept}"
            raise UserError(error.what, where=error.where, mend=mend) from None
        if not any(result["sft"].values()):
            raise _nothing_left(result["sources"], _keep_failed(work, out))
        write_json(work / "manifest.json", manifest(plain, work, preparation.digests, preparation.proof))
    print_ledger(result["sources"], result, out)
    return {"out": str(out), **result, "headline": _headline(result)}


def _headline(result: Mapping[str, Any]) -> str:
    kept, rejected = (
        sum(count if isinstance(count, int) else sum(count.values()) for count in counts)
        for counts in zip(
            *((row["kept"], row["rejected"]) for row in result["sources"].values()), strict=True
        )
    )
    return (
        f"{kept} conversations kept, {rejected} turned away; {result['sft']['train']} rows for SFT, "
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
    return UserError(
        f"no row is left to train on ({counts})",
        mend=f"Rejected rows and reasons are in {out / 'rejected.jsonl'}; check that path and format fit",
    )


def _out(config: DictConfig, run: RunDir) -> Path:
    return Path(config.data.out).expanduser().resolve() if config.data.out else run.data


def _word(value: Any) -> Any:
    """`off` is a boolean to YAML."""
    return "off" if value is False else value


@contextmanager
def _fresh(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place at the end; after an error nothing has changed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
        old = out.with_name(f".{out.name}.{os.getpid()}.old")
        if out.exists():
            out.rename(old)
        work.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
