"""`lineage`: from a score to the rows, and what no longer matches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands.records.recorded import finished, stage, write

from funreason_train.commands.cli import main
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir


def chain(capsys: pytest.CaptureFixture[str], score: Path, *words: str) -> dict:
    assert main(["lineage", str(score), "--json", *words]) == 0
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_the_chain_leads_from_a_score_to_the_training_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    found = chain(capsys, run.eval("rl") / "scores.json")
    assert found["model"] == "rl" and found["figures"]["accuracy"] == 0.5
    links = {link["stage"]: link for link in found["chain"]}
    assert list(links) == ["eval", "export", "rl", "data", "sft", "synth"]
    assert links["sft"]["settings"]["sft.learning_rate"] == 0.1
    assert any("train.parquet" in row for row in links["data"]["rows"])
    assert any("3 of 4 conversations" in row for row in links["data"]["rows"])
    assert all(link["does_not_match"] == [] for link in found["chain"])
    inputs = [one["path"] for one in links["eval"]["inputs"]]
    assert inputs == [str(run.export / "config.json")], "the other model's files are not the score's"
    assert main(["lineage", str(run.eval("rl") / "scores.json")]) == 0
    assert "Every file of the chain is as it was recorded" in capsys.readouterr().out


def test_what_no_longer_matches_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    write(run.data / "rl" / "train.parquet", "wors")
    (run.export / "config.json").unlink()
    assert main(["lineage", str(run.eval("rl") / "scores.json")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "What no longer matches" in out
    assert f"rl: {run.data / 'rl' / 'train.parquet'} has changed" in out
    assert f"eval: {run.export / 'config.json'} is missing" in out
    found = chain(capsys, run.eval("rl") / "scores.json", "hashes=false")
    links = {link["stage"]: link for link in found["chain"]}
    assert links["rl"]["does_not_match"] == [], "as long as before, and not read again"


def test_a_moved_run_is_still_traced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    run.root.rename(tmp_path / "moved")
    found = chain(capsys, tmp_path / "moved" / "eval" / "rl" / "scores.json")
    assert [link["stage"] for link in found["chain"]] == ["eval", "export", "rl", "data", "sft", "synth"]
    assert all(one["state"] == "as recorded" for link in found["chain"] for one in link["inputs"])


def test_the_chain_goes_on_in_the_run_that_a_model_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = finished(tmp_path / "first")
    second = RunDir.at(tmp_path / "second")
    (first.root / "logs").mkdir(exist_ok=True)
    write(second.export / "config.json", "{}")
    write(second.rl_checkpoints / "latest_checkpointed_iteration.txt", "1")
    stage(second, "rl", [first.sft_model], {"rl.model": str(first.sft_model)})
    stage(second, "export", [second.rl_checkpoints / "latest_checkpointed_iteration.txt"], {})
    score = write(second.eval("rl") / "scores.json", '{"format": 1, "accuracy": 1.0}')
    stage(second, "eval", [second.export], {"eval.models.rl": "RUN_DIR/export"})
    found = chain(capsys, score)
    places = [(Path(link["run"]).name, link["stage"]) for link in found["chain"]]
    assert places[:3] == [("second", "eval"), ("second", "export"), ("second", "rl")]
    assert ("first", "sft") in places and ("first", "data") in places and ("first", "rl") not in places


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there is no such file"), ("{", "is not a scores.json"), ("{}", "lies in no run")],
)
def test_a_file_that_is_no_score_is_one_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    score = tmp_path / "scores.json"
    if text is not None:
        score.write_text(text)
    assert main(["lineage", str(score)]) == 2
    assert said in capsys.readouterr().err
    assert main(["lineage"]) == 2
    assert "no score is named" in capsys.readouterr().err


def test_a_score_of_an_earlier_evaluation_is_traced_by_what_it_says_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest has the latest evaluation alone, and every file of that one may be as it was."""
    run = finished(tmp_path / "run")
    model = {"name": "sft", "path": str(run.sft_model), "fingerprint": "x"}
    score = write(run.eval("sft") / "scores.json", json.dumps({"accuracy": 0.25, "model": model}))
    stage(run, "eval", [run.export], {"eval.models.rl": "RUN_DIR/export"})
    links = {link["stage"]: link for link in chain(capsys, score)["chain"]}
    assert list(links) == ["eval", "sft", "data", "synth"]
    assert links["eval"]["does_not_match"] == ["the run's latest evaluation was of rl and not of sft"]
    assert main(["lineage", str(score)]) == 0
    assert "as it was recorded" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "figures", "said"),
    [
        ("rl/scores.json", {"accuracy": 0.9}, "says accuracy 0.9, and 0.5 was recorded"),
        ("rl/bfcl/scores.json", {}, "the run's latest evaluation was of heldout and not of bfcl"),
    ],
)
def test_a_score_that_was_changed_or_put_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, figures: dict, said: str
) -> None:
    run = finished(tmp_path / "run")
    settings = Manifest(run).stage("eval")["settings"]
    Manifest(run).update("eval", settings={**settings, "eval.benchmark": "heldout"})
    score = write(run.root / "eval" / place, json.dumps(figures))
    assert said in chain(capsys, score)["chain"][0]["does_not_match"][0]


def test_a_run_without_an_evaluation_vouches_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.at(tmp_path / "run")
    run.root.mkdir()
    Manifest(run).update("sft", state="done")
    score = write(run.eval("sft") / "scores.json", '{"accuracy": 0.5}')
    assert main(["lineage", str(score)]) == 2
    assert "no record of an evaluation" in capsys.readouterr().err


def test_a_link_to_a_score_and_a_winding_path_lead_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    score = run.eval("rl") / "scores.json"
    (tmp_path / "best.json").symlink_to(score)
    for path in (tmp_path / "best.json", run.root / "eval" / "rl" / ".." / "rl" / "scores.json"):
        assert chain(capsys, path)["model"] == "rl"


def test_a_copy_of_a_run_shows_its_own_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "run")
    shutil.copytree(run.root, tmp_path / "copy")
    links = {one["stage"]: one for one in chain(capsys, tmp_path / "copy/eval/rl/scores.json")["chain"]}
    assert links["data"]["rows"][0].startswith(str(tmp_path / "copy" / "data"))
