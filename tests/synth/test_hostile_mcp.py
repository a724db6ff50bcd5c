"""`synth` over MCP servers that misbehave: one clear sentence each, and nothing that is finished is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
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


def test_a_server_that_repeats_what_it_was_asked_for_has_found_nothing_out(tmp_path: Path) -> None:
    described(tmp_path, "echoes", leave_out=["get_note", "set_note"], observe=[])
    synthesise(tmp_path, "trajectories=8", "turns=2")
    kinds = {kind for row in rows(tmp_path / "out") for kind in row["synth"]["kinds"].values()}
    assert "call" in kinds and "lookup" not in kinds, "nobody converts an hour to learn a zone that is known"


def test_a_secret_comes_into_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setenv("NOTE_TOKEN", "very-secret-value")
    described(tmp_path, "dump", env={"TOKEN": "${NOTE_TOKEN}"})
    made = synthesise(tmp_path, f"cassette.record={tmp_path / 'tape'}")
    assert "withheld" in str(made["shown"])
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.name == "odd.jsonl" for file in files)
    assert not [file for file in files if b"very-secret" in file.read_bytes()]
    assert "very-secret" not in str(capfd.readouterr())


def test_a_server_that_dies_for_good_stops_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    mark = tmp_path / "dies"
    described(tmp_path, "dies-later", str(mark), ready=0)
    kept = synthesise(tmp_path, out="first")["conversations"]
    assert kept == 4

    with pytest.raises(UserError, match=r"mcp/odd failed 20 times in a row.*is gone.*0 of 4"):
        _dying(tmp_path, mark)
    assert not (tmp_path / "out" / "conversations.jsonl").exists()
    mark.unlink()
    assert synthesise(tmp_path)["conversations"] == 4
    assert (tmp_path / "out" / "conversations.jsonl").read_bytes() == (
        tmp_path / "first" / "conversations.jsonl"
    ).read_bytes()


def _dying(tmp_path: Path, mark: Path) -> None:
    """A run whose server dies once its graph is learnt."""
    from funreason_train.synth.phases import Phases

    make = Phases._make
    with pytest.MonkeyPatch.context() as patch:

        def dies(self: Phases, *words: Any) -> int:
            mark.touch()
            return make(self, *words)

        patch.setattr(Phases, "_make", dies)
        synthesise(tmp_path)


def test_a_cassette_makes_the_same_conversations_without_the_server(tmp_path: Path) -> None:
    file = described(tmp_path, "unsteady")
    synthesise(tmp_path, f"cassette.record={tmp_path / 'tape'}", out="live")
    described_again = json.loads(file.read_text())
    described_again["mcpServers"]["odd"]["command"] = "/nowhere/at/all"
    file.write_text(json.dumps(described_again))
    synthesise(tmp_path, f"cassette.replay={tmp_path / 'tape'}", out="played")
    live, played = ((tmp_path / name / "conversations.jsonl").read_bytes() for name in ("live", "played"))
    assert live == played and live
    with pytest.raises(UserError, match="no recorded session"):
        synthesise(tmp_path, f"cassette.replay={tmp_path / 'tape'}", "seed=5", out="other")


def test_a_kill_in_mid_run_loses_nothing_and_several_processes_go_on(tmp_path: Path) -> None:
    file = described(tmp_path)
    many = [*SMALL[1:], "environments=[mcp/odd]", "trajectories=24", "processes=2", f"servers={file}"]
    command = [sys.executable, "-c", _RUN, *many, f"out={tmp_path / 'out'}"]
    process = subprocess.Popen(command, env={**os.environ, "RUN": str(tmp_path / "run")})
    for _ in range(1200):
        if process.poll() is not None or any((tmp_path / "out").glob(".samples-*.sqlite-wal")):
            break
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    config = compose("synth", [*many, f"out={tmp_path / 'out'}"])
    assert stage.run(config, run_of(config, tmp_path / "run"))["conversations"] == 24
    found = rows(tmp_path / "out")
    assert len({row["id"] for row in found}) == 24
    whole = compose("synth", [*many, "processes=1", f"out={tmp_path / 'whole'}"])
    stage.run(whole, run_of(whole, tmp_path / "run2"))
    assert found == rows(tmp_path / "whole")


_RUN = """
import os, sys
from pathlib import Path
from funreason_train.settings.resolve import run_of
from funreason_train.settings.compose import compose
from funreason_train.synth import stage
if __name__ == "__main__":
    config = compose("synth", sys.argv[1:])
    stage.run(config, run_of(config, Path(os.environ["RUN"])))
"""
