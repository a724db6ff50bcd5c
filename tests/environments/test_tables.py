"""Table worlds: parameters of every JSON type, pre-conditions, and calls that fail without a trace."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.environments import Between, Result, TableWorld, ToolError, tool


@dataclass
class Address:
    """Where something goes.

    Attributes:
        street: With its number.
        floor: Counted from the ground, which is 0.
    """

    street: str
    floor: int = 0
    tags: list[str] = field(default_factory=list)


@dataclass
class Ticket:
    number: int


class Span(TypedDict, total=False):
    start: float
    end: float


class Depot(TableWorld):
    """Tables: `parcels`."""

    name = "depot"
    tables = ("parcels",)

    @tool(returns={"parcel": str, "weight": float})
    def send(
        self,
        to: Address,
        weight: Annotated[float, Between(0.1, 30)],
        copies: Annotated[int, Between(minimum=1)] = 1,
        fragile: bool = False,
        note: str | None = None,
        speed: Literal["slow", "fast"] = "slow",
        lanes: list[Literal[1, 2, 3]] = (),  # type: ignore[assignment]
        labels: dict[str, int] | None = None,
        window: Span | None = None,
        anything: Any = None,
    ) -> dict[str, Any]:
        """Send a parcel.

        It leaves today.

        Args:
            to: The receiver's address.
            weight: In kilograms,
                packing included.
            note (str): For the receiver.

        Returns:
            The parcel's id and what it weighs.
        """
        record = {"street": to.street, "floor": to.floor, "tags": to.tags, "weight": weight, "labels": labels}
        return {"parcel": self.add("parcels", record), "weight": weight}

    @tool
    def open_gate(self) -> dict[str, Any]:
        """Open the gate."""
        return {"gate": "open"}

    @tool(ends=("open_gate",))
    def shut_gate(self) -> dict[str, Any]:
        """Shut the gate."""
        return {"gate": "shut"}

    @tool(requires=("open_gate",))
    def drive_in(self, plate: str) -> dict[str, Any]:
        """Drive in."""
        return {"plate": plate}

    @tool
    def spoil(self, how: Literal["refuse", "break", "nan", "set"]) -> Any:
        """Change the state, then fail."""
        self.state["parcels"]["P1"]["weight"] = 0.0
        self.state["fresh"]["parcels"].clear()
        if how == "refuse":
            raise ToolError("not today")
        return {"break": 1 / 0} if how == "break" else float("nan") if how == "nan" else {1, 2}


CONFIG = {"parcels": {"P1": {"street": "Main 1", "weight": 2.0}}, "fresh": {"parcels": ["P2", "P3"]}}
HOME = {"street": "Oak 3"}


@pytest.fixture
def depot() -> Depot:
    made = Depot()
    made.reset(CONFIG)
    return made


def send(depot: Depot, **arguments: Any) -> Result:
    return depot.call(Call("send", {"to": HOME, "weight": 2.5, **arguments}))


def test_the_schema_shows_every_type_default_bound_and_description() -> None:
    document = Depot.tools()[0]
    assert document["description"] == "Send a parcel.\n\nIt leaves today."
    assert document["parameters"]["required"] == ["to", "weight"]
    assert document["parameters"]["properties"] == {
        "to": {
            "type": "object",
            "properties": {
                "street": {"type": "string", "description": "With its number."},
                "floor": {
                    "type": "integer",
                    "default": 0,
                    "description": "Counted from the ground, which is 0.",
                },
                "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            },
            "required": ["street"],
            "description": "The receiver's address.",
        },
        "weight": {
            "type": "number",
            "minimum": 0.1,
            "maximum": 30,
            "description": "In kilograms, packing included.",
        },
        "copies": {"type": "integer", "minimum": 1, "default": 1},
        "fragile": {"type": "boolean", "default": False},
        "note": {"type": ["string", "null"], "default": None, "description": "For the receiver."},
        "speed": {"type": "string", "enum": ["slow", "fast"], "default": "slow"},
        "lanes": {"type": "array", "items": {"type": "integer", "enum": [1, 2, 3]}, "default": []},
        "labels": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}, "default": None},
        "window": {
            "type": ["object", "null"],
            "properties": {"start": {"type": "number"}, "end": {"type": "number"}},
            "required": [],
            "default": None,
        },
        "anything": {"default": None},
    }
    assert document["returns"] == {
        "type": "object",
        "properties": {"parcel": {"type": "string"}, "weight": {"type": "number"}},
        "description": "The parcel's id and what it weighs.",
    }
    assert json.loads(json.dumps(Depot.tools())) == Depot.tools()
    assert Depot.tools()[3]["requires"] == ["open_gate"]


def test_arguments_arrive_as_they_are_annotated(depot: Depot) -> None:
    whole = send(depot, weight=3, to={"street": "A", "tags": ["x"]}, window={"start": 1}, anything=[{"a": 1}])
    assert whole == Result('{"parcel": "P2", "weight": 3.0}', True, {"parcel": "P2", "weight": 3.0})
    assert depot.state["parcels"]["P2"]["floor"] == 0


def test_what_a_caller_passed_in_is_not_the_state(depot: Depot) -> None:
    tags = ["x"]
    send(depot, to={"street": "A", "tags": tags})
    tags.append("y")
    assert depot.state["parcels"]["P2"]["tags"] == ["x"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"weight": 0}, "out_of_range: send.weight is less than 0.1"),
        ({"weight": 31.5}, "out_of_range: send.weight is more than 30"),
        ({"copies": 0}, "out_of_range: send.copies is less than 1"),
        ({"weight": "3"}, "wrong_type: send.weight is string, not number"),
        ({"fragile": 1}, "wrong_type: send.fragile is integer, not boolean"),
        ({"speed": "warp"}, "not_in_enum: send.speed"),
        ({"lanes": [1, 4]}, "not_in_enum: send.lanes[1]"),
        ({"to": {"floor": 1}}, "missing_argument: send.to.street"),
        ({"to": {"street": "A", "city": "B"}}, "unknown_argument: send.to.city"),
        ({"to": None}, "wrong_type: send.to is null"),
        ({"labels": {"a": "b"}}, "wrong_type: send.labels.a is string, not integer"),
        ({"weight": 10**5000}, "unusable_value: send.weight"),
        ({"weight": float("inf")}, "unusable_value: send.weight"),
        ({"anything": {"deep": [10**5000]}}, "unusable_value: send.anything"),
        ({"self": 1}, "unknown_argument: send.self"),
    ],
)
def test_an_argument_that_does_not_fit_is_told_and_changes_nothing(
    depot: Depot, arguments: dict[str, Any], reason: str
) -> None:
    before = depot.snapshot()
    result = send(depot, **arguments)
    assert not result.ok and result.value == json.loads(result.text)
    assert result.value["error"].startswith(reason)
    assert depot.compare(before) == []


def test_nested_beyond_all_bounds_is_refused(depot: Depot) -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert "unusable_value" in send(depot, anything=deep).text


def test_a_required_tool_has_to_succeed_first_and_can_be_ended(depot: Depot) -> None:
    enter = Call("drive_in", {"plate": "X"})
    assert not depot.call(enter).ok
    assert "open_gate" in depot.call(enter).text
    assert depot.call(Call("open_gate")).ok and depot.call(enter).ok
    again = Depot()
    again.reset(depot.snapshot())
    assert again.call(enter).ok, "what has been met is part of the state"
    before = depot.snapshot()
    assert depot.call(Call("shut_gate")).ok and depot.compare(before) == ["met/open_gate is None, not True"]
    assert not depot.call(enter).ok


@pytest.mark.parametrize("how", ["refuse", "break", "nan", "set"])
def test_a_call_that_fails_late_leaves_no_trace(depot: Depot, how: str) -> None:
    before = depot.snapshot()
    result = depot.call(Call("spoil", {"how": how}))
    assert not result.ok and list(result.value) == ["error"]
    assert depot.compare(before) == [] and depot.snapshot() == before


def test_half_of_a_character_is_echoed_as_its_escape(depot: Depot) -> None:
    depot.call(Call("open_gate"))
    result = depot.call(Call("drive_in", {"plate": "\ud83d\ude00 é"}))
    assert result.text == '{"plate": "\\ud83d\\ude00 é"}'
    result.text.encode()
    depot.call(Call("none\ud83d")).text.encode()


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_whatever_is_passed_is_answered(arguments: Any) -> None:
    depot = Depot()
    depot.reset(CONFIG)
    before = depot.snapshot()
    for name in ("send", "drive_in", "spoil", "open_gate", "no_tool"):
        result = depot.call(Call(name, arguments))
        result.text.encode()
        if not result.ok:
            assert depot.compare(before) == []
        before = depot.snapshot()


def test_a_value_does_not_change_with_the_state() -> None:
    class Shelf(TableWorld):
        name = "shelf"
        tables = ("books",)

        @tool
        def show(self) -> dict[str, Any]:
            """Show all."""
            return self.state["books"]

        @tool
        def put(self, book: str) -> dict[str, Any]:
            """Put one there."""
            self.state["books"][book] = {}
            return {}

    shelf = Shelf()
    shown = shelf.call(Call("show"))
    shelf.call(Call("put", {"book": "b"}))
    assert shown.value == {} and shelf.call(Call("show")).value == {"b": {}}


def test_of_two_records_the_one_with_these_fields_arrives() -> None:
    class Gate(TableWorld):
        name = "gate"

        @tool
        def enter(self, by: Address | Ticket | Span | None) -> dict[str, Any]:
            """Enter."""
            return {"by": type(by).__name__}

    gate = Gate()
    for value, kind in (
        ({"street": "A"}, "Address"),
        ({"number": 3}, "Ticket"),
        ({"start": 1}, "dict"),
        (None, "NoneType"),
    ):
        assert gate.call(Call("enter", {"by": value})).value == {"by": kind}
    assert not gate.call(Call("enter", {"by": 3})).ok


def test_a_subclass_has_the_tools_of_its_class_and_may_take_one_back() -> None:
    class Small(Depot):
        name = "small"
        spoil = None  # type: ignore[assignment]

        @tool
        def weigh(self, parcel: str) -> dict[str, Any]:
            """Weigh one."""
            return {"weight": self.record("parcels", parcel)["weight"]}

    names = [one["name"] for one in Small.tools()]
    assert names == ["send", "open_gate", "shut_gate", "drive_in", "weigh"]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"when": "complex"}, "complex is not a type that JSON has"),
        ({}, "when has no type annotation"),
        ({"when": "Nowhere"}, "cannot be resolved"),
    ],
)
def test_a_tool_that_cannot_be_described_is_told_at_once(annotations: dict[str, Any], message: str) -> None:
    def ring(self: Any, when: Any) -> None:
        """Ring."""

    ring.__annotations__ = annotations
    with pytest.raises(TypeError, match=message):
        type("Bell", (TableWorld,), {"name": "bell", "ring": tool(ring)})


def test_a_pre_condition_has_to_be_a_tool() -> None:
    def ring(self: Any) -> None:
        """Ring."""

    with pytest.raises(TypeError, match=r"Bell\.ring names pull, which is not one of its tools"):
        type("Bell", (TableWorld,), {"name": "bell", "ring": tool(requires=("pull",))(ring)})


@pytest.mark.parametrize("config", [{"parcels": []}, {"fresh": None}, {"others": {}}])
def test_a_configuration_of_another_shape_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="environment depot"):
        Depot().reset(config)
