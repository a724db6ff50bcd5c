"""What is kept of a step's samples: figures for the metrics, and one line a response (pure functions).

A row of the batch is a response. In rollouts of single steps each is a sample of its own; in those of
environments several rows belong to one episode, whose score every one of them carries. Their keys are
PROMPT_SAMPLE_PART (verl/trainer/ppo/v1/agent_loop_tq.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...reward import OUTCOMES, REASON_CODES, reason_of
from ..rollout.sampling import sample_order
from . import health

#: Prompts of a file that are held while it is read: those of some episodes. Others are read again.
_HELD_PROMPTS = 100
#: Series of reasons that another reward function may add to a step's figures.
_REASONS = 30


@dataclass(frozen=True)
class Row:
    """One response.

    Attributes:
        key: PROMPT_SAMPLE_PART.
        score: Of the sample it belongs to.
        details: What else the reward said of the sample.
        response: What an environment says of the response (`episodes.record`); None without environment.
    """

    key: str
    score: float
    details: Mapping[str, Any]
    response: Mapping[str, Any] | None = None

    @property
    def fault(self) -> bool:
        """Whether the environment failed: then the score says nothing."""
        return bool(self.details.get("environment_fault"))

    @property
    def prompt(self) -> str:
        """The prompt it was drawn for: the group that advantages are compared in."""
        return self.key.rsplit("_", 2)[0]

    @property
    def place(self) -> tuple[str, int, int]:
        """Prompt, sample and part, to sort by."""
        return sample_order(self.key)


def stand_ins(keys: Sequence[str]) -> list[int]:
    """For each key the index of the last response of its sample, the one that stands for the sample."""
    places = [sample_order(key) for key in keys]
    last: dict[tuple[str, int], int] = {}
    for at, place in enumerate(places):
        if place[:2] not in last or places[last[place[:2]]] < place:
            last[place[:2]] = at
    return [last[place[:2]] for place in places]


def last_responses(rows: Sequence[Row]) -> list[Row]:
    """The last response of each sample, in the order of the rows."""
    last = set(stand_ins([row.key for row in rows]))
    return [row for at, row in enumerate(rows) if at in last]


def figures(rows: Sequence[Row]) -> dict[str, float]:
    """The figures of one step: scores are averaged over samples, what concerns an answer over responses.

    Episodes whose environment failed are in none of them but their own.

    Returns:
        `health/groups_without_signal`, `health/score`, `health/responses` (of a sample, in environments),
        `health/environment_faults` (their share of the episodes), `reward/NAME` for each number in the
        details, and `reason/NAME`, the share of samples scored for that reason.
    """
    everyone = last_responses(rows)
    rows = [row for row in rows if not row.fault]
    samples = last_responses(rows)
    details = [{name: value for name, value in row.details.items() if name != "reason"} for row in samples]
    found = health.summary(
        [row.prompt for row in samples],
        [row.score for row in samples],
        [*details, *(row.response["figures"] for row in rows if row.response)],
    )
    found |= _reasons(samples)
    if everyone and everyone[0].response:
        found["health/environment_faults"] = 1 - len(samples) / len(everyone)
        found.pop("reward/environment_fault", None)
    if samples and rows[0].response:
        found["health/responses"] = len(rows) / len(samples)
    return found


def _reasons(samples: Sequence[Row]) -> dict[str, float]:
    """The share of each reason that occurs, and of all outcomes of ours: their series have no gaps."""
    counts = Counter(
        _series(_reason(row.details)) for row in samples if row.details.get("reason") is not None
    )
    if not counts:
        return {}
    known = dict.fromkeys(OUTCOMES, 0) if counts.keys() <= REASON_CODES.keys() else {}
    chosen = known | dict(counts.most_common(_REASONS))
    return {f"reason/{name}": count / len(samples) for name, count in chosen.items()}


def _series(reason: Any) -> str:
    """A reason as a part of a series' name that every tracker takes, whatever a reward function calls it."""
    return re.sub(r"[^\w.: -]", "_", str(reason), flags=re.ASCII)[:60].strip() or "_"


def category(info: Mapping[str, Any], source: Any) -> str:
    """What kind of task a row of the data is: the category of its meta, or the data set it is from."""
    try:
        meta = json.loads(info.get("meta") or "{}")
    except ValueError:
        meta = {}
    named = meta.get("category") if isinstance(meta, dict) else None
    return str(named or source or "")


def line(
    row: Row,
    prompt: str,
    answer: str,
    ground_truth: Any,
    source: str | None = None,
    category: str | None = None,
) -> dict[str, Any]:
    """One line of `rollouts/STEP.jsonl`.

    Args:
        row: The response.
        prompt: The exact text that was continued.
        answer: The exact text that was written, tags included.
        ground_truth: The gold answer of the data's row.
        source: The id of the data's row (`extra_info.id`), which leads back to the data set.
        category: Of the task.
    """
    _, sample, _ = row.place
    found: dict[str, Any] = {"group": row.prompt, "sample": sample, "row": source}
    if category is not None:
        found["category"] = category
    said = {"prompt": prompt, "answer": answer}
    if row.response is None:
        found |= {**said, "gold": ground_truth}
    else:
        what = row.response
        found |= {"turn": what["turn"], "response": what["response"], **said}
        found |= {name: what[name] for name in ("calls", "results", "ok", "gold", "reasons")}
        found |= what["figures"]
    details = {name: value for name, value in row.details.items() if name != "score"}
    return {**found, "score": row.score, **details, "reason": _reason(row.details)}


def share_prompts(lines: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines of a file, each prompt written once: 8 samples of a group would repeat thousands of tokens.

    A later line with the same prompt has `prompt_at`, the place of the line that holds it (from 0), instead
    of `prompt`. `read` puts it back.
    """
    first: dict[str, int] = {}
    for place, line in enumerate(lines):
        prompt = line["prompt"]
        if first.setdefault(prompt, place) == place:
            yield dict(line)
        else:
            rest = {name: value for name, value in line.items() if name != "prompt"}
            yield {**rest, "prompt_at": first[prompt]}


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a `rollouts/STEP.jsonl`, each with its `prompt`; only some prompts are held at a time."""
    starts: list[int] = []  # of each line, in bytes
    held: OrderedDict[int, str] = OrderedDict()  # the prompts that were asked for last
    end = 0
    with file.open("rb") as lines, file.open("rb") as again:
        for place, text in enumerate(lines):
            starts.append(end)
            end += len(text)
            line = json.loads(text.decode())
            at = place if "prompt" in line else line.pop("prompt_at")
            if at not in held:
                again.seek(starts[at])
                held[at] = json.loads(again.readline().decode())["prompt"] if at != place else line["prompt"]
            held.move_to_end(at)
            if len(held) > _HELD_PROMPTS:
                held.popitem(last=False)
            yield {**line, "prompt": held[at]}


def _reason(details: Mapping[str, Any]) -> Any:
    """The reason in words; what another reward function calls so, as it stands."""
    code = details.get("reason")
    known = isinstance(code, int | float) and code in REASON_CODES.values()
    return reason_of({"reason": float(code)}) if known and code is not None else code


def over_long(result: Mapping[str, Any]) -> dict[str, Any]:
    """The score of an answer that was cut off at its longest length: never right, whatever is left of it."""
    wrong = {"score": 0.0, "acc": 0.0, "reason": float(REASON_CODES["over_long"])}
    return {**result, **{name: value for name, value in wrong.items() if name == "score" or name in result}}
