"""The real verl on rollouts without vLLM: two steps of the engine `transformers`; vLLM is never imported."""

import os
from typing import Any

import pytest
import test_rl_verl
from test_rl_verl import PROMPTS, SAMPLES, finish, metrics, rollouts

from funreason_train.run.paths import RunDir

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif("FUNREASON_SLOW" not in os.environ, reason="two minutes; FUNREASON_SLOW=1 runs it"),
]
prepared = test_rl_verl.prepared
NO_VLLM = "raise ModuleNotFoundError('this test has no vLLM', name='vllm')\n"


def test_rollouts_come_from_transformers_and_follow_the_trained_weights(
    prepared: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    root, _, _ = prepared
    (tmp_path / "absent" / "vllm").mkdir(parents=True)
    (tmp_path / "absent" / "vllm" / "__init__.py").write_text(NO_VLLM)
    ours = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "absent"), *([ours] if ours else [])]))
    run, log = RunDir.at(tmp_path / "run"), tmp_path / "log"
    finish(root, run, log, "rl.rollout.engine=transformers", "rl.steps=2", "algorithm=grpo")
    lines = metrics(run)
    assert [line["step"] for line in lines] == [1, 2]
    for step, line in enumerate(lines, start=1):
        assert len(rollouts(run, step)) == PROMPTS * SAMPLES
        assert line["actor/grad_norm"] > 0
        # The learning rate is large: had the second step's weights not arrived, this would be far off.
        assert line["training/rollout_probs_diff_max"] < 1e-4
