"""What a section of the configuration is made of: its base class and the types of its keys.

A section's model says which keys there are, of which type and in which range. It has no defaults: those
stand, with their comments, in configs/*.yaml. To add a key, write it there and add one field to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError, core_schema

#: Beyond any number that a setting can mean; keeps what cannot be stored in 64 bits away from the frameworks.
MOST = 10**12
#: Bytes of a name in a path, and of a whole one: Linux takes 4,096.
_NAME, _PATH = 255, 3500


class Section(BaseModel):
    """A group of keys. A value is taken as it is, never converted: "3" is not a number, and 1 is not true."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
    #: The type of keys that the model does not name, where there may be such.
    EXTRA: ClassVar[Any] = None


class Open(Section):
    """A group that takes any key: those of a framework, which are checked against the installed one."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class OneOf:
    """Limits a text to names that are kept elsewhere: `Annotated[str, OneOf(NAMES)]`.

    Attributes:
        names: What it may be.
    """

    names: Sequence[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        if value not in self.names:
            raise PydanticCustomError("one_of", "no such name")
        return value


@dataclass(frozen=True)
class Says:
    """What messages and the reference call a value, in place of "text" or "a number"."""

    noun: str


def wrong(message: str, fix: str = "", keys: Sequence[str] = ()) -> PydanticCustomError:
    """What a model's validator raises where keys contradict each other.

    Args:
        message: What is wrong, following `KEY=VALUE: `.
        fix: How to fix it, a sentence without a full stop.
        keys: The key it is told of, in the section; empty: the section itself.
    """
    context = {"said": message, "fix": fix, "keys": tuple(keys)}
    return PydanticCustomError("contradiction", "contradiction", context)


def _off(value: Any) -> Any:
    """`off` is a boolean to YAML."""
    return "off" if value is False else value


#: Marks a text that may be `off`.
Off = BeforeValidator(_off)


def _legible(value: str) -> str:
    """A name or a path is never blank, and stands on one line."""
    if not value.strip() or value.splitlines() != [value] or "\0" in value:
        raise PydanticCustomError("text", "not legible")
    return value


def _short(value: str) -> str:
    """No file system takes longer names; a path still needs room for what lies below it."""
    if any(len(part.encode(errors="surrogatepass")) > _NAME for part in value.split("/")):
        raise wrong(f"has a name of more than {_NAME} bytes, which no file system takes")
    if len(value.encode(errors="surrogatepass")) > _PATH:
        raise wrong(f"has more than {_PATH:,} bytes, which leaves no room for files below it")
    return value


Text = Annotated[str, MinLen(1), AfterValidator(_legible)]
Path = Annotated[str, MinLen(1), AfterValidator(_legible), AfterValidator(_short), Says("a path")]
ModelName = Annotated[
    str, MinLen(1), AfterValidator(_legible), AfterValidator(_short), Says("a model folder or hub id")
]
#: Whole numbers.
Count = Annotated[int, Ge(1), Le(MOST)]
CountOrZero = Annotated[int, Ge(0), Le(MOST)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
#: Numbers.
Positive = Annotated[float, Gt(0), Le(MOST)]
NotNegative = Annotated[float, Ge(0), Le(MOST)]
Share = Annotated[float, Ge(0), Le(1)]
ShareAboveZero = Annotated[float, Gt(0), Le(1)]
ShareBelowOne = Annotated[float, Ge(0), Lt(1)]
