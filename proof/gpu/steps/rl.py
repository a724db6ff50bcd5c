"""GRPO by the command: two steps of 8 prompts x 4 samples, killed after the first and continued.

vLLM is not needed: rollouts take the engine `transformers`, fed by verl's own sender (CUDA IPC on a GPU).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import material

from . import Job
from .stages import command, finish, kill_when, lines

_LAYERS = 12
_FIGURES = {
    "timing_s/step": "step_s",
    "timing_s/gen": "rollout_s",
    "timing_s/old_log_prob": "log_probs_s",
    "timing_s/update_actor": "update_s",
    "timing_s/update_weights": "weights_s",
    "perf/max_memory_allocated_gb": "peak_gb",
    "health/rollout_difference": "rollout_difference_nats",
    "training/rollout_probs_diff_max": "rollout_probs_diff_max",
    "actor/grad_norm": "grad_norm",
}


def folders(job: Job) -> tuple[Path, Path]:
    """The model that RL starts from and the run."""
    return job.work / "rl_model", job.work / "rl"


def run(job: Job) -> None:
    """Trains one step, is killed, trains the second."""
    base, run_dir = folders(job)
    shutil.rmtree(run_dir, ignore_errors=True)
    sizes = material.TINY if job.tiny else {**material.FOUR_B, "num_hidden_layers": _LAYERS}
    prompts, samples, answer = (4, 2, 12) if job.tiny else (8, 4, 256)
    job.note(parameters=material.model(base, sizes, job.device), layers=sizes["num_hidden_layers"])
    material.rl_rows(run_dir / "rows", base, 4 * prompts)
    job.note(prompts=prompts, samples=samples, answer_tokens=answer)
    line = command(
        "rl", job, run_dir,
        f"rl.model={base}", f"rl.train_file={run_dir / 'rows' / 'train.parquet'}",
        f"rl.val_file={run_dir / 'rows' / 'val.parquet'}", f"reward={run_dir / 'rows' / 'reward.py'}:score",
        "rl.rollout.engine=transformers", "rl.steps=2", f"rl.prompts_per_step={prompts}",
        f"rl.samples_per_prompt={samples}", f"rl.max_response_tokens={answer}", "rl.learning_rate=1e-5",
        "rl.save_every=1", "rl.keep_checkpoints=1",
    )  # fmt: skip
    tracker = run_dir / "rl" / "checkpoints" / "latest_checkpointed_iteration.txt"
    kill_when(line, lambda: tracker.is_file() and tracker.read_text().strip() == "1")
    before = lines(run_dir / "rl" / "metrics.jsonl")
    job.note(killed_after_step=before[-1]["step"])
    job.note(command_s=finish(line))
    found = lines(run_dir / "rl" / "metrics.jsonl")
    job.note(steps=[step["step"] for step in found])
    for step in found:
        job.note(
            **{
                f"step{step['step']}_{ours}": step[theirs]
                for theirs, ours in _FIGURES.items()
                if theirs in step
            }
        )
    if [step["step"] for step in found] != [1, 2]:
        raise RuntimeError("the continued run does not hold both steps")
