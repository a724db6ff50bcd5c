"""What the stage refuses, what it counts, and how it takes a finished model over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from sft.test_sft_checkpoints import checkpoint, tensors

from funreason_train.errors import UserError
from funreason_train.parity import gate
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve
from funreason_train.sft import resume, stage
from funreason_train.sft.llamafactory.arguments import Paths
from funreason_train.sft.tokens import dataset, tokenise

INFO = {
    "train": {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
    }
}


def model_folder(path: Path) -> Path:
    path.mkdir()
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        (path / name).write_text("{}")
    tensors(path / "model.safetensors")
    return path


def setting(tmp_path: Path, *words: str) -> tuple[DictConfig, RunDir]:
    model = tmp_path / "model"
    if not model.exists():
        model_folder(model)
    run = RunDir.at(tmp_path / "run")
    data = run.data / "sft"
    data.mkdir(parents=True, exist_ok=True)
    write_json(data / "dataset_info.json", INFO)
    write_json(data / "train.json", [{"id": "1"}])
    return resolve(compose("sft", [f"run_dir={run.root}", f"model={model}", *words]), "sft"), run


def test_a_complete_setting_has_no_problem(tmp_path: Path) -> None:
    assert stage.check(*setting(tmp_path)) == []


def test_what_the_pipeline_has_yet_to_make_is_no_problem(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    assert stage.check(resolve(compose("sft", [f"run_dir={tmp_path}"]), "pipeline"), run) == []


def test_but_running_without_data_says_how_to_get_it(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    with pytest.raises(UserError, match="funreason-train data"):
        stage.run(resolve(compose("sft", [f"run_dir={tmp_path}"]), "sft"), run)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda model, data: (model / "tokenizer.json").unlink(), "there is no tokenizer"),
        (lambda model, data: (model / "config.json").unlink(), "not a Hugging Face model folder"),
        (lambda model, data: (model / "model.safetensors").unlink(), "there are no weights"),
        (lambda model, data: (model / "chat_template.jinja").unlink(), "has no chat template"),
        (lambda model, data: tensors(model / "model.safetensors", cut=1), "is cut off"),
        (lambda model, data: (data / "train.json").unlink(), "train.json is missing"),
        (lambda model, data: (data / "dataset_info.json").unlink(), "dataset_info.json is missing"),
        (lambda model, data: (data / "dataset_info.json").write_text("{"), "is not JSON"),
        (lambda model, data: (data / "dataset_info.json").write_text('{"other": {}}'), "no entry 'train'"),
    ],
)
def test_broken_inputs_are_one_sentence_each(tmp_path: Path, break_it: Any, says: str) -> None:
    config, run = setting(tmp_path)
    break_it(tmp_path / "model", run.data / "sft")
    problems = stage.check(config, run)
    assert len(problems) == 1
    assert says in problems[0]
    with pytest.raises(UserError, match=says):
        stage.run(config, run)


def test_tokens_that_differ_from_the_rollouts_stop_the_stage_before_it_tokenises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl#7807: the data were proved with another tokenizer than that of this model."""
    config, run = setting(tmp_path)
    write_json(run.data / "manifest.json", {"parity": "of another tokenizer"})
    jobs = []

    def differ(function: Any, job: dict[str, Any], environment: dict[str, str]) -> None:
        jobs.append(job)
        raise UserError("differ: at token 3", where="model", fix="Check")

    monkeypatch.setattr(gate, "call_in_process", differ)
    with pytest.raises(UserError, match=r"model: differ: at token 3\. Check"):
        stage.run(config, run)
    (job,) = jobs
    assert (job["data"], job["model"]) == (str(run.data), str(tmp_path / "model"))


@pytest.mark.parametrize("change", [{"formatting": "openai"}, {"columns": {"tools": "tools"}}])
def test_a_form_that_renders_other_prompts_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    config, run = setting(tmp_path)
    write_json(run.data / "sft" / "dataset_info.json", {"train": {**INFO["train"], **change}})
    assert "sharegpt and no tools column" in stage.check(config, run)[0]


@pytest.mark.parametrize(("limit", "warns"), [(64, True), (260, True), (261, False), (512, False)])
def test_a_limit_below_the_longest_prompt_is_told_before_anything_is_tokenised(
    tmp_path: Path, limit: int, warns: bool
) -> None:
    config, run = setting(tmp_path, f"sft.cutoff_len={limit}")
    lengths = {"prompt": {"mean": 110, "max": 260}, "target": {"mean": 27, "max": 44}}
    write_json(run.data / "ledger.json", {"mine": {"steps": 8, "tokens": lengths}})
    told = [line for line in stage.brief(config, run) if line.startswith("warning: sft.cutoff_len")]
    assert [("260 tokens" in line and f"={limit}," in line) for line in told] == [True] * warns


def test_the_cluster_profile_without_gpus_stops_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("funreason_train.cluster.profile.visible_gpus", lambda *_: 0)
    config, run = setting(tmp_path, "cluster=h20x32")
    assert stage.check(config, run) == []
    with pytest.raises(UserError, match=r"no GPU.*dry_run=true"):
        stage.run(config, run)


def test_checkpoints_of_other_workers_are_refused(tmp_path: Path) -> None:
    """pitfall DeepSpeed#3810: ZeRO shards of 4 processes cannot be continued by 2."""
    config, run = setting(tmp_path, "cluster.sft.workers=4", "per_device_batch=4", "deepspeed=zero3")
    paths = Paths.of(config, run)
    write_json(paths.workers, resume.workers_record(config, "abc"))
    checkpoint(paths.checkpoints, 10, workers=4, zero=True)
    resume.refuse_other_workers(config, paths, "abc")
    fewer, _ = setting(tmp_path, "cluster.sft.workers=2", "per_device_batch=8", "deepspeed=zero3")
    with pytest.raises(UserError, match="workers was 4, is 2") as caught:
        resume.refuse_other_workers(fewer, paths, None)
    assert "restart=sft" in str(caught.value)
    with pytest.raises(UserError, match="tokens was abc, is xyz"):
        resume.refuse_other_workers(config, paths, "xyz")


def test_a_run_whose_record_has_the_older_name_is_held_to_it(tmp_path: Path) -> None:
    config, run = setting(tmp_path, "cluster.sft.workers=4", "per_device_batch=4")
    assert Paths.of(config, run).workers.name == "workers.json"
    write_json(run.sft / "gang.json", {**resume.workers_record(config, "abc"), "workers": 8})
    paths = Paths.of(config, run)
    checkpoint(paths.checkpoints, 10, workers=8, zero=True)
    with pytest.raises(UserError, match="workers was 8, is 4"):
        resume.refuse_other_workers(config, paths, None)


def test_labels_are_counted_by_rows_even_when_packed() -> None:
    plain = [[-100, -100, 5, 6], [-100, 7, 8, 9, 9]]
    packed = [[-100, -100, 5, 6, -100, 7, 8, 9, 9, -100]]
    assert tokenise.measure(plain) == {"rows": 2, "sequences": 2, "tokens": 9, "learned": 6, "longest": 5}
    assert tokenise.measure(packed)["rows"] == 2
    assert tokenise.measure([[-100, -100]])["rows"] == 0


def test_dropped_and_long_rows_stop_the_stage() -> None:
    """pitfalls LF#9107 (rows dropped with a warning) and LF#3995 (rows cut without one)."""
    report = {"rows": 9, "sequences": 9, "tokens": 900, "learned": 90, "longest": 120}
    assert tokenise.objection(report, 9, 120) is None
    assert tokenise.objection(report, 9, None) is None
    assert "hold 9 of 10 rows" in str(tokenise.objection(report, 10, None))
    assert "at least 120" in str(tokenise.objection(report, 9, 119))


def test_tokens_are_cached_by_content(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text("[1]")
    job = {"packing": False, "cutoff_len": None, "files": {"train": str(file)}, "workers": 1}
    first = dataset.fingerprint(job, [file])
    assert first == dataset.fingerprint({**job, "workers": 8, "cutoff_len": 512}, [file])
    assert first != dataset.fingerprint({**job, "packing": True, "cutoff_len": 512}, [file])
    file.write_text("[2]")
    assert first != dataset.fingerprint(job, [file])


def test_rows_to_measure_the_loss_on_do_not_change_what_a_run_is(tmp_path: Path) -> None:
    """A run may begin to measure its loss on validation rows: the training rows are the same."""
    index, train, val = (tmp_path / name for name in ("dataset_info.json", "train.json", "val.json"))
    for file in (index, train, val):
        file.write_text(f'["{file.name}"]')
    job = {"packing": False, "cutoff_len": None, "model": str(tmp_path), "files": {"train": str(train)}}
    both = {**job, "files": {"validation": str(val), "train": str(train)}}
    names = [dataset._folder_name(one, index) for one in (job, both)]
    figures = dict.fromkeys(("rows", "sequences", "tokens", "learned", "longest"), 0)
    tokenised = [dataset.Tokenised(folder=tmp_path / name, **figures) for name in names]
    assert names[0] != names[1]
    assert tokenised[0].identity == tokenised[1].identity == names[0]
    train.write_text("[2]")
    assert dataset._folder_name(both, index).partition("-")[0] != names[0]


def test_publishing_replaces_the_old_model_and_leaves_the_trainers_files_behind(tmp_path: Path) -> None:
    source, target, base = tmp_path / "checkpoints", tmp_path / "model", tmp_path / "base"
    source.mkdir()
    base.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "training_args.bin"):
        (source / name).write_text(name)
    for name in ("tokenizer.json", "chat_template.jinja", "config.json"):
        (base / name).write_text(f"the base's {name}")
    target.mkdir()
    (target / "stale").touch()
    stage.publish(source, target, base)
    assert sorted(os.listdir(target)) == [
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert (target / "tokenizer.json").read_text() == "the base's tokenizer.json", "the tokens stay the same"
    assert (target / "config.json").read_text() == "config.json"
    assert sorted(os.listdir(tmp_path)) == ["base", "checkpoints", "model"]


def test_only_a_whole_model_at_the_target_step_is_finished(tmp_path: Path) -> None:
    """pitfall verl#7401: a resume that trains nothing must not count as success."""
    done = {"step": 10, "loss": 0.5, "parameters": 4, "vocabulary": 4}
    assert stage._finished(tmp_path, 10) is None
    write_json(tmp_path / "done.json", done)
    assert stage._finished(tmp_path, 10) is None
    tensors(tmp_path / "model.safetensors")
    assert stage._finished(tmp_path, 10) == json.loads(json.dumps(done))
    assert stage._finished(tmp_path, 20) is None


def test_a_run_is_not_made_shorter_than_what_it_has_trained(tmp_path: Path) -> None:
    config, run = setting(tmp_path, "sft.max_steps=3")
    paths = Paths.of(config, run)
    checkpoint(paths.checkpoints, 4)
    resume.refuse_fewer_steps(paths, 1, 4)
    with pytest.raises(UserError, match=r"trained 4 steps already.*more than the 3.*restart=sft"):
        resume.refuse_fewer_steps(paths, 1, 3)
