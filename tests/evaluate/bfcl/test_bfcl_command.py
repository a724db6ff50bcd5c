"""`funreason-train eval benchmark=bfcl` as a user runs it, with BFCL's ground truths behind an endpoint."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.bfcl.bfcl_playing import gold_script
from evaluate.test_custom import kill_and_wait, wait_until

from funreason_train.evaluate.browser import read_browser
from funreason_train.run.paths import RunDir

CATEGORIES = ("multi_turn_base", "simple_python")
WRONG = {
    "multi_turn_base_0": "\nNo.\n</think>\n\n[rm(file_name='*')]",
    "simple_python_0": "no end of thought",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a tokenizer, a template and a context, as the endpoint's model would have."""
    folder = bfcl_mock.make_model(tmp_path_factory.mktemp("models") / "tiny", ["move the file"], 300)
    (folder / "config.json").write_text('{"max_position_embeddings": 2000000}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return folder


def test_a_killed_evaluation_continues_and_scores_what_was_answered(tmp_path: Path, model: Any) -> None:
    run = RunDir.at(tmp_path / "run")
    words = ["benchmark=bfcl", f"model={model}", f"categories=[{','.join(CATEGORIES)}]", "limit=20"]
    words += [f"run_dir={run.root}", "max_model_tokens=2000000", "served_name=mock", "concurrency=2"]
    script, delay = gold_script(tmp_path, CATEGORIES), [0.3]
    script.changed.update(WRONG)
    answer = script.completion

    def slowly(*arguments: Any) -> Any:
        time.sleep(delay[0])
        return answer(*arguments)

    script.completion = slowly  # type: ignore[assignment, method-assign]
    with bfcl_mock.MockServer(script, model / "tokenizer.json") as server:
        command = [sys.executable, "-m", "funreason_train", "eval", *words, f"endpoint={server.url}"]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until(lambda: len(kept(run)) > 3 or first.poll() is not None)
        kill_and_wait(first, run.root)
        before = kept(run)
        assert 3 < len(before) < 40 and not run.eval_table("bfcl").exists()
        delay[0] = 0.0
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 0, second.stdout + second.stderr
    after = kept(run)
    assert set(before) <= set(after) and len(after) == len(set(after)) == 40  # nothing was answered twice
    scores = json.loads((run.eval("tiny", "bfcl") / "scores.json").read_text())
    counts = {name: (part["right"], part["tasks"]) for name, part in scores["categories"].items()}
    assert counts == dict.fromkeys(CATEGORIES, (19, 20))
    assert scores["columns"]["multi_turn.base"]["value"] == pytest.approx(0.95)
    assert scores["columns"]["multi_turn.overall"]["not_run"]
    page = read_browser(run.eval_failures("bfcl"))
    assert {entry["id"] for entry in page["entries"] if entry["right"] != [1]} == set(WRONG)
    assert "19/20 = 95.0" in run.eval_table("bfcl").read_text()
    assert "95.0 (76–99)" in second.stdout and "Not run: " in second.stdout

    other = subprocess.run([*command, "bfcl.version=2025.8.25"], capture_output=True, text=True)
    assert other.returncode == 2 and "cannot be compared" in " ".join(other.stderr.split())
    # The server is gone. What is finished needs it no more; anything else is told in one sentence.
    words = [word for word in command if not word.startswith("run_dir=")]
    run.manifest.unlink()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "95.0 (76–99)" in again.stdout, again.stderr
    fresh = subprocess.run([*words, f"run_dir={tmp_path / 'new'}"], capture_output=True, text=True)
    assert fresh.returncode == 2 and "the endpoint does not answer" in " ".join(fresh.stderr.split())


def kept(run: Any) -> Any:
    """Ids of the finished entries."""
    files = sorted((run.eval("tiny", "bfcl") / "parts").glob("*/replica*.jsonl"))
    lines = (line for file in files for line in file.read_text().splitlines())
    return [json.loads(line)["id"] for line in lines]
