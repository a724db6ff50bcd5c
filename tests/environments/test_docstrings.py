"""Docstrings in the styles that people write: what a tool does, and what its parameters are."""

import dataclasses
import datetime
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments.objects import object_world
from funreason_train.environments.schemas import sections, summary

GOOGLE = """Book a room.

Args:
    guest (dict[str, tuple(int)], optional): Who comes,
        and with whom.
    nights: How long.

Returns:
    Its number.
"""
NUMPY = """Book a room.

Parameters
----------
guest : dict, optional
    Who comes,
    and with whom.
nights : int, default: 1
    How long.

Returns
-------
str
    Its number.

See Also
--------
leave : Leave it.
"""
SPHINX = """Book a room.

:param dict guest: Who comes,
    and with whom.
:type guest: dict
:param nights: How long.
:returns: Its number.
:rtype: str
:raises ValueError: if it is taken

   no more of it
"""
OTHER_HEADINGS = """Book a room.

Parameters:
    guest: Who comes, and with whom.

Keyword Arguments:
    nights: How long.

Return:
    Its number.
"""
EPYTEXT = """Book a room.

@param guest: Who comes, and with whom.
@param nights: How long.
@return: Its number.
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX, OTHER_HEADINGS, EPYTEXT])
def test_every_style_tells_the_same(doc: str) -> None:
    assert summary(doc) == "Book a room."
    told = sections(doc)
    assert told["Args"] == {"guest": "Who comes, and with whom.", "nights": "How long."}
    assert told["Returns"] == {"": "Its number."}


@pytest.mark.parametrize(
    "doc",
    [
        "Weighs it: the scale\nis old.",
        "Sums a - b.\n\n    x\n    ---\n    1",
        "Look at http://x.example: it is there.",
        ":this is no field: of anything",
    ],
)
def test_what_is_in_no_style_stays_as_it_is(doc: str) -> None:
    assert summary(doc) == doc and sections(doc) == {}


@dataclasses.dataclass
class Stay:
    """A stay.

    Parameters
    ----------
    since
        The first day.
    """

    since: datetime.date


class Hotel:
    """A hotel that can be called, and whose answers stand inside it."""

    @dataclasses.dataclass
    class Room:
        number: int
        until: datetime.datetime

    def __init__(self) -> None:
        self.rooms: dict[int, Any] = {}

    def __call__(self) -> int:
        return len(self.rooms)

    def book(self, stay: "Stay", room: "Room | None" = None) -> "Room":
        """Book a room.

        :param stay: When.
        """
        self.rooms[1] = self.Room(1, datetime.datetime(2026, 3, 2, 9, 30))
        return self.rooms[1]

    def leave(self, number: int) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
        """Leave a room."""
        return self.rooms.pop(number)


def test_a_class_is_used_whatever_its_annotations_of_answers_name_and_whether_it_can_be_called() -> None:
    world = object_world(Hotel, "hotel")()
    book = next(one for one in world.tools() if one["name"] == "book")
    stay = book["parameters"]["properties"]["stay"]
    assert (book["description"], stay["description"]) == ("Book a room.", "When.")
    assert stay["properties"]["since"]["description"] == "The first day."
    assert book["parameters"]["properties"]["room"]["type"] == ["object", "null"]
    answer = world.call(Call("book", {"stay": {"since": "2026-03-01"}}))
    assert answer.value == {"number": 1, "until": "2026-03-02T09:30:00"}, answer.text
    assert world.snapshot() == {"rooms": {"1": answer.value}}
