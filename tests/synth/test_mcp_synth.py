"""Conversations over an MCP server in a process of its own, bad tools included."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from funreason_train.data.read.formats import funreason_mt
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage

SERVER = str(Path(__file__).parents[1] / "environments" / "mcp" / "bookshop_server.py")
OPTIONS = {"error_tool_response": "keep", "tools_missing": "reject"}
SMALL = (
    *("environments=[mcp/books]", "trajectories=2", "heldout_tasks=0", "tuning_tasks=0", "turns=1"),
    *(
        "graph.servers.episodes=6",
        "graph.calls=12",
        "graph.servers.measure=0",
        "processes=1",
        "kinds={plain: 1.0}",
    ),
)


def described(tmp_path: Path, state: str = "{session}/state.json", **session: Any) -> Any:
    rules = {"ready": 1, "observe": ["list_books", "list_orders"], "seconds": 2, **session}
    server = {"command": sys.executable, "args": [SERVER, state], "session": rules}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"books": server}}))
    return file


def synthesise(tmp_path: Path, *words: Any) -> Any:
    out = tmp_path / "out"
    config = compose("synth", [*SMALL, f"servers={tmp_path / 'servers.json'}", f"out={out}", *words])
    stage.run(config, run_of(config, tmp_path / "run"))
    return out


def test_a_server_of_ones_own_makes_conversations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described(tmp_path)
    out = synthesise(tmp_path)
    rows = [json.loads(line) for line in (out / "conversations.jsonl").open()]
    assert len(rows) == 2
    called = set()
    for row in rows:
        for turn in funreason_mt.convert(row, OPTIONS).turns:
            called |= {call.name for step in turn.steps for call in step.calls}
    assert "add_book" in called and not called & {"crash", "close_shop"}
    assert "changed one session and not the other" in capsys.readouterr().out


def test_a_server_whose_sessions_are_not_apart_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    described(tmp_path, state=str(tmp_path / "shared.json"))
    with pytest.raises(UserError, match="see each other's changes"):
        synthesise(tmp_path)
    assert not (tmp_path / "out" / "conversations.jsonl").exists()
