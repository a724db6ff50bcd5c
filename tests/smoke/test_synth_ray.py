"""Samples as Ray tasks: the same bytes as in this process, over MCP servers too."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.cluster import connect
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import in_processes, on_ray

pytestmark = pytest.mark.smoke

WORDS = (
    *("environments=[shop,travel]", "trajectories=40", "heldout_tasks=3", "tuning_tasks=0"),
    *("graph.episodes=8", "graph.measure=0", "processes=1"),
)


def test_a_ray_cluster_makes_the_same_samples(tmp_path: Path) -> None:
    config = compose("synth", WORDS)
    settings: Any = OmegaConf.to_container(config.synth, resolve=True)
    Phases(settings, 0, tmp_path / "here", partial(in_processes, processes=1)).run()
    with connect(config.cluster, cpus=2):
        Phases(settings, 0, tmp_path / "ray", partial(on_ray, cpus=2)).run()
    for name in ("conversations.jsonl", "graph.json", "funnel.json", "card.html", "tasks/heldout.jsonl"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name


SERVER = str(Path(__file__).parents[1] / "environments" / "mcp" / "hostile_server.py")
SERVED = (
    *("environments=[mcp/odd]", "trajectories=24", "heldout_tasks=0", "tuning_tasks=0", "turns=1"),
    *("draws=3", "graph.servers.episodes=3", "graph.calls=10", "graph.servers.measure=0"),
    *("kinds={plain: 1.0}", "servers=servers.json"),
)


def synthesise(tmp_path: Path, out: str, *words: str) -> dict[str, Any]:
    config = compose("synth", [*SERVED, f"out={tmp_path / out}", *words])
    return stage.run(config, run_of(config, tmp_path / f"{out}.run"))


def test_mcp_servers_are_started_by_the_workers_and_asked_for_on_every_node_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {"command": sys.executable, "args": [SERVER], "session": {"ready": 1}}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"odd": server}}))
    monkeypatch.chdir(tmp_path)
    assert synthesise(tmp_path, "here", "processes=1")["conversations"] == 24
    words, config = ("cluster.address=auto",), compose("synth", SERVED)
    monkeypatch.chdir("/")  # where workers start, so that no relative path leads anywhere
    with connect(config.cluster, cpus=2):
        monkeypatch.chdir(tmp_path)
        assert synthesise(tmp_path, "ray", *words)["conversations"] == 24
        file.write_text(json.dumps({"mcpServers": {"odd": {**server, "command": "/nowhere/at/all"}}}))
        with pytest.raises(UserError, match=r"every node of the cluster: .*no program /nowhere/at/all"):
            synthesise(tmp_path, "refused", *words)
        # A server that the driver can start and the workers cannot any more.
        with pytest.raises(UserError, match="0 of 24 train conversations are finished"):
            dying(tmp_path, file, server, words)
    for name in ("conversations.jsonl", "graph.json", "funnel.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name
    assert not (tmp_path / "refused").exists()


def dying(tmp_path: Path, file: Path, server: dict[str, Any], words: tuple[str, ...]) -> None:
    """A run whose server dies once its graph is learnt."""
    mark = tmp_path / "dies"
    dies = {**server, "args": [SERVER, "dies-later", str(mark)], "session": {"ready": 0}}
    file.write_text(json.dumps({"mcpServers": {"odd": dies}}))
    make = Phases._make
    with pytest.MonkeyPatch.context() as patch:

        def with_mark(self: Phases, *arguments: Any) -> int:
            mark.touch()
            return make(self, *arguments)

        patch.setattr(Phases, "_make", with_mark)
        synthesise(tmp_path, "dying", *words)
