"""How many responses a second the reward scores, beside BFCL's decoder and ast_checker in the same run.

    python benchmarks/reward/reward_speed.py [--responses 16384] [--rounds 5]

The responses are groups of 8 on BFCL's own Python questions, each after a thought of about 1,400 characters:
six right in one spelling and two with another value, argument or call, in every other group the same one;
every tenth group has one that is no call list. The quickstart's own rollouts look like that: 72 to 89 %
right, 96 to 100 % of the right form, 1.9 to 2.7 different answers among 8. A second comparison has no answer
twice. BFCL gets the answer alone, as its handlers cut the thought off before they decode.

Both judge the same answers, interleaved in blocks, in one process; times are processor times, for each block
the least of the rounds, so that other work on the machine does not count. Every round starts with empty
caches, except for the schemas of tools, which recur in training. The exit code is 1 if the default reward,
binary, is not 3 times as fast as BFCL on the groups.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from bfcl_reference import Entry, Reference, entries, evaluates
from call_mutations import CALLS, VALUES, mutations

from funreason_train.calls import render_calls
from funreason_train.reward import compute_score

GROUP = 8
GOAL_SECONDS, GOAL_RATIO = 1.0, 3.0
THOUGHT = "The user wants the function to be called with the values that the request states. " * 17
Response = tuple[str, str, str, Entry]  # completion, ground truth of the plain variant, answer, question


def responses(count: int, repeats: bool = True) -> list[Response]:
    """Groups of 8, as a rollout engine returns them; the same at each run.

    Args:
        count: How many responses.
        repeats: Whether six of the eight are the same right answer; otherwise no answer of a group is.
    """
    draw = random.Random(0)
    known = [e for e in entries() if all(values for call in e.gold for values in call.arguments.values())]
    found: list[Response] = []
    for number in range(-(-count // GROUP)):
        entry = known[number % len(known)]
        gold = [call.example() for call in entry.gold]
        plain = json.dumps({"calls": [call.to_json() for call in gold], "tools": entry.tools})
        spoiled: dict[bool, list[str]] = {True: [], False: []}
        for kind, answer in mutations(entry.gold, entry.tools, draw):
            if not evaluates(answer):
                spoiled[kind in VALUES or kind in CALLS].append(answer)
        wrong = (draw.sample(spoiled[True], len(spoiled[True])) * GROUP)[:GROUP]
        if number % 10 == 0:
            wrong[0] = draw.choice(spoiled[False])
        elif repeats and number % 2:
            wrong[1] = wrong[0]
        right = [render_calls(gold)] * (6 if repeats else 1)
        for answer in [*right, *wrong][:GROUP]:
            found.append((f"{THOUGHT}\n</think>\n\n{answer}", plain, answer, entry))
    return found[:count]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this process that the work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


OPTIONS = {
    **{"variant": "binary", "ordered": False, "strings": "exact", "require_thought": False},
    **{"max_chars": None, "soft_chars": None, "soft_weight": 0.0},
}
"""As verl hands them over with each response: all keys of configs/reward/."""


def score(batch: list[tuple[str, str]], variant: str = "binary") -> int:
    """Scores completions with their ground truths; how many are right."""
    options = {**OPTIONS, "variant": variant}
    return sum(compute_score("s", text, gold, None, **options)["acc"] == 1.0 for text, gold in batch)


def compare(batch: list[Response], reference: Reference, rounds: int) -> dict[str, float]:
    """Processor seconds for the whole batch, by judge: `binary` and `bfcl` are ours."""
    truths = {entry.id: entry.ground_truth for *_, entry in batch}
    blocks = range(0, len(batch), 1024)
    best = {name: [float("inf")] * len(blocks) for name in ("binary", "bfcl", "BFCL")}
    for _ in range(rounds):
        forget()
        for number, at in enumerate(blocks):
            block = batch[at : at + 1024]
            # Fresh strings, as each response of a rollout brings its own.
            plain = [(text[:9] + text[9:], gold[:9] + gold[9:]) for text, gold, *_ in block]
            accepted = [(text, truths[entry.id]) for text, *_, entry in block]
            answers = [(answer, entry) for *_, answer, entry in block]
            for name, work in (
                ("binary", lambda plain=plain: score(plain)),
                ("bfcl", lambda accepted=accepted: score(accepted, "bfcl")),
                ("BFCL", lambda answers=answers: [reference.judge(*pair) for pair in answers]),
            ):
                best[name][number] = min(best[name][number], seconds(work))
    return {name: sum(times) for name, times in best.items()}


def forget() -> None:
    """Empties the reward's caches, so that each round starts as a training step does."""
    from funreason_train.reward import gold, score

    gold._HELD.clear()
    score._remembered.cache_clear()


def _alone(batch: list[tuple[str, str]]) -> float:
    return seconds(lambda: score(batch))


def _show(title: str, spent: dict[str, float], count: int) -> float:
    """Prints the rates; returns the ratio of the binary reward's to BFCL's."""
    print(title)
    names = {"binary": "reward, binary", "bfcl": "reward, accepted values", "BFCL": "decode + ast_checker"}
    for name, what in names.items():
        ratio = spent["BFCL"] / spent[name]
        print(f"  {what:24} {count / spent[name]:9,.0f} responses/s of one core {ratio:6.2f} x BFCL")
    return spent["BFCL"] / spent["binary"]


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--responses", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    reference = Reference()
    batch = responses(chosen.responses)
    ratio = _show("groups of 8", compare(batch, reference, chosen.rounds), len(batch))
    different = responses(chosen.responses, repeats=False)
    _show("no answer twice", compare(different, reference, chosen.rounds), len(different))
    plain = [(text, gold) for text, gold, *_ in batch]
    half = len(plain) // 2
    with ProcessPoolExecutor(2) as pool:
        started = time.perf_counter()
        shares = list(pool.map(_alone, [plain[:half], plain[half:]]))
        wall = time.perf_counter() - started
    print(
        f"{len(batch):,} responses on 2 processes: {max(shares):.2f} s of processor time each "
        f"(goal: about {GOAL_SECONDS:g}), {wall:.2f} s as the clock goes, with the processes' start"
    )
    print(f"{ratio:.2f} times as many responses a second as BFCL (goal: {GOAL_RATIO:g})")
    return 0 if ratio >= GOAL_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
