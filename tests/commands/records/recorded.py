"""A small finished run as its stages would leave it: manifest, data, checkpoints, rollouts, scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from funreason_train.commands.execution.job import _portable
from funreason_train.run.fingerprint import digests
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir

TOOLS = [
    {
        "name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    }
]
GOLD = json.dumps({"calls": [{"name": "f", "arguments": {"a": 1}}], "tools": TOOLS})
RIGHT, WRONG = "t</think>\n\n[f(a=1)]", "t</think>\n\n[f(a=2)]"


def stage(run: RunDir, name: str, reads: list[Path], settings: dict[str, Any], **more: Any) -> None:
    """Writes a stage's record as `execute` does."""
    inputs = {
        _portable(path, run): {"digest": digest, "bytes": Path(path).stat().st_size}
        for path, digest in digests(reads).items()
    }
    values: dict[str, Any] = {"result": {}, "state": "done", "seconds": 60.0, "origin": {}, **more}
    Manifest(run).update(name, fingerprint=f"{name}0123456789ab", settings=settings, inputs=inputs, **values)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rollout(number: int, answer: str, score: float, reason: str, **more: Any) -> str:
    line = {"group": f"g{number}", "sample": 0, "row": f"r{number}", "category": "single", "prompt": "p"}
    return (
        json.dumps({**line, "answer": answer, "gold": GOLD, "score": score, "reason": reason, **more}) + "\n"
    )


def finished(root: Path, rate: float = 0.1, accuracy: float = 0.5) -> RunDir:
    """A run of data, sft, rl, export and eval."""
    run = RunDir.at(root)
    conversations = write(run.synth_conversations, "[]\n")
    stage(run, "synth", [], {"seed": 0})
    write(run.data / "sft" / "train.json", "[\n{}\n]\n")
    write(run.data / "rl" / "train.parquet", "rows")
    sources = {"own": {"read": 4, "kept": 3, "steps": 9}}
    stage(
        run,
        "data",
        [conversations],
        {"data.datasets": ["own"]},
        result={"out": str(run.data), "sources": sources},
    )
    for number in (1, 2, 3):
        write(run.sft / "checkpoints" / f"checkpoint-{number}" / "model.safetensors", "w" * 1000)
    write(run.sft_model / "config.json", "{}")
    stage(run, "sft", [run.data / "sft"], {"sft.learning_rate": rate, "seed": 0}, result={"loss": 0.3})
    for number in (4, 8):
        folder = run.rl_checkpoints / f"global_step_{number}"
        write(folder / "actor" / "model_world_size_1_rank_0.pt", "w" * 1000)
    write(run.rl_checkpoints / "latest_checkpointed_iteration.txt", "8")
    lines = [
        rollout(1, RIGHT, 1.0, "right"),
        rollout(2, WRONG, 0.0, "values"),
        rollout(3, RIGHT, 0.0, "values"),
        rollout(4, WRONG, 0.0, "over_long", cut=1.0),
    ]
    write(run.rl / "rollouts" / "1.jsonl", "".join(lines))
    settings = {"rl.reward.variant": "binary", "rl.reward_function": None, "rl.learning_rate": rate}
    stage(run, "rl", [run.data / "rl", run.sft_model], settings)
    write(run.export / "config.json", '{"exported": true}')
    stage(run, "export", [run.rl_checkpoints / "latest_checkpointed_iteration.txt"], {})
    scores = {"format": 1, "accuracy": accuracy, "right": 1, "tasks": 2, "categories": {}}
    write(run.eval("rl") / "scores.json", json.dumps(scores))
    models = {"eval.models.sft": "RUN_DIR/sft/model", "eval.models.rl": "RUN_DIR/export"}
    result = {"models": {"rl": {"accuracy": accuracy}}}
    stage(run, "eval", [run.sft_model, run.export], models, result=result)
    return run
