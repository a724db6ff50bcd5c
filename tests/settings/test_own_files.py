"""Configuration from outside of the clone: recipes and groups in files and folders of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.settings import load_settings
from funreason_train.settings.compose import compose


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somewhere else, with a blank and a comma in its name."""
    place = tmp_path / "my files, 2026"
    place.mkdir()
    return place


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_recipe_is_a_file_anywhere(folder: Path) -> None:
    file = write(folder / "mine.yaml", "run_dir: runs/mine\nsft:\n  learning_rate: 1.0e-3\n")
    config = load_settings("sft", [f"+recipe={file}", "epochs=7"])
    assert config.run_dir.endswith("/runs/mine")
    assert (config.sft.learning_rate, config.sft.epochs) == (1e-3, 7)


def test_it_may_build_on_a_shipped_one_on_its_neighbours_and_choose_groups(folder: Path) -> None:
    write(folder / "base.yaml", "# @package _global_\nsft: {epochs: 2, weight_decay: 0.1}\n")
    text = "# @package _global_\ndefaults: [funreason_mt_4b, base, override /cluster: cpu, _self_]\n"
    file = write(folder / "mine.yaml", f"{text}sft: {{epochs: 4}}\n")
    config = compose("sft", [f"+recipe={file}"])
    assert (config.cluster.name, config.sft.epochs, config.sft.weight_decay) == ("cpu", 4, 0.1)
    assert config.model.path == "Qwen/Qwen3-4B-Instruct-2507"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "cluster: h20x32\n",
            "cluster: h20x32 chooses nothing here. Write `defaults: [{override /cluster: h20x32}]`",
        ),
        ("model: lab/model\n", "model: lab/model chooses nothing here. Write `model: {path: lab/model}`"),
        ("sft: [1]\n", "sft holds a list, not settings. Write `sft:` and below it"),
    ],
)
def test_a_section_that_holds_no_settings_says_how_it_is_written(folder: Path, text: str, says: str) -> None:
    file = write(folder / "mine.yaml", text)
    with pytest.raises(UserError) as error:
        compose("sft", [f"+recipe={file}"])
    assert str(error.value).startswith(f"{file}: {says}")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("defaults: [override cluster: h20x32]\n", "named with a slash: override /GROUP: NAME"),
        ("cluster: {env: [A]}\n", "A list stands where settings are expected"),
    ],
)
def test_what_only_hydra_notices_comes_with_a_hint(folder: Path, text: str, fix: str) -> None:
    with pytest.raises(UserError, match=fix):
        compose("sft", [f"+recipe={write(folder / 'mine.yaml', text)}"])


def test_it_may_have_the_name_of_a_shipped_one(folder: Path) -> None:
    file = write(folder / "quickstart_cpu.yaml", "seed: 77\n")
    assert compose("sft", [f"+recipe={file}"]).seed == 77


def test_several_recipes_are_laid_over_each_other(folder: Path) -> None:
    file = write(folder.parent / "more.yaml", "rl: {steps: 3}\n")
    for words in (["+recipe=quickstart_cpu", f"+recipe={file}"], [f"+recipe=[quickstart_cpu,{file}]"]):
        config = compose("rl", words)
        assert (config.rl.steps, config.rl.prompts_per_step) == (3, 24)


@pytest.mark.parametrize(
    ("group", "text", "key", "value"),
    [
        ("cluster", "defaults: [h20x32, _self_]\nname: ours\nnodes: 2\n", "cluster.nodes", 2),
        (
            "algorithm",
            "defaults: [dapo, _self_]\nname: ours\nclip_high: 0.3\n",
            "rl.algorithm.clip_high",
            0.3,
        ),
        ("reward", "defaults: [binary, _self_]\nrequire_thought: true\n", "rl.reward.require_thought", True),
        ("model", "defaults: [tiny, _self_]\nlayers: 2\n", "model.layers", 2),
    ],
)
def test_every_group_takes_a_file(folder: Path, group: str, text: str, key: str, value: object) -> None:
    from omegaconf import OmegaConf

    file = write(folder / "ours.yaml", text)
    assert OmegaConf.select(load_settings("sft", [f"{group}={file}"]), key) == value


def test_folders_are_searched_for_groups_and_recipes(folder: Path) -> None:
    plain = folder.parent / "plain"
    write(plain / "cluster" / "ours.yaml", "defaults: [cpu, _self_]\nname: ours\nwait_seconds: 5\n")
    write(plain / "recipes" / "ours.yaml", "# @package _global_\nseed: 5\n")
    config = load_settings("sft", [f"hydra.searchpath=[{plain}]", "cluster=ours", "+recipe=ours"])
    assert (config.cluster.wait_seconds, config.seed) == (5, 5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["+recipe=nowhere.yaml"], "there is no such file"),
        (["cluster=~/nowhere.yaml"], "cluster=~/nowhere.yaml: there is no such file"),
        (["hydra.searchpath=[nowhere]"], "nowhere: there is no such folder"),
        (["hydra.run.dir=x"], "hydra.run.dir: only hydra.searchpath can be set"),
        (["+recipe=quickstart"], "did you mean 'quickstart_cpu'"),
        (["+recipe=broken.yaml"], "broken.yaml"),
        (["+recipe=list.yaml"], "list.yaml"),
        (["+recipe=unknown.yaml"], "there is no setting 'sft.epoch'; did you mean 'sft.epochs'"),
        (["+recipe=unknown.yaml"], "there is no setting 'data.nmaes'; did you mean 'data.names'"),
        (["+recipe=unknown.yaml"], "there is no setting 'colour'"),
        (["+recipe=wrong.yaml"], "sft.epochs=many: must be a number above 0, or null"),
        (["+recipe=wrong.yaml"], "rl.loggers=console: must be a list"),
        (["+recipe=wrong.yaml"], "sft.cutoff_len=${no.such}: "),
        (["+recipe=override.yaml"], "no_such_cluster"),
    ],
)
def test_a_mistake_in_a_file_is_a_sentence_that_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(folder)
    write(folder / "broken.yaml", "sft: {epochs: [\n")
    write(folder / "list.yaml", "- a\n- b\n")
    write(folder / "unknown.yaml", "sft: {epoch: 1}\ndata: {nmaes: alias}\ncolour: red\n")
    write(folder / "wrong.yaml", "sft: {epochs: many, cutoff_len: '${no.such}'}\nrl: {loggers: console}\n")
    write(folder / "override.yaml", "defaults: [override /cluster: no_such_cluster]\n")
    with pytest.raises(UserError) as caught:
        load_settings("sft", words)
    assert sentence in str(caught.value)
    assert "own-1" not in str(caught.value)


def test_a_framework_s_key_of_a_recipe_can_be_taken_away_again(folder: Path) -> None:
    file = write(folder / "mine.yaml", "rl: {verl: {trainer: {nnodes: 2, balance_batch: false}}}\n")
    config = compose("rl", [f"+recipe={file}", "~rl.verl.trainer.nnodes"])
    assert config.rl.verl == {"trainer": {"balance_batch": False}}


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("~seed", "~seed: a setting cannot be removed"),
        ("~sft.epochs", "~sft.epochs: a setting cannot be removed"),
        ("~cluster", "~cluster: a choice cannot be removed; choose another cluster"),
        ("~recipe", "~recipe: a choice cannot be removed"),
        ("~nothing", "there is no setting 'nothing'"),
        ("~rl.verl.nothing", "there is no setting 'rl.verl.nothing'"),
        ("~", "'~' is not a setting"),
        ("~seed=0", "~seed: a setting cannot be removed"),
    ],
)
def test_what_cannot_be_taken_away_is_told(word: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_settings("sft", [word])


def test_a_value_that_holds_itself_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 3\nnotify: &a [*a]\n")
    with pytest.raises(UserError, match=r"contains (itself, or )?a value that contains itself"):
        load_settings("data", [f"+recipe={file}"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n- b\n", "mine.yaml: holds a list, not settings. Write one setting a line, KEY: VALUE"),
        ("only words\n", "mine.yaml: holds one value, not settings"),
        ("seed: 1\nseed: 2\n", "mine.yaml: gives the key seed twice"),
        ("sft:\n  epochs: 1\n  epochs: 2\n", "mine.yaml: gives the key epochs twice"),
        ("sft: [\n", "mine.yaml, line 2: is not YAML"),
        ("? [a]\n: 3\n", "mine.yaml, line 1: is not YAML"),
        ("seed: \a\n", "mine.yaml: is not YAML"),
        ("defaults: quickstart_cpu\n", "mine.yaml: its defaults are not a list"),
        ("defaults: [{model: tiny, cluster: cpu}]\n", "which is neither NAME nor GROUP: NAME"),
        ("defaults: [3]\n", "mine.yaml: its defaults hold 3"),
        ("defaults: [nowhere]\n", "the defaults of {}: there is no recipe 'nowhere' (there are: egpo_4b, "),
        ("defaults: [quickstart]\n", "there is no recipe 'quickstart'; did you mean 'quickstart_cpu'"),
        (
            "defaults: [/model: gigantic]\n",
            "the defaults of {}: there is no model 'gigantic' (there are: qwen3_4b, ",
        ),
        ("defaults: [override /cluster: nowhere]\n", "there is no cluster 'nowhere' (there are: cpu, "),
        ("defaults: [/rl/reward: strict]\n", "there is no rl/reward 'strict'. "),
        ("defaults: [mine]\n", "contains itself, or a value that contains itself"),
    ],
)
def test_a_file_that_hydra_cannot_read_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    for word in (f"+recipe={file}", *([f"cluster={file}"] if "defaults" not in text else [])):
        with pytest.raises(UserError) as caught:
            load_settings("data", [word])
        said = str(caught.value)
        assert sentence.format(file) in said
        assert not any(one in said for one in ("Hydra", "Config search path", "own-1", "\n", "DictConfig"))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# nothing yet\n")
    assert load_settings("data", [f"+recipe={tmp_path}/mine.yaml"]) == load_settings("data", [])


def test_a_mark_of_the_encoding_hides_no_line(folder: Path) -> None:
    """As editors on Windows write it: a recipe that says its package was a setting called `recipes`."""
    file = folder / "mine.yaml"
    file.write_bytes(b"\xef\xbb\xbf# @package _global_\r\nseed: 3\r\n")
    assert load_settings("sft", [f"+recipe={file}"]).seed == 3


@pytest.mark.parametrize("value", ['"100"', "${oc.env:HOW_MANY}"])
def test_a_number_in_quotes_is_told_to_be_a_text(
    folder: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read `plan.rows=100: must be a whole number`."""
    monkeypatch.setenv("HOW_MANY", "100")
    file = write(folder / "mine.yaml", f"plan:\n  rows: {value}\n")
    with pytest.raises(UserError, match=r"plan\.rows=100: must be a whole number .* It is a text here"):
        load_settings("plan", [f"+recipe={file}"])
    file = write(folder / "mine.yaml", "plan: {rows: '${oc.decode:${oc.env:HOW_MANY}}'}\n")
    assert load_settings("plan", [f"+recipe={file}"]).plan.rows == 100
