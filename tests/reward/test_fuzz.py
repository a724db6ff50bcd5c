"""Whatever a model writes is read, scored and played, soon: a sample of benchmarks/reward/reward_fuzz.py."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "reward"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """The benchmark as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("reward_fuzz", BENCHMARKS / "reward_fuzz.py")
        assert spec and spec.loader
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_nothing_is_raised(fuzz: ModuleType) -> None:
    tally = fuzz.score_all(seed=7, count=6_000, played=20)
    assert tally.faults == []
    assert tally.strings == 6_000
    assert tally.slowest_long[1]  # strings of full length were among them
    # The strings reach far into the reward, and some of them are right.
    assert {"right", "values", "count", "syntax", "unclosed", "mixed_answer"} <= tally.reasons.keys()
    assert tally.received == 300 and tally.episodes > 150


def test_what_the_writers_cannot_hold_would_be_found(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    episodes = sys.modules["episode_fuzz"]
    assert episodes.play_all(["a</think>\ud83d"] * 4, 1, tmp_path)[2] == []
    monkeypatch.setattr("funreason_train.evaluate.results.dump", lambda row: json.dumps(row["turns"]) + "\n")
    assert episodes.play_all(["a</think>\ud83d"] * 4, 1, tmp_path)[2] != []


def test_a_reward_that_raises_is_found(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(*_: object, **__: object) -> dict[str, float]:
        raise ValueError("caught")

    monkeypatch.setattr(fuzz, "compute_score", fragile)
    assert len(fuzz.score_all(seed=7, count=10, played=1).faults) == 10


def test_a_short_run_under_atheris() -> None:
    pytest.importorskip("atheris")
    words = [sys.executable, str(BENCHMARKS / "reward_atheris.py"), "-runs=3000", "-seed=1", "-max_len=400"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 3000 runs" in done.stderr
