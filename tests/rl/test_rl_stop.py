"""Asked to stop, verl's trainer saves after the step that it is doing, and ends."""

from pathlib import Path
from typing import Any

import pytest

from funreason_train.run.stop import Stopped


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of a trainer on a verl that only counts: which steps it saved."""
    from omegaconf import OmegaConf

    from funreason_train.rl.train import trainer

    class Verl:
        """The order of verl/trainer/ppo/v1/trainer_base.py: step, save, end of the step."""

        asked_at: int
        stop_file: Path

        def __init__(self, config: Any) -> None:
            self.config, self.total_training_steps, self.global_steps = config, 5, 0
            self.saved: list[int] = []

        def step(self, metrics: Any, timing: Any) -> None:
            if self.global_steps == self.asked_at:
                self.stop_file.touch()

        def on_step_end(self) -> None:
            pass

        def fit(self) -> None:
            while self.global_steps < self.total_training_steps:
                self.global_steps += 1
                self.step({}, {})
                frequency = self.config.trainer.save_freq
                if self.global_steps % frequency == 0:
                    self.saved.append(self.global_steps)
                self.on_step_end()

    monkeypatch.setattr(trainer, "_health", lambda *_: {})
    actor = {"actor": {"ppo_mini_batch_size": 4}, "rollout": {"agent": {"default_agent_loop": "protocol"}}}
    config = {
        "data": {"train_batch_size": 4},
        "actor_rollout_ref": actor,
        "trainer": {"save_freq": 1000, "rollout_data_dir": None},
        "algorithm": {"rollout_correction": {"bypass_mode": False}},
    }

    def run(asked_at: Any) -> Any:
        made = trainer._recording(Verl)(OmegaConf.create(config), tmp_path / "metrics.jsonl", {}, None)
        made.stop_file, made.asked_at = tmp_path / "stop", asked_at
        try:
            made.fit()
        except Stopped:
            return made.saved, made.global_steps
        return made.saved, None

    return run


def test_it_saves_after_the_step_and_ends(trained: Any) -> None:
    assert trained(asked_at=3) == ([3], 3)


def test_a_request_in_the_last_step_changes_nothing(trained: Any) -> None:
    assert trained(asked_at=5) == ([], None)


def test_nobody_asks(trained: Any) -> None:
    assert trained(asked_at=None) == ([], None)
