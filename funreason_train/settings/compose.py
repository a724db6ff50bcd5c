"""From the words after a command to the one configuration.

Every command composes the same tree (`configs/config.yaml`). A key on the command line is looked up at the
root first and then in the command's own section; group names (`model`, `cluster`, …) take one of their
choices or a YAML file, `model=` also a folder or hub id (`eval` a list of them), and `+recipe=` one of
`recipes/*.yaml` or a file. Hydra composes once; the words of the command line are laid over the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Problem, UserError, refuse
from .names import unknown
from .places import OwnFiles, formats, group_choices, is_file, own_files, recipes, search_folder, shipped
from .words import Word, quoted

if TYPE_CHECKING:
    from hydra.errors import MissingConfigException
    from omegaconf import DictConfig

#: Nodes whose keys belong to a framework or to the user, so that new ones may be added and taken away.
FREE_NODES = ("sft.llamafactory", "rl.verl", "cluster.env")
#: What Hydra stumbles over in files of a form that it does not foresee.
_OF_HYDRA = (ValueError, TypeError, AttributeError, AssertionError, KeyError, IndexError)
#: `doctor=off`, which is short for `doctor.preflight=false`.
SWITCH = {"on": "true", "true": "true", "off": "false", "false": "false"}


@dataclass
class Composed:
    """A configuration, and what was wrong with the words that it was composed from.

    Attributes:
        config: In struct mode, interpolations not resolved; without the words that are wrong.
        problems: Unknown keys, group choices, recipes and files.
    """

    config: DictConfig
    problems: list[Problem] = field(default_factory=list)


def compose(section: str | None, words: Sequence[str] = ()) -> DictConfig:
    """Composes the tree for a command, without looking at values (`load_settings` does).

    Args:
        section: The command's own section (`data`, `sft`, …), or None for the root alone.
        words: What the user wrote after the command.

    Returns:
        The configuration, in struct mode, interpolations not yet resolved.

    Raises:
        UserError: naming every unknown key (with the nearest known one), group choice and recipe at once.
    """
    composed = gather(section, words)
    refuse(composed.problems)
    return composed.config


def gather(section: str | None, words: Sequence[str] = ()) -> Composed:
    """Composes the tree from what can be understood, and says what cannot.

    Raises:
        UserError: Hydra cannot compose the choices, or a word is not a setting at all.
    """
    read = [Word.read(text) for text in words]
    problems: list[Problem] = []
    folders = _search_folders(read, problems)
    with own_files() as own:
        choices, settings = _choices(section, read, folders, own, problems)
        config = _hydra(choices, folders, own)
    declared = _declare_data_sets(settings, section, config)
    placed = []
    for word in (word for word in settings if word not in declared):
        try:
            placed.append(_placed(word, section, config))  # before a group may have become something else
        except UserError as error:
            problems.append(Problem.of(error))
    for word in placed:
        try:
            _lay(word, config)
        except UserError as error:
            problems.append(Problem.of(error))
    return Composed(config, problems)


def _search_folders(words: Iterable[Word], problems: list[Problem]) -> list[Path]:
    """The folders of `hydra.searchpath=[…]`; nothing else of Hydra's own can be set."""
    found = []
    for word in words:
        if word.key == "hydra.searchpath":
            for place in word.names():
                try:
                    found.append(search_folder(place))
                except UserError as error:
                    problems.append(Problem.of(error))
        elif word.key.split(".")[0] == "hydra":
            problems.append(
                Problem("only hydra.searchpath can be set", word.key, "run_dir=DIR says where results go")
            )
    return found


def _choices(
    section: str | None, words: Iterable[Word], folders: list[Path], own: OwnFiles, problems: list[Problem]
) -> tuple[list[str], list[Word]]:
    """Divides the words into Hydra's choices and settings, which are laid over what is chosen."""
    groups, named = group_choices(folders), recipes(folders)
    chosen: list[str] = []
    choices: list[str] = []
    settings: list[Word] = []
    for word in words:
        key, value = word.key, str(word.value)
        if key.split(".")[0] == "hydra":
            continue
        if key == "model" and section == "synth":  # who writes; nothing is trained there
            settings.append(Word("", "synth.model", value))
            continue
        if key == "doctor" and value in SWITCH:
            settings.append(Word("", "doctor.preflight", SWITCH[value]))
            continue
        if key not in groups and key != "recipe":
            settings.append(word)
            continue
        if word.prefix == "~":
            problems.append(Problem(f"a choice cannot be removed; choose another {key}", f"~{key}"))
        elif key == "recipe":
            for name in word.names():
                if is_file(name) or name in named:
                    chosen += _member("recipes", name, own, problems)
                else:
                    problems.append(Problem(unknown("recipe", name, named), None, "A file ends in .yaml"))
        elif value in groups[key] or is_file(value):
            choices += [f"{key}={name}" for name in _member(key, value, own, problems)]
        elif key == "model" and value.startswith("["):
            if section == "eval":
                settings.append(Word("", "eval.models", value))
            else:
                problems.append(Problem("only `eval` takes several models", f"model={value}"))
        elif key == "model":
            settings.append(Word("", "model.path", value))
        elif key == "reward" and section == "doctor":
            settings.append(Word("", "doctor.reward", value))
        elif key == "reward" and ".py" in value:
            settings.append(Word("", "rl.reward_function", value))
        else:
            fix = f"A file of your own is given as {key}=FILE.yaml"
            problems.append(Problem(unknown(key, value, groups[key]), None, fix))
    if chosen:
        choices.append(f"+recipes=[{','.join(chosen)}]")
    return choices, settings


def _member(group: str, name: str, own: OwnFiles, problems: list[Problem]) -> list[str]:
    """The name to choose from a group; none if it is a file that is not there."""
    if not is_file(name):
        return [name]
    try:
        return [own.add(group, name)]
    except (UserError, OSError, UnicodeError) as error:
        problems.append(
            Problem.of(error) if isinstance(error, UserError) else Problem(f"cannot be read ({error})", name)
        )
        return []


#: What Hydra says -> what the user most probably meant.
_HINTS = {
    "No match in the defaults list": "In a recipe a group is named with a slash: override /GROUP: NAME",
    "Cannot merge DictConfig with ListConfig": "A list stands where settings are expected, KEY: VALUE",
}


def _hydra(choices: Iterable[str], folders: Sequence[Path], own: OwnFiles) -> DictConfig:
    import yaml
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    searched = [own.folder, shipped("recipes").parent, *folders]
    search = f"hydra.searchpath=[{','.join(quoted(f'file://{folder}') for folder in searched)}]"
    try:
        with initialize_config_dir(str(shipped("configs")), version_base="1.3"):
            return hydra_compose("config", overrides=[search, *choices])
    except MissingConfigException as error:
        raise _missing(error, own) from None
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, *_OF_HYDRA) as error:
        said = own.named(" ".join(str(error).split()))
        fix = next((fix for words, fix in _HINTS.items() if words in said), None)
        raise UserError(f"the configuration files do not fit together: {said}", fix=fix) from None
    except RecursionError:  # of YAML, whose anchors can hold themselves
        files = ", ".join(map(str, own.files.values())) or ", ".join(map(str, choices))
        raise UserError(
            f"a configuration file contains itself, or a value that contains itself ({files:.200})"
        ) from None


def _missing(error: MissingConfigException, own: OwnFiles) -> UserError:
    """Says which file a defaults list names that does not exist."""
    named = own.named(str(error.missing_cfg_file))
    group, _, name = named.rpartition("/")
    holder = re.search(r"In '([^']+)'", own.named(str(error)))
    where = holder[1] if holder and holder[1] != "config" else None
    there = list(error.options or ()) or (recipes() if group == "recipes" else [])
    return UserError(
        unknown(
            "recipe" if group == "recipes" else group or "configuration",
            name,
            [one for one in there if one not in own.files],
        ),
        where=f"the defaults of {where}" if where else None,
        fix="A neighbour of the file is named without its ending, one of a group as /GROUP: NAME",
    )


def _declare_data_sets(settings: Iterable[Word], section: str | None, config: DictConfig) -> list[Word]:
    """Adds the data sets of the user's own: `mine.format=openai`, or `mine={format: openai, path: FILE}`.

    Their other keys are those of the format.

    What belongs to the public data set in that format (its place and licence) is empty.

    Returns:
        The words that declare them.
    """
    from omegaconf import OmegaConf, open_dict

    found = []
    for word in settings:
        place = word.key.removeprefix("data.") if word.key.startswith("data.") or section == "data" else ""
        name, _, key = place.partition(".")
        if key not in ("format", "") or not name.isidentifier() or name in config.data or name in config:
            continue
        given = {"format": word.value} if key else word.parsed()
        if not isinstance(given, dict) or "format" not in given:
            continue
        found.append(word)
        # A format that does not exist is told with the other values; until then it has anyone's keys.
        like = given.pop("format") if given["format"] in formats() else "openai"
        shown = OmegaConf.load(shipped("configs") / "dataset" / f"{like}.yaml")
        empty = {key: None for key in ("path", "hub_file", "licence") if key in shown}
        node = OmegaConf.merge(shown, empty, given)
        with open_dict(config.data):
            config.data[name] = node
    return found


def _placed(word: Word, section: str | None, config: DictConfig) -> Word:
    """The word with its key made absolute, after making sure that the key exists.

    A data set may be called like a section: in the command's own one, `synth.path` is the data set's.
    """
    if section is not None:
        inner = f"{section}.{word.key}"
        own = "." in word.key and _exists(config, inner)
        if own or (not _exists(config, word.key) and word.key.split(".")[0] in config[section]):
            word = Word(word.prefix, inner, word.value)
    free = any(word.key.startswith(f"{node}.") for node in FREE_NODES)
    if (free and word.prefix != "~") or _exists(config, word.key):
        return word
    _no_data_set(word, section, config)
    here = [*leaves(config), *(leaves(config[section]) if section else [])]
    raise UserError(unknown("setting", word.key, here))


#: Keys by which a setting is known to be meant for a data set of the user's own.
_OF_DATA_SETS = ("format", "path", "weight", "rows", "split", "licence", "dedup")


def _no_data_set(word: Word, section: str | None, config: DictConfig) -> None:
    """Says what a data set lacks that the word is meant for.

    Raises:
        UserError: if there is one that it could be meant for.
    """
    if section != "data" and not word.key.startswith("data."):
        return
    name, _, key = word.key.removeprefix("data.").partition(".")
    if key not in _OF_DATA_SETS or name in config.data:
        return
    if not name.isidentifier() or name in config:
        fix = "It has letters, digits and _, and is not that of a section"
        raise UserError(f"'{name}' cannot be the name of a data set", where=word.key, fix=fix)
    declared = word.key.removesuffix(key) + "format"
    fix = f"Say what its rows look like, with {declared}=FORMAT ({', '.join(formats())})"
    raise UserError(f"there is no data set '{name}'", where=word.key, fix=fix)


def _lay(word: Word, config: DictConfig) -> None:
    """Lays one setting over the configuration."""
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    parent, _, name = word.key.rpartition(".")
    if word.prefix == "~":
        if not any(word.key.startswith(f"{node}.") for node in FREE_NODES):
            raise UserError(
                "a setting cannot be removed",
                where=f"~{word.key}",
                fix=f"Give it another value, or null where its comment allows it: {word.key}=null",
            )
        node = OmegaConf.select(config, parent)
        with open_dict(node):
            del node[name]
        return
    value = _value(word)
    group = _node(config, word.key)
    # Nothing of a section or a data set would be left to look at; other groups are told with other values.
    if not isinstance(value, Mapping) and group is not None and (not parent or "format" in group):
        raise UserError(
            f"must be a group of keys ({', '.join(list(map(str, group))[:6])} …)",
            where=f"{word.key}={word.value}",
        )
    merged = isinstance(value, Mapping) and group is not None  # other kinds are told with other values
    try:
        OmegaConf.update(config, word.key, value, merge=merged, force_add=True)
    except OmegaConfBaseException as error:
        raise UserError(
            f"cannot be set ({str(error).splitlines()[0]})", where=f"{word.key}={word.value}"
        ) from None


def _value(word: Word) -> Any:
    """The value; a number or a boolean where only a text can stand is the text that it was written as."""
    value = word.parsed()
    if type(value) in (int, float, bool):
        from .describe import takes_text
        from .keys import annotation_of_key

        if takes_text(annotation_of_key(word.key)):
            return str(word.value).strip()
    return value


def _exists(config: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    group = _node(config, parent) if parent else config
    return group is not None and name in group.keys()  # noqa: SIM118 (`in` hides null)


def _node(config: Any, key: str) -> DictConfig | None:
    """The group of keys that stands under a key; None if there is none."""
    from omegaconf import DictConfig

    for part in key.split("."):
        if not isinstance(config, DictConfig) or part not in config.keys():  # noqa: SIM118
            return None
        config = config._get_node(part)
        if isinstance(config, DictConfig) and config._is_none():
            return None
    return config if isinstance(config, DictConfig) else None


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
