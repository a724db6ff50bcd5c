"""A claim's table from verdicts: accuracies, and each arm against the first one on the same tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funreason_train.pages.statistics import Difference, mean_over_seeds, paired_difference, wilson

if TYPE_CHECKING:
    from claim_arms import Claim


@dataclass(frozen=True)
class Played:
    """What the arms of a claim did at one seed.

    Attributes:
        seed: The seed.
        verdicts: Arm to set of tasks to task's id to whether it was done right.
        notes: Arm to heading to figure.
        made: Commit, machine and seconds.
    """

    seed: int
    verdicts: Mapping[str, Mapping[str, Mapping[str, bool]]]
    notes: Mapping[str, Mapping[str, str]]
    made: Mapping[str, Any] = field(default_factory=dict)


def paired(played: Sequence[Played], first: str, second: str, tasks: str) -> tuple[list[bool], list[bool]]:
    """Both arms' verdicts on the same tasks in the same order, all seeds together.

    Raises:
        ValueError: they did not play the same tasks.
    """
    a: list[bool] = []
    b: list[bool] = []
    for one in played:
        left, right = one.verdicts[first][tasks], one.verdicts[second][tasks]
        if left.keys() != right.keys():
            raise ValueError(f"seed {one.seed}: {first} and {second} did not play the same {tasks} tasks")
        names = sorted(left)
        a += [left[name] for name in names]
        b += [right[name] for name in names]
    return a, b


def difference(played: Sequence[Played], first: str, second: str, tasks: str) -> Difference:
    """How much more often the second arm is right, with its paired 95 % interval over all tasks played."""
    return paired_difference(*paired(played, first, second, tasks))


def over_seeds(played: Sequence[Played], first: str, second: str, tasks: str) -> Difference | None:
    """The mean of the seeds' differences with Student's 95 % interval; None with fewer than two seeds."""
    if len(played) < 2:
        return None
    return mean_over_seeds([difference([one], first, second, tasks).mean for one in played])


def tables(claim: Claim, played: Sequence[Played], wanted: int, scale: str) -> tuple[str, dict[str, Any]]:
    """The claim's table as Markdown, and its figures as JSON's types."""
    head = f"## {claim.name}\n\n{claim.question} Equal: {claim.equal}.\n\n"
    about = f"Scale {scale}; {len(played)} of {wanted} seeds"
    record: dict[str, Any] = {
        **{"claim": claim.name, "question": claim.question, "equal": claim.equal, "scale": scale},
        "seeds": [one.seed for one in played],
        "rows": [],
        "played": {str(one.seed): _kept(one) for one in played},
    }
    if not played:
        return f"{head}{about}: not run.\n", record
    baseline = claim.arms[0].name
    notes = list(played[0].notes[baseline])
    titles = ["arm", "tasks", "n", "right (95 %)", "against the first, points (95 %)", "over seeds", *notes]
    lines = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 2)]
    for tasks in claim.tasks:
        for arm in claim.arms:
            row = _row(played, baseline, arm.name, tasks)
            record["rows"].append(row)
            figures = ["; ".join(one.notes[arm.name][name] for one in played) for name in notes]
            cells = [
                arm.name,
                tasks,
                str(row["n"]),
                _share(row),
                _points(row, "paired"),
                _points(row, "seeds"),
            ]
            lines.append(f"| {' | '.join([*cells, *figures])} |")
    return f"{head}{about}.\n\n" + "\n".join(lines) + "\n", record


def _kept(one: Played) -> dict[str, Any]:
    """A seed as the record keeps it: a verdict is 0 or 1, in the order of the tasks' ids."""
    return {
        "verdicts": {
            arm: {
                tasks: "".join(str(int(found[name])) for name in sorted(found))
                for tasks, found in sets.items()
            }
            for arm, sets in one.verdicts.items()
        },
        "notes": {arm: dict(notes) for arm, notes in one.notes.items()},
        "made": dict(one.made),
    }


def recorded(claim: Claim, record: Mapping[str, Any], scale: str) -> list[Played]:
    """The seeds that a record holds, played at another time or on another machine.

    Raises:
        ValueError: it is of another claim, scale or arms, or holds no verdicts.
    """
    names = {arm.name: set(claim.tasks) for arm in claim.arms}
    own = {"claim": claim.name, "equal": claim.equal, "scale": scale}
    if other := [key for key, value in own.items() if record.get(key) != value]:
        raise ValueError(f"its {other[0]} is {record.get(other[0])!r} and not {own[other[0]]!r}")
    if "played" not in record:
        raise ValueError("it holds no verdicts")
    found = []
    for seed, one in record["played"].items():
        if {arm: set(sets) for arm, sets in one["verdicts"].items()} != names:
            raise ValueError(f"its seed {seed} has other arms or tasks")
        verdicts = {
            arm: {
                tasks: {f"{place:06}": mark == "1" for place, mark in enumerate(marks)}
                for tasks, marks in sets.items()
            }
            for arm, sets in one["verdicts"].items()
        }
        found.append(Played(int(seed), verdicts, one["notes"], one["made"]))
    return found


def _row(played: Sequence[Played], baseline: str, arm: str, tasks: str) -> dict[str, Any]:
    values = [right for one in played for right in one.verdicts[arm][tasks].values()]
    row: dict[str, Any] = {"arm": arm, "tasks": tasks, "n": len(values), "right": sum(values)}
    row["ci95"] = list(wilson(row["right"], row["n"]))
    row["by_seed"] = [_mean(one.verdicts[arm][tasks].values()) for one in played]
    row["paired"] = row["seeds"] = None
    if arm != baseline:
        row["paired"] = list(difference(played, baseline, arm, tasks))
        spread = over_seeds(played, baseline, arm, tasks)
        row["seeds"] = list(spread) if spread else None
    return row


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)


def _share(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{100 * row['right'] / row['n']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _points(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return "–"
    mean, low, high = (100 * value for value in row[key])
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
