"""A run directory as the stages leave it, without the stages."""

import json
import random
from pathlib import Path
from typing import Any

from evaluate.test_results import row as episode

from funreason_train.commands.cli import main
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.browser import played_tasks, write_browser
from funreason_train.plain import json_text
from funreason_train.reward import compute_score
from funreason_train.rl.train import records, token_records
from funreason_train.rl.train.records import Row
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir

#: Runs as soon as any of it becomes markup: it would set `window.broken`.
HOSTILE = (
    "</script><script>window.broken=1</script><img src=x onerror='window.broken=2'>"
    "<svg onload=window.broken=3>{{ 7*7 }}${window.broken=4}<!--<script>"
    "\u202e\u2066\x00\x07\x1b[31m\ud800\udc00\udfff"
)
SAMPLES = 4


def answer_of(step: int, group: int, sample: int, long: int = 0) -> str:
    value = group if sample % 2 else group + 1
    return (
        f"\nSample {sample} of step {step}. {'long ' * long}\n</think>\n\n[set_lamp(room={value}, on=true)]"
    )


def make_run(root: Path, steps: int = 6, groups: int = 5, hostile: str = "", long: int = 0) -> RunDir:
    """A finished run with SFT, RL, evaluation and data.

    Args:
        root: Where.
        steps: Of RL, each with `groups` groups of `SAMPLES` samples.
        groups: A step.
        hostile: Stands in every text that a model or a data set wrote.
        long: Words more in every answer.
    """
    run = RunDir.at(root)
    run.root.mkdir(parents=True, exist_ok=True)
    _stages(run)
    _metrics(run, steps)
    for step in range(1, steps + 1):
        _rollouts(run, step, groups, hostile, long)
    _evaluation(run, hostile)
    _data(run, hostile)
    return run


def _stages(run: RunDir) -> None:
    manifest = Manifest(run)
    for name, seconds in (("data", 4.0), ("sft", 60.0), ("rl", 120.0), ("eval", 20.0)):
        record = {"headline": f"{name} is done"}
        manifest.update(name, state="done", seconds=seconds, peak_bytes=2**30, attempts=1, result=record)
    (run.root / "config.yaml").write_text("seed: 7\nmodel: {path: some/model}\nrl: {learning_rate: 1.0e-6}\n")


def planned(run: RunDir) -> RunDir:
    """The run with a plan, as the command writes it."""
    assert main(["plan", "+recipe=quickstart_cpu", f"run_dir={run.root}", "rows=1600"]) == 0
    return run


def _metrics(run: RunDir, steps: int) -> None:
    rng = random.Random(0)
    (run.root / "sft").mkdir()
    lines = [
        {"step": n, "loss": 3 / n, "grad_norm": 1 / n, "tokens": 100 * n, "seconds": 2.0 * n}
        | {"host_memory_gib": 1 + n / 100}
        for n in range(1, 50)
    ]
    (run.root / "sft" / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    run.rl.mkdir()
    with (run.rl / "metrics.jsonl").open("w") as file:
        for step in range(1, steps + 1):
            line = {
                "step": step,
                "total": steps,
                "health/score": rng.random(),
                "health/groups_without_signal": rng.random(),
                "health/entropy": rng.random(),
                "actor/pg_loss": rng.gauss(0, 0.01),
                "actor/grad_norm": rng.random(),
                "actor/lr": 1e-6,
                "response_length/mean": 20 + rng.random(),
                "response_length/max": 64,
                "perf/total_num_tokens": 1000,
                "perf/throughput": 100.0,
                "timing_s/step": 10.0,
                "actor/perf/cpu_memory_used_gb": 5.0,
                "reason/right": 0.5,
                "reason/values": 0.5,
            }
            file.write(json.dumps(line) + "\n")


def _rollouts(run: RunDir, step: int, groups: int, hostile: str, long: int) -> None:
    rng = random.Random(step)
    lines, columns = [], {name: [] for name in token_records.COLUMNS}  # type: ignore[var-annotated]
    words = [f"w{n}" for n in range(40)] + [hostile or "w40"]
    for group in range(groups):
        gold = json.dumps(
            {"calls": [{"name": "set_lamp", "arguments": {"room": group, "on": True}}], "tools": []}
        )
        prompt = f"<|im_start|>system\nTools.{hostile}<|im_end|>\n<|im_start|>user\n"
        prompt += f"Lamp {group} of step {step}.{hostile}<|im_end|>\n<|im_start|>assistant\n<think>"
        for sample in range(SAMPLES):
            answer = hostile + answer_of(step, group, sample, long)
            result = compute_score("made", answer, gold)
            row = Row(f"{step:08d}-{group:06d}_{sample}_0", result["score"], result)
            name = f"row-{group}{hostile}"
            lines.append(records.line(row, prompt, answer, gold, name, f"kind-{group % 2}{hostile}"))
            ids = [rng.randrange(len(words)) for _ in range(12)]
            columns["ids"].append(ids)
            columns["mask"].append([1] * 10 + [0, 0])
            columns["advantage"].append([float(result["score"]) - 0.5] * 12)
            for column in ("rollout", "old", "new", "entropy"):
                sign = 1 if column == "entropy" else -1
                columns[column].append([sign * rng.random() for _ in ids])
    folder = run.rl / "rollouts"
    folder.mkdir(exist_ok=True)
    text = "".join(json_text(line) + "\n" for line in records.share_prompts(lines))
    (folder / f"{step}.jsonl").write_text(text, encoding="utf-8")
    token_records.write(folder / f"{step}.npz", range(len(lines)), columns, lambda one: words[one])


def _evaluation(run: RunDir, hostile: str) -> None:
    tries: dict[str, Any] = {}
    for name, right in (("base", 0), ("sft", 3), ("rl", 5)):
        rows = [
            episode(
                f"task-{n}{hostile}",
                n < right,
                f"kind-{n % 2}{hostile}",
                () if n < right else (f"turn 0: {name}_reason: {hostile}",),
                completion=f"{name} said{hostile}</think>\n\nDone.",
            )
            for n in range(8)
        ]
        results.write(run.eval(name), [rows], Attempts(), {})
        tries[name] = played_tasks([rows], Attempts())
    write_browser(run.eval_failures(), f"Held-out tasks{hostile}", tries, report="../report.html")


def _data(run: RunDir, hostile: str) -> None:
    run.data.mkdir()
    ledger = {
        "made": {"read": 100, "kept": 94, "rejected": {"duplicate_key": 4, "no_turns": 2}, "steps": 200}
    }
    (run.data / "ledger.json").write_text(json.dumps(ledger))
    rows = [
        {
            "source": "made",
            "position": f"file.jsonl:{n}",
            "id": None,
            "reason": "duplicate_key" if n < 4 else "no_turns",
            "detail": f"detail {n}{hostile}",
            "row": json_text({"text": f"row {n}{hostile}"}),
        }
        for n in range(6)
    ]
    text = "".join(json_text(row) + "\n" for row in rows)
    (run.data / "rejected.jsonl").write_text(text, encoding="utf-8")
