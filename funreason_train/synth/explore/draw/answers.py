"""What the answers of a conversation's calls hold, by where it stands in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..trace import Path, leaves, pattern, traits
from .formats import keeps

Schema = Mapping[str, Any]

_MOST = 400  # values of one answer
_LONGEST = 200  # characters of a value that a server's answer gives to another call
_TEXT = (str,)


class Answers:
    """The values of a conversation's answers.

    Args:
        served: Whether a server answers, whose messages (long, or of several lines) are no values.

    Attributes:
        values: Label (`TOOL/pattern of the path`) -> number of the call, path and value, oldest first.
        latest: Label -> number of the last call whose answer holds such a value.
    """

    def __init__(self, served: bool = False) -> None:
        self._served = served
        self.values: dict[str, list[tuple[int, Path, Any]]] = {}
        self.latest: dict[str, int] = {}
        self._whole: dict[int, Any] = {}
        self._bears: dict[int, tuple[str, ...]] = {}
        self._traits: dict[tuple[int, Path], tuple[str, ...]] = {}

    def add(
        self,
        number: int,
        tool: str,
        answer: Any,
        bears: tuple[str, ...],
        given: Collection[Any] = (),
    ) -> None:
        """Takes in an answer.

        Args:
            number: Of the call in the conversation.
            tool: That was called.
            answer: Its result.
            bears: Traits of what the call made, from what it was given; see `trace.traits`.
            given: Values that the call was given; where the answer only repeats one, nothing was found out.
        """
        self._whole[number] = answer
        if bears:
            self._bears[number] = bears
        for count, (path, value) in enumerate(leaves(answer)):
            if count >= _MOST:
                break
            if isinstance(value, str) and self._served and _is_message(value):
                continue
            if isinstance(value, str) and value != value.strip():  # nobody can tell the space around it
                continue
            if value is not None and not isinstance(value, bool) and value != "" and value not in given:
                label = f"{tool}/{pattern(path)}"
                self.values.setdefault(label, []).append((number, path, value))
                self.latest[label] = number

    def has(self, label: str, types: Sequence[type], schema: Schema, named: bool = False) -> bool:
        """Whether `of` finds any."""
        return next(self._of(label, types, schema, named), None) is not None

    def of(
        self, label: str, types: Sequence[type], schema: Schema, named: bool = False
    ) -> list[tuple[int, Path, Any]]:
        """The values under a label that can be given where one of some types is wanted, oldest first.

        Args:
            label: Where they stand.
            types: What is wanted.
            schema: Of what is wanted; a server's values have to keep to its lengths and bounds.
            named: Whether the label names what is wanted: a number is then given as text, as ids are.
        """
        return list(self._of(label, types, schema, named))

    def _of(
        self, label: str, types: Sequence[type], schema: Schema, named: bool
    ) -> Iterator[tuple[int, Path, Any]]:
        as_text = named and types == _TEXT
        for one in self.values[label]:
            if type(one[2]) not in types:
                if not as_text or type(one[2]) is not int:
                    continue
                one = (one[0], one[1], str(one[2]))
            if not self._served or keeps(schema, one[2]):
                yield one

    def traits(self, number: int, path: Path) -> tuple[str, ...]:
        """What is known of the record that a value names, what it was made with included."""
        place = (number, path[:-1])
        if place not in self._traits:
            record = self._whole[number]
            for part in path[:-1]:
                record = record[part]
            self._traits[place] = (*traits(record), *self._bears.get(number, ()))
        return self._traits[place]


def _is_message(text: str) -> bool:
    return len(text) > _LONGEST or "\n" in text.strip()
