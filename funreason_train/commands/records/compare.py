"""What differs between runs: settings, inputs, code, scores, time (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ...pages.table import Table
from ...plain import is_finite, json_text
from .scan import RunRecord

_SHOWN = 40  # characters of a value


def differences(records: Sequence[RunRecord]) -> list[tuple[str, str, list[str]]]:
    """Kind, what it is, and its value in each run, wherever two runs have different ones.

    Args:
        records: Of at least two runs.
    """
    found = []
    apart = {key for one in records for key, values in _by_stage(one).items() if len({*values.values()}) > 1}
    for kind, values in (
        ("setting", [_settings(one, apart) for one in records]),
        ("input", [_inputs(one) for one in records]),
        ("origin", [_origin(one) for one in records]),
        ("result", [_results(one) for one in records]),
    ):
        for key in dict.fromkeys(key for one in values for key in one):
            row = [one.get(key, "-") for one in values]
            if len(set(row)) > 1:
                found.append((kind, key, row))
    return found


def table(records: Sequence[RunRecord], names: Sequence[str]) -> Table:
    """The differences as a table, one column a run."""
    rows = tuple((kind, key, *map(_short, row)) for kind, key, row in differences(records))
    return Table("What differs", ("", "", *names), rows, texts=2)


def _by_stage(record: RunRecord) -> dict[str, dict[str, str]]:
    """Setting -> stage -> its value there: a stage that was started again may have another seed."""
    found: dict[str, dict[str, str]] = {}
    for name, stage in record.stages.items():
        for key, value in stage.get("settings", {}).items():
            found.setdefault(key, {})[name] = _text(value)
    return found


def _settings(record: RunRecord, apart: Collection[str]) -> dict[str, str]:
    """Setting -> value; those of `apart`, of which a run has several, stage by stage."""
    found: dict[str, str] = {}
    for key, values in _by_stage(record).items():
        if key in apart:
            found |= {f"{stage}: {key}": value for stage, value in values.items()}
        else:
            found[key] = next(iter(values.values()))
    return found


def _inputs(record: RunRecord) -> dict[str, str]:
    """File -> digest, of what was given from outside and of the data that were made."""
    return {
        f"{name}: {path}": str(entry.get("digest", "")).removeprefix("sampled:")[:12]
        for name, stage in record.stages.items()
        for path, entry in stage.get("inputs", {}).items()
        if not path.startswith("RUN_DIR/") or (name in ("sft", "rl") and "/data/" in path)
    }


def _origin(record: RunRecord) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, stage in record.stages.items():
        origin = stage.get("origin", {})
        git, hardware = origin.get("git") or {}, origin.get("hardware") or {}
        commit = str(git.get("commit") or "-")[:10] + " with changes" * bool(git.get("dirty"))
        found |= {
            f"{name}: commit": commit,
            f"{name}: lock file": str(origin.get("lock") or "-")[:12],
            f"{name}: chat template": str(origin.get("template") or "-")[:12],
            f"{name}: machine": f"{hardware.get('processor', '-')}, {hardware.get('cores', '-')} cores"
            + (f", {len(hardware['gpus'])} x {hardware['gpus'][0]}" if hardware.get("gpus") else ""),
        }
    return found


def _results(record: RunRecord) -> dict[str, str]:
    found = {f"{name} (held-out)": f"{value:.4f}" for name, value in record.scores.items()}
    for name, stage in record.stages.items():
        found[f"{name}: state"] = str(stage.get("state", "-"))
        found[f"{name}: seconds"] = f"{stage.get('seconds') or 0:.0f}"
        found |= {f"{name}: {key}": text for key, text in _figures(stage.get("result"))}
    return found


def _figures(result: Any) -> Iterator[tuple[str, str]]:
    """The plain numbers of a stage's result."""
    if isinstance(result, Mapping):
        for key, value in result.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield str(key), f"{value:g}" if is_finite(value) else str(value)


def _text(value: Any) -> str:
    return json_text(value) if value is None or isinstance(value, bool) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
