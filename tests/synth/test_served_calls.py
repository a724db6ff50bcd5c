"""Calls of servers that nobody would ask for: names taken from wherever one stands, updates of nothing."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments import Environment, Result
from funreason_train.environments.tables import TableWorld
from funreason_train.environments.tools import ToolError, tool
from funreason_train.synth.chain.needs import Given, Needs, needs_of
from funreason_train.synth.chain.plan import _askable
from funreason_train.synth.explore.directions import Directions
from funreason_train.synth.explore.draw.answers import Answers
from funreason_train.synth.explore.draw.arguments import Drawer
from funreason_train.synth.explore.graph import Graph
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.sampler import Sampled, Sampler
from funreason_train.synth.explore.steady import _clocks
from funreason_train.synth.explore.trace import Executed, Source

EMPTY: Mapping[str, Any] = {"projects": {}}


class Board(TableWorld):
    """Projects, and somebody who has a name."""

    name = "board"
    tables = ("projects",)

    @tool
    def get_profile(self) -> dict[str, Any]:
        """Get your profile."""
        return {"name": "Administrator"}

    @tool
    def create_project(self, name: str) -> dict[str, Any]:
        """Create a project."""
        project = f"P-{len(self.state['projects']) + 17}"
        self.state["projects"][project] = {"title": name, "note": "", "done": False}
        return {"project": project}

    @tool
    def update_project(
        self, project: str, note: str | None = None, done: bool | None = None
    ) -> dict[str, Any]:
        """Update a project."""
        one = self.record("projects", project)
        one |= {key: value for key, value in (("note", note), ("done", done)) if value is not None}
        return {"project": project, **one}


class Notes(TableWorld):
    """Its ids are numbers where they are shown, and texts where they are asked for."""

    name = "notes"
    tables = ("notes",)

    @tool
    def create_note(self, title: str) -> dict[str, Any]:
        """Create a note."""
        number = len(self.state["notes"]) + 41
        self.state["notes"][str(number)] = {"title": title, "pinned": False}
        return {"note_id": number}

    @tool
    def pin_note(self, note_id: str) -> dict[str, Any]:
        """Pin a note."""
        self.record("notes", note_id)["pinned"] = True
        return {"pinned": True}


class Records(TableWorld):
    """Records have numbers, and two of them can be linked."""

    name = "records"
    tables = ("records",)

    @tool
    def add_record(self, title: str) -> dict[str, Any]:
        """Add a record."""
        number = len(self.state["records"]) + 61
        self.state["records"][str(number)] = {"title": title, "linked": False}
        return {"number": number}

    @tool
    def link_record(self, from_number: int) -> dict[str, Any]:
        """Link a record."""
        self.record("records", str(from_number))["linked"] = True
        return {"linked": True}


class Memos(TableWorld):
    """What may be written is described by the word that names the ids."""

    name = "memos"
    tables = ("memos",)

    @tool
    def add_memo(self, body: str) -> dict[str, Any]:
        """Add a memo.

        Args:
            body: The memo text to save.
        """
        number = f"m-{len(self.state['memos']) + 111}"
        self.state["memos"][number] = {"body": body}
        return {"memo_id": number}


class Errands(TableWorld):
    """Errands are looked for by any word of theirs."""

    name = "errands"
    tables = ("errands",)

    @tool
    def list_errands(self) -> list[dict[str, Any]]:
        """List all errands."""
        return list(self.state["errands"].values())

    @tool
    def find_errands(self, query: str) -> list[str]:
        """Find errands."""
        return [one["title"] for one in self.state["errands"].values() if query in one.values()]


class Letters(TableWorld):
    """Letters are found by a word of theirs, and by no other."""

    name = "letters"
    tables = ("letters",)

    @tool
    def write_letter(self, subject: str) -> dict[str, Any]:
        """Write a letter."""
        self.state["letters"][str(len(self.state["letters"]))] = {"subject": subject}
        return {"written": True}

    @tool
    def find_letters(self, query: str) -> list[str]:
        """Find letters."""
        found = [one["subject"] for one in self.state["letters"].values() if query in one["subject"]]
        if not found:
            raise ToolError(f"there is no letter of {query}")
        return found


class Served(Environment):
    """The board as a server."""

    name = "mcp/board"
    inner: type[TableWorld] = Board

    def __init__(self) -> None:
        self._inner = self.inner()

    def reset(self, config: Mapping[str, Any]) -> None:
        self._inner.reset(config)

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        return cls.inner.tools()

    def call(self, call: Call) -> Result:
        return self._inner.call(call)

    def snapshot(self) -> Any:
        return self._inner.snapshot()


class ServedNotes(Served):
    name = "mcp/notes"
    inner = Notes


class ServedRecords(Served):
    name = "mcp/records"
    inner = Records


class ServedMemos(Served):
    name = "mcp/memos"
    inner = Memos


class ServedLetters(Served):
    name = "mcp/letters"
    inner = Letters


class ServedErrands(Served):
    name = "mcp/errands"
    inner = Errands


@pytest.fixture(scope="module")
def graph() -> Graph:
    return learn(Served(), lambda _: EMPTY, "0", 6, 20)


def turns(graph: Graph, target: str) -> list[Sampled]:
    found = []
    for seed in range(40):
        world = Served()
        world.reset(EMPTY)
        sampler = Sampler(world, graph, Directions(graph), Drawer(graph, EMPTY), Random(seed))
        found.append(sampler.turn(target))
    return [one for one in found if one.reached]


def test_what_is_made_has_the_name_that_its_user_tells(graph: Graph) -> None:
    assert not graph.opaque("create_project", "name") and graph.opaque("update_project", "project")
    reached = turns(graph, "create_project")
    assert len(reached) > 30
    for turn in reached:
        given = {one.parameter for one in needs_of(turn.trace, turn.trace, graph).given}
        assert "name" in given, "a name in the answer of another call is not what was asked for"


def test_an_update_changes_something(graph: Graph) -> None:
    reached = turns(graph, "update_project")
    assert len(reached) > 30
    updates = [one for turn in reached for one in turn.trace if one.call.name == "update_project"]
    assert updates and all(one.changed for one in updates)


def test_an_id_that_is_shown_as_a_number_is_given_where_a_text_is_wanted() -> None:
    start: Mapping[str, Any] = {"notes": {}}
    graph = learn(ServedNotes(), lambda _: start, "0", 6, 20)
    assert graph.flows[("create_note", "note_id", "pin_note", "note_id")]
    world = ServedNotes()
    world.reset(start)
    turn = Sampler(world, graph, Directions(graph), Drawer(graph, start), Random(0)).turn("pin_note")
    assert turn.reached
    needs = needs_of(turn.trace, turn.trace, graph)
    assert needs.derived == ("41",), "the user does not tell what the first call has found out"
    assert [one.parameter for one in needs.given] == ["title"]


def test_a_number_of_one_of_two_is_a_number() -> None:
    start: Mapping[str, Any] = {"records": {}}
    graph = learn(ServedRecords(), lambda _: start, "0", 6, 20)
    world = ServedRecords()
    world.reset(start)
    turn = Sampler(world, graph, Directions(graph), Drawer(graph, start), Random(0)).turn("link_record")
    assert turn.reached
    needs = needs_of(turn.trace, turn.trace, graph)
    assert needs.derived == (61,), "nobody knows the number before the record is there"


def test_no_number_is_given_as_a_text_that_it_does_not_name() -> None:
    answers = Answers(served=True)
    answers.add(0, "create_note", {"note_id": 41}, ())
    assert [one[2] for one in answers.of("create_note/note_id", (str,), {}, named=True)] == ["41"]
    assert not answers.of("create_note/note_id", (str,), {}), "a note's id is nobody's text"


def test_an_answer_s_value_that_breaks_the_schema_is_not_given() -> None:
    answers = Answers(served=True)
    answers.add(0, "list_files", {"path": "/a/long/path", "size": 12}, ())
    assert not answers.has("list_files/path", (str,), {"maxLength": 5})
    assert answers.has("list_files/path", (str,), {"maxLength": 12, "minLength": 12})
    assert not answers.has("list_files/size", (int,), {"minimum": 13})
    assert answers.has("list_files/size", (int,), {"maximum": 12.0})


def test_no_id_is_written_where_any_text_would_do() -> None:
    start: Mapping[str, Any] = {"memos": {}}
    graph = learn(ServedMemos(), lambda _: start, "0", 6, 20)
    drawer, written = Drawer(graph, start), []
    drawer.remember(
        0, Executed(Call("add_memo", {"body": "a"}), Result("", True, {"memo_id": "m-111"}), True)
    )
    for seed in range(60):
        written.append(drawer.arguments("add_memo", Random(seed))[0]["body"])
    assert "m-111" not in written and len(set(written)) > 20


def test_what_is_asked_for_is_not_told_under_another_name() -> None:
    name, listed = Given(0, "name", "Clara"), Given(1, "names", ["Clara", "Oskar"])
    assert _askable(name, Needs((), (name,), (), (0, 1), ()))
    assert not _askable(name, Needs((), (name, listed), (), (0, 1), ()))


def test_names_inside_of_lists_are_spoken_of_as_well(graph: Graph) -> None:
    drawer = Drawer(graph, EMPTY)
    made = Call("update_project", {"project": "P-17", "owners": [{"name": "Zora"}]})
    drawer.remember(0, Executed(made, Result("", True, {}), True))
    drawn = {drawer.arguments("create_project", Random(seed))[0]["name"] for seed in range(40)}
    assert "Zora" in drawn


def test_what_an_answer_gave_is_not_what_the_user_spoke_of(graph: Graph) -> None:
    made = Call("update_project", {"project": "P-17", "owners": [{"name": "Zora"}]})
    for found_out in (True, False):
        drawer = Drawer(graph, EMPTY)
        source = {"owners.name": Source("result", "get_profile/name", 0, ("name",))} if found_out else {}
        drawer.remember(1, Executed(made, Result("", True, {}), True, source))
        drawn = {drawer.arguments("create_project", Random(seed))[0]["name"] for seed in range(40)}
        assert ("Zora" in drawn) is not found_out


def test_an_edit_gives_something_that_is_to_be_another(graph: Graph) -> None:
    drawer = Drawer(graph, EMPTY)
    drawer.remember(
        0, Executed(Call("create_project", {"name": "a"}), Result("", True, {"project": "P-17"}), True)
    )
    for seed in range(60):
        assert drawer.arguments("update_project", Random(seed))[0].keys() > {"project"}


def test_what_is_looked_for_is_told_by_the_user() -> None:
    start: Mapping[str, Any] = {"errands": {"1": {"title": "Buy paint", "status": "open"}}}
    graph = learn(ServedErrands(), lambda _: start, "0", 6, 20)
    shown = Result("[…]", True, list(start["errands"].values()))
    taken = {"query": Source("result", "list_errands/*/status", 0, (0, "status"))}
    trace = [
        Executed(Call("list_errands", {}), shown, False, {}, 0),
        Executed(
            Call("find_errands", {"query": "open"}), Result("[…]", True, ["Buy paint"]), False, taken, 1
        ),
    ]
    needs = needs_of(trace, trace, graph)
    assert [(one.parameter, one.value) for one in needs.given] == [("query", "open")] and not needs.derived


def test_what_was_spoken_of_is_looked_for() -> None:
    start: Mapping[str, Any] = {"letters": {}}
    graph = learn(ServedLetters(), lambda _: start, "0", 6, 20)
    tried = graph.tools["find_letters"].sources["query"]
    assert tried["said:write_letter/subject"][0] > 10 > tried["made"][0]
    for seed in range(10):
        world = ServedLetters()
        world.reset(start)
        turn = Sampler(world, graph, Directions(graph), Drawer(graph, start), Random(seed)).turn(
            "find_letters"
        )
        assert turn.reached
        told = {one.call.arguments.get("subject") for one in turn.trace}
        assert turn.trace[-1].call.arguments["query"] in told


def test_a_server_is_asked_no_more_once_nothing_new_is_learnt() -> None:
    told: list[str] = []
    short = learn(Served(), lambda _: EMPTY, "0", 40, 12, told=told.append)
    assert "nothing new in 8 episodes" in told[-1] and "of 40 will do" in told[-1]
    assert sum(one.ok + one.failed for one in short.tools.values()) < 40 * 12
    assert set(short.edges()) == {("create_project", "update_project")}
    told.clear()
    learn(Board(), lambda _: EMPTY, "0", 12, 12, told=told.append)
    assert told[-1].startswith("episode 12 of 12"), "ours cost nothing"


def test_a_tool_that_has_not_succeeded_yet_is_worth_another_episode() -> None:
    class Stubborn(Served):
        def __init__(self) -> None:
            super().__init__()
            self.refused = 0

        def call(self, call: Call) -> Result:
            if call.name == "get_profile" and self.refused < 60:
                self.refused += 1
                return Result("Error: not yet", False)
            return super().call(call)

    graph = learn(Stubborn(), lambda _: EMPTY, "0", 40, 12)
    assert graph.tools["get_profile"].failed == 60 and graph.tools["get_profile"].ok


def test_a_tool_that_writes_the_time_down_is_no_clock() -> None:
    class Timed(Environment):
        name = "mcp/timed"
        said, _moments = "", 0

        def reset(self, config: Mapping[str, Any]) -> None:
            """Nothing is kept."""

        def tools(self) -> list[dict[str, Any]]:
            return []

        def call(self, call: Call) -> Result:
            self._moments += 1
            self.said = f"now: {self._moments}"
            return Result("now: 2026-03-02T09:30:00", True)

        def snapshot(self) -> Any:
            return {}

    names = ("start_timer", "update_presence", "get_time", "now", "startup_time")
    found = dict(_clocks(Timed(), {name: Call(name, {}) for name in names}))
    assert found.keys() == {"get_time", "now", "startup_time"}
