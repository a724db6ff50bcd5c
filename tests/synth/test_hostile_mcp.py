"""`synth` over MCP servers that misbehave: one clear sentence each, and nothing that is finished is lost."""

import json
import sys
from pathlib import Path
from typing import Any

from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage

SERVER = str(Path(__file__).parents[1] / "environments" / "mcp" / "hostile_server.py")
SMALL = (
    *("environments=[mcp/odd]", "trajectories=4", "heldout_tasks=0", "tuning_tasks=0", "turns=1", "draws=3"),
    *("graph.servers.episodes=3", "graph.calls=10", "graph.servers.measure=0"),
    *("processes=1", "kinds={plain: 1.0}"),
)


def described(tmp_path: Path, *words: str, env: dict[str, str] | None = None, **rules: Any) -> Path:
    server = {"command": sys.executable, "args": [SERVER, *words], "env": env or {}, "session": rules}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"odd": server}}))
    return file


def synthesise(tmp_path: Path, *words: str, out: str = "out") -> dict[str, Any]:
    config = compose(
        "synth", [*SMALL, f"servers={tmp_path / 'servers.json'}", f"out={tmp_path / out}", *words]
    )
    return stage.run(config, run_of(config, tmp_path / "run"))


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "conversations.jsonl").open()]


def test_tools_that_answer_otherwise_each_time_are_left_out_with_the_reason(tmp_path: Path) -> None:
    described(tmp_path, "unsteady")
    made = synthesise(tmp_path)
    left_out = {tool: why for _, tool, why in made["shown"][0]["rows"]}
    assert left_out.keys() == {"make_id", "tell_time"}
    assert all("another one each time" in why for why in left_out.values())
    assert len(rows(tmp_path / "out")) == 4
    assert "tell_time" not in (tmp_path / "out" / "conversations.jsonl").read_text()
    funnel = json.loads((tmp_path / "out" / "funnel.json").read_text())
    assert funnel["left_out"]["mcp/odd"].keys() == left_out.keys()
    assert "tell_time" in (tmp_path / "out" / "card.html").read_text()
