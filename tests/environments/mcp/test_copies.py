"""A server that keeps copies named after the second of writing; how many there are is no state."""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

from funreason_train.calls import Call
from funreason_train.environments.mcp import load_servers
from funreason_train.environments.registry import environment_class
from funreason_train.synth.explore.learn import learn
from funreason_train.synth.explore.steady import unsteady_tools

SERVER = '''
import random, sys
from datetime import datetime, timedelta
from pathlib import Path
from mcp.server import MCPServer

folder = Path(sys.argv[1])
server = MCPServer("notes")

@server.tool()
def add_note(text: str) -> str:
    """Adds a note."""
    notes = folder / "notes.txt"
    if notes.exists():  # two plays fall into seconds of their own
        when = datetime.now() - timedelta(seconds=random.randrange(600))
        (folder / f"notes.{when:%Y%m%d_%H%M%S}.bak").write_text(notes.read_text())
    with notes.open("a") as file:
        print(text, file=file)
    return "Added."

@server.tool()
def count_notes() -> int:
    """How many notes there are."""
    notes = folder / "notes.txt"
    return len(notes.read_text().splitlines()) if notes.exists() else 0

server.run("stdio")
'''


def test_copies_of_each_second_cost_no_tool(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    described = {"command": sys.executable, "args": [str(tmp_path / "server.py"), "{session}"]}
    described["session"] = {"observe": ["{session}"], "ready": 1}  # type: ignore[assignment]
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"copying": described}}))
    load_servers(file)
    kind: Any = environment_class("mcp/copying")
    world = kind()

    def scenario(rng: Random) -> dict[str, Any]:
        return {}

    graph = learn(world, scenario, "copies", 2, 12)
    assert unsteady_tools(world, scenario, graph, "copies") == {}
    states = []
    for _ in range(2):
        world.reset({})
        for text in ("milk", "bread", "apples"):
            assert world.call(Call("add_note", {"text": text})).ok
        states.append(world.snapshot())
    world.close()
    assert states[0] == states[1] and "apples" in json.dumps(states[0]), "the notes themselves do count"
