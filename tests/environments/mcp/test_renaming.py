"""Ids and times that are others in each session, under names that stay."""

import json
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from funreason_train.calls import Call
from funreason_train.environments.mcp import load_servers
from funreason_train.environments.mcp.renaming import Names, nameless
from funreason_train.environments.protocol import Result
from funreason_train.environments.registry import environment_class
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.steady import unsteady_tools

SERVER = '''
import time, uuid
from datetime import UTC, datetime
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("tasks")
tasks = {}

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
    return {"drawn": uuid.uuid4().hex}

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
        "session": {"ready": 0, "observe": ["list_tasks"]},
    }
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"tasks": described}}))
    load_servers(tmp_path / "servers.json")
    kind: Any = environment_class("mcp/tasks")
    world = kind()

    def scenario(rng: Random) -> Any:
        return kind.scenario(rng)

    graph = learn(world, scenario, "seed", 3, 12)
    assert graph.tools["finish_task"].ok, "an id of an answer is known to the server"
    left_out = unsteady_tools(world, scenario, graph, "seed")
    assert left_out.keys() == {"tell_time", "throw_dice"} and "tells the time" in left_out["tell_time"]
    answers = []
    for _ in range(2):
        world.reset({})
        made = world.call(Call("create_task", {"title": "milk"}))
        world.call(Call("finish_task", {"task": made.value["task"]}))
        answers.append([made, world.call(Call("list_tasks", {})), world.snapshot()])
    world.close()
    assert answers[0] == answers[1] and '"done": true' in answers[0][1].text
