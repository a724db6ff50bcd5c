"""Rollouts in environments as a choice of the configuration: what reaches verl, and every mistake at once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rl.episode_script import TASKS
from rl.rl_runs import model_folder, row, told, write_rows

from funreason_train.environments import Task, registry
from funreason_train.environments.bfcl import documents
from funreason_train.environments.bfcl.environment import environment_kind
from funreason_train.environments.domains.shop import Shop
from funreason_train.errors import UserError
from funreason_train.rl import stage
from funreason_train.rl.settings import prompts, tasks
from funreason_train.rl.verl import compose as settings
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

WORDS = ["rl.rollout_mode=environment", "reward=progress"]


def task_rows(number: int = 64, tokens: int = 40) -> Any:
    found = []
    for index in range(number):
        one = row(index, tokens)
        one["extra_info"]["task"] = json.dumps(TASKS[index].to_json())
        found.append(one)
    return found


def environment_run(root: Any, *words: Any, rows: Any = None) -> Any:
    run = RunDir.at(root)
    data = rows or task_rows()
    write_rows(run.data / "rl" / "env_train.parquet", data)
    write_rows(run.data / "rl" / "env_val.parquet", data[:4])
    model_folder(run.sft_model)
    return compose("rl", [f"run_dir={run.root}", f"rl.model={run.sft_model}", *WORDS, *words]), run


def test_the_settings_that_matter(tmp_path: Path) -> None:
    config, run = environment_run(tmp_path, "rl.environment.responses_per_turn=4", "protocol.system=compact")
    assert stage.check(config, run) == []
    verl = stage.plan(config, run)
    rollout = verl.actor_rollout_ref.rollout
    assert rollout.agent.default_agent_loop == "environment"
    assert verl.data.train_files.endswith("env_train.parquet")
    assert verl.data.max_prompt_length == 40 + config.rl.environment.spare_prompt_tokens
    assert rollout.max_model_len == verl.data.max_prompt_length + config.rl.max_response_tokens
    assert verl.reward.custom_reward_function.reward_kwargs.variant == "progress"
    (loop,) = settings.agent_loops(config)
    assert loop["name"] == "environment"
    assert (loop["style"], loop["responses"], loop["seconds"]) == ("compact", 4, 900.0)


def test_an_episode_has_as_many_responses_a_turn_as_in_evaluation(tmp_path: Path) -> None:
    config, _ = environment_run(tmp_path, "eval.responses_per_turn=9")
    assert settings.agent_loops(config)[0]["responses"] == 9


def test_single_steps_stay_the_default(tmp_path: Path) -> None:
    config = compose("rl", [f"run_dir={tmp_path}"])
    assert not settings.in_environments(config)
    assert OmegaConf.load(settings.AGENT_LOOPS)[0].name == "protocol"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["reward=binary"], "set reward=progress"),
        (["rl.algorithm.advantage=rloo"], "rloo: it would count an episode once a response"),
        (["rl.rollout_mode=agent"], "rl.rollout_mode=agent: must be step or environment"),
        (["rl.environment.seconds_per_turn=0"], "rl.environment.seconds_per_turn=0"),
        (["rl.environment.responses_per_turn=none"], "rl.environment.responses_per_turn=none"),
        (["rl.max_prompt_tokens=39"], "the longest prompt has 40 tokens"),
        (["rl.environment.spare_prompt_tokens=2000"], "positions of the model"),
    ],
)
def test_mistakes_are_named_before_anything_starts(tmp_path: Path, words: list[str], sentence: str) -> None:
    config, _ = environment_run(tmp_path, *words)
    assert sentence in " ".join(told(config))


def test_files_of_single_steps_are_no_tasks(tmp_path: Path) -> None:
    config, run = environment_run(tmp_path, rows=[row(index) for index in range(64)])
    found = " ".join(stage.check(config, run))
    assert "64 of 64 rows cannot be played" in found and "rl/env_*.parquet" in found


def test_a_run_directory_without_tasks_says_how_to_make_them(tmp_path: Path) -> None:
    config, run = environment_run(tmp_path)
    (run.data / "rl" / "env_train.parquet").unlink()
    assert any("env_train.parquet: there is no such file" in found for found in stage.check(config, run))


def broken(**change: Any) -> Any:
    return json.dumps({**TASKS[0].to_json(), **change})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no executable task"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        (broken(environment="os"), "there is no environment os"),
        (broken(environment="bfcl/os"), "BFCL has no class 'os' that can be played. Choose from Gorilla"),
        (broken(tools=["rm"]), "cannot be read"),
        (broken(turns=[]), "no user turn"),
    ],
)
def test_a_task_that_cannot_be_played_is_named(text: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        tasks.read_task(text)


def test_bfcls_environments_without_bfcl_eval_are_refused_before_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "bfcl_folder", lambda: None)
    documents.class_documents.cache_clear()
    environment_kind.cache_clear()
    data = task_rows()
    data[3]["extra_info"]["task"] = broken(environment="bfcl/TradingBot")
    config, run = environment_run(tmp_path, rows=data)
    found = " ".join(stage.check(config, run))
    assert "env_train.parquet: 1 of 64 rows cannot be played (row 3: " in found
    assert "bfcl/TradingBot needs bfcl-eval, which is not installed. Install the extra cpu or gpu" in found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": {"rockets": {}}}, "it cannot be played"),
        ({"turns": [{"user": "Hm?", "steps": [], "text": "[f("}]}, "its gold calls do not solve it"),
    ],
)
def test_tasks_whose_score_means_nothing_are_found(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    data = task_rows()
    data[7]["extra_info"]["task"] = json.dumps({**TASKS[7].to_json(), **change})
    config, run = environment_run(tmp_path, rows=data)
    assert prompts.read(run.data / "rl" / "env_train.parquet", tasks=True).problems == ()
    (found,) = stage.check(config, run)
    assert "cannot be trusted on 1 of the 64 tasks looked at (row 7: " in found and sentence in found


def test_every_generated_task_can_be_trusted() -> None:
    assert [tasks.flaw(task) for task in TASKS if tasks.flaw(task)] == []
    assert all(
        tasks.read_task(json.dumps(task.to_json())) == Task.from_json(task.to_json()) for task in TASKS[:5]
    )


def lamp_task(index: Any) -> dict[str, Any]:
    call = {"name": "switch_on", "arguments": {"lamp": "L1"}}
    return {
        "id": f"lamp-{index}",
        "category": "single",
        "environment": "lamp",
        "config": {"lamps": {"L1": {"on": False}}},
        "tools": ["switch_on"],
        "turns": [{"user": "Light!", "steps": [[call]], "text": "It is on."}],
    }


def test_an_environment_of_ones_own_is_named_by_the_configuration(
    tmp_path: Path, lamp_module: Callable[[str], str]
) -> None:
    data = task_rows()
    for index, one in enumerate(data):
        one["extra_info"]["task"] = json.dumps(lamp_task(index))
    module = lamp_module("lamp")
    config, run = environment_run(tmp_path / "run", rows=data)
    assert "there is no environment lamp" in " ".join(stage.check(config, run))
    config.environment_modules = [module]
    assert stage.check(config, run) == []
    assert settings.agent_loops(config)[0]["modules"] == ["lamp_module"]
    config.environment_modules = ["lamp_modul"]
    (found,) = stage.check(config, run)
    assert "lamp_modul of environment_modules cannot be imported" in found


def test_two_environments_of_one_name_are_refused() -> None:
    class Other(Shop):
        name = "shop"

    with pytest.raises(UserError, match="two environments shop"):
        registry.register_environment(Other)
    registry.register_environment(Shop)
