"""One sample of a rollout: the responses of an episode, or the one response to a prompt of the data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...calls import Call, render_calls
from ...dialogue import read_completion
from ...pages.embed import Texts, shortened

#: Fields of a line that the browser shows in places of their own.
_PLACED = frozenset(
    (
        *("group", "sample", "row", "category", "prompt", "prompt_at", "answer", "gold", "score", "reason"),
        *("turn", "response", "calls", "results", "ok", "reasons"),
    )
)
#: Of a group so many samples are held, and further ones only while their texts take less than so many
#: characters; of the others the scores alone count.
_HELD, _HELD_CHARACTERS = 256, 20_000_000
_QUESTION = 180  # characters
_CALLS = 40  # of one answer, written one a line


@dataclass
class Sample:
    """One sample.

    Attributes:
        group: The name of its group.
        sample: Its number there.
        lines: Its responses as the step's file has them.
        places: The line of each, from 0.
    """

    group: str
    sample: int
    lines: list[dict[str, Any]]
    places: list[int]

    def summary(self) -> dict[str, Any]:
        """What the list shows of it."""
        last = self.lines[-1]
        return {
            "sample": self.sample,
            "row": str(last.get("row") or ""),
            "category": str(last.get("category") or ""),
            "score": number(last.get("score")),
            "reason": shortened(str(last.get("reason") or ""), most=200),
            "responses": len(self.lines),
            "characters": sum(len(str(line["answer"])) for line in self.lines),
        }


@dataclass
class Group:
    """The samples of a prompt.

    Attributes:
        name: Its name.
        samples: Its first ones.
        scores: The last score of each sample, also of those that are not held.
    """

    name: str
    samples: list[Sample] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    _last: int | None = None  # number of the latest sample
    _characters: int = 0

    def add(self, line: Mapping[str, Any], place: int) -> None:
        """Takes the next line of the file."""
        at, score = int(line["sample"]), number(line.get("score")) or 0.0
        if self._last != at:
            self._last = at
            self.scores.append(score)
            whole = len(self.samples) == len(self.scores) - 1
            if whole and len(self.samples) < _HELD and self._characters < _HELD_CHARACTERS:
                self.samples.append(Sample(self.name, at, [], []))
        self.scores[-1] = score
        if len(self.samples) == len(self.scores):
            self._characters += len(str(line["answer"]))
            first = self.samples[0].lines
            if not first or line["prompt"] is not first[0]["prompt"]:  # which is held once
                self._characters += len(line["prompt"])
            self.samples[-1].lines.append(dict(line))
            self.samples[-1].places.append(place)

    def summary(self) -> dict[str, Any]:
        """What the list shows of it; of one that is not held whole, also the figures of all its samples."""
        found = {"name": self.name, "question": question(self.samples[0].lines[0]["prompt"])}
        if len(self.samples) == len(self.scores):
            return found
        mean = sum(score / len(self.scores) for score in self.scores)
        return found | {"of": len(self.scores), "mean": mean, "signal": len(set(self.scores)) > 1}


def group_samples(lines: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Group]:
    """The groups in the order of the file, where a group's lines stand together.

    Args:
        lines: Place in the file, from 0, and line: those between that are none leave gaps.
    """
    group: Group | None = None
    for place, line in lines:
        name = str(line["group"])
        if group is None or group.name != name:
            if group is not None:
                yield group
            group = Group(name)
        group.add(line, place)
    if group is not None:
        yield group


def packed_sample(one: Sample, texts: Texts) -> dict[str, Any]:
    """A sample for the page; texts stand there by number."""
    last = one.lines[-1]
    before: int | None = None
    responses = []
    for line in one.lines:
        before = texts.number(str(line["prompt"]), before)
        answer = str(line["answer"])
        said = {
            "prompt": before,
            "answer": texts.number(answer),
            "calls": _numbers(called(answer), texts),
        }
        if "turn" in line:
            said |= {
                "turn": line["turn"] if isinstance(line["turn"], int) else None,
                "results": _numbers(map(str, _listed(line.get("results"))), texts),
                "ok": [bool(ok) for ok in _listed(line.get("ok"))],
                "why": [shortened(str(why), most=2000) for why in _listed(line.get("reasons"))],
                "gold": _numbers(map(str, _listed(line.get("gold"))), texts),
            }
        responses.append(said)
    found: dict[str, Any] = {
        "responses": responses,
        "figures": {
            shortened(str(name), most=100): number(value)
            for name, value in last.items()
            if name not in _PLACED and number(value) is not None
        },
        "lines": [place + 1 for place in one.places],
    }
    if "turn" not in last:
        found["gold"] = _numbers(expected(last.get("gold")), texts)
    return found


def called(answer: str) -> list[str]:
    """The calls of an answer, one text each; none if it has none that can be read."""
    if len(answer) > 200_000:
        return []
    calls = read_completion(answer).calls
    return [] if calls is None else [render_calls([call]) for call in calls[:_CALLS]]


def expected(gold: Any) -> list[str]:
    """The gold calls of a row, one text each; another form of ground truth as it stands."""
    try:
        calls = [Call(str(one["name"]), dict(one["arguments"])) for one in json.loads(gold)["calls"]]
        return [render_calls([call]) for call in calls[:_CALLS]]
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return [] if gold is None else [gold if isinstance(gold, str) else repr(gold)]


def question(prompt: str) -> str:
    """The beginning of what the user said last, for a list."""
    said = ""
    for part in reversed(prompt.split("<|im_start|>user\n")[1:]):
        said = part.partition("<|im_end|>")[0]
        if not said.lstrip().startswith("<tool_response>"):  # Qwen's form of tool results
            break
    words = " ".join((said or prompt[-_QUESTION:])[: 4 * _QUESTION].split())
    return words if len(words) <= _QUESTION else words[: _QUESTION - 1] + "…"


def number(value: Any) -> float | None:
    """A finite number, shortened; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return round(plain, 5) if math.isfinite(plain) else None


def _listed(value: Any) -> list[Any]:
    """A list; what is none, in a line that others have changed, holds nothing."""
    return value if isinstance(value, list) else []


def _numbers(some: Iterable[str], texts: Texts) -> list[int]:
    return [texts.number(one) for one in some]
