"""What a node has to have before samples are made on it; with a real cluster: tests/smoke."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage
from funreason_train.synth.work.cluster import elsewhere, lacking, shared_servers
from funreason_train.synth.work.inputs import servers_used

SERVER = str(Path(__file__).parents[1] / "environments" / "mcp" / "hostile_server.py")


def settings_of(tmp_path: Path, *words: str, **server: Any) -> dict[str, Any]:
    described = {"command": sys.executable, "args": [SERVER], "session": {"ready": 0}, **server}
    if "url" in described:
        del described["command"], described["args"]
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": {"odd": described}}))
    config = compose("synth", ["environments=[mcp/odd]", f"servers={file}", *words])
    return dict(OmegaConf.to_container(config.synth, resolve=True))  # type: ignore[arg-type]


def job(settings: dict[str, Any]) -> dict[str, Any]:
    names = settings["environments"]
    return {**elsewhere(settings), "environments": names, "described": servers_used(settings)}


def test_a_node_that_has_everything_lacks_nothing(tmp_path: Path) -> None:
    assert lacking(job(settings_of(tmp_path))) == []


def test_a_program_that_a_node_does_not_have_is_named(tmp_path: Path) -> None:
    (found,) = lacking(job(settings_of(tmp_path, command="/nowhere/at/all")))
    assert "there is no program /nowhere/at/all" in str(found)


def test_a_variable_that_a_node_does_not_have_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTE_TOKEN", "very-secret")
    here = job(settings_of(tmp_path, env={"TOKEN": "${NOTE_TOKEN}"}))
    monkeypatch.delenv("NOTE_TOKEN")
    (found,) = lacking(here)
    assert "the variable NOTE_TOKEN" in str(found) and "very-secret" not in str(found)


def test_a_file_that_is_another_one_on_a_node_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("a")
    here = job(settings_of(tmp_path, session={"ready": 0, "files": ["shop.db"]}))
    assert lacking(here) == []
    (tmp_path / "shop.db").write_text("b")
    (found,) = lacking(here)
    assert "is another one there" in str(found)
    (tmp_path / "servers.json").unlink()
    (found,) = lacking(here)
    assert "cannot be read" in str(found)


def test_paths_do_not_depend_on_the_folder_that_a_worker_starts_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = compose("synth", ["environments=[mcp/odd]", "servers=servers.json", "cassette.record=tape"])
    here = job(dict(OmegaConf.to_container(config.synth, resolve=True)))  # type: ignore[arg-type]
    assert here["cassette"] == {"record": str(tmp_path / "tape")}
    monkeypatch.chdir(os.sep)
    assert lacking(here) == []


def test_a_server_that_all_share_is_for_one_machine_and_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    shared = settings_of(tmp_path, url="http://127.0.0.1:9/mcp", session={"reset": "reset_all"})
    assert not list(shared_servers(shared, 1))
    words = [
        *("environments=[mcp/odd]", f"servers={tmp_path / 'servers.json'}"),
        *("cluster.nodes=2", f"out={tmp_path / 'out'}"),
    ]
    config = compose("synth", words)
    with pytest.raises(UserError, match="one state for all conversations, which 2 nodes would reset"):
        stage.run(config, run_of(config, tmp_path / "run"))
    assert not (tmp_path / "out").exists()
