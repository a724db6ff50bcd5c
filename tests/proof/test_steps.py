"""The light steps on a CPU, for real: the others start frameworks (tests/smoke/test_proof.py)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def prove(out: Any, *words: Any) -> Any:
    line = [
        "bash",
        str(ROOT / "proof" / "gpu" / "run.sh"),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--tiny",
        *words,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FUNREASON_BUNDLE": "none"}
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=600)


def test_attention_and_losses_agree_with_their_references(tmp_path: Any) -> None:
    done = prove(tmp_path, "--steps", "machine,attention,loss,shared", "--seconds", "500")
    assert done.returncode == 0, done.stdout[-3000:]
    found = {}
    for text in (tmp_path / "proof.jsonl").read_text().splitlines():
        line = json.loads(text)
        found[line["step"]] = line["figures"]
    assert found["machine"]["torch"] and found["machine"]["matmul_tflops"] >= 0
    for name in ("sdpa", "varlen"):
        assert found["attention"][f"{name}_agrees"] is True
    for name in ("rl_fused", "rl_whole", "sft_whole"):
        assert found["loss"][f"{name}_agrees"] is True
    for shape in ("group", "steps"):
        shared = {key: value for key, value in found["shared"].items() if key.startswith(shape)}
        assert shared[f"{shape}_agrees"] is True
        assert shared[f"{shape}_once_tokens"] < shared[f"{shape}_packed_tokens"] / 1.5
