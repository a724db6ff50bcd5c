"""Completions as a model that has lost its way might write them: every notation, every kind of value."""

import random

NAMES = (
    "show",
    "find_item",
    "order_item",
    "get_stock",
    "set_plan",
    "ls",
    "mean",
    "x.y",
    "é",
    "__class__",
    "open",
)
KEYS = ("name", "item", "quantity", "path", "numbers", "where", "deep", "count", "self", "k", "a", "é")
TEXTS = (
    "K1",
    "Box",
    "goal",
    "",
    " ",
    "é",
    "\\n",
    "😀",
    "\u200b",
    "</think>",
    "<|im_end|>",
    "'",
    "[f()]",
    "a" * 5000,
)
LITERALS = (
    *(
        "1",
        "-1",
        "0",
        "1.0",
        "1e3",
        "1e999",
        "-1e999",
        "nan",
        "NaN",
        "Infinity",
        "inf",
        "True",
        "true",
        "None",
    ),
    *(
        "null",
        "0x" + "f" * 5000,
        "9" * 4300,
        "9" * 4301,
        "9" * 20_000,
        "1_000",
        "1j",
        "b'x'",
        "...",
        "1+1",
        "x",
    ),
    *(r'"\ud83d\ude00"', r'"\ud83d"', r'"\udc00x"', r"'\ud83d\ude00'", r'"\x00"', r'"\N{BULLET}"', "'''x'"),
    *(
        "[" * 40 + "]" * 40,
        "{" * 40,
        '{"a": 1, "a": 2}',
        "{1: 2}",
        "(1, 2)",
        "{1, 2}",
        '"' + "z" * 20_000 + '"',
    ),
)


def value(rng: random.Random, depth: int = 0) -> str:
    """A value as text."""
    kind = rng.random()
    if depth < 4 and kind < 0.15:
        return "[" + ", ".join(value(rng, depth + 1) for _ in range(rng.randrange(4))) + "]"
    if depth < 4 and kind < 0.3:
        pairs = (f'"{rng.choice(KEYS)}": {value(rng, depth + 1)}' for _ in range(rng.randrange(4)))
        return "{" + ", ".join(pairs) + "}"
    if kind < 0.6:
        return '"' + rng.choice(TEXTS) + '"'
    return rng.choice(LITERALS)


def call(rng: random.Random) -> str:
    """A call as text."""
    arguments = ", ".join(f"{rng.choice(KEYS)}={value(rng)}" for _ in range(rng.randrange(4)))
    return f"{rng.choice(NAMES)}({arguments})"


def completion(rng: random.Random) -> str:
    """What follows the prompt's `<think>`."""
    answer = "[" + ", ".join(call(rng) for _ in range(rng.randrange(1, 4))) + "]"
    kind = rng.random()
    if kind < 0.1:
        answer = f"<tool_call>\n{answer}\n</tool_call>"
    elif kind < 0.2:
        answer = f'{{"name": "{rng.choice(NAMES)}", "arguments": {value(rng)}}}'
    elif kind < 0.3:
        answer = "Done. " + rng.choice(TEXTS)
    elif kind < 0.4:
        cut = rng.randrange(len(answer))
        answer = answer[:cut] + rng.choice(("", "\x00", "]", "(", '"', "é")) + answer[cut + 1 :]
    return rng.choice(("I think.", "", "é", "x" * 300)) + rng.choice(("</think>\n\n",) * 9 + ("",)) + answer
