"""Ids and times that are others in each session, under names that stay."""

import json
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import pytest

from funreason_train.calls import Call
from funreason_train.environments.mcp import load_servers
from funreason_train.environments.mcp.renaming import MOMENT, Names, drawn_ids, nameless, timeless
from funreason_train.environments.protocol import Result
from funreason_train.environments.registry import environment_class
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.steady import unsteady_tools

SERVER = '''
import hashlib, random, secrets, time, uuid
from datetime import UTC, datetime
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("tasks")
tasks, notes = {}, {}

@server.tool()
def create_task(title: str) -> dict:
    """Creates a task."""
    made = {"task": str(uuid.uuid4()), "ref": f"ref-{time.time_ns() // 1000}", "title": title, "done": False}
    tasks[made["task"]] = made | {"created_at": datetime.now(UTC).isoformat()}
    return tasks[made["task"]]

@server.tool()
def finish_task(task: str) -> dict:
    """Marks a task as done."""
    tasks[task]["done"] = True
    return {"finished": task}

@server.tool(annotations=READS)
def list_tasks() -> list[dict]:
    """All tasks."""
    return list(tasks.values())

@server.tool(annotations=READS)
def tell_time() -> dict:
    """The time."""
    return {"now": datetime.now(UTC).isoformat()}

@server.tool(annotations=READS)
def throw_dice() -> dict:
    """Chance."""
    return {"drawn": random.randint(1, 10**9)}

@server.tool()
def add_note(text: str) -> dict:
    """Adds a note."""
    made = {"note": f"note_{random.getrandbits(32):08x}", "text": text}
    made |= {"hex": uuid.uuid4().hex[:8], "share": secrets.token_urlsafe(16)}
    made |= {"log": uuid.uuid4().hex, "of": hashlib.md5(text.encode()).hexdigest()}
    notes[made["note"]] = made
    return made

@server.tool()
def pin_note(note: str) -> dict:
    """Pins a note."""
    return {"pinned": notes[note]["text"]}

@server.tool(annotations=READS)
def list_notes() -> list[str]:
    """All notes."""
    return sorted(f"{one['log']} {one['text']}" for one in notes.values())

server.run()
'''


def answered(value: Any) -> Result:
    return Result(json.dumps(value), True, value)


def played(names: Names) -> list[Any]:
    one, stamp = str(uuid.uuid4()), time.time_ns() // 1000
    when = datetime.now(UTC)
    names.meant("create", {"title": "milk"})
    made = names.shown(
        answered(
            {
                **{"id": one, "number": stamp, "ref": f"task_{stamp}", "by": {one.upper(): 1}},
                **{"at": when.isoformat(), "local": f"{when:%Y-%m-%d %H:%M}", "due": "2031-05-01T10:00:00Z"},
            }
        )
    )
    asked = {"ids": [made.value["id"]], "query": f"ref = '{made.value['ref']}'", "n": made.value["number"]}
    assert names.meant("show", asked) == {"ids": [one], "query": f"ref = 'task_{stamp}'", "n": stamp}
    again = names.shown(answered({"id": one, "other": str(uuid.uuid4())}))
    assert again.value["id"] == made.value["id"] != again.value["other"]
    return [made, again]


def test_two_sessions_show_the_same_names_and_calls_mean_the_real_ones() -> None:
    one, other = played(Names()), played(Names())
    assert one == other
    made = one[0]
    assert made.value["due"] == "2031-05-01T10:00:00Z" and made.value["at"] is made.value["local"] is None
    assert (
        '"at": "2026-03-02T09:30:00.000000+00:00"' in made.text and '"local": "2026-03-02 09:30"' in made.text
    )
    assert json.loads(made.text)["id"] == made.value["id"] and uuid.UUID(made.value["id"]).version == 4


def test_what_is_the_same_in_every_session_stays() -> None:
    fixed, given = str(uuid.uuid4()), f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:00Z}"
    names = Names(json.dumps({"examples": {"show": [{"id": fixed}]}}))
    names.meant("plan", {"start": given, "stamp": int(time.time())})
    told = {
        **{"id": fixed, "start": given, "digest": "9e107d9d372bb6826bd81d3542a419d6", "old": 1600000000},
        **{
            "named": str(uuid.uuid5(uuid.NAMESPACE_DNS, "a.example")),
            "stamp": int(time.time()),
            "share": 0.5,
        },
    }
    assert names.shown(answered(told)) == answered(told)


def test_a_state_is_the_same_whatever_its_ids_are() -> None:
    def state(chosen: int) -> Any:
        ids = [str(uuid.uuid4()) for _ in range(2)]
        return nameless({"tasks": {one: {"id": one} for one in ids}, "chosen": ids[chosen]})

    assert state(0) == state(0) != state(1)


def test_a_server_with_random_ids_and_times_is_learnt_but_for_its_clock(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    described = {
        "command": sys.executable,
        "args": ["server.py"],
        "session": {"ready": 0, "observe": ["list_tasks", "list_notes"]},
    }
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"tasks": described}}))
    load_servers(tmp_path / "servers.json")
    kind: Any = environment_class("mcp/tasks")
    world = kind()

    def scenario(rng: Random) -> Any:
        return kind.scenario(rng)

    graph = learn(world, scenario, "seed", 4, 16)
    assert graph.tools["finish_task"].ok, "an id of an answer is known to the server"
    assert graph.tools["pin_note"].ok
    left_out = unsteady_tools(world, scenario, graph, "seed")
    assert left_out.keys() == {"tell_time", "throw_dice"} and "tells the time" in left_out["tell_time"]
    answers = []
    for _ in range(2):
        world.reset({})
        made = world.call(Call("create_task", {"title": "milk"}))
        world.call(Call("finish_task", {"task": made.value["task"]}))
        answers.append([made, world.call(Call("list_tasks", {})), world.snapshot()])
        for text in ("milk", "bread"):
            note = world.call(Call("add_note", {"text": text}))
            pinned = world.call(Call("pin_note", {"note": note.value["note"]}))
            assert pinned.value == {"pinned": text} and note.value["of"] == md5(text.encode()).hexdigest()
            answers[-1] += [note, pinned, world.snapshot()]
    world.close()
    assert answers[0] == answers[1] and '"done": true' in answers[0][1].text


def test_an_id_that_by_chance_is_a_number_is_one_where_it_is_a_text() -> None:
    forms = drawn_ids('{"card": "1f2e3d4c"}', '{"card": "ab12cd34"}')
    told = []
    for card in ("1f2e3d4c", "12345678"):
        names = Names()
        names.know(forms)
        names.meant("make", {})
        told.append(names.shown(answered({"card": card, "size": 87654321})))
        assert names.meant("show", {"card": told[-1].value["card"]}) == {"card": card}
    assert told[0] == told[1] and told[0].value["size"] == 87654321 and "87654321" in told[0].text
    assert drawn_ids("1f2e3d4c", "12345678") == forms
    assert drawn_ids("87654321", "12345678") == frozenset()
    assert drawn_ids("87654321", "12345678", forms) == forms


@pytest.mark.parametrize(
    ("first", "second", "drawn"),
    [
        ("note_1f2e3d4c", "note_ab12cd34", True),
        ("Made mg7q1zv0k3j9x2abz4.", "Made mg7q1zwwm1q8w7ert0.", True),
        ("Made k3j9x2abz.", "Made m1q8w7ert.", False),
        ("Made 9e107d9d372b4826bd811d3542a419d6", "Made 0cc175b9c0f141b6a31c399e26977266", True),
        ("card-V1StGXR8_Z5jdHi6B-myT", "card-Uakgb_J5m9g-0JDMbcJqL", True),
        ("at 12:03:01", "at 12:03:02", False),
        ("took 123456 ms", "took 223344 ms", False),
        ("the harbour", "the kettles", False),
        ("note_1f2e3d4c is new", "note_ab12cd34 is old", False),
        ("N1", "N2", False),
        ('{"id": "k3x9m2pq"}', '{"id": "b7c1dzza"}', True),
        ("Task ID: k3x9m2", "Task ID: b7cdz1", True),
        ('{"taskId":"aZ3kQ9xB"}', '{"taskId":"bYmmWcy1"}', True),
        ('{"took": "1250ms"}', '{"took": "1311ms"}', False),
        ('{"id": "harbour"}', '{"id": "kettles"}', False),
        ('{"id": "123456"}', '{"id": "654321"}', False),
    ],
)
def test_ids_that_are_drawn_are_told_by_two_answers(first: str, second: str, drawn: bool) -> None:
    forms = drawn_ids(first, second)
    assert bool(forms) is drawn
    if drawn:
        told = []
        for said in (first, second):
            names = Names()
            names.know(forms)
            names.meant("make", {})
            told.append(names.shown(Result(said, True)).text)
            again = names.meant("show", {"of": told[-1]})["of"]
            assert again == said, "a call means the real one"
        assert told[0] == told[1] not in (first, second)
        assert nameless(first, forms) == nameless(second, forms)


@pytest.mark.parametrize("form", ["%Y%m%d_%H%M%S", "%Y-%m-%d-%H%M%S", "%Y-%m-%dT%H-%M-%SZ", "%Y%m%d%H%M%S"])
def test_a_time_in_a_name_is_one(form: str) -> None:
    now, told = datetime.now(UTC), []
    for when in (now, now + timedelta(seconds=3)):
        text = f"saved as notes.{when:{form}}.bak"
        assert timeless(text).replace("(now)Z", "(now)") == "saved as notes.(now).bak"
        names = Names()
        names.meant("save", {})
        told.append(names.shown(answered({"said": text, "size": 7})))
        assert told[-1].value == {"said": None, "size": 7}, "no call is given such a time"
    assert told[0] == told[1] and f"notes.{datetime.fromisoformat(MOMENT):{form}}.bak" in told[0].text
    ago = f"notes.{now - timedelta(days=9):{form}}.bak"
    assert timeless(ago) == ago


def test_a_time_with_parts_of_a_second_in_a_name_is_an_id() -> None:
    now, told = datetime.now(UTC), []
    for when in (now, now + timedelta(seconds=3)):
        real = f"{when:%Y%m%dT%H%M%S%f}"
        assert timeless(f"{real}.md") == "(now).md"
        names = Names()
        names.meant("save", {})
        told.append(names.shown(answered({"note": real})))
        assert names.meant("show", {"note": told[-1].value["note"]}) == {"note": real}
    assert told[0] == told[1] and told[0].value["note"].startswith("20260302T")
