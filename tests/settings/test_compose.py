"""From the words on the command line to one configuration."""

from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.settings import load_settings
from funreason_train.settings.compose import FREE_NODES, compose, group_choices, leaves, recipes


def test_a_key_is_found_in_the_commands_own_section() -> None:
    config = compose("sft", ["learning_rate=3.5", "seed=7"])
    assert config.sft.learning_rate == 3.5
    assert config.seed == 7
    assert config.rl.learning_rate != 3.5


def test_a_dataset_key_is_found_in_the_data_section() -> None:
    config = compose("data", ["datasets=[apigen,funreason_mt]", "apigen.path=rows.json", "out=here"])
    assert (config.data.apigen.path, config.data.out) == ("rows.json", "here")


def test_a_data_set_of_ones_own_has_the_defaults_of_its_format() -> None:
    config = compose(
        "data", ["datasets=[mine]", "mine.format=openai", "mine.path=rows.json", "mine.weight=2"]
    )
    shipped = compose("data").data.openai
    assert config.data.mine == {**shipped, "path": "rows.json", "weight": 2}
    elsewhere = compose("pipeline", ["data.mine.format=apigen_mt", "data.mine.path=rows.json"])
    assert (elsewhere.data.mine.format, elsewhere.data.mine.split) == ("apigen_mt", "train")


def test_it_has_not_the_place_and_licence_of_the_public_data_set_in_that_format() -> None:
    assert compose("data").data.apigen.licence == "CC-BY-4.0"
    mine = compose("data", ["mine.format=apigen", "mine.licence=MIT", "yours.format=apigen"]).data
    assert (mine.mine.path, mine.mine.hub_file, mine.mine.licence) == (None, None, "MIT")
    assert mine.yours.licence is None


def test_a_data_set_of_ones_own_in_an_unknown_format() -> None:
    with pytest.raises(
        UserError, match=r"data\.mine\.format=opnai: must be .* Did you mean openai"
    ) as caught:
        load_settings("data", ["mine.format=opnai", "mine.path=rows.json"])
    assert "no setting" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["my rows/a=b.json", "it's (1).json", "C:\\rows.json", "a,b.json", "{x}.json"]
)
def test_any_path_can_be_given_bare(path: str) -> None:
    assert compose("data", [f"apigen.path={path}"]).data.apigen.path == path


def test_a_reference_to_nothing_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"apigen\.path=\$\{HOME\}/a\.json.*oc\.env:NAME"):
        load_settings("data", ["apigen.path=${HOME}/a.json"])
    assert compose("data", ["apigen.path=${seed}.json"]).data.apigen.path == "0.json"
    assert compose("data", ["apigen.path=\\${HOME}/a.json"]).data.apigen.path == "${HOME}/a.json"


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("lerning_rate=1", "learning_rate"),
        ("lr=1", "'learning_rate'"),
        ("rl.lr=1", "'rl.learning_rate'"),
        ("sft.epoch=1", "sft.epochs"),
        ("rl.prompt_per_step=1", "rl.prompts_per_step"),
        ("cluster=h20", "h20x32"),
        ("+recipe=quickstart", "quickstart_cpu"),
        ("rl.reward.varient=x", "rl.reward.variant"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest_one(word: str, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        compose("sft", [word])


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(UserError) as caught:
        compose("sft", ["lerning_rate=1", "epoch=2", "cluster=gpu"])
    assert all(word in str(caught.value) for word in ("lerning_rate", "epoch", "gpu"))


def test_a_value_without_a_key_is_refused() -> None:
    with pytest.raises(UserError, match="key=value"):
        compose("sft", ["quickly"])


def test_model_takes_a_choice_a_folder_or_a_hub_id() -> None:
    assert compose("sft", ["model=qwen3_4b"]).model.path == "Qwen/Qwen3-4B-Instruct-2507"
    assert compose("sft", ["model=/models/mine"]).model.path == "/models/mine"
    assert compose("sft", ["model=owner/name"]).model.path == "owner/name"


def test_only_the_evaluation_takes_several_models() -> None:
    assert list(compose("eval", ["model=[a,owner/name]"]).eval.models) == ["a", "owner/name"]
    with pytest.raises(UserError, match="only `eval` takes several models"):
        compose("sft", ["model=[a,b]"])


def test_framework_keys_can_be_added_without_a_plus() -> None:
    config = compose("sft", ["llamafactory.optim=adamw_torch", "rl.verl.trainer.nnodes=2"])
    assert config.sft.llamafactory.optim == "adamw_torch"
    assert config.rl.verl.trainer.nnodes == 2


def test_overrides_beat_the_recipe() -> None:
    recipe = compose("sft", ["+recipe=quickstart_cpu"])
    changed = compose("sft", ["+recipe=quickstart_cpu", "sft.global_batch=2", "cluster=h20x32"])
    assert recipe.cluster.name == "cpu"
    assert (changed.sft.global_batch, changed.cluster.name) == (2, "h20x32")


@pytest.mark.parametrize("group", sorted(group_choices()))
def test_every_choice_of_every_group_composes(group: str) -> None:
    for choice in group_choices()[group]:
        if group != "dataset":  # data sets are pulled in by configs/data.yaml under their own names
            compose(None, [f"{group}={choice}"])


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_composes_and_sets_only_known_keys(recipe: str) -> None:
    known = set(leaves(compose(None)))
    chosen = compose(None, [f"+recipe={recipe}"])
    assert chosen.run_dir == f"runs/{recipe}"
    groups = ("model.", "cluster.", "rl.algorithm.", "rl.reward.", *(f"{node}." for node in FREE_NODES))
    groups += tuple(f"data.{name}" for name in chosen.data.datasets)  # a recipe may declare one of its own
    assert [key for key in leaves(chosen) if key not in known and not key.startswith(groups)] == []


def test_the_shipped_folders_are_found() -> None:
    from funreason_train.settings.compose import shipped

    assert Path(shipped("configs"), "config.yaml").is_file()
