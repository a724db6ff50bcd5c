"""Generated input of full size for the data benchmark: APIGen-like rows and FunReason-MT-like trajectories.

python benchmarks/data/data_input.py FOLDER [APIGEN_ROWS TRAJECTORIES]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

VERBS = [
    "get",
    "list",
    "find",
    "create",
    "update",
    "delete",
    "check",
    "compute",
    "book",
    "send",
    "convert",
    "search",
    "track",
    "rate",
    "plan",
]
NOUNS = [
    "order",
    "invoice",
    "ticket",
    "flight",
    "hotel",
    "weather",
    "route",
    "parcel",
    "customer",
    "account",
    "article",
    "event",
    "song",
    "recipe",
]
WORDS = [
    "please",
    "current",
    "recent",
    "north",
    "south",
    "blue",
    "fast",
    "cheap",
    "morning",
    "evening",
    "report",
    "status",
    "detail",
    "large",
    "small",
    "local",
    "global",
    "first",
    "second",
    "open",
    "closed",
    "public",
    "private",
    "early",
    "late",
    "warm",
    "cold",
    "deep",
    "short",
    "long",
    "quiet",
    "busy",
]
TYPES = ("str", "int", "float", "bool", "List[str]", "str, optional", "int, optional", "List[int]")


def tool(number: int) -> dict:
    """The tool of that number; the same at each call."""
    draw = random.Random(number)
    names = draw.sample(WORDS, draw.randint(1, 4))
    return {
        "name": f"{draw.choice(VERBS)}_{draw.choice(NOUNS)}_{number}",
        "description": " ".join(draw.choices(WORDS, k=14)),
        "parameters": {
            name: {"type": draw.choice(TYPES), "description": " ".join(draw.choices(WORDS, k=9))}
            for name in names
        },
    }


def arguments(of: dict, draw: random.Random) -> dict:
    """Fitting arguments for every parameter."""
    found: dict[str, Any] = {}
    for name, parameter in of["parameters"].items():
        kind = parameter["type"]
        if kind.startswith("str"):
            found[name] = " ".join(draw.choices(WORDS, k=2))
        elif kind.startswith("int"):
            found[name] = draw.randint(0, 9999)
        elif kind == "float":
            found[name] = draw.randint(0, 9999) / 8
        elif kind == "bool":
            found[name] = draw.random() < 0.5
        else:
            found[name] = [draw.randint(0, 99) if "int" in kind else draw.choice(WORDS) for _ in range(3)]
    return found


def _json_tool(of: dict) -> dict:
    kinds = {"str": "string", "int": "integer", "flo": "float", "boo": "boolean"}
    properties = {}
    for name, parameter in of["parameters"].items():
        kind = parameter["type"]
        schema = {"type": kinds.get(kind[:3], "array"), "description": parameter["description"]}
        if kind.startswith("List"):
            schema["items"] = {"type": "integer" if "int" in kind else "string"}
        properties[name] = schema
    required = [name for name, one in of["parameters"].items() if "optional" not in one["type"]]
    return of | {"parameters": {"type": "dict", "properties": properties, "required": required}}


def _written(of: dict, draw: random.Random) -> str:
    return f"{of['name']}({', '.join(f'{k}={v!r}' for k, v in arguments(of, draw).items())})"


def query(number: int) -> dict:
    """One APIGen-like row."""
    draw = random.Random(f"query {number}")
    tools = [tool(one) for one in draw.sample(range(3673), draw.randint(1, 5))]
    called = [draw.choice(tools) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    calls = [{"name": one["name"], "arguments": arguments(one, draw)} for one in called]
    text = f"{' '.join(draw.choices(WORDS, k=18))} number {number}?"
    return {"id": number, "query": text, "answers": json.dumps(calls), "tools": json.dumps(tools)}


def trajectory(number: int) -> list[dict]:
    """One FunReason-MT-like conversation of 4 to 8 turns with 1 to 3 responses each."""
    draw = random.Random(f"trajectory {number}")
    tools = [tool(one) for one in draw.sample(range(3673), 8)]
    offered = json.dumps([_json_tool(one) for one in tools])
    system = "You are an expert in composing functions.\n\nHere is a list of functions:\n" + offered

    def thought() -> str:
        return f"<think>\n{' '.join(draw.choices(WORDS, k=60))}\n</think>\n\n"

    messages = [{"role": "system", "content": system}]
    for turn in range(draw.randint(4, 8)):
        said = f"{' '.join(draw.choices(WORDS, k=20))} {number} {turn}."
        messages.append({"role": "user", "content": said})
        for _ in range(draw.randint(1, 2)):
            calls = [_written(draw.choice(tools), draw) for _ in range(draw.randint(1, 2))]
            messages.append({"role": "assistant", "content": f"{thought()}[{', '.join(calls)}]"})
            for _ in calls:
                result = {"status": "done", "value": draw.randint(0, 99999), "note": draw.choice(WORDS)}
                messages.append({"role": "tool", "content": json.dumps(result)})
        done = f"The work is done: {' '.join(draw.choices(WORDS, k=8))}."
        messages.append({"role": "assistant", "content": thought() + done})
    return messages


def write(folder: Path, queries: int, trajectories: int) -> tuple[Path, Path]:
    """Writes both files and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"apigen_{queries}.jsonl", folder / f"funreason_mt_{trajectories}.jsonl"
    for path, make, count in ((files[0], query, queries), (files[1], trajectory, trajectories)):
        if not path.exists():
            partial = path.with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(make(number)) + "\n" for number in range(count))
            partial.rename(path)
    return files


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[2:4]] or [60_000, 17_000]
    for written in write(Path(sys.argv[1]), *sizes):
        print(written)
