"""Every shipped recipe, composed, checked against the installed frameworks and dry-run."""

import subprocess
import sys
from pathlib import Path

import pytest

from funreason_train.run.compose import recipes, shipped


def dry_run(command: str, recipe: str, run: Path) -> str:
    words = [f"+recipe={recipe}", "dry_run=true", f"run_dir={run}"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "funreason_train", command, *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    imported = {
        line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "import time:" in line
    }
    assert imported.isdisjoint({"torch", "ray", "vllm", "verl", "llamafactory", "transformers"})
    return done.stdout


@pytest.mark.parametrize("recipe", recipes())
@pytest.mark.parametrize("command", ["sft", "rl", "pipeline"])
def test_a_dry_run_resolves_everything_and_imports_no_framework(
    command: str, recipe: str, tmp_path: Path
) -> None:
    out = dry_run(command, recipe, tmp_path)
    files = {path.name for path in (tmp_path / "plan").iterdir()}
    stages = {"sft", "rl"} if command == "pipeline" else {command}
    assert files == {"config.yaml", "commands.txt", *(f"{stage}.yaml" for stage in stages)}
    assert "nothing was started" in " ".join(out.split())
    assert not (tmp_path / "manifest.json").exists()


def test_the_h20_recipe_names_a_command_for_each_node(tmp_path: Path) -> None:
    dry_run("sft", "funreason_mt_4b", tmp_path)
    lines = (tmp_path / "plan" / "commands.txt").read_text().splitlines()
    assert [f"NODE_RANK={rank}" in line for rank, line in enumerate(lines)] == [True] * 4


def test_the_h20_recipe_reaches_the_frameworks(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    dry_run("pipeline", "funreason_mt_4b", tmp_path)
    sft = OmegaConf.load(tmp_path / "plan" / "sft.yaml")
    rl = OmegaConf.load(tmp_path / "plan" / "rl.yaml")
    assert sft.workers * sft.batch.per_device * sft.batch.accumulate == 512
    assert sft.deepspeed.zero_optimization.stage == 3
    assert (rl.trainer.nnodes, rl.trainer.n_gpus_per_node) == (4, 8)
    assert rl.trainer.device == "cuda"
    assert "cpu" not in str(rl.actor_rollout_ref.model.external_lib or "")


def test_every_value_of_the_paper_recipe_names_its_source() -> None:
    words = ("not published", "our choice", "paper", "handler", "model card", "released", "never cut")
    recipe = (shipped("recipes") / "funreason_mt_4b.yaml").read_text().splitlines()
    values = [
        line
        for line in recipe
        if line.startswith("  ")
        and ":" in line
        and not line.strip().startswith(("#", "-"))
        and line.split(":")[1].strip()
    ]
    assert len(values) > 15
    assert [line for line in values if not any(word in line for word in words)] == []
