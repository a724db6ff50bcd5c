"""What a run has spent on agents that are models: kept in its store, and forecast after the first samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..agents.account import Account, Usage, forecast
from .store import Store

FIRST = 20
"""Samples after which the whole run is forecast."""


class Spending:
    """Keeps the account of a run that may be interrupted.

    Args:
        store: Of the run; what earlier attempts spent stands there.
        account: Goes on from that.
        wanted: Conversations and tasks in all.
    """

    def __init__(self, store: Store, account: Account, wanted: int) -> None:
        self._store, self.account, self._wanted = store, account, wanted
        if held := store.note("account"):
            value = json.loads(held)
            account.spent.add(Usage.from_json(value["spent"]))
            self._samples, self._accepted = value["samples"], value["accepted"]
            same = value.get("wanted") == wanted  # with more to make, it will take more
            self.forecast: dict[str, Any] | None = value["forecast"] if same else None
        else:
            self._samples = self._accepted = 0
            self.forecast = None

    def after(self, made: Iterable[Mapping[str, Any]]) -> str:
        """Keeps what was spent up to now.

        Returns:
            For the progress: the cost so far, and the forecast once there is one.
        """
        for one in made:
            self._samples += 1
            self._accepted += bool(one["ok"])
        if self.forecast is None and self._samples >= FIRST and self._accepted:
            self.forecast = forecast(self.account.spent, self._accepted, self._wanted, self.account.budget)
            print(f"Forecast after {self._samples} samples: {self.forecast['sentence']}.", flush=True)
        self.keep()
        told = f", {self.account.spent.prompt + self.account.spent.completion:,} tokens"
        if self.account.cost:
            told += f", {self.account.cost:.2f} spent"
        if self.forecast is not None and self.account.cost:
            told += f" of about {self.forecast['cost']:.2f}"
        return told

    def keep(self) -> None:
        """Writes down what was spent, that of unfinished samples included."""
        held = {
            **{"samples": self._samples, "accepted": self._accepted, "wanted": self._wanted},
            **{"forecast": self.forecast, "spent": self.account.spent.to_json()},
        }
        self._store.keep("account", json.dumps(held))

    def to_json(self) -> dict[str, Any]:
        """For the funnel: what was used and what it cost."""
        return {
            **self.account.spent.to_json(),
            "cost": round(self.account.cost, 6),
            "prices": {
                "prompt": self.account.budget.prompt_price,
                "completion": self.account.budget.completion_price,
            },
            "forecast": self.forecast,
        }
