"""A model that the installed transformers does not know is told before a cluster is held."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from funreason_train.commands.cli import main
from funreason_train.commands.stages import stage_of
from funreason_train.errors import UserError
from funreason_train.models.frameworks.known import family_problem, must_know, must_serve
from funreason_train.rl import stage as rl
from funreason_train.run.paths import RunDir
from funreason_train.run.process import call_in_process
from funreason_train.settings.compose import compose

pytest.importorskip("transformers")


def folder(path: Path, **config: Any) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_a_family_that_nobody_knows_is_named_with_the_version(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"transformers [\d.]+ cannot read config\.json .*foo.*family"):
        must_know(folder(tmp_path, model_type="foo", hidden_size=8))


def test_a_value_of_another_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read config\.json"):
        must_know(folder(tmp_path, model_type="llama", rms_norm_eps="small", hidden_size="8"))


def test_a_known_one_and_a_folder_without_settings_pass(tmp_path: Path) -> None:
    must_know(tmp_path)
    must_know(folder(tmp_path, model_type="llama", hidden_size=8, num_attention_heads=2))


@pytest.mark.parametrize("stage", ["sft", "rl", "eval"])
def test_no_stage_starts_with_it_and_dry_runs_say_so(tmp_path: Path, stage: str) -> None:
    model = folder(tmp_path, model_type="foo")
    key = "eval.models" if stage == "eval" else f"{stage}.model"
    value = f"{{mine: {model}}}" if stage == "eval" else model
    config = compose(stage, [f"run_dir={tmp_path / 'run'}", f"{key}={value}"])
    found = map(str, stage_of(stage).check(config, RunDir.at(tmp_path / "run")))
    assert any("the family 'foo'" in one and "transformers" in one for one in found)


@pytest.mark.parametrize(("family", "refused"), [("foo", True), ("kimi_k2", True), ("qwen3", False)])
def test_no_checkpoint_of_an_unknown_family_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str, refused: bool
) -> None:
    """The export loads the model, so a family that vLLM alone knows is no help; a dry run says so as well."""
    actor = tmp_path / "run/rl/checkpoints/global_step_1/actor"
    (actor / "huggingface").mkdir(parents=True)
    folder(actor / "huggingface", model_type=family)
    (actor / "fsdp_config.json").write_text('{"world_size": 1}')
    files = [actor / f"{part}_world_size_1_rank_0.pt" for part in ("model", "optim", "extra_state")]
    for file in (*files, actor.parent / "data.pt"):
        zipfile.ZipFile(file, "w").close()
    code = main(["export", "dry_run=true", f"run_dir={tmp_path / 'run'}"])
    told = capsys.readouterr().err
    assert (code, f"the family '{family}' (model_type), which transformers" in told) == (
        (2, True) if refused else (0, False)
    )


def test_an_endpoint_serves_what_it_knows(tmp_path: Path) -> None:
    words = [f"run_dir={tmp_path / 'run'}", f"eval.models={{mine: {folder(tmp_path, model_type='foo')}}}"]
    config = compose("eval", [*words, "eval.endpoint=http://127.0.0.1:1"])
    found = map(str, stage_of("eval").check(config, RunDir.at(tmp_path / "run")))
    assert not any("family" in one for one in found)


def test_a_family_of_vllm_s_own_can_be_served_and_not_trained(tmp_path: Path) -> None:
    assert family_problem(folder(tmp_path, model_type="kimi_k2"), trained=False) is None
    assert "kimi_k2" in (family_problem(tmp_path, trained=True) or "")
    assert family_problem(folder(tmp_path, model_type="qwen3"), trained=True) is None


def test_vllm_is_asked_where_it_does_not_list_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(rl, "call_in_process", lambda function, model: asked.append(model))
    for model in ("Qwen3ForCausalLM", "OddForCausalLM"):
        sizes = {"hidden_size": 8, "num_attention_heads": 2}
        known = folder(tmp_path, model_type="qwen3", architectures=[model], **sizes)
        for engine in ("vllm", "transformers"):
            words = [f"rl.model={known}", f"rl.rollout.engine={engine}"]
            rl.ask_the_frameworks(compose("rl", [f"run_dir={tmp_path / 'run'}", *words]))
    assert asked == [str(tmp_path)], "the second architecture, with vLLM"


def test_what_vllm_cannot_serve_is_one_sentence(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 16}
    folder(tmp_path, model_type="t5", architectures=["T5ForConditionalGeneration"], **sizes)
    with pytest.raises(UserError, match=r"vLLM [\d.]+ cannot serve it .*T5ForConditionalGeneration"):
        call_in_process(must_serve, str(tmp_path))
