"""Several completions of the same tasks: independent samples, and whole repetitions under other seeds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..pages.statistics import mean_over_seeds, mean_share, pass_at_k

Tries = Mapping[str, Sequence[bool]]
"""Task id to its verdicts, one an attempt, in the order of `Attempts.all`."""


@dataclass(frozen=True)
class Attempt:
    """One time that all tasks are played.

    Attributes:
        seed: As the user gave it.
        sample: Its number among those of the same seed.
    """

    seed: int
    sample: int

    @property
    def sampling_seed(self) -> int:
        """The seed of its completions: the user's for the first sample, one derived from it for others."""
        return self.seed if not self.sample else zlib.crc32(f"{self.seed}/sample {self.sample}".encode())

    @property
    def folder(self) -> str:
        """A name for its files."""
        return f"seed{self.seed}.sample{self.sample}"


@dataclass(frozen=True)
class Attempts:
    """How often the tasks are played.

    Attributes:
        seeds: Repetitions, for a mean and its spread.
        samples: Attempts under each seed, for pass@k.
        pass_k: The k of pass@k, each at most `samples`.
    """

    seeds: tuple[int, ...] = (0,)
    samples: int = 1
    pass_k: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[Attempt, ...]:
        """Every attempt, those of one seed together."""
        return tuple(Attempt(seed, sample) for seed in self.seeds for sample in range(self.samples))

    def means(self, tries: Tries) -> dict[str, float]:
        """Task id to the share of its attempts that are right."""
        return {name: sum(verdicts) / len(verdicts) for name, verdicts in tries.items()}

    def passes(self, tries: Tries, k: int) -> dict[str, float]:
        """Task id to pass@k, estimated from the samples of each seed and averaged over the seeds."""
        return {
            name: sum(pass_at_k(sum(part), self.samples, k) for part in self._by_seed(verdicts))
            / len(self.seeds)
            for name, verdicts in tries.items()
        }

    def of_seed(self, tries: Tries, number: int) -> dict[str, float]:
        """Task id to the share of one seed's attempts that are right.

        Args:
            tries: The verdicts.
            number: The seed's place in `seeds`.
        """
        return self.means({name: self._by_seed(verdicts)[number] for name, verdicts in tries.items()})

    def figures(self, tries: Tries) -> dict[str, Any]:
        """What `scores.json` says of a set of tasks.

        Returns:
            `accuracy` (0..1), `right` (verdicts), `tasks`, `ci95`; with several attempts also `attempts`,
            `pass_at_k` (k to `{"value", "ci95"}`) and, with several seeds, `seeds` (`{"values": seed to
            accuracy, "mean", "ci95"}`, Student's interval). `ci95` speaks of other tasks, that of `seeds` of
            other seeds.
        """
        if not tries:
            return {"accuracy": 0.0, "right": 0, "tasks": 0, "ci95": [0.0, 1.0]}
        count = len(self.all)
        mean, low, high = mean_share([*self.means(tries).values()], count)
        found: dict[str, Any] = {
            "accuracy": mean,
            "right": sum(map(sum, tries.values())),
            "tasks": len(tries),
            "ci95": [low, high],
        }
        if count > 1:
            found["attempts"] = count
        if self.pass_k:
            found["pass_at_k"] = {}
            for k in self.pass_k:
                value, low, high = mean_share([*self.passes(tries, k).values()], count)
                found["pass_at_k"][str(k)] = {"value": value, "ci95": [low, high]}
        if len(self.seeds) > 1:
            parts = [
                mean_share([*self.of_seed(tries, number).values()]).mean for number in range(len(self.seeds))
            ]
            found["seeds"] = over_seeds(self.seeds, parts)
        return found

    def _by_seed(self, verdicts: Sequence[bool]) -> list[Sequence[bool]]:
        size = self.samples
        return [verdicts[number * size : (number + 1) * size] for number in range(len(self.seeds))]


def over_seeds(seeds: Sequence[int], values: Sequence[float]) -> dict[str, Any]:
    """One figure under several seeds: `{"values": {seed: value}, "mean", "ci95"}`."""
    mean, low, high = mean_over_seeds(values)
    named = {str(seed): value for seed, value in zip(seeds, values, strict=True)}
    return {"values": named, "mean": mean, "ci95": [low, high]}
