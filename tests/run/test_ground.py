"""The ground of the house: what `run/` imports lies below it, so that every stage may stand on it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "funreason_train"
BELOW = {"errors", "plain", "run"}


def imported(file: Path) -> set[str]:
    """The parts of the package that a module imports, wherever in it the import stands."""
    folder, found = file.relative_to(PACKAGE).parts[:-1], set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = folder[: len(folder) - node.level + 1]
            path = [*above, *(node.module or "").split(".")]
            names = [path[0]] if path[0] else [alias.name for alias in node.names]
            found |= {name for name in names if name != "__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("funreason_train."):
            found.add(str(node.module).split(".")[1])
    return found


@pytest.mark.parametrize("file", sorted((PACKAGE / "run").glob("*.py")), ids=lambda file: file.stem)
def test_the_ground_imports_nothing_above_it(file: Path) -> None:
    assert imported(file) <= BELOW


def test_nothing_below_the_roof_imports_it() -> None:
    below = [file for file in PACKAGE.rglob("*.py") if "commands" not in file.relative_to(PACKAGE).parts]
    stray = [str(file) for file in below if "commands" in imported(file) and file.name != "__main__.py"]
    assert stray == []
