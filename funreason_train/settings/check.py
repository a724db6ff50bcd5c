"""What is wrong with a configuration, taken by itself: every key of every section against its model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from ..errors import Problem
from ..run.changes import flat
from ..run.secrets import is_secret, repeats_secret, shows_secret
from .describe import choices, describe, fields, members, sections, shown, split, takes_text
from .names import nearest, unknown
from .root import models
from .section import Section

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_REFERENCE = re.compile(r"\$\{\s*([\w.]+)\s*\}")


class _Broken:
    """Stands for a value whose interpolation leads nowhere."""


_BROKEN = _Broken()


def problems(config: DictConfig) -> dict[str, Problem]:
    """Everything wrong with the keys and values of a composed configuration, by key.

    What the data, the machine and the installed frameworks have to say is for the stages' checks.
    """
    return _Check(config).problems


def of_section(name: str, values: Any) -> dict[str, Problem]:
    """Everything wrong with one section, by key.

    Args:
        name: The section; empty for the keys of the root.
        values: Its plain values.
    """
    found: dict[str, Problem] = {}
    for key, problem in _errors(name, models()[name], values):
        found.setdefault(key, problem)
    return found


def normalise(config: DictConfig) -> None:
    """Writes values in their one form, in place (`off`, which is a boolean to YAML, as a text)."""
    plain = _plain(config, {})
    for name, model in models().items():
        given = plain if not name else plain[name]
        wanted = model.model_validate(_own(given) if not name else given).model_dump()
        for key, value in _changes(given, wanted):
            OmegaConf.update(config, f"{name}.{key}" if name else key, value, force_add=True)


def sound(config: DictConfig, wrong: Sequence[str], shipped: DictConfig) -> DictConfig:
    """A copy whose wrong keys have their shipped values, so that the rest can be looked at.

    Args:
        config: The composed configuration.
        wrong: The keys of its problems.
        shipped: The configuration without a word of the user's.
    """
    copy = config.copy()
    OmegaConf.set_struct(copy, False)
    for key in wrong:
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(copy, parent) if parent else copy
        source = OmegaConf.select(shipped, parent) if parent else shipped
        if isinstance(source, DictConfig) and name in source.keys():  # noqa: SIM118 (`in` hides null)
            OmegaConf.update(copy, key, source._get_node(name), merge=False, force_add=True)
        elif isinstance(node, DictConfig) and name in node.keys():  # noqa: SIM118
            del node[name]
    OmegaConf.set_struct(copy, True)
    return copy


@dataclass(frozen=True)
class _Place:
    """What an error is about.

    Attributes:
        key: The setting, without its section.
        annotation: The type of what is wrong: of the setting, or of an item of its list.
        value: The setting's value.
        item: What is wrong inside of the value, if that is a list; the value itself otherwise.
        group: The section or group that the key stands in.
    """

    key: str
    annotation: Any
    value: Any
    item: Any
    group: type[Section]


class _Check:
    def __init__(self, config: DictConfig) -> None:
        self._config = config
        self._dangling: dict[str, str] = {}
        plain = _plain(config, self._dangling)
        self.problems: dict[str, Problem] = {}
        for name in models():
            self.problems |= of_section(name, plain.get(name) if name else _own(plain))
        for key, why in self._dangling.items():
            self.problems[key] = _dangling(key, self._raw(key), why)
        followed = [key for key in self.problems if self._follows(key) or self._holds_another(key)]
        for key in followed:
            del self.problems[key]
        self.problems |= {key: _secret_told(key) for key in _secrets(plain)}

    def _raw(self, key: str) -> str:
        parent, _, name = key.rpartition(".")
        node: Any = OmegaConf.select(self._config, parent) if parent else self._config
        child: Any = node._get_node(name) if isinstance(node, DictConfig) else None
        return "" if child is None else str(child._value())

    def _holds_another(self, key: str) -> bool:
        """Whether a group is wrong only for what is in it."""
        return any(other.startswith(f"{key}.") for other in self.problems)

    def _follows(self, key: str) -> bool:
        """Whether a value is taken over from a setting that is wrong itself."""
        try:
            raw = self._raw(key)
        except (OmegaConfBaseException, AttributeError):
            return False
        return any(name in self.problems and name != key for name in _REFERENCE.findall(raw))


def _secrets(plain: Mapping[str, Any]) -> Iterator[str]:
    """The settings that hold a secret: each is written into the run directory, and shown in reports."""
    for key, value in flat(plain).items():
        some = value if isinstance(value, list) else [value]
        texts = [one for one in some if isinstance(one, str)]
        variable = key.startswith("cluster.env.") and is_secret(key.rpartition(".")[2]) and any(texts)
        if variable or any(shows_secret(text) or repeats_secret(text) for text in texts):
            yield key


def _secret_told(key: str) -> Problem:
    return Problem(
        "holds a secret, which would be written into files",
        key,
        "Put it into an environment variable of the shell that starts the command (or Ray, on each node), or "
        "into a file that only you can read, and not into a setting by ${oc.env:NAME}; synth.key_variable "
        "names the variable of an endpoint's key",
    )


def _errors(name: str, model: type[Section], given: Any) -> Iterator[tuple[str, Problem]]:
    try:
        model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = _locate(model, given, detail["loc"])
            yield from _told(name, place, detail)


def _told(name: str, place: _Place, detail: ErrorDetails) -> Iterator[tuple[str, Problem]]:
    key = ".".join(part for part in (name, place.key) if part)
    kind = detail["type"]
    stranger = place.group.EXTRA is not None and "." not in place.key and place.key not in fields(place.group)
    if stranger and not isinstance(place.value, Mapping):
        kind = "extra_forbidden"
    if kind == "contradiction":
        context: dict[str, Any] = detail.get("ctx", {})
        where = key
        if context["keys"]:
            first = context["keys"][0]
            where = f"{key}.{first}" if key else first
            value = place.value
            for part in first.split("."):
                value = value[part]
            yield where, Problem(context["said"], f"{where}={shown(value)}", context["fix"] or None)
        else:
            yield where, Problem(context["said"], where, context["fix"] or None)
    elif kind == "extra_forbidden":
        near = nearest(place.key.rpartition(".")[2], fields(place.group))
        names = [*fields(place.group)]
        parent = key.rpartition(".")[0]
        said = unknown("setting", key, [f"{parent}.{near}" if parent else near] if near else names)
        yield key, Problem(said)
    elif kind == "missing":
        yield key, Problem(f"is missing; it must be {describe(place.annotation)}", key, f"Set {key}=…")
    else:
        said = f"must be {describe(place.annotation, place.item)}"
        if place.item is not place.value:
            said = f"the item {shown(place.item)} {said}"
        yield key, Problem(said, f"{key}={shown(place.value)}", _fix(key, place))


#: What YAML takes for a number, a boolean or null where it stands without quotes.
_NO_TEXT = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?|true|false|null", re.I)
#: What people call it -> what it is called here.
_OTHER_WORDS = {"gpu": "cuda", "gpus": "cuda", "nvidia": "cuda", "cpus": "cpu"}


def _meant(said: str, known: Sequence[str]) -> str | None:
    word = _OTHER_WORDS.get(said.lower())
    return word if word in known else nearest(said, known)


def _fix(key: str, place: _Place) -> str | None:
    lists = any(get_origin(split(member)[0]) is list for member in members(place.annotation))
    if isinstance(place.item, str) and (near := _meant(place.item, choices(place.annotation))):
        return f"Did you mean {near}?"
    if takes_text(place.annotation) and type(place.item) in (bool, int, float):
        return "Put it in quotes"
    if isinstance(place.item, str) and _NO_TEXT.fullmatch(place.item) and not takes_text(place.annotation):
        return "It is a text here: leave out the quotes, or write ${oc.decode:${oc.env:NAME}} for a variable"
    if lists and isinstance(place.value, str) and re.fullmatch(r"\[[^\[\]{}]*", place.value):
        return f"The list is not closed: {key}={place.value}]"
    if lists and isinstance(place.value, str) and re.fullmatch(r"\[.*[^,]\]", place.value):
        return f"Put names with blanks, brackets or commas in quotes: {key}=['a b',c]"
    if lists and isinstance(place.value, (str, int, float)) and not re.search(r"[\[\]{}]", str(place.value)):
        return f"Write {key}=[{shown(place.value)}]"
    if isinstance(place.item, str) and re.fullmatch(r"[^,\[\]{}]+(,[^,\[\]{}]+)+", place.item):
        return "A command takes one value of each setting; run it once for each"
    return None


def _dangling(key: str, raw: str, why: str) -> Problem:
    return Problem(
        why,
        f"{key}={raw}",
        "Inside ${…} stands another setting, or ${oc.env:NAME} for a variable of the shell; write \\${…} for"
        " the text itself",
    )


def _locate(model: type[Section], given: Any, loc: Sequence[str | int]) -> _Place:
    """Follows an error's path through types and values; parts that name a union's member lead nowhere."""
    annotation: Any = model
    group, keys = model, []
    value: Any = given
    item: Any = given
    for part in loc:
        groups = sections(annotation)
        if part in groups and part:
            annotation = groups[str(part)]
        elif groups and isinstance(item, (Mapping, type(None))):
            group = next(iter(groups.values()))
            annotation = fields(group).get(str(part), group.EXTRA or Any)
            keys.append(str(part))
            value = item = item.get(part) if isinstance(item, Mapping) else None
        elif isinstance(item, list) and isinstance(part, int):
            annotation, item = _inner(annotation, list), item[part]
        elif isinstance(item, Mapping) and part in item:
            annotation = _inner(annotation, dict)
            keys.append(str(part))
            value = item = item[part]
    return _Place(".".join(keys), annotation, value, item, group)


def _inner(annotation: Any, kind: type) -> Any:
    """The type of a list's items or of a mapping's values."""
    for member in members(annotation):
        base = split(member)[0]
        if get_origin(base) is kind:
            return get_args(base)[-1]
    return Annotated[Any, None]


def _own(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the root that are not sections."""
    return {key: value for key, value in plain.items() if key not in models()}


def _changes(given: Any, wanted: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        for key in given.keys() & wanted.keys():
            yield from _changes(given[key], wanted[key], f"{prefix}{key}.")
    elif type(given) is not type(wanted) or given != wanted:
        yield prefix[:-1], wanted


def _plain(config: DictConfig, dangling: dict[str, str]) -> dict[str, Any]:
    """The configuration as plain values; what cannot be resolved is noted."""
    try:
        found: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException:
        found = _leaf_by_leaf(config, "", dangling)
    named: dict[str, Any] = _named(found)
    return named


def _named(value: Any) -> Any:
    """The same with every key a text (YAML's may be numbers)."""
    return {str(key): _named(one) for key, one in value.items()} if isinstance(value, dict) else value


def _leaf_by_leaf(node: DictConfig, prefix: str, dangling: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in list(node.keys()):
        key = f"{prefix}{name!s}"
        if OmegaConf.is_missing(node, name):
            continue
        try:
            child = node[name]
            if isinstance(child, DictConfig):
                child = _leaf_by_leaf(child, f"{key}.", dangling)
            elif OmegaConf.is_config(child):
                child = OmegaConf.to_container(child, resolve=True)
        except OmegaConfBaseException as error:
            dangling[key] = str(error).splitlines()[0]
            child = _BROKEN
        found[str(name)] = child
    return found
