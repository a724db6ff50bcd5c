"""Several attempts: what may be asked for, and the figures that follow."""

import pytest

from funreason_train.evaluate.attempts import Attempt, Attempts
from funreason_train.pages.statistics import wilson


def test_one_attempt_has_the_plain_figures() -> None:
    found = Attempts().figures({"a": [True], "b": [False], "c": [False], "d": [True]})
    assert found == {"accuracy": 0.5, "right": 2, "tasks": 4, "ci95": list(wilson(2, 4))}
    assert Attempts().figures({})["tasks"] == 0


def test_seeds_samples_and_pass_at_k() -> None:
    attempts = Attempts(seeds=(1, 2), samples=3, pass_k=(1, 3))
    tries = {"a": [True, False, False, True, True, True], "b": [False] * 6, "c": [True] * 3 + [False] * 3}
    found = attempts.figures(tries)
    assert (found["attempts"], found["right"], found["tasks"]) == (6, 7, 3)
    assert found["accuracy"] == pytest.approx((4 / 6 + 0 + 3 / 6) / 3)
    assert found["pass_at_k"]["1"]["value"] == pytest.approx(found["accuracy"])
    assert found["pass_at_k"]["3"]["value"] == pytest.approx((1 + 0 + 0.5) / 3)
    seeds = found["seeds"]
    assert seeds["values"] == pytest.approx({"1": (1 / 3 + 0 + 1) / 3, "2": (1 + 0 + 0) / 3})
    assert seeds["mean"] == pytest.approx(found["accuracy"])
    assert seeds["ci95"][0] < seeds["mean"] < seeds["ci95"][1]


def test_every_attempt_has_a_seed_and_a_folder_of_its_own() -> None:
    every = Attempts(seeds=(0, 1, 7), samples=4).all
    assert len(every) == 12
    assert len({one.sampling_seed for one in every}) == len({one.folder for one in every}) == 12
    assert Attempt(7, 0).sampling_seed == 7  # one sample under a seed is what `seed=` alone gives
