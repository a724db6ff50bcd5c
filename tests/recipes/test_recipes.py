"""Every shipped recipe, composed, checked against the installed frameworks and dry-run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig

from funreason_train.commands.cli import main
from funreason_train.settings import load_settings
from funreason_train.settings.compose import compose, recipes, shipped
from funreason_train.settings.places import group_choices
from funreason_train.settings.resolve import run_of

FRAMEWORKS = {"torch", "ray", "vllm", "verl", "llamafactory", "transformers"}
#: Dry runs one after the other in one process; what each printed, and which modules were imported.
PROGRAM = """
import contextlib, io, json, sys
from funreason_train.commands.cli import main
told = []
for words in json.loads(sys.stdin.read()):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(words)
    told.append([code, out.getvalue()])
print(json.dumps([told, sorted(sys.modules)]))
"""


def dry_runs(*runs: list[str]) -> list[str]:
    """What dry runs print, which must not import a framework."""
    words = [[*words, "dry_run=true"] for words in runs]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(words), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    told, imported = json.loads(done.stdout)
    assert FRAMEWORKS.isdisjoint(imported)
    for run, (code, out) in zip(words, told, strict=True):
        assert code == 0, (run, out, done.stderr[-2000:])
    return [out for _, out in told]


def dry_run(command: str, recipe: str, run: Path) -> str:
    return dry_runs([command, f"+recipe={recipe}", f"run_dir={run}"])[0]


def test_every_recipe_on_every_machine_is_planned_or_refused_in_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All stages, `pipeline` has them; what it refuses, it says how to mend."""
    ways = re.compile(
        r"It fits with \w|otherwise it needs a smaller model|Set sft\.\w+ to|must be at most \d"
    )
    refused: dict[tuple[str, str], str] = {}
    for recipe in recipes():
        for cluster in group_choices()["cluster"]:
            words = [f"+recipe={recipe}", f"cluster={cluster}", f"run_dir={tmp_path}", "dry_run=true"]
            if main(["pipeline", *words]) != 0:
                refused[recipe, cluster] = capsys.readouterr().err
    unclear = {
        pair: line
        for pair, told in refused.items()
        for line in told.splitlines()
        if not ways.search(line) and "problems would stop the run:" not in line
    }
    assert unclear == {}
    assert ("funreason_mt_4b", "cpu") in refused, "four thousand million parameters on a processor"


def profiles_and_recipes() -> list[tuple[str, str]]:
    """What docs/cluster.md says which recipe fits which machines."""
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    named = [(cells[1], cells[3]) for cells in rows if len(cells) == 5]
    found = [
        (profile.strip(" `"), recipe) for profile, cell in named for recipe in re.findall(r"`(\w+)`", cell)
    ]
    return [pair for pair in found if pair[0] in group_choices()["cluster"]]


def test_every_profile_has_a_recipe_and_every_recipe_a_profile() -> None:
    pairs = profiles_and_recipes()
    assert {profile for profile, _ in pairs} == set(group_choices()["cluster"])
    assert {recipe for _, recipe in pairs} == set(recipes())


@pytest.mark.parametrize(("profile", "recipe"), profiles_and_recipes())
def test_a_recipe_passes_every_check_on_the_machines_that_it_claims_to_fit(
    profile: str, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dry_run=true", f"+recipe={recipe}", f"cluster={profile}", f"run_dir={tmp_path}"]
    assert main(["pipeline", *words]) == 0
    assert "no problems found" in " ".join(capsys.readouterr().out.split())
    config = load_settings("pipeline", words)
    assert config.cluster.name == profile
    commands = (tmp_path / "plan" / "commands.txt").read_text().splitlines()
    assert len(commands) == config.cluster.nodes * sum(
        name in ("sft", "rl") for name in config.pipeline.stages
    )
    for stage in ("data", "export", "eval", "doctor"):  # by themselves, as the page has it
        assert main([stage, *words]) == 0, capsys.readouterr().err


def compose_recipe(name: str) -> DictConfig:
    return compose("rl", [f"+recipe={name}"])


@pytest.mark.parametrize("recipe", recipes())
def test_a_dry_run_resolves_everything_and_imports_no_framework(recipe: str, tmp_path: Path) -> None:
    commands = ("sft", "rl", "pipeline")
    told = dry_runs(*([name, f"+recipe={recipe}", f"run_dir={tmp_path / name}"] for name in commands))
    for command, out in zip(commands, told, strict=True):
        files = {path.name for path in (tmp_path / command / "plan").iterdir()}
        named = load_settings("pipeline", [f"+recipe={recipe}"]).pipeline.stages
        stages = {"sft", "rl"} & {*named} if command == "pipeline" else {command}
        jobs = {f"rayjob_{stage}.yaml" for stage in stages} if not recipe.endswith("_cpu") else set()
        assert files == {
            "config.yaml",
            "commands.txt",
            "plan.json",
            *(f"{stage}.yaml" for stage in stages),
            *jobs,
        }
        assert "nothing was started" in " ".join(out.split())
        assert not (tmp_path / command / "manifest.json").exists()


@pytest.mark.parametrize("words", [[], ["synth.out={}/elsewhere"]])
def test_the_quickstart_trains_on_what_its_synth_makes_wherever_that_is_put(
    words: list[str], tmp_path: Path
) -> None:
    config = load_settings(
        "pipeline",
        ["+recipe=quickstart_cpu", f"run_dir={tmp_path}", *(word.format(tmp_path) for word in words)],
    )
    assert [config.data[name].path for name in config.data.datasets] == [
        str(run_of(config).synth_conversations)
    ]


def test_the_quickstart_of_three_phases_has_every_kind_of_slip_that_rl_can_correct() -> None:
    config = compose_recipe("quickstart_cpu")
    assert config.synth.maker == "phases" and config.synth.sampler.policy == "directed"
    assert config.synth.query.style == "hard" and config.synth.agents == "offline"
    kinds = {"parallel": "parallel", "no_tool": "no_tool", "ask": "missing_parameter"}
    for slip, kind in kinds.items():
        assert config.synth.offline.slips[slip] > 0 and config.synth.kinds[kind] >= 0.1, kind


def test_a_dry_run_of_rl_says_in_brief_what_it_comes_to(tmp_path: Path) -> None:
    out = dry_run("rl", "funreason_mt_4b", tmp_path)
    brief = dict(line.split(": ", 1) for line in out.split("rl in brief")[1].splitlines()[1:12])
    assert brief["step"] == "1,024 prompts x 8 samples = 8,192, 256 a worker, in 1 optimiser update"
    assert brief["workers"].startswith("4 nodes x 8 = 32, with 32 rollout engines of 1, each taking 60% of")
    assert brief["tokens"] == "prompt 24,576 + response 8,192; nothing is cut"
    assert brief["passes"].startswith("up to 32,768 tokens, without gradient 32,768; attention ")
    assert brief["length"] == "5 passes over the data"
    assert brief["data"].startswith("not there yet (") and brief["reward"] == "binary"
    assert brief["algorithm"].startswith(
        "grpo, clip 0.2/0.2, KL loss 0.001 (low_var_kl), token-mean, entropy"
    )
    assert brief["start"] == str(tmp_path / "sft" / "model")


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
    assert sft.deepspeed.zero_optimization.stage == 2
    assert (rl.trainer.nnodes, rl.trainer.n_gpus_per_node) == (4, 8)
    assert rl.trainer.device == "cuda"
    # Weights are gathered within a node, over NVLink.
    assert rl.actor_rollout_ref.actor.fsdp_config.fsdp_size == rl.trainer.n_gpus_per_node
    assert "cpu" not in str(rl.actor_rollout_ref.model.external_lib or "")


@pytest.mark.parametrize("name", ["funreason_mt_4b", "egpo_4b"])
def test_every_value_of_the_reference_recipes_names_its_source(name: str) -> None:
    words = ("not published", "our choice", "paper", "handler", "model card", "released", "never cut", "EGPO")
    recipe = (shipped("recipes") / f"{name}.yaml").read_text().split("defaults:")[1].splitlines()
    values = [
        line
        for line in recipe
        if not line.strip().startswith(("#", "-")) and line.partition("#")[0].partition(":")[2].strip()
    ]
    assert len(values) > 4
    assert [line for line in values if not any(word in line.partition("#")[2] for word in words)] == []


def test_the_arithmetic_of_the_paper_recipe_is_right() -> None:
    """In it and in docs/plan.md: worked out again from Qwen3-4B-Instruct-2507's shape (its config.json)."""
    gib, layers, hidden, heads, kv_heads, head, mlp, words = 2**30, 36, 2560, 32, 8, 128, 9728, 151_936
    layer = 2 * hidden * heads * head + 2 * hidden * kv_heads * head + 3 * hidden * mlp
    parameters = words * hidden + layers * layer
    token = layers * 2 * kv_heads * head * 2
    row, prompt, answer, samples, batch, gpus = 32_768, 24_576, 8_192, 8, 1024, 32
    rollout = 0.6 * 95.6
    cache = rollout - 2 * parameters / gib - 3
    tokens = cache * gib / token
    pair = 2 * (rollout - parameters / gib - 3)
    facts = [
        f"holds {((2 + 16 / gpus) * parameters + 6 * words * hidden) / gib:.0f} GiB of states",
        f"adds {layers * row * hidden * 2 / gib:.1f} GiB at layer borders",
        f"save {2 * parameters * (1 - 1 / gpus) / gib:.0f} GiB that nobody needs",
        f"gather {2 * parameters / gib:.1f} GiB of weights",
        f"leaves {cache:.1f} GiB of cache, {tokens // 1000:.0f},000 tokens",
        f"{tokens // row:.0f} full-length samples alone, or "
        f"{tokens // (prompt + samples * answer):.0f} groups of 8",
        f"hold {100 * (pair / (2 * cache) - 1):.0f} % more cache",
        f"12 bytes a parameter, {12 * parameters / gib:.0f} GiB",
        f"{2 * 12 * parameters / gib:.0f} GiB of disk, {3 * 12 * parameters / gib:.0f} while",
    ]
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    recipe = (shipped("recipes") / "funreason_mt_4b.yaml").read_text().replace("#", " ")
    said = " ".join(f"{page} {recipe}".split())
    assert [fact for fact in facts if fact not in said] == []
    config = compose_recipe("funreason_mt_4b")
    assert config.rl.max_prompt_tokens + config.rl.max_response_tokens == config.rl.tokens_per_pass == row
    assert (config.rl.max_prompt_tokens, config.rl.rollout.memory) == (prompt, 0.6)
    assert (config.rl.prompts_per_step, config.rl.samples_per_prompt) == (batch, samples)
