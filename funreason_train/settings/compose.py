"""From the words after a command to the one resolved configuration.

Every command composes the same tree (`configs/config.yaml`). A key on the command line is looked up at the
root first and then in the command's own section; group names (`model`, `cluster`, …) take one of their
choices, `model=` also a folder or hub id (`eval` a list of them), and `+recipe=NAME` one of `recipes/*.yaml`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .kinds import misfit

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Nodes whose keys belong to a framework or to the user, so that new ones may be added.
FREE_NODES = ("sft.llamafactory", "rl.verl", "cluster.env")


#: Settings that their stage judges, with what its data lacks (rl/ranges.py, data/settings.py).
_TOLD_ELSEWHERE = ("rl.", "data.")


def shipped(folder: str) -> Path:
    """`configs` or `recipes`: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def group_choices() -> dict[str, list[str]]:
    """Every configuration group and its choices."""
    folders = sorted(path for path in shipped("configs").iterdir() if path.is_dir())
    return {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}


def recipes() -> list[str]:
    """The names that `+recipe=` takes."""
    return sorted(file.stem for file in shipped("recipes").glob("*.yaml"))


@dataclass(frozen=True)
class _Word:
    """One command-line override, taken apart: `prefix` is "", "+", "++" or "~"."""

    prefix: str
    key: str
    value: str | None

    @classmethod
    def read(cls, text: str) -> _Word:
        body = text.lstrip("+~")
        key, equals, value = body.partition("=")
        if not key or (not equals and not text.startswith("~")):
            raise UserError(
                f"'{text}' is not a setting", mend="Settings are written key=value, for example seed=1"
            )
        return cls(text[: len(text) - len(body)], key.strip(), value if equals else None)

    def __str__(self) -> str:
        return f"{self.prefix}{self.key}" + ("" if self.value is None else f"={_quoted(self.value)}")


def _quoted(value: str) -> str:
    """The value, quoted if Hydra's grammar cannot read it bare or would take its commas for a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        if not OverridesParser.create().parse_override(f"key={value}").is_sweep_override():
            return value
    except HydraException:
        pass  # what the grammar cannot read is meant as it stands
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    return f"'{escaped}'"


def compose(section: str | None, words: Sequence[str] = ()) -> DictConfig:
    """Composes the tree for a command.

    Args:
        section: The command's own section (`data`, `sft`, …), or None for the root alone.
        words: What the user wrote after the command.

    Returns:
        The configuration, in struct mode, interpolations not yet resolved.

    Raises:
        UserError: naming every unknown key (with the nearest known one), group choice and recipe at once.
    """
    groups, problems = group_choices(), []
    choices: list[str] = []
    settings: list[_Word] = []
    for word in map(_Word.read, words):
        if word.key == "recipe":
            if word.value not in recipes():
                problems.append(unknown("recipe", str(word.value), recipes()))
            else:
                choices.append(f"+recipes={word.value}")
        elif word.key in groups:
            if word.value in groups[word.key]:
                choices.append(f"{word.key}={word.value}")
            elif word.key == "model" and str(word.value).startswith("["):
                if section == "eval":
                    settings.append(_Word("", "eval.models", word.value))
                else:
                    problems.append(f"model={word.value}: only `eval` takes several models")
            elif word.key == "model":
                settings.append(_Word("", "model.path", word.value))
            elif word.key == "reward" and section == "doctor":
                settings.append(_Word("", "doctor.reward", word.value))
            elif word.key == "reward" and ".py" in str(word.value):
                settings.append(_Word("", "rl.reward_function", word.value))
            else:
                problems.append(unknown(word.key, str(word.value), groups[word.key]))
        else:
            settings.append(word)
    known = _hydra(choices)
    if own := _own_data_sets(settings, section, known, groups["dataset"], problems):
        settings = [word for word in settings if word not in own]
        choices += filter(None, own.values())
        known = _hydra(choices)
        names = {word.key.removeprefix("data.").partition(".")[0] for word, choice in own.items() if choice}
        choices += [
            f"data.{name}.{key}=null"
            for name in sorted(names)
            for key in ("path", "hub_file", "licence")  # of the public data set, and not of the user's
            if key in known.data[name]
        ]
    placed = []
    for word in settings:
        try:
            placed.append(_place(word, section, known))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    composed = _hydra([*choices, *map(str, placed)])
    if problems := [*_misfits(placed, known, composed), *_dangling(placed, composed)]:
        raise UserError("; ".join(problems))
    return composed


def _dangling(words: Iterable[_Word], composed: DictConfig) -> list[str]:
    """Every `${…}` in what the user wrote that refers to nothing."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    found = []
    for word in words:
        if word.value is None or "${" not in word.value:
            continue
        try:
            value = OmegaConf.select(composed, word.key)
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
        except OmegaConfBaseException as error:
            found.append(
                f"{word.key}={word.value}: {str(error).splitlines()[0]} (inside ${{…}} stands another"
                " setting, or ${oc.env:NAME} for a variable of the shell; write \\${…} for the text itself)"
            )
    return found


def _misfits(words: Iterable[_Word], known: DictConfig, composed: DictConfig) -> list[str]:
    """Every setting whose value is of another kind than the one that it had before the user's word."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    found = []
    for word in words:
        if word.key.startswith(_TOLD_ELSEWHERE):
            continue
        try:
            before, now = (OmegaConf.select(one, word.key) for one in (known, composed))
        except OmegaConfBaseException:  # an interpolation that leads nowhere is told by `_dangling`
            continue
        if problem := misfit(word.key, before, now):
            found.append(problem)
    return found


def _own_data_sets(
    settings: Sequence[_Word], section: str | None, known: DictConfig, formats: list[str], problems: list[str]
) -> dict[_Word, str]:
    """Data sets that are declared on the command line: `mine.format=openai` -> the choice that adds the node,
    empty for a format that does not exist.

    Args:
        settings: The words that are no choices.
        section: The command's own section.
        known: The configuration without them.
        formats: The choices of the group `dataset`.
        problems: Receives the sentence for a format that does not exist.
    """
    found = {}
    for word in settings:
        place = word.key.removeprefix("data.") if word.key.startswith("data.") or section == "data" else ""
        name, _, key = place.partition(".")
        if key != "format" or not name.isidentifier() or name in known.data or name in known:
            continue
        found[word] = f"+dataset@data.{name}={word.value}" if word.value in formats else ""
        if not found[word]:
            problems.append(unknown("data format", str(word.value), formats))
    return found


def _hydra(overrides: Iterable[str]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    search = f"hydra.searchpath=[{_quoted('file://' + str(shipped('recipes').parent))}]"
    try:
        with initialize_config_dir(str(shipped("configs")), version_base="1.3"):
            return hydra_compose("config", overrides=[search, *overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"the settings do not fit together: {' '.join(str(error).split())}") from None


def _place(word: _Word, section: str | None, known: DictConfig) -> _Word:
    """The word with its key made absolute, after making sure that the key exists."""
    head = word.key.split(".")[0]
    if head not in known and section is not None and head in known[section]:
        word = _Word(word.prefix, f"{section}.{word.key}", word.value)
    if any(word.key.startswith(node + ".") for node in FREE_NODES):
        return _Word(word.prefix if word.prefix == "~" else "++", word.key, word.value)
    if _exists(known, word.key):
        return _Word("" if word.prefix.startswith("+") else word.prefix, word.key, word.value)
    here = [*leaves(known), *(leaves(known[section]) if section else [])]
    raise UserError(unknown("setting", word.key, here))


def _exists(config: Any, key: str) -> bool:
    from omegaconf import DictConfig

    for part in key.split("."):
        if not isinstance(config, DictConfig) or part not in config.keys():  # noqa: SIM118 (`in` hides null)
            return False
        config = config._get_node(part)
        if isinstance(config, DictConfig) and config._is_none():
            return False
    return True


def leaves(config: DictConfig, prefix: str = "") -> list[str]:
    """Every key of the tree, dotted, nodes included."""
    from omegaconf import DictConfig

    found = []
    for key in map(str, config):
        found.append(f"{prefix}{key}")
        child = config._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            found += leaves(child, f"{prefix}{key}.")
    return found


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest one that does."""
    known = list(dict.fromkeys(known))
    section, _, tail = name.rpartition(".")
    short = [key for key in known if _initials(key.split(".")[-1]) == tail]
    short.sort(key=lambda key: key.rpartition(".")[0] != section)
    near = short[:1] or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:  # a wrong section or a forgotten one: compare the last part alone
        near = [key for key in known if key.split(".")[-1] == tail][:1]
        near = near or difflib.get_close_matches(tail, known, n=1, cutoff=0.6)
    if near:
        return f"there is no {kind} '{name}'; did you mean '{near[0]}'?"
    listed = f" (there are: {', '.join(known)})" if len(known) <= 12 else ""
    return f"there is no {kind} '{name}'{listed}"


def _initials(key: str) -> str:
    """What people call `learning_rate`; empty for a single word."""
    words = key.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""
