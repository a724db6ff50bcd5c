"""Where configuration files are: those that are shipped, and those of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError

#: Where the settings of a file go that does not say it (`# @package …`); into its group otherwise.
_PACKAGES = {"recipes": "_global_", "algorithm": "rl.algorithm", "reward": "rl.reward"}


def shipped(folder: str) -> Path:
    """`configs` or `recipes`: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def _names(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.yaml"))


def group_choices(own: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Every configuration group that `GROUP=NAME` chooses from, and its choices.

    Args:
        own: Folders with groups of the user's own.
    """
    found = {}
    for folder in sorted(path for path in shipped("configs").iterdir() if path.is_dir()):
        if folder.name != "dataset":  # whose members have names of their own: mine.format=FORMAT
            more = [name for one in own for name in _names(one / folder.name)]
            found[folder.name] = list(dict.fromkeys([*_names(folder), *more]))
    return found


def formats() -> list[str]:
    """The formats that a data set can have."""
    return _names(shipped("configs") / "dataset")


def recipes(own: Sequence[Path] = ()) -> list[str]:
    """The names that `+recipe=` takes.

    Args:
        own: Folders that may hold recipes/NAME.yaml.
    """
    found = [name for folder in own for name in _names(folder / "recipes")]
    return list(dict.fromkeys([*_names(shipped("recipes")), *found]))


def is_file(value: str) -> bool:
    """Whether a choice is meant as a file of the user's own."""
    return value.endswith((".yaml", ".yml"))


def search_folder(place: str) -> Path:
    """A folder to look for configuration files in.

    Raises:
        UserError: there is none.
    """
    folder = Path(place.removeprefix("file://")).expanduser().absolute()
    if not folder.is_dir():
        raise UserError("there is no such folder", where=place, fix="It holds groups: cluster/NAME.yaml, …")
    return folder


@dataclass
class OwnFiles:
    """Configuration files from anywhere, shown to Hydra as members of their groups.

    Each stands under a name of its own in a folder that is searched, beside links to its neighbours, so that
    its defaults list may name those as well as what is shipped.

    Attributes:
        folder: The folder to search.
        files: The name in the group -> the user's file.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)

    def add(self, group: str, place: str) -> str:
        """The name under which a file can be chosen from its group.

        Raises:
            UserError: the file is not there.
        """
        file = Path(place).expanduser().absolute()
        if not file.is_file():
            raise UserError("there is no such file", where=f"{group.removesuffix('s')}={place}")
        name = f"own-{len(self.files) + 1}"
        members = self.folder / group
        members.mkdir(exist_ok=True)
        for neighbour in file.parent.glob("*.yaml"):
            if not (members / neighbour.name).exists():
                (members / neighbour.name).symlink_to(neighbour)
        text = file.read_text(encoding="utf-8-sig")  # whose mark would hide the first line
        held = check_file(file, text)
        if group == "recipes":
            _check_sections(file, held)
        if "@package" not in text and group in _PACKAGES:
            text = f"# @package {_PACKAGES[group]}\n{text}"
        (members / f"{name}.yaml").write_text(text, encoding="utf-8")
        self.files[name] = file
        return name

    def named(self, message: str) -> str:
        """A message of Hydra's that speaks of the user's files as the user does."""
        for group in self.folder.iterdir():
            for name, file in self.files.items():
                for written in (f"{group}/{name}.yaml", f"{group.name}/{name}"):
                    message = message.replace(written, str(file))
        return message


def _check_sections(file: Path, held: dict[str, Any]) -> None:
    """Makes sure that a recipe's sections hold settings: what one chooses stands among the defaults.

    Raises:
        UserError: the first one that does not.
    """
    groups = group_choices()
    for name, value in held.items():
        if name in groups and isinstance(value, str):
            chosen = f"defaults: [{{override /{name}: {value}}}]"
            if name == "model" and value not in groups[name]:
                chosen = f"model: {{path: {value}}}"
            said = f"{name}: {value} chooses nothing here"
            raise UserError(said, where=str(file), fix=f"Write `{chosen}`")
        if isinstance(value, list) and name in {*groups, *_names(shipped("configs"))}:
            fix = f"Write `{name}:` and below it one setting a line, KEY: VALUE"
            raise UserError(f"{name} holds a list, not settings", where=str(file), fix=fix)


def check_file(file: Path, text: str) -> dict[str, Any]:
    """Makes sure that a file is made of settings, where Hydra would say in words of its own that it is not.

    Raises:
        UserError: it is not YAML, not `KEY: VALUE` lines, or its defaults list is in no form Hydra reads.
    """
    import yaml

    try:
        if twice := _key_given_twice(yaml.compose(text, yaml.SafeLoader)):
            raise UserError(f"gives the key {twice} twice", where=str(file))
        held = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"is not YAML ({error.problem})", where=f"{file}{line}") from None
    except RecursionError:
        raise UserError(
            "contains a value that contains itself, or is nested too deeply", where=str(file)
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a character that YAML forbids, a date that does not exist
        raise UserError(f"is not YAML ({' '.join(str(error).split())})", where=str(file)) from None
    if held is None:
        return {}
    if not isinstance(held, dict):
        what = "a list" if isinstance(held, list) else "one value"
        raise UserError(
            f"holds {what}, not settings", where=str(file), fix="Write one setting a line, KEY: VALUE"
        )
    defaults = held.get("defaults", [])
    if not isinstance(defaults, list):
        fix = "Write `defaults: [NAME]`, or a list of `- GROUP: NAME`"
        raise UserError("its defaults are not a list", where=str(file), fix=fix)
    for one in defaults:
        if not isinstance(one, str) and not (isinstance(one, dict) and len(one) == 1):
            raise UserError(
                f"its defaults hold {one!r:.60}, which is neither NAME nor GROUP: NAME", where=str(file)
            )
    return held


def _key_given_twice(node: Any) -> str | None:
    """The first key that stands twice in one mapping of a YAML text, of which Hydra would keep neither."""
    import yaml

    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:  # an anchor that holds itself
            continue
        seen.add(id(one))
        if isinstance(one, yaml.SequenceNode):
            waiting += one.value
        if isinstance(one, yaml.MappingNode):
            keys = [key.value for key, _ in one.value if isinstance(key, yaml.ScalarNode)]
            for number, key in enumerate(keys):
                if key in keys[:number]:
                    return str(key)
            waiting += [part for pair in one.value for part in pair]
    return None


@contextmanager
def own_files() -> Iterator[OwnFiles]:
    """A place for files of the user's own while a configuration is composed."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="funreason-") as folder:
        yield OwnFiles(Path(folder))
