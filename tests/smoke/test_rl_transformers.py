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


def test_two_workers_that_share_prompts_make_the_step_that_verl_makes(prepared: Any, tmp_path: Any) -> None:
    """A reference model, dynamic batches of little room, and groups that verl's own balancing would part."""
    root, _, _ = prepared
    words = [
        "rl.rollout.engine=transformers", "rl.devices.cpu.workers_per_node=2", "rl.steps=1", "algorithm=grpo",
        "rl.algorithm.filter_groups=false", "rl.algorithm.kl_loss=0.01", "rl.tokens_per_pass=300",
    ]  # fmt: skip
    lines = {}
    for shared in ("true", "false"):
        run = RunDir.at(tmp_path / shared)
        finish(root, run, tmp_path / "log", *words, f"rl.share_prompts={shared}")
        (lines[shared],) = metrics(run)
    for name in ("health/score", "actor/loss", "actor/kl_loss", "actor/grad_norm", "actor/entropy"):
        assert lines["true"][name] == pytest.approx(lines["false"][name], rel=1e-4, abs=1e-6), name
    assert 0 < lines["true"]["actor/computed_share"] < 0.5
    assert lines["true"]["global_seqlen/shared_max"] < lines["true"]["global_seqlen/balanced_max"] / 2
