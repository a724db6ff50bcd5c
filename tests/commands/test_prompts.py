"""An evaluation shows a model the prompts that it learned from, unless the command says others."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.commands.cli import main
from funreason_train.commands.line.next_step import next_step
from funreason_train.commands.line.prompts import settle_prompts
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings import load_settings

COMPACT = {"protocol.system": "compact", "protocol.escape": True, "protocol.answer": "bare"}
OTHER = {"protocol.system": "bfcl", "protocol.escape": False, "protocol.answer": "bare"}


def trained(root: Path, protocol: dict[str, object] = COMPACT) -> RunDir:
    run = RunDir.at(root)
    for folder in (run.sft_model, run.export, run.base_model):
        folder.mkdir(parents=True)
    Manifest(run).update("data", state="done", settings=protocol)
    Manifest(run).update("rl", state="done", settings=protocol)
    return run


@pytest.mark.parametrize("folder", ["export", "sft/model", "base"])
def test_prompts_are_those_of_the_training(tmp_path: Path, folder: str) -> None:
    """A command without a recipe, as docs/evaluation.md has it, asked in words that no model had seen."""
    run = trained(tmp_path / "run")
    words = [f"model={run.root / folder}", f"run_dir={run.root}"]
    config = load_settings("eval", words)
    assert config.protocol.system == "bfcl"
    assert "those of the training (protocol.system=compact" in settle_prompts(config, words)
    assert config.protocol.system == "compact"
    assert settle_prompts(config, words) == ""


@pytest.mark.parametrize("more", ["protocol.system=bfcl", "protocol.escape=true", "+recipe=funreason_mt_4b"])
def test_a_command_that_names_others_is_warned(tmp_path: Path, more: str) -> None:
    run = trained(tmp_path / "run")
    words = [f"eval.models={{mine: '{run.export}'}}", more]
    config = load_settings("eval", words)
    assert "Warning: mine learned from other prompts" in settle_prompts(config, words)
    assert config.protocol.system == "bfcl"


def test_models_that_learned_from_different_prompts_are_warned_of(tmp_path: Path) -> None:
    a, b = trained(tmp_path / "a"), trained(tmp_path / "b", OTHER)
    words = [f"model=[{a.export},{b.export},lab/other]"]
    config = load_settings("eval", words)
    assert "Warning: a, b learned from other prompts" in settle_prompts(config, words)
    assert config.protocol.system == "bfcl"


def test_of_other_models_nothing_is_known(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    run.manifest.write_text("{")
    (tmp_path / "plain").mkdir()
    for model in (run.export, tmp_path / "plain", "lab/other"):
        config = load_settings("eval", [f"model={model}"])
        assert settle_prompts(config, []) == ""


def test_the_command_says_so_and_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path / "run")
    words = ["eval", f"model={run.export}", f"run_dir={run.root}", "dry_run=true"]
    main(words)
    assert "Prompts are those of the training" in " ".join(capsys.readouterr().out.split())
    assert "system: compact" in (run.plan / "config.yaml").read_text()


def test_the_command_after_export_evaluates_where_and_as_it_was_trained(tmp_path: Path) -> None:
    words = ["+recipe=quickstart_cpu", "cluster=cpu", "model=lab/base", f"run_dir={tmp_path / 'run'}"]
    config = load_settings("export", words)
    following = next_step("export", config, RunDir.at(tmp_path / "run"), words)
    assert following.startswith("funreason-train eval +recipe=quickstart_cpu cluster=cpu model=")
    assert "lab/base" not in following
