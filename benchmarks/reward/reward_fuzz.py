"""Random and mutated completions through the parser, the reward and episodes: nothing is raised or slow.

    python benchmarks/reward/reward_fuzz.py [--strings 1000000] [--processes 2] [--seed 0] [--played 20]

Every completion is read (`read_completion`, and its answer by `read_notation`) and scored; one in twenty
(`--played 1`: each) is also received by an episode in a live environment, whose records are written with an
evaluation's own writers and read back (see `episode_fuzz.py`). Calls that were read must survive rendering
and JSON. Another seed gives other completions.

Most strings are short; one in fifty has the 20,000 characters that the call language allows. Every variant
takes its turn. Times are processor times, so that the machine's other work does not count, and those that
look slow are measured three times. The exit code is 1 if anything was raised, a result is not finite, the
reward reported an error of its own, or the slowest string took 50 ms or more.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

from episode_fuzz import play_all

from funreason_train.calls import Call, parse_calls, read_notation, render_calls
from funreason_train.calls.parse import MAX_CALLS, MAX_CHARS, MAX_DEPTH
from funreason_train.dialogue import history_answer, read_completion
from funreason_train.reward import VARIANTS, compute_score, reason_of

GOAL_MS = 50.0
EPISODE_SHARE = 20  # one in so many completions is received by an episode
TOOL = {
    "name": "book",
    "description": "",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "default": "Oslo"},
            "price": {"type": "number"},
            "dates": {"type": "array", "items": {"type": "integer"}},
            "guest": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    },
}
GOLD = [
    Call("book", {"city": 'O\'Hara "x"', "price": 1, "dates": [1, 1, 2], "guest": {"name": "Ann"}}),
    Call("book", {"dates": list(range(50))}),
    Call("pwd", {}),
]
MANY = [Call("book", {"price": number, "city": str(number)}) for number in range(64)]
ALPHABET = [
    *"[](){}=,:'\"\\#*+-._ \n\t\r\f\x00\x1b\x85\ud800\u2028éß查😀²٣０9eExXrRbBfFuUnNjJaT`<>/|~!?;@$%^&",
    *("True", "None", "null", "true", "nan", "1e999", "1_0", "0x", "f(", "book(", "pwd()", "price=", "city="),
    *(
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<|im_end|>",
        '"""',
        "'''",
        "**",
        "[[",
        "]]",
        "{'",
    ),
    *('{"name": "', "lambda: ", "\\u", "\\x", "\\N{", "9" * 30, "import ", "__import__('os')"),
    *("\\ud83d", "\\ude00", "\\ud83d\\ude00", "\U00010000", "0x" + "f" * 4_000, "9" * 4_301, "1e400", "-"),
    *("<functioncall> ", "<function=book>", "<parameter=price>", "</parameter>", "[TOOL_CALLS]", "```json\n"),
    *(
        '"arguments": {',
        '"name": "book", ',
        "Action: book\n",
        "Action Input: ",
        "<|python_tag|>",
        "functools[",
    ),
    *(
        "to=functions.book",
        "<|message|>",
        "<arg_key>",
        "✿FUNCTION✿: ",
        "\n- book(",
        "$",
        "\\(",
        "cafe\u0301=",
    ),
    *("मौसम(", "ﬁ=", "\u0301", "\u200d"),
]
REPEATED = [
    *(
        "[",
        "(",
        "{",
        "-",
        "'",
        '"',
        "\\",
        "a.",
        "a(",
        "f()",
        "f(),",
        "1,",
        "1_",
        "0x",
        '"" ',
        "{'a':",
        "[1,",
        ") a",
    ),
    *(
        "<think>",
        "</think>",
        "<tool_call>",
        "`",
        " ",
        "\n",
        '"""',
        "'''",
        "\\n",
        "é",
        "\x00",
        "a=",
        "x ",
        "{ ",
        "[ ",
    ),
    *(
        "[f(",
        "f(a=",
        "[f(a=1),",
        "```json\n[{",
        "((",
        "()",
        "(1,)",
        "9",
        ".9",
        "e9",
        "\\u0041",
        "\\x4",
        "# ",
        "_",
        '{"name":"f","arguments":',
        '{"a',
        "<tool_call>{",
        "<function=f>",
        '<invoke name="f">',
        "Action: f\n",
        "Action: f(a=1)\n",
        "\n- f(a=1)",
        "\nf(",
        "```\n",
        "[f(a",
        "$x",
        "\\(",
        "[TOOL_CALLS]",
        "functools[",
        "to=f",
        "\u0301",
        "e\u0301\u0323",
        "\ud83d",
        "\\ud83d",
        '\\"',
        "\\'",
        '("',
        " \n",
        "\\n",
    ),
]


@dataclass
class Tally:
    """What a share of the strings did.

    Attributes:
        strings: How many were scored.
        reasons: How often each reason was given.
        received: How many of them an episode received.
        episodes: How many episodes were played and written.
        faults: What must not happen, with the string.
        slowest: Seconds and the string, for the slowest at any length and at `MAX_CHARS`.
    """

    strings: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    received: int = 0
    episodes: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    slowest_long: tuple[float, str] = (0.0, "")


def truths() -> list[str]:
    """Ground truths of every kind: several calls, many calls, none, accepted values."""
    accepted = [{"name": "book", "accepted": {"price": [n, n + 1, ""], "city": ["x", ""]}} for n in range(64)]
    plain = [[call.to_json() for call in calls] for calls in (GOLD, MANY, [])]
    return [json.dumps({"calls": calls, "tools": [TOOL]}) for calls in (*plain, accepted)]


def answers(seed: int, count: int) -> list[str]:
    """Random, repeated and mutated completions; the same for the same seed."""
    draw = random.Random(seed)
    return [_answer(draw, number % 50 == 0) for number in range(count)]


def _objects(calls: list[Call]) -> list[str]:
    return [json.dumps(call.to_json()) for call in calls]


NOTATIONS: list[Callable[[list[Call]], str]] = [
    lambda calls: f"[{', '.join(_objects(calls))}]",
    lambda calls: "".join(f"<tool_call>\n{one}\n</tool_call>\n" for one in _objects(calls)),
    lambda calls: "".join(f"<functioncall> {one}" for one in _objects(calls)),
    lambda calls: f"[TOOL_CALLS] [{', '.join(_objects(calls))}]",
    lambda calls: f"```json\n{_objects(calls)[0]}\n```",
    lambda calls: f"Thought: t\nAction: {calls[0].name}\nAction Input: {json.dumps(calls[0].arguments)}",
    lambda calls: f"<function={calls[0].name}>{json.dumps(calls[0].arguments)}</function>",
    lambda calls: "Sure.\n" + "\n".join(f"- {render_calls([one])[1:-1]}" for one in calls),
    lambda calls: f"<|channel|>commentary to=functions.f<|message|>{json.dumps(calls[0].arguments)}<|call|>",
]


def _answer(draw: random.Random, long: bool) -> str:
    kind = draw.random()
    if kind < 0.35:
        text = "".join(draw.choices(ALPHABET, k=draw.randint(0, 40)))
    elif kind < 0.45:
        text = "".join(map(chr, draw.choices(range(0x3000), k=draw.randint(0, 40))))
    else:
        calls = draw.choice((GOLD, MANY[: draw.randint(1, 64)] if long else GOLD[:2]))
        text = render_calls(calls) if kind < 0.85 else draw.choice(NOTATIONS)(calls)
        for _ in range(draw.randint(0, 6)):
            at = draw.randrange(len(text) + 1)
            cut = at + draw.choice((0, 0, 1, 2, 9))
            text = text[:at] + draw.choice(("", draw.choice(ALPHABET), text[at:cut] * 2)) + text[cut:]
    if long:  # grown to exactly what the language allows, somewhere inside
        unit = draw.choice(REPEATED) if draw.random() < 0.7 else text or "["
        at = draw.choice((0, len(text), draw.randrange(len(text) + 1)))
        times = max(0, MAX_CHARS - len(text)) // len(unit)
        text = (text[:at] + unit * times + text[at:])[:MAX_CHARS].ljust(MAX_CHARS, draw.choice(")] ,"))
    if draw.random() < 0.05:
        return text
    return draw.choice(("</think>", "t\n</think>\n\n", "<think>t</think>", "</think><tool_call>")) + text


def score_all(seed: int, count: int, played: int) -> Tally:
    """Scores `count` strings, each against a ground truth and with a variant that take turns.

    One in so many as `played` says is received by an episode too.
    """
    tally, golds = Tally(), truths()
    texts = answers(seed, count)
    for number, text in enumerate(texts):
        variant, gold = VARIANTS[number % len(VARIANTS)], golds[number // len(VARIANTS) % len(golds)]
        variant = "bfcl" if "accepted" in gold else variant
        try:
            seconds = _timed(text, gold, variant)
            if seconds > 0.005:
                seconds = min(seconds, *(_timed(text, gold, variant) for _ in range(2)))
            result = compute_score("fuzz", text, gold, None, variant=variant)
        except Exception as error:
            tally.faults.append(f"{error!r}: {text[:200]!r}")
            continue
        tally.strings += 1
        tally.reasons[reason_of(result)] += 1
        if not all(map(math.isfinite, result.values())) or result["error"]:
            tally.faults.append(f"{result}: {text[:200]!r}")
        tally.slowest = max(tally.slowest, (seconds, text))
        if len(text) >= MAX_CHARS:
            tally.slowest_long = max(tally.slowest_long, (seconds, text))
    with tempfile.TemporaryDirectory() as folder:
        tally.received, tally.episodes, faults = play_all(texts[::played], seed, Path(folder))
    tally.faults += faults
    return tally


def _read(text: str) -> None:
    """Reads a completion in every way.

    Raises:
        AssertionError: calls that were read do not survive rendering, or JSON.
    """
    completion = read_completion(text)
    answer = history_answer(text) or text
    for calls in (completion.calls, read_notation(answer, ("book", "pwd")).calls):
        if calls:
            json.dumps([call.to_json() for call in calls], ensure_ascii=False).encode()
            try:
                rendered = render_calls(calls)
            except ValueError:  # a name that needs an alias, in a notation that allows it
                assert calls is not completion.calls
                continue
            if len(rendered) <= MAX_CHARS and len(calls) <= MAX_CALLS:
                assert _deep(calls) or repr(parse_calls(rendered)) == repr(list(calls))


def _deep(value: object, depth: int = 0) -> bool:
    """Whether values are nested deeper than the call language reads; other notations go further."""
    if isinstance(value, Call):
        return any(_deep(item) for item in value.arguments.values())
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > MAX_DEPTH or any(_deep(item, depth + 1) for item in inner)


def _timed(text: str, gold: str, variant: str) -> float:
    """Seconds of the slower of the two, reading and scoring."""
    start = time.thread_time()
    _read(text)
    reading, start = time.thread_time() - start, time.thread_time()
    compute_score("fuzz", text, gold, None, variant=variant)
    return max(reading, time.thread_time() - start)


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strings", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--played", type=int, default=EPISODE_SHARE, help="one in so many is played")
    chosen = parser.parse_args()
    share = min(10_000, chosen.strings)
    shares = chosen.strings // share
    first = chosen.seed * 1_000_003
    with ProcessPoolExecutor(chosen.processes) as pool:
        work = pool.map(score_all, range(first, first + shares), repeat(share), repeat(chosen.played))
        tallies = []
        for tally in work:
            tallies.append(tally)
            print(f"{len(tallies)} of {shares} shares done, {len(tally.faults)} faults", file=sys.stderr)
    reasons = sum((tally.reasons for tally in tallies), Counter())
    faults = [fault for tally in tallies for fault in tally.faults]
    slowest = max(tally.slowest for tally in tallies)
    slowest_long = max(tally.slowest_long for tally in tallies)
    print(
        f"{sum(tally.strings for tally in tallies):,} completions read and scored, "
        f"{sum(tally.received for tally in tallies):,} of them received by "
        f"{sum(tally.episodes for tally in tallies):,} episodes that were written and read back, "
        f"{len(faults)} faults"
    )
    print(f"reasons: {', '.join(f'{name} {count:,}' for name, count in reasons.most_common())}")
    for name, (seconds, text) in (("slowest", slowest), (f"slowest of {MAX_CHARS:,}", slowest_long)):
        print(f"{name}: {seconds * 1000:.1f} ms (goal: below {GOAL_MS:g}), {len(text):,} characters:")
        print(f"    {text[:60]!r} … {text[-60:]!r}")
    print(*faults[:10], sep="\n")
    return 1 if faults or slowest[0] * 1000 >= GOAL_MS else 0


if __name__ == "__main__":
    sys.exit(main())
