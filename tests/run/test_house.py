"""The house: files and folders stay small, imports go downwards, no stage looks into another."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "funreason_train"
FILES = sorted(file for file in PACKAGE.rglob("*.py") if "_shipped" not in file.parts)
FOLDERS = sorted({file.parent for file in FILES})

#: Room -> the rooms that it may import: those below it. `cluster` and `pages` stand beside and know no data.
BELOW: dict[str, set[str]] = {"errors": set(), "plain": set(), "pages": set()}
BELOW["run"] = {"errors", "plain"}
BELOW["settings"] = {"errors", "plain", "pages", "run"}
BELOW["cluster"] = {"errors", "plain", "run", "settings"}
BELOW["calls"] = {"errors", "plain", "run", "settings"}
BELOW["dialogue"] = BELOW["calls"] | {"calls"}
BELOW["models"] = BELOW["dialogue"] | {"dialogue"}
BELOW["environments"] = BELOW["models"] | {"models", "pages"}
BELOW["reward"] = BELOW["environments"]
BELOW["parity"] = BELOW["environments"] | {"environments"}
_STAGE = BELOW["parity"] | {"reward", "parity", "cluster"}
BELOW |= dict.fromkeys(("synth", "data", "sft", "rl", "evaluate"), _STAGE)
BELOW["export"] = _STAGE | {"rl"}
BELOW["commands"] = set(BELOW)
BELOW["__main__"] = {"commands"}


def _imports(file: Path) -> Iterator[tuple[str, ...]]:
    """What a module imports of the package, wherever the import stands, as paths below the package."""
    folder = file.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = (*folder[: len(folder) - node.level + 1], *(node.module or "").split("."))
            elif (node.module or "").split(".")[0] == PACKAGE.name:
                base = tuple(str(node.module).split(".")[1:])
            else:
                continue
            yield from ((*filter(None, base), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from (tuple(name[1:]) for name in names if name[0] == PACKAGE.name and len(name) > 1)


@cache
def _modules() -> dict[tuple[str, ...], Path]:
    named = {file.relative_to(PACKAGE).with_suffix("").parts: file for file in FILES}
    return {name[:-1] if name[-1] == "__init__" else name: file for name, file in named.items()}


def _loaded(file: Path) -> set[Path]:
    """The modules that are imported while this one is: at its top level, outside of TYPE_CHECKING."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    folder, found = file.relative_to(PACKAGE).parts[:-1], set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*folder[: len(folder) - node.level + 1], *filter(None, (node.module or "").split(".")))
            for alias in node.names:
                target = _modules().get((*base, alias.name)) or _modules().get(base)
                if target is not None and target != file:
                    found.add(target)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_downwards(file: Path) -> None:
    room = file.relative_to(PACKAGE).with_suffix("").parts[0]
    if room == "__init__":  # which names where the public names are
        return
    used = {path[0] for path in _imports(file) if path and path[0] in BELOW} - {room}
    assert used <= BELOW[room], f"{room} stands below {sorted(used - BELOW[room])}"


def test_no_module_needs_itself_to_be_imported() -> None:
    state: dict[Path, int] = {}

    def visit(file: Path, way: tuple[Path, ...]) -> None:
        if state.get(file) == 1:
            names = [str(one.relative_to(PACKAGE)) for one in (*way[way.index(file) :], file)]
            raise AssertionError(f"a circle: {' -> '.join(names)}")
        if file not in state:
            state[file] = 1
            for other in sorted(_loaded(file)):
                visit(other, (*way, file))
            state[file] = 2

    for file in FILES:
        visit(file, ())


def test_every_file_can_be_read_at_one_sitting() -> None:
    sizes = {
        str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES
    }
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_every_folder_can_be_taken_in_at_a_glance() -> None:
    crowded = {}
    for folder in FOLDERS:
        entries = {
            entry.name
            for entry in folder.iterdir()
            if not entry.name.startswith(("__", ".", "_shipped"))
            and (entry.suffix == ".py" or entry in FOLDERS)
        }
        if len(entries) > (20 if folder == PACKAGE else 15):
            crowded[folder.name] = len(entries)
    assert crowded == {}


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {file.relative_to(PACKAGE).with_suffix("").parts[0] for file in FILES} - {"__init__"}
    assert rooms == set(BELOW)


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = Counter(file.name for file in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []  # pytest imports them by name
