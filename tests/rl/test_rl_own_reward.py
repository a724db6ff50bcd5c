"""`reward=FILE.py:function`: what really scores is shown, and verl's other ways to it are refused."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rl.rl_runs import small_run

from funreason_train.rl import stage
from funreason_train.settings.compose import compose

key = OmegaConf.select
MINE = "def score(data_source, solution_str, ground_truth, extra_info=None):\n    return 1.0\n"


@pytest.fixture
def mine(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return f"{file}:score"


def test_the_command_line_s_word_reaches_verl_and_the_brief(tmp_path: Path, mine: Any) -> None:
    config, run = small_run(tmp_path / "run", f"reward={mine}")
    assert stage.check(config, run) == []
    verl = stage.plan(config, run)
    assert key(verl, "reward.custom_reward_function.path") == "pkg://funreason_train.reward.own"
    assert key(verl, "reward.custom_reward_function.name") == "score"
    assert key(verl, "reward.custom_reward_function.reward_kwargs") == {"function": mine}
    (line,) = [line for line in stage.brief(config, run) if line.startswith("reward:")]
    assert mine in line and "does not count" in line


def test_what_is_wrong_with_it_is_told_before_the_start(tmp_path: Path, mine: Any) -> None:
    config, run = small_run(tmp_path / "run", f"reward={mine.replace(':score', ':scores')}")
    (problem,) = stage.check(config, run)
    assert "defines no function scores" in problem
    episodes = compose("rl", [f"run_dir={tmp_path}/run", f"reward={mine}", "rl.rollout_mode=environment"])
    assert any("single responses" in text for text in stage.check(episodes, run))


@pytest.mark.parametrize(
    "word",
    [
        "rl.verl.custom_reward_function.path=mine.py",
        "rl.verl.custom_reward_function.name=score",
        "rl.verl.reward.custom_reward_function.path=mine.py",
        "rl.verl.reward_model.enable=true",
    ],
)
def test_verl_s_own_keys_of_the_reward_are_refused_with_ours(tmp_path: Path, word: str) -> None:
    config, run = small_run(tmp_path / "run", word)
    found = " ".join(stage.check(config, run))
    assert word.partition("=")[0].rsplit(".", 1)[0] in found and "reward=FILE.py:function" in found
