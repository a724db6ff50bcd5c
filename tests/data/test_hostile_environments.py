"""Tasks in environments of one's own that break every promise: each costs its task, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Prepare = Callable[..., tuple[Path, dict[str, Any]]]

MODULE = '''
from typing import Any
from funreason_train.environments import Environment, Result, TableWorld, register_environment, tool

class Base(TableWorld):
    tables = ("logs",)

    @tool
    def ring(self, times: int = 1) -> Any:
        """Ring the bell."""
        return self.answer()

def world(name, answer):
    return register_environment(type("W" + name, (Base,), {"name": "bell_" + name, "answer": answer}))

def fails(self):
    raise RuntimeError("the bell is cracked\\\\nfor good")

def loops(self):
    value = []
    value.append(value)
    return value

def deep(self):
    return self.answer()

world("good", lambda self: {"rung": True})
world("raises", fails)
world("exits", lambda self: exec("raise AssertionError"))
world("object", lambda self: object())
world("nan", lambda self: {"volume": float("nan")})
world("huge_number", lambda self: 10 ** 5000)
world("loop", loops)
world("deep", deep)
world("bytes", lambda self: b"\\\\xff")
world("surrogate", lambda self: "ding \\\\ud83d")
world("huge", lambda self: "d" * 3_000_000)

@register_environment
class NoStart(Base):
    name = "bell_no_start"
    def reset(self, config):
        raise OSError("no tower")

@register_environment
class NoMake(Base):
    name = "bell_no_make"
    def __init__(self):
        raise OSError("no workshop")

@register_environment
class NoTools(Base):
    name = "bell_no_tools"
    def tools(self=None):
        raise LookupError("no list")

@register_environment
class NoPromise(Base):
    name = "bell_no_promise"
    def call(self, call):
        raise KeyboardInterrupt if call.name == "stop" else ArithmeticError("call itself")

@register_environment
class NoState(Base):
    name = "bell_no_state"
    def snapshot(self):
        raise ArithmeticError("no state")

@register_environment
class NoEnd(Base):
    name = "bell_no_end"
    answer = lambda self: {"rung": True}
    def close(self):
        raise OSError("will not stop")
'''.replace("\\\\", "\\")


def task(kind: str, name: str = "ring", **arguments: Any) -> dict[str, Any]:
    steps = [[{"name": name, "arguments": arguments}]]
    turns = [{"user": f"Ring the {kind} bell, please.", "steps": steps, "text": f"The {kind} bell rang."}]
    return {"id": kind, "environment": f"bell_{kind}", "config": {}, "turns": turns}


#: Environment -> the reason, and what the sentence says; None where the task can be played.
OUTCOMES: dict[str, tuple[str, str] | None] = {
    "good": None,
    "no_end": None,
    "raises": ("gold_error", "the bell is cracked"),
    "exits": ("gold_error", "AssertionError"),
    "object": ("gold_error", "ring"),
    "nan": ("gold_error", "ring"),
    "loop": ("gold_error", "ring"),
    "deep": ("gold_error", "ring"),
    "bytes": ("gold_error", "ring"),
    "no_start": ("unplayable", "no tower"),
    "no_make": ("unplayable", "no workshop"),
    "no_tools": ("unplayable", "no list"),
    "no_promise": ("gold_error", "call itself"),
    "no_state": ("unplayable", "no state"),
    "nowhere": ("unplayable", "there is no environment bell_nowhere"),
}


def test_each_costs_its_task_and_the_rest_goes_on(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_bells.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [task(kind) for kind in OUTCOMES]
    rows += [task(kind) for kind in ("surrogate", "huge_number", "huge")]
    wrong = [
        {**task("good"), "id": "no such tool", "turns": task("good", "sing")["turns"]},
        {**task("good"), "id": "no such argument", "turns": task("good", how="loud")["turns"]},
        {**task("good"), "id": "wrong type", "turns": task("good", times="many")["turns"]},
        {**task("good"), "id": "scenario", "config": {"logs": 5}},
    ]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *wrong]))
    out, result = prepare(
        "environment_modules=[hostile_bells]",
        "data.datasets=[tasks]",
        f"data.tasks.path={tmp_path}/tasks.jsonl",
        *("data.val_share=0", "data.max_rejected_share=1", "data.dedup=exact"),
    )
    lines = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    rejected = {line["id"]: line for line in lines}
    for kind, outcome in OUTCOMES.items():
        if outcome is None:
            assert kind not in rejected, rejected.get(kind)
            continue
        reason, says = outcome
        assert rejected[kind]["reason"] == reason and says in rejected[kind]["detail"], rejected[kind]
        assert len(rejected[kind]["detail"]) < 500
    for row in wrong:
        assert row["id"] in rejected, row
    assert not any(line["reason"] == "not_understood" for line in lines)
    kept = {row["extra_info"]["id"] for row in pq.read_table(out / "rl" / "env_train.parquet").to_pylist()}
    account = result["sources"]["tasks"]
    assert account["read"] == account["kept"] + len(rejected) == len(rows) + len(wrong)
    assert {"good", "no_end"} <= {one.partition("/")[0] for one in kept}
    json.loads((out / "sft" / "train.json").read_text(encoding="utf-8"))
