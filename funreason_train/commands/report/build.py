"""Gathers a report and writes it: one file that works offline, or the parts that `report serve` sends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...pages.embed import pack
from ...pages.page import render_page
from ...pages.table import Table
from ...plain import json_text
from ...run.changes import flat
from ...run.files import MISSHAPEN, write_text
from ...run.paths import RunDir
from ...run.secrets import is_secret, redacted_value
from . import head, rejected
from .evaluation import evaluations
from .rollouts import Rollouts
from .series import training

#: Bytes of libraries, styles and everything but the rollouts.
_REST = 3_000_000
_SCRIPTS = ("core.js", "charts.js", "list.js", "conversation.js", "rollouts.js", "sections.js", "report.js")


@dataclass
class Report:
    """The report of a run; a second `refresh` reads only what is new.

    Attributes:
        run: The run.
        samples: Most rollouts that are shown.
        megabytes: Most megabytes of the page; None where parts are fetched one by one.
        blocks: The parts of the latest refresh by name; `report` is what the page begins with.
    """

    run: RunDir
    samples: int
    megabytes: float | None
    blocks: dict[str, str] = field(default_factory=dict)
    _rollouts: Rollouts | None = None

    def refresh(self) -> str:
        """Gathers the report; returns a digest that changes whenever the report does."""
        if self._rollouts is None:
            size = None if self.megabytes is None else max(0.5e6, self.megabytes * 1e6 - _REST)
            self._rollouts = Rollouts(self.run.rl / "rollouts", self.samples, size)
        self._rollouts.refresh()
        value, blocks = self._gathered()
        value = json.loads(json_text(redacted_value(value)))
        digest = hashlib.sha256(pack(value).encode()).hexdigest()[:16]
        self.blocks = {"report": pack({**value, "version": digest}), **blocks}
        return digest

    def _gathered(self) -> tuple[dict[str, Any], dict[str, str]]:
        run = self.run
        stages, config = head.stage_records(run), _config(run)
        data = _data_folder(run, stages, config)
        curves = training(run.root)
        refused, examples = rejected.rejected(data)
        assert self._rollouts is not None
        value = {
            "title": run.root.name,
            "state": head.state(stages),
            "tiles": head.tiles(run, stages, curves),
            "facts": head.facts(run, stages, config),
            "links": head.links(run, data),
            "timeline": head.timeline(run, stages),
            "training": curves,
            "plan": _plan(run),
            "evaluations": evaluations(run),
            "data": {"account": rejected.account(data), "rejected": refused},
            "rollouts": self._rollouts.index(),
            "settings": _settings(config),
        }
        blocks = self._rollouts.blocks | ({"rejected": examples} if examples else {})
        return value, blocks

    def page(self) -> str:
        """The page: whole, or with its first part only where the rest is fetched."""
        live = self.megabytes is None
        return render_page(
            "app.html",
            scripts=_SCRIPTS,
            libraries=("uplot", "tabulator"),
            blocks={"report": self.blocks["report"]} if live else self.blocks,
            live=live,
            title=self.run.root.name,
            otherwise="The same figures are in summary.json, rl/metrics.jsonl and eval/table.md.",
        )


def write_report(run: RunDir, samples: int, megabytes: float) -> Path:
    """Writes `report.html`.

    Args:
        run: The run directory; what a stage has not made is left out.
        samples: Most rollouts that are shown.
        megabytes: Most megabytes of the page.
    """
    report = Report(run, samples, megabytes)
    report.refresh()
    write_text(run.report, report.page())
    return run.report


def _config(run: RunDir) -> dict[str, Any]:
    """The settings of the run's latest command; empty where they cannot be read."""
    import yaml

    try:
        found = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        flat(found if isinstance(found, dict) else {}, "")  # an anchor of YAML may hold itself
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _data_folder(run: RunDir, stages: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> Path:
    """Where the data are that the user put elsewhere (`data.out`).

    As the stage noted it: the setting may be relative to the folder that the command was given in.
    """
    named = head.section(config, "data").get("out")
    noted = (stages.get("data", {}).get("result") or {}).get("out") if named else None
    place = Path(str(noted or named or run.data))
    return place if place.is_absolute() and place.is_dir() else run.data


def _plan(run: RunDir) -> dict[str, Any] | None:
    """The plan beside what was measured; None for a run without a readable plan."""
    from ...cluster.plan import plan_and_measured

    try:
        lines = plan_and_measured(run)
    except (UserError, OSError, *MISSHAPEN):
        return None
    rows = tuple(
        (one.stage, f"{one.what} ({one.unit})", _plain(one.planned), _plain(one.measured), _plain(one.ratio))
        for one in lines
    )
    head = ("stage", "what", "planned", "measured", "planned / measured")
    return Table("Plan and measurement", head, rows, texts=2).to_json() if rows else None


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _settings(config: Mapping[str, Any]) -> list[list[str]]:
    """Every setting as text; the value of one whose name says that it is a secret is not shown."""
    found = flat(config, "") if config else {}
    return [
        [key, "(hidden)" if value is not None and is_secret(key.rpartition(".")[2]) else _shown(value)]
        for key, value in found.items()
    ]


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
