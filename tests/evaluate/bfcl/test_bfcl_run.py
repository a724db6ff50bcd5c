"""The whole evaluation against a mock endpoint: results on disk, what is kept, what is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.bfcl.bfcl_playing import LIMITS, gold_script

from funreason_train.errors import UserError
from funreason_train.evaluate.bfcl.run import BfclModel, BfclOptions, run_bfcl
from funreason_train.evaluate.serve.engine import EngineOptions
from funreason_train.evaluate.serve.generate import Sampling

CATEGORIES = ("simple_python", "multi_turn_base", "web_search_base")
ENGINE = EngineOptions("cpu", "float32", 1, 8, 4096, 32, None, 0.9, True, 247_000, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("bfcl-run")


@pytest.fixture(scope="module")
def server(folder: Any) -> Iterator[Any]:
    script = gold_script(folder, CATEGORIES[:2])
    model = bfcl_mock.make_model(folder / "model", ["some text"] * 9, 400)
    with bfcl_mock.MockServer(script, model / "tokenizer.json") as running:
        yield running


def options(server: Any, limit: Any, **others: Any) -> Any:
    sampling = Sampling(temperature=0.0, top_p=0.7, max_tokens=20_000, max_model_tokens=247_000, seed=0)
    return BfclOptions(
        **{
            "version": "2026.3.23",
            "categories": CATEGORIES,
            "sampling": sampling,
            "engine": ENGINE,
            "limits": LIMITS,
            "limit": limit,
            "endpoint": server.url,
            "served_name": bfcl_mock.NAME,
            **others,
        }
    )


def read(path: Any) -> Any:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_results_are_written_kept_and_extended(
    server: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gorilla#1147: nothing between model and score costs an entry, also over several turns."""
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    bodies = []
    whole = server.script.completion

    def noted(prompt: str, name: str = "") -> str:
        bodies.append(name)
        answer: str = whole(prompt, name)
        return answer

    server.script.completion = noted
    model = BfclModel("m", str(folder / "model"), folder / "out", "print", 240_000)
    server.script.changed = {"simple_python_200": "\nhm\n</think>\n\n[f(x=1)]"}
    first = run_bfcl([model], options(server, 2), folder / "logs")["m"]
    assert first == json.loads((model.out / "info.json").read_text())
    assert first["categories"] == ["simple_python", "multi_turn_base"]
    assert first["not_run"] == {"web_search_base": "needs the open web and a key in SERPAPI_API_KEY"}
    assert first["bfcl_version"] == "2026.3.23"
    assert not (model.out / "web_search_base.jsonl").exists()
    rows = read(model.out / "simple_python.jsonl")
    assert [(row["id"], row["right"]) for row in rows] == [
        ("simple_python_0", True),
        ("simple_python_200", False),
    ]
    assert "f(x=1)" in rows[1]["completions"][0]
    assert rows[1]["prompt"].endswith("<think>")
    assert rows[1]["question"][0][0]["content"] in rows[1]["prompt"]
    assert rows[1]["gold"]
    assert rows[1]["reasons"]
    (parts,) = (model.out / "parts").glob("*/replica0.jsonl")
    with parts.open("a") as file:
        file.write('{"id": "simple_python_7", "cat')  # as a crash leaves it
    (model.out / "info.json").unlink()
    played = len(bodies)
    assert run_bfcl([model], options(server, 2), folder / "logs")["m"] == first
    assert len(bodies) == played  # nothing is asked again
    more = run_bfcl([model], options(server, 4), folder / "logs")["m"]
    assert more["entries"] == {"simple_python": 4, "multi_turn_base": 4}
    assert set(bodies[played:]).isdisjoint(bodies[:played])
    rows = [row for name in more["categories"] for row in read(model.out / f"{name}.jsonl")]
    assert [row["id"] for row in rows if not row["right"]] == ["simple_python_200"]


def test_nothing_that_can_run_is_an_error(server: Any, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    model = BfclModel("w", str(folder / "model"), folder / "none", "print", 240_000)
    with pytest.raises(UserError, match="needs the open web and a key in SERPAPI_API_KEY"):
        run_bfcl([model], options(server, 2, categories=("web_search_base",)), folder / "logs")
    assert not (model.out / "info.json").exists()
