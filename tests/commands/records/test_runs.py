"""`runs`: what it lists, what differs, and what it may remove."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands.records.recorded import finished, write

from funreason_train.commands.cli import main
from funreason_train.commands.records.made import size_of
from funreason_train.rl import checkpoints
from funreason_train.rl.best import note
from funreason_train.run.attempts import Attempt
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["runs", *words])
    out, err = capsys.readouterr()
    return code, " ".join((out + err).split())


def test_runs_are_listed_with_stages_scores_and_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "runs" / "one")
    with Attempt(run, ["pipeline"]) as attempt:
        attempt.begin()
    finished(tmp_path / "runs" / "deep" / "two", accuracy=0.75)
    code, out = told(capsys, f"folder={tmp_path / 'runs'}", "--json")
    first, second = json.loads(out)
    assert code == 0 and [Path(one["run"]).name for one in (first, second)] == ["two", "one"]
    assert second["heldout"] == {"rl": 0.5} and first["heldout"] == {"rl": 0.75}
    assert second["attempts"] == 1 and second["outcome"] == "done" and second["seconds"] == 360
    assert second["bytes"] == size_of(run.root)[0] > 5000 and second["stages"]["rl"] == "done"
    code, out = told(capsys, f"folder={tmp_path / 'runs'}")
    assert code == 0 and "0.500" in out and "two" in out


@pytest.mark.parametrize(
    "text", ['{"format": 1, "stages": {}}', '{"format": 4}', '{"format": 3, "stag', "[]", ""]
)
def test_a_manifest_of_another_version_or_cut_in_half_is_told_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    run = finished(tmp_path / "runs" / "one")
    run.manifest.write_text(text)
    before = size_of(run.root)
    code, out = told(capsys, f"folder={tmp_path / 'runs'}", "--json")
    assert code == 0 and json.loads(out)[0]["problem"].startswith("its manifest")
    code, out = told(capsys, "clean", f"folder={tmp_path / 'runs'}", "yes=true")
    assert code == 0 and "left alone" in out and size_of(run.root) == before
    code, out = told(capsys, "compare", f"of=[{run.root},{run.root}]")
    assert code == 2 and "its manifest" in out


def test_what_differs_between_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = finished(tmp_path / "one")
    two = finished(tmp_path / "two", rate=0.2, accuracy=0.75)
    write(two.data / "rl" / "train.parquet", "other rows")
    code, out = told(capsys, "compare", f"of=[{one.root},{two.root}]", "--json")
    found = {entry["what"]: list(entry["values"].values()) for entry in json.loads(out)["differences"]}
    assert code == 0
    assert found["sft.learning_rate"] == ["0.1", "0.2"] and found["rl (held-out)"] == ["0.5000", "0.7500"]
    assert "seed" not in found
    code, out = told(capsys, "compare", f"of=[{one.root},{one.root}]")
    assert "do not differ" in out
    code, out = told(capsys, "compare", f"of=[{one.root}]")
    assert code == 2 and "two runs at least" in out


def test_a_setting_that_differs_between_stages_is_compared_stage_by_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RL started again with another seed was hidden behind the seed of the stages before it."""
    one, two = finished(tmp_path / "one"), finished(tmp_path / "two")
    Manifest(two).update("rl", settings={**Manifest(two).stage("rl")["settings"], "seed": 1})
    _, out = told(capsys, "compare", f"of=[{one.root},{two.root}]", "--json")
    found = {entry["what"]: list(entry["values"].values()) for entry in json.loads(out)["differences"]}
    assert found == {"rl: seed": ["-", "1"]}


def test_only_held_out_tasks_count_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest evaluation may be of one's own tasks, and the summary older than the latest scores."""
    run = finished(tmp_path / "one")
    Manifest(run).update("eval", result={"models": {"rl": {"accuracy": 0.9}}})
    write(run.summary, '{"heldout": {"rl": 0.1}}')
    _, out = told(capsys, f"folder={tmp_path}", "--json")
    assert json.loads(out)[0]["heldout"] == {"rl": 0.5}


def test_nothing_is_removed_without_a_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "one")
    before = size_of(run.root)
    code, out = told(capsys, "clean", f"of=[{run.root}]")
    assert code == 2 and "nothing was removed" in out and "checkpoint-1" in out
    assert size_of(run.root) == before


@pytest.mark.parametrize("word", ["run_dir={}/one", "++run_dir={}/one", "+recipe=quickstart_cpu"])
def test_a_run_that_is_named_as_elsewhere_does_not_clean_all_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    """`runs clean run_dir=runs/one yes=true` cleaned every run in `runs`."""
    made = [finished(tmp_path / name) for name in ("one", "two")]
    before = [size_of(run.root) for run in made]
    word = word.format(tmp_path)
    code, out = told(capsys, "clean", word, f"folder={tmp_path}", "yes=true")
    assert code == 2 and "Write of=[" in out and "is not looked at" in out
    assert [size_of(run.root) for run in made] == before
    code, _ = told(capsys, "clean", word, f"of=[{made[0].root}]", "yes=true")
    assert code == 0 and size_of(made[0].root) != before[0] and size_of(made[1].root) == before[1]


def test_a_list_of_the_runs_of_a_folder_does_not_pass_over_a_run_dir(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "one")
    code, out = told(capsys, "list", f"run_dir={tmp_path / 'one'}")
    assert code == 2 and "Write folder=DIR" in out
    (tmp_path / "none").mkdir()
    code, out = told(capsys, "clean", f"folder={tmp_path / 'none'}", "yes=true")
    assert code == 0 and "There are no runs in" in out


def test_earlier_checkpoints_of_finished_stages_go_and_the_newest_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "one")
    code, out = told(capsys, "clean", f"of=[{run.root}]", "yes=true")
    assert code == 0 and "freed" in out
    assert [one.name for one in (run.sft / "checkpoints").iterdir()] == ["checkpoint-3"]
    assert sorted(one.name for one in run.rl_checkpoints.iterdir()) == [
        "global_step_8",
        "latest_checkpointed_iteration.txt",
    ]
    assert (run.rl / "rollouts" / "1.jsonl").is_file() and run.sft_model.is_dir()


def test_the_best_validated_checkpoint_stays_as_training_kept_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path / "one")
    monkeypatch.setattr(checkpoints, "flaws", lambda checkpoint: [])
    note(run.rl_checkpoints, 4, 0.9)
    note(run.rl_checkpoints, 8, 0.5)
    code, _ = told(capsys, "clean", f"of=[{run.root}]", "yes=true")
    assert code == 0 and (run.rl_checkpoints / "global_step_4" / "actor").is_dir()


def test_what_a_link_leads_to_outside_of_the_run_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints of another run, linked in, were taken for this run's own and removed."""
    run, other = finished(tmp_path / "a"), finished(tmp_path / "b")
    shutil.rmtree(run.rl_checkpoints)
    run.rl_checkpoints.symlink_to(other.rl_checkpoints)
    code, _ = told(capsys, "clean", f"of=[{run.root}]", "yes=true")
    assert code == 0 and (other.rl_checkpoints / "global_step_4" / "actor").is_dir()


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_checkpoints_of_an_unfinished_stage_all_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    run = finished(tmp_path / "one")
    for name in ("sft", "rl"):
        Manifest(run).update(name, state=state)
    code, out = told(capsys, "clean", f"of=[{run.root}]", "yes=true")
    assert code == 0 and "nothing to clean" in out
    assert len(list((run.sft / "checkpoints").iterdir())) == 3


def test_what_restarts_have_set_aside_goes_and_a_folder_of_ones_own_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "one")
    write(run.old / "rl.1" / "checkpoints" / "global_step_2" / "model.safetensors", "w")
    write(run.old / "rl.2" / "model.safetensors", "not by a restart")
    write(run.old / "mine" / "model.safetensors", "mine")
    Manifest(run).set_aside({"rl": str(run.old / "rl.1")}, {})
    told(capsys, "clean", f"of=[{run.root}]", "what=[old]", "yes=true")
    assert sorted(one.name for one in run.old.iterdir()) == ["mine", "rl.2"]


def test_a_file_that_this_tool_did_not_create_is_never_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "one")
    elsewhere = write(tmp_path / "precious.safetensors", "precious")
    notes = write(run.sft / "checkpoints" / "checkpoint-1" / "notes.txt", "mine")
    (run.sft / "checkpoints" / "checkpoint-1" / "model-00001-of-00001.safetensors").symlink_to(elsewhere)
    (run.sft / "checkpoints" / "checkpoint-2").rename(tmp_path / "moved")
    (run.sft / "checkpoints" / "checkpoint-2").symlink_to(tmp_path / "moved")
    code, out = told(capsys, "clean", f"of=[{run.root}]", "yes=true")
    assert code == 0 and "this tool did not create" in out and "notes.txt" in out
    assert notes.read_text() == "mine" and elsewhere.read_text() == "precious"
    assert (tmp_path / "moved" / "model.safetensors").is_file()
    assert not (run.sft / "checkpoints" / "checkpoint-1" / "model.safetensors").exists()


def test_logs_of_earlier_attempts_go_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "one")
    for _ in range(3):
        with Attempt(run, ["sft"]) as attempt:
            attempt.begin("a: 1\n")
            attempt.stage_begins("sft").write_text("output")
    told(capsys, "clean", f"of=[{run.root}]", "what=[logs]", "yes=true")
    assert sorted(one.name for one in run.logs.iterdir()) == ["3", "latest"]


def test_a_folder_that_is_no_run_and_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = told(capsys, "clean", f"of=[{tmp_path}]")
    assert code == 2 and "is not a run directory" in out
    code, out = told(capsys, f"folder={tmp_path / 'none'}")
    assert code == 2 and "there is no such folder" in out
    code, out = told(capsys, f"folder={tmp_path}")
    assert code == 0 and "There are no runs" in out


def test_prepared_data_are_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = write(tmp_path / "single" / "manifest.json", '{"format": 1, "inputs": {}, "outputs": {}}').parent
    code, out = told(capsys, f"folder={tmp_path}")
    assert code == 0 and "There are no runs" in out
    code, out = told(capsys, "clean", f"of=[{made}]")
    assert code == 2 and "holds what synth or data made, and not a run" in out
    assert main(["report", f"run_dir={made}"]) == 2 and not (made / "report.html").exists()


def test_runs_are_told_apart_by_their_folders_and_found_behind_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sweep in ("fast", "slow"):
        finished(tmp_path / "runs" / sweep / "seed0")
    (tmp_path / "runs" / "latest").symlink_to("slow/seed0")
    (tmp_path / "runs" / "disk").symlink_to(finished(tmp_path / "elsewhere").root)
    code, out = told(capsys, f"folder={tmp_path / 'runs'}")
    assert code == 0 and [out.count(name) for name in ("fast/seed0", "slow/seed0", "elsewhere")] == [1, 1, 1]
    told(capsys, "clean", f"folder={tmp_path / 'runs'}", "yes=true")
    assert (tmp_path / "elsewhere/sft/checkpoints/checkpoint-1/model.safetensors").is_file()


def test_a_hundred_thousand_files_are_counted(tmp_path: Path) -> None:
    folder = RunDir.at(tmp_path).root
    for number in range(100):
        inner = folder / str(number)
        inner.mkdir()
        for other in range(1000):
            (inner / str(other)).touch()
    assert size_of(folder) == (0, 100_000)


def test_a_run_of_the_format_before_is_listed_compared_and_traced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records say nothing of code and machine: that is missing, and nothing else."""
    runs = [finished(tmp_path / "runs" / name) for name in ("one", "two")]
    for run in runs:
        value = json.loads(run.manifest.read_text())
        for record in value["stages"].values():
            del record["origin"]
        run.manifest.write_text(json.dumps({**value, "format": 2}))
    code, out = told(capsys, f"folder={tmp_path / 'runs'}", "--json")
    assert code == 0 and {one["stages"]["rl"] for one in json.loads(out)} == {"done"}
    code, out = told(capsys, "compare", f"of=[{runs[0].root},{runs[1].root}]")
    assert code == 0, out
    assert main(["lineage", str(runs[0].eval("rl") / "scores.json")]) == 0
    assert "rl" in capsys.readouterr().out


def test_a_dry_run_removes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path / "runs" / "one")
    before = size_of(run.root)
    code, out = told(capsys, "clean", f"of=[{run.root}]", "yes=true", "dry_run=true")
    assert code == 0 and "an earlier checkpoint" in out and "nothing was removed" in out
    assert size_of(run.root) == before


def test_large_weights_are_compared_by_more_than_the_mark_of_their_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, digest in (("a", "sampled:1234aaaa"), ("b", "sampled:1234bbbb")):
        run = finished(tmp_path / name)
        inputs = {"/models/base/model.safetensors": {"digest": digest, "bytes": 1 << 30}}
        Manifest(run).update("sft", inputs=inputs)
    assert main(["runs", "compare", f"of=[{tmp_path / 'a'},{tmp_path / 'b'}]", "--json"]) == 0
    kinds = {one["what"]: one["values"] for one in json.loads(capsys.readouterr().out)["differences"]}
    assert set(kinds["sft: /models/base/model.safetensors"].values()) == {"1234aaaa", "1234bbbb"}


def test_figures_beyond_all_floats_are_compared_as_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("a", 10**400), ("b", 1.5)):
        Manifest(finished(tmp_path / name)).update("sft", result={"loss": value})
    assert main(["runs", "compare", f"of=[{tmp_path / 'a'},{tmp_path / 'b'}]", "--json"]) == 0
    kinds = {one["what"]: one["values"] for one in json.loads(capsys.readouterr().out)["differences"]}
    assert kinds["sft: loss"][str(tmp_path / "b")] == "1.5"
