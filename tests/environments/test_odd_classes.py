"""Classes as people write them: slots, types of one's own, records of records, methods that are wrapped."""

import dataclasses
import datetime
import decimal
import enum
import functools
import ipaddress
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, NotRequired, Required, TypedDict, TypeVar

import annotated_types
import pydantic
import pytest

from funreason_train.calls import Call
from funreason_train.environments.objects import object_world
from funreason_train.errors import UserError


class Key(str):
    """A text of a kind of its own."""


class Money(float):
    """A number of a kind of its own."""


@dataclasses.dataclass(slots=True)
class Part:
    name: str
    weight: int = 2
    made: int = dataclasses.field(default=0, init=False)
    unit: ClassVar[str] = "kg"


class Slip(NamedTuple):
    number: str
    copies: int = 1


FIRST = Slip("S0")


class Cupboard:
    """Keeps values that are no plain JSON."""

    __slots__ = ("__secret", "address", "key", "parts", "price")

    def __init__(self) -> None:
        self.key, self.price, self.parts = Key("K1"), Money(2.5), {"P1": Part("lamp")}
        self.address, self.__secret = ipaddress.ip_address("10.0.0.1"), 1

    def rename(self, key: str) -> Key:
        """Gives it another key."""
        self.key = Key(key)
        return self.key

    def add(this, part: Part, slip: Slip = FIRST) -> Slip:
        """Adds a part."""
        this.parts[part.name] = part
        return slip


def made(kind: type) -> Any:
    world = object_world(kind, f"odd:{kind.__name__}")()
    world.reset({})
    return world


def test_the_state_shows_slots_and_values_of_types_of_ones_own() -> None:
    world = made(Cupboard)
    lamp = {"name": "lamp", "weight": 2, "made": 0}
    before = {"key": "K1", "price": 2.5, "parts": {"P1": lamp}, "address": "10.0.0.1", "_Cupboard__secret": 1}
    assert world.snapshot() == before
    assert world.call(Call("rename", {"key": "K2"})).value == "K2"
    assert world.snapshot() == {**before, "key": "K2"}


def test_records_are_parameters_and_answers_with_their_names() -> None:
    world = made(Cupboard)
    (add,) = (one["parameters"] for one in world.tools() if one["name"] == "add")
    assert set(add["properties"]) == {"part", "slip"}
    assert set(add["properties"]["part"]["properties"]) == {"name", "weight"}
    assert add["properties"]["slip"]["required"] == ["number"]
    assert add["properties"]["slip"]["default"] == {"number": "S0", "copies": 1}
    asked = {"part": {"name": "bolt"}, "slip": {"number": "S7"}}
    assert world.call(Call("add", asked)).value == {"number": "S7", "copies": 1}
    assert world.snapshot()["parts"]["bolt"]["weight"] == 2


@dataclasses.dataclass
class Node:
    name: str
    below: "list[Node]" = dataclasses.field(default_factory=list)


class Filter(TypedDict, total=False):
    word: Required[str]
    most: int


class Place(TypedDict):
    street: str
    door: NotRequired[Annotated[int, "The number of the door."]]


class Desk:
    def plant(self, tree: Node) -> int:
        return len(tree.below)

    def find(self, by: Filter, at: Place) -> list[str]:
        return [by["word"], at["street"]]

    def wait(self, days: Annotated[int, pydantic.Field(description="How long.", ge=1)] = 1) -> int:
        return days

    @staticmethod
    def tax(price: float) -> float:
        """Computes the tax of a price."""
        return price / 10

    @classmethod
    def hours(cls) -> str:
        """Tells the opening hours."""
        return "9 to 5"

    @classmethod
    def open(cls, place: str) -> "Desk":
        return cls()

    @functools.lru_cache  # noqa: B019
    def square(self, number: int) -> int:
        """Squares a number."""
        return number * number


def test_a_record_may_hold_itself_and_say_of_its_keys_whether_they_are_needed() -> None:
    world = made(Desk)
    plant, find = (one["parameters"] for one in world.tools()[:2])
    assert plant["properties"]["tree"]["properties"]["below"]["items"] == {"type": "object"}
    assert find["properties"]["by"]["required"] == ["word"] and find["properties"]["at"]["required"] == [
        "street"
    ]
    assert find["properties"]["at"]["properties"]["door"] == {
        "type": "integer",
        "description": "The number of the door.",
    }
    tree = {"name": "oak", "below": [{"name": "leaf"}]}
    assert world.call(Call("plant", {"tree": tree})).value == 1
    assert world.call(Call("find", {"by": {"word": "x"}, "at": {"street": "y", "door": 3}})).value == [
        "x",
        "y",
    ]


def test_what_an_annotation_holds_besides_is_told_only_where_it_is_a_text() -> None:
    (wait,) = (one["parameters"]["properties"] for one in made(Desk).tools() if one["name"] == "wait")
    assert wait["days"] == {"type": "integer", "description": "How long.", "minimum": 1, "default": 1}


def test_static_class_and_cached_methods_are_tools_and_constructors_are_none() -> None:
    world = made(Desk)
    names = [one["name"] for one in world.tools()]
    assert names == ["plant", "find", "wait", "tax", "hours", "square"]
    assert world.call(Call("tax", {"price": 20})).value == 2.0
    assert world.call(Call("hours", {})).value == "9 to 5"
    assert world.call(Call("square", {"number": 3})).value == 9


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


def one_method(annotation: Any, default: Any = ...) -> type:
    def go(self: Any, first: int, odd: Any = 1) -> None: ...

    go.__annotations__["odd"] = annotation
    go.__defaults__ = None if default is ... else (default,)
    return type("Odd", (), {"go": go})


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (one_method([int]), r"Odd\.go cannot be a tool: its parameter odd: .* is a list and not a type"),
        (one_method(any), r"its parameter odd: any is not a type that JSON has"),
        (one_method("dataclasses.Nope"), r"an annotation cannot be resolved \(module 'dataclasses' has no"),
        (one_method("a b"), r"an annotation cannot be resolved"),
    ],
)
def test_a_method_that_cannot_be_a_tool_is_one_sentence_with_the_parameter(kind: type, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as found:
        object_world(kind, "odd:Odd")
    assert "\n" not in str(found.value)


class Till(pydantic.BaseModel):
    """A till that is a model of pydantic's."""

    money: int = 0

    def put_in(self, amount: int) -> int:
        """Puts money in."""
        self.money += amount
        return self.money


def test_what_a_class_inherits_from_a_framework_is_no_tool_of_its_own() -> None:
    till = object_world(Till, "odd:Till")()
    assert [tool["name"] for tool in till.tools()] == ["put_in"]
    till.reset({"money": 3})
    assert till.call(Call("put_in", {"amount": 4})).value == 7 and till.snapshot() == {"money": 7}


T = TypeVar("T")
NOTHING = object()


class Loom:
    """Some of what its parameters may be is no JSON."""

    def knot(self, ends: tuple[int, str]) -> int:
        """Knots it."""
        return ends[0]

    def share(self, rights: Rights = Rights.READ | Rights.WRITE) -> int:
        """Shares it."""
        return rights.value

    def weave(
        self, thread: T, shape: object, cut: Callable[[], int] | None = None, seed: Any = NOTHING
    ) -> int:
        """Weaves."""
        self.woven = [thread, shape]
        return 1 if cut is None and seed is NOTHING else 0


def test_a_parameter_with_a_default_that_json_does_not_have_keeps_it() -> None:
    loom = object_world(Loom, "odd:Loom")()
    shown = {tool["name"]: tool["parameters"]["properties"] for tool in loom.tools()}
    assert shown.pop("knot").keys() == {"ends"} and shown == {
        "share": {},
        "weave": {"thread": {}, "shape": {}},
    }
    assert loom.call(Call("share", {})).value == 3
    assert loom.call(Call("knot", {"ends": [1, "a"]})).value == 1
    assert not loom.call(Call("knot", {"ends": ["a", "a"]})).ok
    assert loom.call(Call("weave", {"thread": 1, "shape": [2]})).value == 1
    assert loom.snapshot() == {"woven": [1, [2]]}


class Kiln:
    """Bounds, spans of time, and arguments that are given by their place alone."""

    def __init__(self) -> None:
        self.left = datetime.timedelta(0)

    def heat(
        self,
        degrees: Annotated[int, pydantic.Field(ge=100, lt=1400, multiple_of=50, description="In Celsius.")],
        batch: Annotated[str, pydantic.StringConstraints(pattern="^B-[0-9]{3}$", max_length=5)] = "B-001",
        shelves: Annotated[list[int], annotated_types.Len(1, 3)] = [1],  # noqa: B006
        share: Annotated[float, annotated_types.Interval(gt=decimal.Decimal(0), le=1)] = 1,
        doors: Annotated[list[str] | None, pydantic.Field(max_length=2)] = None,
    ) -> str:
        """Heats it."""
        return f"{degrees} {batch} {shelves} {share} {doors}"

    def wait(self, span: datetime.timedelta = datetime.timedelta(minutes=90)) -> datetime.timedelta:
        """Waits."""
        self.left += span
        return self.left

    def move(self, tile: str, shelf: int = 1, /, *, gently: bool = False) -> list[Any]:
        """Moves a tile."""
        return [tile, shelf, gently]


def test_the_rules_that_a_note_states_are_the_tool_s() -> None:
    tools = {one["name"]: one["parameters"]["properties"] for one in object_world(Kiln, "kiln").tools()}
    degrees = {"type": "integer", "minimum": 100, "exclusiveMaximum": 1400, "multipleOf": 50}
    assert tools["heat"] == {
        "degrees": degrees | {"description": "In Celsius."},
        "batch": {"type": "string", "pattern": "^B-[0-9]{3}$", "maxLength": 5, "default": "B-001"},
        "shelves": {
            "type": "array",
            "items": {"type": "integer"},
            "minItems": 1,
            "maxItems": 3,
            "default": [1],
        },
        "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1},
        "doors": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 2, "default": None},
    }
    world = object_world(Kiln, "kiln")()
    assert world.call(Call("heat", {"degrees": 150})).ok


def test_a_span_of_time_is_written_as_iso_8601_has_it() -> None:
    world = object_world(Kiln, "kiln")()
    (span,) = (one["parameters"]["properties"]["span"] for one in world.tools() if one["name"] == "wait")
    assert span == {"type": "string", "format": "duration", "default": "PT1H30M"}
    assert world.call(Call("wait", {"span": "PT2H"})).value == "PT2H"
    assert not world.call(Call("wait", {"span": "a while"})).ok
    assert world.call(Call("wait", {})).value == "PT3H30M" and world.snapshot() == {"left": "PT3H30M"}


def test_arguments_that_are_given_by_place_have_names_as_well() -> None:
    world = object_world(Kiln, "kiln")()
    (document,) = (one for one in world.tools() if one["name"] == "move")
    assert list(document["parameters"]["properties"]) == ["tile", "shelf", "gently"]
    assert document["parameters"]["required"] == ["tile"]
    assert world.call(Call("move", {"tile": "T", "gently": True})).value == ["T", 1, True]
    assert world.call(Call("move", {"shelf": 2, "tile": "T"})).value == ["T", 2, False]
