"""Models and data sets of the hub, with the real client against a small server that speaks its protocol."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from models.hub_server import TOKEN, Hub, serve

from funreason_train.errors import UserError
from funreason_train.models.hub import PACKAGED, hub_error, offline
from funreason_train.run.process import call_in_process

WEIGHTS = b"w" * 30_000_000  # three of the chunks in which the client keeps what has come
MODEL = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickled",
    "modeling.py": b"code",
}
HEADER = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
WHOLE = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"x",
    "model.safetensors": struct.pack("<Q", len(HEADER)) + HEADER + bytes(16),
}
ROWS = "".join(json.dumps({"n": n, "text": "x" * 50}) + "\n" for n in range(100)).encode()


@pytest.fixture
def hub() -> Iterator[Hub]:
    held = Hub({"models/lab/small": dict(MODEL), "datasets/lab/rows": {"train.jsonl": ROWS}})
    with serve(held):
        yield held


def fetch(job: dict[str, Any]) -> str:
    """In a process of its own: the client reads HF_ENDPOINT when it is imported."""
    from funreason_train.models.hub import fetch_model

    return str(fetch_model(job["name"], Path(job["target"]) if job["target"] else None))


def settle(job: dict[str, Any]) -> list[str]:
    from funreason_train.commands.preflight.hub import settle_models
    from funreason_train.run.paths import RunDir
    from funreason_train.settings.load import load_settings

    words = ["model=lab/small", "rl.model=lab/small", "eval.models={small: lab/small}"]
    config = load_settings("pipeline", [*words, f"run_dir={job['run']}", f"cluster.nodes={job['nodes']}"])
    settle_models(config, RunDir.at(job["run"]), ["sft", "rl", "eval"])
    return [config.sft.model, config.rl.model, config.eval.models["small"]]


def read(job: dict[str, Any]) -> int:
    from funreason_train.data.read.files import records

    return sum(1 for _ in records(job["name"]))


def ask(
    function: Any,
    hub: Hub,
    home: Path,
    name: str = "",
    target: Path | None = None,
    token: str = "",
    job: dict[str, Any] | None = None,
) -> Any:
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[1]}:{Path(__file__).parents[2]}",
        "HF_HUB_OFFLINE": "0",
    }
    job = job or {"name": name, "target": str(target) if target else None}
    return call_in_process(f"test_hub:{function.__name__}", job, variables)


def test_a_model_is_fetched_once_whole_and_without_code_or_pickles(hub: Hub, tmp_path: Path) -> None:
    target = tmp_path / "run" / "hub" / "lab" / "small"
    target.parent.mkdir(parents=True)
    assert ask(fetch, hub, tmp_path / "home", "lab/small", target) == str(target)
    assert {file.name for file in target.iterdir()} == {"config.json", "model.safetensors"}
    assert (target / "model.safetensors").read_bytes() == WEIGHTS
    asked = len(hub.asked)
    ask(fetch, hub, tmp_path / "home", "lab/small", target)
    assert len(hub.asked) == asked, "what is there is taken as it is"


def test_a_gated_model_needs_a_token_that_is_never_shown_nor_kept(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add("models/lab/small")
    home, target = tmp_path / "home", tmp_path / "small"
    with pytest.raises(UserError, match="gated, and no access token is set") as told:
        ask(fetch, hub, home, "lab/small", target)
    assert "https://huggingface.co/lab/small" in str(told.value) and not target.exists()
    with pytest.raises(UserError, match="has no access to it") as told:
        ask(fetch, hub, home, "lab/small", target, token="hf_another")
    assert "hf_another" not in str(told.value)
    ask(fetch, hub, home, "lab/small", target, token=TOKEN)
    assert (target / "model.safetensors").read_bytes() == WEIGHTS
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert not kept


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_run_begins_with_the_model_in_a_folder_of_its_own(hub: Hub, tmp_path: Path, nodes: int) -> None:
    hub.repos["models/lab/small"] = dict(WHOLE)
    run = tmp_path / "run"
    job = {"run": str(run), "nodes": nodes}
    assert ask(settle, hub, tmp_path / "home", job=job) == [str(run / "hub" / "lab" / "small")] * 3
    folder = run / "hub" / "lab" / "small"
    assert folder.is_symlink() == (nodes == 1) and (folder / "config.json").is_file()
    hub.repos.clear()
    assert ask(settle, hub, tmp_path / "home", job=job), "and asks nobody again"


def test_a_model_that_is_not_there_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lab/none: there is no such model on the hub, or it is private"):
        ask(fetch, hub, tmp_path, "lab/none", tmp_path / "none")


def test_a_download_that_was_cut_off_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = 2
    target = tmp_path / "small"
    for _ in range(3):
        try:
            ask(fetch, hub, tmp_path / "home", "lab/small", target)
            break
        except UserError as error:
            assert "the same command goes on with the download" in str(error)
            assert not target.exists(), "a model is there whole or not at all"
    assert (target / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.sent < 1.5 * len(WEIGHTS), "and what had come is not fetched again"


def test_a_hub_that_does_not_answer_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    hub.url = "http://127.0.0.1:1"
    with pytest.raises(UserError, match="lab/small: the model cannot be fetched from the hub"):
        ask(fetch, hub, tmp_path, "lab/small", tmp_path / "small")


def test_without_a_hub_the_model_that_a_package_holds_is_named_with_its_script() -> None:
    offline = ConnectionError("no route to host")
    assert "bash launch/smollm2.sh FOLDER" in str(hub_error(PACKAGED, offline))
    assert "smollm2.sh" not in str(hub_error("lab/small", offline))


def test_a_data_set_is_read_row_by_row(hub: Hub, tmp_path: Path) -> None:
    assert ask(read, hub, tmp_path, "lab/rows") == 100


def test_a_gated_data_set_needs_a_token(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add("datasets/lab/rows")
    with pytest.raises(UserError, match="gated, and no access token is set") as told:
        ask(read, hub, tmp_path, "lab/rows")
    assert "https://huggingface.co/datasets/lab/rows" in str(told.value)
    assert ask(read, hub, tmp_path, "lab/rows", token=TOKEN) == 100


def test_a_data_set_that_is_not_there_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lab/none: there is no such data set on the hub"):
        ask(read, hub, tmp_path, "lab/none")


def test_a_data_set_that_is_cut_off_is_read_on_or_told(hub: Hub, tmp_path: Path) -> None:
    hub.cuts = 1
    assert ask(read, hub, tmp_path, "lab/rows") == 100
    hub.cuts = 1000
    with pytest.raises(UserError, match="lab/rows: the data set cannot be read from the hub"):
        ask(read, hub, tmp_path, "lab/rows")


def test_workers_ask_the_hub_only_if_someone_said_so() -> None:
    assert offline({}, {}) == {"HF_HUB_OFFLINE": "1"}
    assert offline({"HF_HUB_OFFLINE": 0}, {}) == offline({}, {"HF_HUB_OFFLINE": "0"}) == {}
