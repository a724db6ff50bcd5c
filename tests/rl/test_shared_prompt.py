"""Samples that share what they have in common train as samples alone do, on any number of workers."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as some

from funreason_train.rl.shared import layout
from funreason_train.rl.shared.balance import Sample, arranged, keep_together, once

SCRIPT = Path(__file__).with_name("shared_script.py")
_prompts = some.sampled_from([(1,), (1, 2), (1, 2, 3, 4), (3, 4, 5)])
_samples = some.lists(
    some.tuples(_prompts, some.lists(some.integers(1, 3), min_size=1, max_size=6)), min_size=1, max_size=30
)


def rows(samples: Any) -> Any:
    return [layout.sample(numpy.array(prompt), numpy.array(answer)) for prompt, answer in samples]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each way gave, of all workers together: `ran(2)["shared"]`."""
    folder = tmp_path_factory.mktemp("shared")
    held: dict[int, Any] = {}

    def of(workers: int) -> Any:
        if workers not in held:
            line = [sys.executable, str(SCRIPT), str(folder), str(workers)]
            done = subprocess.run(line, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stderr[-3000:]
            held[workers] = _together(folder, workers)
        return held[workers]

    return of


def _together(folder: Path, workers: int) -> Any:
    parts = [json.loads((folder / f"{workers}_{rank}.json").read_text()) for rank in range(workers)]
    found: dict[str, Any] = {"engine": (folder / "engine").read_text()}
    for way in parts[0]:
        ranks = [part[way] for part in parts]
        found[way] = {
            **ranks[0],
            "log_probs": {name: value for rank in ranks for name, value in rank["log_probs"].items()},
            "entropy": {name: value for rank in ranks for name, value in rank["entropy"].items()},
        }
    return found


_slow = pytest.mark.skipif(
    "FUNREASON_SLOW" not in os.environ, reason="half a minute; FUNREASON_SLOW=1 runs it"
)
_WORKERS = [pytest.param(1, marks=_slow), 2, pytest.param(4, marks=_slow)]


@pytest.mark.parametrize("workers", _WORKERS)
def test_updates_and_log_probabilities_are_those_of_verls_own_path(ran: Any, workers: int) -> None:
    """In double precision: with single precision the last bits alone differ."""
    # On one worker, where it has run; 2 workers run in every test, and compare with themselves otherwise.
    wanted, found = ran(1 if "FUNREASON_SLOW" in os.environ else workers)["alone"], ran(workers)
    for way, exact in (
        ("alone", 1e-9),
        ("shared", 1e-9),
        ("shared, samples as they lie", 1e-9),
        ("shared, fused", 2e-5),  # verl's fused head computes in single precision
    ):
        for name in ("loss", "norm"):
            assert found[way][name] == pytest.approx(wanted[name], rel=exact, abs=exact), (way, name)
        for name in ("log_probs", "entropy"):
            assert found[way][name].keys() == wanted[name].keys()
            for sample, values in wanted[name].items():
                assert found[way][name][sample] == pytest.approx(values, rel=exact, abs=exact), (way, sample)


@pytest.mark.parametrize("workers", _WORKERS)
def test_a_worker_computes_fewer_tokens_and_says_how_many(ran: Any, workers: int) -> None:
    shares = ran(workers)["shared"]["computed"]
    assert shares and all(0.2 < share < 0.75 for share in numpy.ravel(shares))


def test_on_an_nvidia_gpu_verl_takes_the_same_engine(ran: Any) -> None:
    assert ran(2)["engine"] == "funreason_train.rl.shared.engine.SharingEngine"


def test_what_samples_have_in_common_stands_once_in_the_line() -> None:
    samples = [((1, 2, 3), [4]), ((1, 2, 3), [5, 6]), ((1, 2, 3, 9), [7]), ((1, 2, 3), [5, 6, 8])]
    lay = layout.layout(rows(samples))
    assert len(lay.line.ids) == 3 + len([4]) + len([5, 6, 8]) + len([9, 7])
    assert sorted(lay.line.positions.tolist()) == [0, 1, 2, 3, 3, 3, 4, 4, 5]
    assert lay.line.targets.tolist() == [4, 5, 6, 5, 6, 8, 7] and lay.order == [0, 1, 3, 2]
    # Before each answer's token, in 1 2 3 4 | 1 2 3 5 6 | 1 2 3 9 7 | 1 2 3 5 6 8.
    assert lay.spots.tolist() == [2, 6, 7, 16, 17, 18, 12]


@given(_samples, some.integers(1, 40))
def test_passes_hold_every_sample_once_and_keep_to_the_budget(samples: Any, budget: int) -> None:
    passes = layout.packs(rows(samples), budget)
    assert sorted(number for one in passes for number in one) == list(range(len(samples)))
    for one in passes:
        held = layout.layout(rows([samples[number] for number in one]))
        assert len(held.line.ids) <= budget or len(one) == 1


def test_passes_keep_a_group_together_when_it_fits() -> None:
    samples = [((1, 2), [8, 8]), ((3,), [7, 7]), ((1, 2), [9, 9]), ((3,), [6, 6])]
    assert layout.packs(rows(samples), 6) == [[0, 2], [1, 3]]


@given(_samples, some.integers(1, 30))
def test_passes_are_cut_until_all_workers_have_as_many(samples: Any, count: int) -> None:
    held = rows(samples)
    passes = layout.packs(held, 20)
    if count > len(samples):
        with pytest.raises(ValueError, match="do not make"):
            layout.spread(passes, held, count)
        return
    found = layout.spread(passes, held, count)
    assert len(found) == max(count, len(passes)) and all(found)
    assert [number for one in found for number in one] == [number for one in passes for number in one]


def test_a_pass_is_cut_between_two_prompts() -> None:
    samples = [((1,), [2] * 9), ((1,), [3] * 9), ((1,), [4] * 9), ((5,), [6])]
    assert layout.spread([[0, 1, 2, 3]], rows(samples), 2) == [[0, 1, 2], [3]]


@given(
    some.integers(1, 4), some.integers(1, 3), some.integers(1, 6), some.integers(1, 8), some.integers(0, 5)
)
def test_workers_get_whole_groups_equally_many_samples_and_the_same_updates(
    workers: int, updates: int, groups: int, size: int, seed: int
) -> None:
    lengths = [(seed * 7 + group * 5) % 11 + 1 for group in range(groups * workers * updates)]
    samples = [
        Sample(f"{group:03}", length, (length + number) % 5 + 1)
        for group, length in enumerate(lengths)
        for number in range(size)
    ]
    shares = arranged(samples, workers, updates)
    assert Counter(number for share in shares for number in share) == Counter(range(len(samples)))
    assert {len(share) for share in shares} == {groups * updates * size}
    homes: dict[str, set[int]] = {}
    for worker, share in enumerate(shares):
        for at, number in enumerate(share):
            assert number // (groups * workers * size) == at // (groups * size), "another update's"
            homes.setdefault(samples[number].group, set()).add(worker)
    assert all(len(home) == 1 for home in homes.values())


def test_work_is_balanced_where_groups_differ() -> None:
    samples = [Sample(f"{group}", 1000 * (group + 1), 10) for group in range(8) for _ in range(4)]
    tokens = [once(samples[number] for number in share) for share in arranged(samples, 2, 1)]
    assert max(tokens) < 1.06 * min(tokens)


def test_groups_that_do_not_divide_are_cut_as_seldom_as_can_be() -> None:
    """Episodes differ in their responses, and rows that only fill up go to all updates."""
    sizes = {"00": 5, "01": 9, "02": 2, "03": 6}
    samples = [Sample(name, 50, 5) for name, size in sizes.items() for _ in range(size)]
    samples += [Sample("pad", 127, 1, padding=True)] * 2
    shares = arranged(samples, 2, 2)
    assert {len(share) for share in shares} == {12}
    for first, last in ((0, 6), (6, 12)):
        held = [samples[number] for share in shares for number in share[first:last]]
        assert sum(one.padding for one in held) == 1
    homes = {
        (samples[number].group, at // 6, worker)
        for worker, s in enumerate(shares)
        for at, number in enumerate(s)
    }
    assert len(homes) <= len(sizes) + 2 + 4, "two cuts between updates and at most one a worker and update"


def test_verls_batch_is_reordered_in_place() -> None:
    class Batch:
        def __init__(self) -> None:
            self.keys = [f"00000001-00000{place % 4}_{place // 4}_0" for place in range(8)]
            self.tags = [{"prompt_len": 100, "response_len": 7} for _ in self.keys]

        def reorder(self, order: list[int]) -> None:
            self.keys = [self.keys[at] for at in order]

    batch = Batch()
    figures = keep_together(batch, workers=2, updates=1)
    assert figures == {"global_seqlen/shared_min": 2 * 114, "global_seqlen/shared_max": 2 * 114}
    names = [key.split("_")[0] for key in batch.keys]
    assert names[0::2] == names[1::2] and len(set(names)) == 4


def test_verl_takes_its_own_key_for_a_shared_prompt_and_ignores_it() -> None:
    """verl#7202. If this fails, verl has fixed it: compare it with ours in benchmarks/rl/shared_prompt.py."""
    from funreason_train.rl.verl import installed_keys

    folder = installed_keys.verl_folder()
    callers = [
        file.relative_to(folder).as_posix()
        for place in ("workers", "trainer/ppo/v1", "models", "utils")
        for file in (folder / place).rglob("*.py")
        if "prefix_grouper_utils" in (text := file.read_text(encoding="utf-8"))
        or "use_prefix_grouper=" in text.replace(" ", "")
    ]
    assert callers == []
