"""The proof's steps that start frameworks, on a CPU at tiny sizes: a test of the script itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif("FUNREASON_SLOW" not in os.environ, reason="minutes; FUNREASON_SLOW=1 runs it"),
]
SCRIPT = Path(__file__).parents[2] / "proof" / "gpu" / "run.sh"


def test_every_step_ends_well_on_a_cpu(tmp_path: Path) -> None:
    line = ["bash", str(SCRIPT), "--out", str(tmp_path), "--device", "cpu", "--tiny", "--seconds", "3000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FUNREASON_BUNDLE": "none"}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=3300)
    assert done.returncode == 0, done.stdout[-3000:]
    lines = [json.loads(text) for text in (tmp_path / "proof.jsonl").read_text().splitlines()]
    found = {line["step"]: line["figures"] for line in lines}
    assert all(line["status"] == "ok" for line in lines)
    assert found["sft"]["tokens_per_s"] > 0 and found["sft"]["last_loss"] < found["sft"]["first_loss"]
    # On a CPU the arithmetic is the same each time, so these are not only close.
    assert found["resume"]["weights_that_differ"] == 0 and found["resume"]["same_losses"] is True
    assert 12 <= found["resume"]["killed_at_step"] < found["resume"]["steps"]
    assert found["rl"]["steps"] == [1, 2] and found["rl"]["killed_after_step"] == 1
    assert found["rl"]["step2_rollout_difference_nats"] < 1e-4
    assert found["export"]["step"] == 2 and found["export"]["changed_tensors"] > 0
