"""The curves of a run: which figures of a stage's `metrics.jsonl` are shown, in which chart and unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...plain import is_finite
from ...run.files import read_lines

#: Points of a curve on the page; a longer run shows every so many steps, and always the last one.
_POINTS = 4000
_WORST = 8  # series of a chart whose keys are found by their beginning


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        title: What it shows.
        unit: Of its values; `%` shows shares in per cent.
        keys: Key of the metrics to its name in the legend; one that ends in `*` stands for all that begin so.
        about: How to read it, in a sentence.
        log: Whether the scale is logarithmic where all values are above zero.
    """

    title: str
    unit: str
    keys: Mapping[str, str]
    about: str
    log: bool = False


_RL = (
    Chart("Reward", "mean score", {"health/score": "training", "val-core/*": "validation"},
          "Mean score of the step's samples; with validation where rl.validate_every asks for it."),
    Chart("Groups without gradient", "%", {"health/groups_without_signal": "groups"},
          "Share of groups whose samples all scored the same: advantages are zero, they teach nothing."),
    Chart("Why samples scored as they did", "%", {"reason/*": ""},
          "Share of the step's samples by the reward's reason; the most frequent ones."),
    Chart("Loss", "", {"actor/pg_loss": "policy gradient", "actor/loss": "in all", "actor/kl_loss": "KL"},
          "Near zero and noisy by nature: advantages of a group add up to zero. Not a measure of progress."),
    Chart("Entropy", "nats per token", {"health/entropy": "sampled", "actor/entropy": "exact",
                                        "health/thought_entropy": "of thoughts"},
          "How undecided the model is. Near zero it no longer explores; a rise without end is a collapse."),
    Chart("Length of responses", "tokens", {"response_length/mean": "mean", "response_length/max": "longest",
                                            "response_length/min": "shortest"},
          "Longest at the limit (rl.max_response_tokens) means that responses are cut off."),
    Chart("Length of prompts", "tokens", {"prompt_length/mean": "mean", "prompt_length/max": "longest"}, ""),
    Chart("Form of answers", "%", {"reward/format": "well-formed", "reward/unclosed": "no </think>",
                                   "reward/cut": "cut off", "reward/error": "could not be scored"},
          "Share of answers. What could not be scored is a fault of the data, not of the model."),
    Chart("Gradient norm", "", {"actor/grad_norm": "before clipping"},
          "Spikes here come before a collapse; rl.clip_grad limits what an update may do.", log=True),
    Chart("Learning rate", "", {"actor/lr": "learning rate"}, ""),
    Chart("Policy shift", "nats", {"actor/ppo_kl": "KL of the update",
                                   "health/rollout_difference": "rollout engine and trainer"},
          "How far the updated policy, and the rollout engine's, are from the one that is trained."),
    Chart("Clipped tokens", "%", {"actor/pg_clipfrac": "above", "actor/pg_clipfrac_lower": "below"},
          "Share of tokens whose ratio was clipped."),
    Chart("Throughput", "tokens/s", {"perf/throughput": "per GPU or worker"},
          "Tokens of prompts and responses over the time of the step."),
    Chart("Tokens computed", "%", {"actor/computed_share": "of the samples' tokens"},
          "In the update, with rl.share_prompts: the rest is what samples have in common."),
    Chart("Time of a step", "s",
          {"timing_s/step": "in all", "timing_s/gen": "rollouts", "timing_s/update_actor": "update",
           "timing_s/old_log_prob": "log-probabilities", "timing_s/ref": "reference",
           "timing_s/testing": "validation", "timing_s/update_weights": "weights to the engine",
           "timing_s/save_checkpoint": "checkpoint"}, ""),
    Chart("Memory", "GiB", {"actor/perf/max_memory_allocated_gb": "GPU, allocated",
                            "actor/perf/max_memory_reserved_gb": "GPU, reserved",
                            "actor/perf/cpu_memory_used_gb": "host"},
          "Of a training worker; the host's is that of its node."),
)  # fmt: skip
_SFT = (
    Chart("Loss", "nats per token", {"loss": "training", "eval_loss": "validation"},
          "Mean over the supervised tokens of a step."),
    Chart("Tasks done right", "%", {"played/right": "right", "played/low": "95 % from", "played/high": "to"},
          "Of the tasks that were played while it trained (sft.evaluate), with the interval of the share."),
    Chart("Gradient norm", "", {"grad_norm": "before clipping"}, "", log=True),
    Chart("Learning rate", "", {"learning_rate": "learning rate"}, ""),
    Chart("Throughput", "tokens/s", {"tokens_per_second": "all workers"}, ""),
    Chart("Memory", "GiB", {"memory_allocated_gib": "GPU, allocated", "memory_reserved_gib": "GPU, reserved",
                            "host_memory_gib": "host"},
          "The most that the first training worker has taken so far."),
)  # fmt: skip
_STAGES: Mapping[str, tuple[str, Sequence[Chart]]] = {
    "sft": ("Supervised fine-tuning", _SFT),
    "rl": ("Reinforcement learning", _RL),
}
_PLAYED, _SHARE = "held_out.jsonl", "played/right"  # beside the metrics, and the curve made of it


def training(root: Path) -> list[dict[str, Any]]:
    """The charts of each training stage that has left metrics.

    Args:
        root: The run directory.
    """
    return [
        found
        for stage, (title, charts) in _STAGES.items()
        if (found := _stage(stage, title, charts, root / stage / "metrics.jsonl"))
    ]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The figures of each step that a metrics file tells, in order.

    Several lines of a step are one: SFT writes validation apart from the loss, and what a resumed run writes
    anew counts.
    """
    rows: dict[int, dict[str, Any]] = {}
    for row in read_lines(path):
        if isinstance(row, dict) and is_finite(row.get("step")):
            rows.setdefault(int(row["step"]), {}).update(row)
    return [rows[step] for step in sorted(rows)]


def with_played(
    rows: Sequence[Mapping[str, Any]], played: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The metrics with the shares of tasks done right at their steps, which need not be logged ones.

    Args:
        rows: Of `rows_of`; a step between two of them takes its tokens and seconds from the one before.
        played: Lines of `held_out.jsonl`; those of evaluations that failed have no share.
    """
    found = {int(row["step"]): dict(row) for row in rows}
    for one in played:
        step, share, interval = int(one["step"]), one.get("accuracy"), one.get("ci95")
        if not is_finite(share):
            continue
        before = max((other for other in found if other < step), default=None)
        if step not in found:
            near: Mapping[str, Any] = found[before] if before is not None else {}
            found[step] = {"step": step, **{key: near[key] for key in ("tokens", "seconds") if key in near}}
        found[step][_SHARE] = share
        if isinstance(interval, list) and len(interval) == 2:
            found[step] |= {"played/low": interval[0], "played/high": interval[1]}
    return [found[step] for step in sorted(found)]


def _stage(stage: str, title: str, charts: Sequence[Chart], path: Path) -> dict[str, Any] | None:
    rows = with_played(rows_of(path), rows_of(path.with_name(_PLAYED)))
    if not rows:
        return None
    axes = _axes(stage, rows)
    every = -(-len(rows) // _POINTS)
    chosen = sorted({*range(0, len(rows), every), len(rows) - 1})
    drawn = [_drawn(chart, rows, chosen) for chart in charts]
    return {
        "stage": stage,
        "title": title,
        "steps": int(rows[-1]["step"]),
        "total": next((int(row["total"]) for row in reversed(rows) if is_finite(row.get("total"))), None),
        "x": {name: [values[at] for at in chosen] for name, values in axes.items()},
        "charts": [one for one in drawn if one],
    }


def _axes(stage: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Step, and where the metrics tell them tokens and hours so far."""
    axes = {"step": [float(row["step"]) for row in rows]}
    if stage == "rl":
        tokens = _sums(rows, ("perf/total_num_tokens", "global_seqlen/mean"))
        seconds = _sums(rows, ("timing_s/step", "perf/time_per_step"))
    else:
        tokens = _rising([row.get("tokens") for row in rows])
        seconds = _rising([row.get("seconds") for row in rows])
    if tokens:
        axes["tokens"] = tokens
    if seconds:
        axes["hours"] = [round(value / 3600, 6) for value in seconds]
    return axes


def _sums(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[float]:
    total, found = 0.0, []
    for row in rows:
        value = next((row[key] for key in keys if is_finite(row.get(key))), 0.0)
        total += value
        found.append(round(total, 3))
    return found if total else []


def _rising(values: Sequence[Any]) -> list[float]:
    """Counts that begin again where a run was resumed, over the whole run; empty if one is missing."""
    before, last, found = 0.0, 0.0, []
    for value in values:
        if not is_finite(value):
            return []
        if value < last:
            before += last
        last = float(value)
        found.append(round(before + last, 3))
    return found if last else []


def _drawn(chart: Chart, rows: Sequence[Mapping[str, Any]], chosen: Sequence[int]) -> dict[str, Any] | None:
    series: list[dict[str, Any]] = []
    for key, name in _found(chart, rows):
        # A reason that is not named did not occur.
        missing = 0.0 if key.startswith("reason/") else None
        values = [rows[at].get(key, missing) for at in chosen]
        # A share of nothing done right is news; other figures that stay at zero are not in use.
        if any(map(is_finite, values)) and (any(values) or key == _SHARE):
            numbers = [value if is_finite(value) else None for value in values]
            if any(one["values"] == numbers for one in series):
                continue  # the loss without any other part is the policy's
            series.append({"key": key, "name": name, "values": numbers})
    if not series:
        return None
    return {
        "title": chart.title,
        "unit": chart.unit,
        "about": chart.about,
        "log": chart.log,
        "series": series,
    }


def _found(chart: Chart, rows: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for key, name in chart.keys.items():
        if not key.endswith("*"):
            yield key, name
            continue
        start = key[:-1]
        sums: dict[str, float] = {}
        for row in rows:
            for one, value in row.items():
                if one.startswith(start) and is_finite(value):
                    sums[one] = sums.get(one, 0.0) + value
        for one in sorted(sums, key=lambda one: -sums[one])[:_WORST]:
            rest = one[len(start) :]
            yield one, f"{name}, {rest}" if name else rest
