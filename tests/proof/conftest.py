"""The proof's scripts find each other as they do when they are run: beside each other."""

import sys
from pathlib import Path
from typing import Any

import pytest

GPU = Path(__file__).parents[2] / "proof" / "gpu"


@pytest.fixture(autouse=True)
def beside(monkeypatch: Any) -> Any:
    monkeypatch.syspath_prepend(str(GPU))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(GPU)):
            del sys.modules[name]
