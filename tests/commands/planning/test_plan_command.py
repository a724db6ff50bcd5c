"""`plan`: what it prints and writes, what it refuses, and how a run corrects it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.cluster.plan import GIB, plan_and_measured
from funreason_train.cluster.plan.measured import measured
from funreason_train.commands.cli import main
from funreason_train.errors import UserError
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["plan", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_papers_recipe_is_planned_without_its_model_or_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = plan(capsys, "+recipe=funreason_mt_4b", f"run_dir={tmp_path}")
    assert code == 0
    for part in (
        "weights",
        "gradients",
        "optimizer",
        "activations",
        "logits",
        "KV cache",
        "prompt and response",
    ):
        assert part in out
    for said in (
        "24.2 of 95.6 GiB",
        "a step",
        "GiB of disk",
        "host memory",
        "sft.per_device_batch=6",
        "assumed",
    ):
        assert said in out
    written = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert set(written["stages"]) == {"sft", "rl"} and written["stages"]["rl"]["fits"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("rl.rollout.tensor_parallel=3", "does not divide the 8 workers of a node"),
        ("cluster.nodes=3", "cannot be divided among 24 workers"),
    ],
)
def test_what_cannot_be_divided_is_no_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "pipeline.stages=[rl]", word]
    code, out, err = plan(capsys, *words)
    assert code == 2 and said in out + err
    assert not json.loads((tmp_path / "plan" / "plan.json").read_text())["stages"]["rl"]["fits"]


@pytest.mark.parametrize("word", ["--json", "format=json"])
def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    code, out, _ = plan(capsys, "+recipe=funreason_mt_4b", f"run_dir={tmp_path}", word)
    value = json.loads(out)
    assert code == 0 and value["format"] == 1
    assert value["stages"]["sft"]["memory_bytes"]["loss"]["weights"] == pytest.approx(7.5 * GIB, rel=0.01)


def test_lengths_and_rows_can_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "--json"]
    _, out, _ = plan(capsys, *words, "rows=51200", "prompts=10240", "row_tokens=2048")
    stages = json.loads(out)["stages"]
    assert stages["sft"]["steps"] == 300 and stages["rl"]["steps"] == 50
    assert stages["sft"]["run_seconds"] == pytest.approx(300 * stages["sft"]["seconds_per_step"], rel=0.01)
    assert stages["sft"]["tokens_per_step"] == 512 * 2048


def test_what_does_not_fit_ends_with_code_2_and_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "sft.liger=false"]
    code, out, err = plan(capsys, *words)
    assert code == 2 and "weights" in out, "everything is printed first"
    assert "does not fit" in err and "sft.liger=true (24.2 GiB)" in err


def test_a_dry_run_shows_the_plan_and_refuses_what_cannot_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "dry_run=true"]
    assert main(["sft", *words]) == 0
    assert "memory: 24.2 of 95.6 GiB of a GPU of h20x32" in capsys.readouterr().out
    assert main(["sft", *words, "sft.liger=false", "sft.per_device_batch=2"]) == 2
    assert "can be used" in capsys.readouterr().err
    assert main(["rl", *words, "rl.rollout.memory=0.1"]) == 2
    assert "hold no sequence" in capsys.readouterr().err


def test_a_run_that_cannot_fit_is_refused_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # a cluster that is never asked
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "sft.liger=false", "sft.per_device_batch=2"]
    assert main(["sft", *words]) == 2
    assert "GiB of a GPU of h20x32 are planned" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_a_model_of_unknown_sizes_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = plan(capsys, "+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "model=someone/unheard-of")
    assert code == 2 and "there is nothing to plan" in err
    assert "the sizes of someone/unheard-of are not known before its config.json is here" in err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"\xef\xbb\xbf{}", "cannot be read (Unexpected UTF-8 BOM"),
        ('{"model_type": "größer"}'.encode("latin-1"), "cannot be read"),
        (b"[]", "holds no object"),
        (b'{"model_type": "deepseek_v3"}', "describes the family 'deepseek_v3' (model_type), whose parts"),
        (b'{"model_type": "qwen3", "hidden_size": "64", "num_attention_heads": 4}', "says hidden_size='64'"),
    ],
)
def test_a_config_that_gives_no_sizes_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, why: str
) -> None:
    folder = tmp_path / "Qwen3-4B"  # whose name alone says nothing of what is in it
    folder.mkdir()
    (folder / "config.json").write_bytes(content)
    code, out, err = plan(capsys, f"run_dir={tmp_path / 'run'}", f"model={folder}")
    assert code == 2 and "there is nothing to plan; sft: " in err and "GiB" not in out
    assert f"{folder}/config.json {why}" in err


def test_a_plan_for_programs_names_the_stages_that_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"model_type": "deepseek_v3"}')
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path / 'run'}", f"rl.model={tmp_path / 'odd'}"]
    code, out, err = plan(capsys, *words, "plan.format=json")
    assert code == 0 and list(json.loads(out)["stages"]) == ["sft"]
    assert f"not planned: rl: {tmp_path / 'odd'}/config.json describes the family 'deepseek_v3'" in err


def test_a_dry_run_says_why_it_shows_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["+recipe=funreason_mt_4b", f"run_dir={tmp_path}", "model=someone/unheard-of", "dry_run=true"]
    assert main(["pipeline", *words]) == 0
    out = capsys.readouterr().out
    assert "sft is not planned: the sizes of someone/unheard-of are not known" in out
    assert "rl is not planned: the sizes of someone/unheard-of are not known" in out


def measured_run(root: Path, capsys: pytest.CaptureFixture[str]) -> RunDir:
    """A run on a CPU whose steps took 3 s and whose processes 5 GiB."""
    assert main(["plan", "+recipe=quickstart_cpu", f"run_dir={root}", "rows=1600"]) == 0
    capsys.readouterr()
    run = RunDir.at(root)
    lines = [{"step": step, "seconds": 3.0 * step, "tokens": 2000 * step} for step in range(1, 9)]
    run.sft.mkdir()
    (run.sft / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Manifest(run).update("sft", state="done", seconds=44.0, peak_bytes=5 * GIB)
    return run


def test_the_report_gets_plan_and_measurement_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan_and_measured(RunDir.at(tmp_path / "none")) == ()
    lines = {
        (line.stage, line.what): line for line in plan_and_measured(measured_run(tmp_path / "a", capsys))
    }
    assert lines["sft", "time of a step"].measured == 3.0
    assert lines["sft", "peak memory of all processes"].measured == 5.0
    assert lines["sft", "tokens of a step"].measured == 2000
    assert lines["sft", "time of all steps"].measured == 24.0, "without starting and saving, as planned"
    step = lines["sft", "time of a step"]
    assert step.planned is not None and step.ratio == pytest.approx(step.planned / 3.0)
    assert lines["rl", "time of a step"].measured is None and lines["rl", "time of a step"].ratio is None


def test_trees_and_a_resumed_run_are_measured_as_they_are_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the model has seen counts, not the tokens of the rows; clock and count begin anew when resumed."""
    run = measured_run(tmp_path / "a", capsys)
    attempts = [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3)]
    lines = [
        {"step": step, "seconds": 2.0 * (step - first), "tokens": 900 * step, "processed_tokens": 400 * step}
        for step, first in attempts
    ]
    (run.sft / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {line.what: line for line in plan_and_measured(run) if line.stage == "sft"}
    assert found["tokens of a step"].measured == 400
    assert found["time of all steps"].measured == 10.0
    Manifest(run).update("sft", state="running")
    running = {line.what: line for line in plan_and_measured(run) if line.stage == "sft"}
    assert running["time of all steps"].measured is None and running["time of a step"].measured == 2.0


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_on_gpus_the_reserved_memory_is_held_against_the_plan(tmp_path: Path, stage: str) -> None:
    names = {
        "sft": ("memory_reserved_gib", "memory_allocated_gib"),
        "rl": ("actor/perf/max_memory_reserved_gb", "actor/perf/max_memory_allocated_gb"),
    }
    run = RunDir.at(tmp_path)
    (run.root / stage).mkdir(parents=True)
    lines = [
        {"step": n, "host_memory_gib": 90.0, names[stage][0]: 20.0 + n, names[stage][1]: 10.0} for n in (1, 2)
    ]
    (run.root / stage / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert measured(run, stage, "h20x32").peak_bytes == 22 * GIB


def test_what_is_no_number_among_the_metrics_was_not_measured(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    (run.root / "sft").mkdir()
    odd = [{"step": 2, "seconds": None, "tokens": math.nan}, {"step": "x"}, {"step": 3, "seconds": 9.0}]
    lines = [{"step": 1, "seconds": 3.0, "tokens": 5}, *odd, {"step": 4, "seconds": 12.0, "tokens": 20}]
    (run.root / "sft" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = measured(run, "sft", "cpu")
    assert found.step_seconds == pytest.approx(3.0) and found.tokens_per_step == pytest.approx(5.0)


def test_a_run_corrects_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = measured_run(tmp_path / "a", capsys)
    words = [
        "+recipe=quickstart_cpu",
        f"run_dir={tmp_path / 'b'}",
        "pipeline.stages=[sft]",
        "rows=1600",
        "--json",
    ]
    code, out, _ = plan(capsys, *words, f"calibrate={run.root}")
    stage = json.loads(out)["stages"]["sft"]
    assert code == 0 and stage["seconds_per_step"] == pytest.approx(3.0, rel=0.01)
    assert stage["peak_bytes"] == pytest.approx(5 * GIB, rel=0.01)
    assert "corrected by" in " ".join(stage["notes"])


def test_a_plan_that_a_run_has_corrected_is_corrected_again_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the run's own folder every second plan was the uncorrected one, and said the opposite."""
    run = measured_run(tmp_path / "a", capsys)
    words = ["+recipe=quickstart_cpu", f"run_dir={run.root}", "pipeline.stages=[sft]", "rows=1600", "--json"]
    seconds = set()
    for _ in range(3):
        _, out, _ = plan(capsys, *words, f"calibrate={run.root}")
        seconds.add(json.loads(out)["stages"]["sft"]["seconds_per_step"])
    assert len(seconds) == 1 and seconds.pop() == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize(
    ("recipe", "place", "said"),
    [
        ("quickstart_cpu", "nowhere", "there is no such folder"),
        ("quickstart_cpu", "empty", "there is no plan of sft"),
        ("funreason_mt_4b", "a", "it ran on cpu, and the plan is for h20x32"),
    ],
)
def test_a_run_that_cannot_correct_is_one_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, place: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    measured_run(tmp_path / "a", capsys)
    words = [f"+recipe={recipe}", f"run_dir={tmp_path / 'b'}", f"calibrate={tmp_path / place}"]
    code, _, err = plan(capsys, *words)
    assert code == 2 and said in err


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    run.plan.mkdir()
    odd = '{"format": 1, "stages": {"sft": {"device": "cpu", "peak_bytes": NaN}}}'
    for text in ('{"format": 99, "stages": {}}', "{", "[]", odd):
        (run.plan / "plan.json").write_text(text)
        with pytest.raises(UserError, match="is not a plan that this version reads"):
            plan_and_measured(run)


def test_planning_imports_no_framework(tmp_path: Path) -> None:
    code = (
        "import sys; from funreason_train.commands.cli import main; "
        f"main(['plan', '+recipe=funreason_mt_4b', 'run_dir={tmp_path}']); "
        "print([m for m in ('torch','ray','verl','vllm','transformers','deepspeed') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_trees_have_fewer_tokens_but_as_many_that_are_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    (folder / "sft").mkdir(parents=True)
    history = [{"from": "human", "value": "word " * 100}]
    rows = [{"id": f"a/{turn}", "system": "", "conversations": history * (turn + 1)} for turn in range(8)]
    (folder / "sft" / "train.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    (folder / "sft" / "dataset_info.json").write_text('{"train": {"file_name": "train.json"}}')
    lengths = {"prompt": {"mean": 900, "max": 1800}, "target": {"mean": 100, "max": 200}}
    (folder / "ledger.json").write_text(json.dumps({"a": {"steps": 8, "tokens": lengths}}))
    words = ["cluster=cpu", "model=HuggingFaceTB/SmolLM2-135M-Instruct", f"run_dir={tmp_path}", "--json"]

    def logits(*more: str) -> float:
        _, out, _ = plan(capsys, *words, "sft.per_device_batch=1", "sft.packing=true", *more)
        return float(json.loads(out)["stages"]["sft"]["memory_bytes"]["loss"]["logits"])

    rows_alone = logits("sft.cutoff_len=2048")
    assert logits("sft.tree=true", "sft.tree_tokens=2048") > 2 * rows_alone


def test_rl_on_prompts_of_another_run_is_planned_with_their_lengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "other" / "data"
    (folder / "rl").mkdir(parents=True)
    lengths = {"prompt": {"mean": 777, "max": 900}, "target": {"mean": 23, "max": 40}}
    (folder / "ledger.json").write_text(json.dumps({"a": {"steps": 8, "tokens": lengths}}))
    words = ["cluster=cpu", "model=HuggingFaceTB/SmolLM2-135M-Instruct", f"run_dir={tmp_path / 'run'}"]
    sizes = ["rl.prompts_per_step=10", "rl.samples_per_prompt=4", "rl.algorithm.filter_groups=true"]
    file = f"rl.train_file={folder / 'rl' / 'train.parquet'}"
    _, out, _ = plan(capsys, *words, *sizes, file, "rl.algorithm.filter_batches=3", "--json")
    stage = json.loads(out)["stages"]["rl"]
    assert stage["tokens_per_step"] == 10 * 4 * (777 + 23)
    rollouts = f"up to 3 more batches of rollouts a step, {stage['step_seconds']['rollouts']:,.1f} s each"
    assert any(rollouts in note for note in stage["notes"])


@pytest.mark.parametrize("command", [["plan"], ["rl", "dry_run=true"]])
def test_machines_of_unknown_speed_have_a_plan_without_times(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With groups that are filtered it was a traceback."""
    words = ["+recipe=quickstart_cpu", "cluster.speed=null", f"run_dir={tmp_path / 'run'}"]
    assert main([*command, *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "more batches of rollouts a step (rl.algorithm.filter_batches)" in said


def test_a_mean_length_is_within_the_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "+recipe=quickstart_cpu", f"run_dir={tmp_path / 'run'}"]
    for key, limit in (("response_tokens", "rl.max_response_tokens"), ("row_tokens", "sft.cutoff_len")):
        assert main([*words, f"{key}=90000", "sft.cutoff_len=4096"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert f"plan.{key}=90000: a mean cannot be above the limit ({limit}=" in said
    assert main([*words, "prompt_tokens=9000.5", "row_tokens=9000", "--json"]) == 0
    notes = [note for one in json.loads(capsys.readouterr().out)["stages"].values() for note in one["notes"]]
    assert any("rows of at most 9,000 tokens" in note for note in notes)
    assert any("prompts of at most 9,001 tokens" in note for note in notes)


def test_a_plan_is_shown_also_where_it_cannot_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["plan", "+recipe=quickstart_cpu", f"run_dir={tmp_path / 'file'}", "--json"]) == 2
    out, err = capsys.readouterr()
    assert set(json.loads(out)["stages"]) == {"sft", "rl"} and "cannot be written" in err
