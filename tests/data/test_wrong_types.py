"""Arguments of another type than declared: converted without loss, rejected, or kept and flagged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call, check_call, index_tools
from funreason_train.data.check.types import converted

Prepare = Callable[..., tuple[Path, dict[str, Any]]]


def _tool(schema: Any) -> dict[str, Any]:
    return {
        "name": "plant",
        "description": "Plants something.",
        "parameters": {"type": "object", "properties": {"a": schema}, "required": ["a"]},
    }


def _convert(value: Any, schema: Any) -> tuple[Any, dict[str, int]]:
    kinds: Counter[str] = Counter()
    made = converted(Call("plant", {"a": value}), index_tools([_tool(schema)])["plant"], kinds)
    return made.arguments["a"], dict(kinds)


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ("3", {"type": "integer"}, 3),
        ("-12", {"type": "integer"}, -12),
        (5.0, {"type": "integer"}, 5),
        ("2.50", {"type": "number"}, 2.5),
        ("7", {"type": "number"}, 7),
        ("true", {"type": "boolean"}, True),
        ("False", {"type": "boolean"}, False),
        ('["rose", "oak"]', {"type": "array", "items": {"type": "string"}}, ["rose", "oak"]),
        ("['rose']", {"type": "array"}, ["rose"]),
        ('["1", "2"]', {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        (["1", 2], {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ('{"x": "1"}', {"type": "object", "properties": {"x": {"type": "integer"}}}, {"x": 1}),
        ({"x": "1"}, {"type": "object", "additionalProperties": {"type": "integer"}}, {"x": 1}),
        (2134, {"type": "string"}, "2134"),
        ("3", {"type": ["integer", "number"]}, 3),
        ("null", {"type": ["integer", "null"]}, None),
        ("2", {"type": "integer", "enum": [1, 2]}, 2),
    ],
)
def test_what_is_converted(value: Any, schema: Any, expected: Any) -> None:
    made, kinds = _convert(value, schema)
    assert (made, type(made)) == (expected, type(expected))
    assert kinds and check_call(Call("plant", {"a": made}), [_tool(schema)]) == []


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("3.7", {"type": "integer"}),
        ("3.0", {"type": "integer"}),
        ("007", {"type": "integer"}),
        ("+3", {"type": "integer"}),
        ("1,000", {"type": "integer"}),
        (" 3", {"type": "integer"}),
        (5.5, {"type": "integer"}),
        (-0.0, {"type": "integer"}),
        (1e300, {"type": "integer"}),
        ("0.1234567890123456789", {"type": "number"}),
        ("nan", {"type": "number"}),
        (1, {"type": "boolean"}),
        ("yes", {"type": "boolean"}),
        ("1", {"type": "boolean"}),
        (5.0, {"type": "string"}),
        (True, {"type": "string"}),
        ("rose", {"type": "array"}),
        ("rose, oak", {"type": "array"}),
        ('{"x": 1, "x": 2}', {"type": "object"}),
        ("{1, 2}", {"type": "object"}),
        ("[1, 2]", {"type": "object"}),
        ("9", {"type": "integer", "enum": [1, 2]}),
        (None, {"type": "integer"}),
    ],
)
def test_what_could_be_meant_otherwise_or_would_lose_something_stays(value: Any, schema: Any) -> None:
    made, kinds = _convert(value, schema)
    assert (repr(made), kinds) == (repr(value), {})


_TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.integers().map(str) | st.floats(allow_nan=False, allow_infinity=False).map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(_VALUES | _VALUES.map(lambda value: json.dumps(value, allow_nan=True)), st.lists(_TYPES, min_size=1))
def test_a_value_that_fits_is_never_touched_and_a_converted_one_fits(value: Any, types: list[str]) -> None:
    schema = {"type": types}
    fits = not check_call(Call("plant", {"a": value}), [_tool(schema)])
    made, kinds = _convert(value, schema)
    if fits:
        assert repr(made) == repr(value) and not kinds
    if kinds:
        assert check_call(Call("plant", {"a": made}), [_tool(schema)]) == []
    else:
        assert repr(made) == repr(value)


def _row(value: Any, result: str | None = None) -> dict[str, Any]:
    call = {"type": "function", "function": {"name": "plant", "arguments": {"a": value}}}
    said = [
        {"role": "user", "content": f"Plant number {value!r} of all {result}."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    if result is not None:
        said += [{"role": "tool", "content": result}, {"role": "assistant", "content": "It is planted."}]
    return {"messages": said, "tools": [_tool({"type": "integer"})]}


@pytest.mark.parametrize(
    ("policy", "kept", "rejected", "flags", "repairs"),
    [
        ("repair", 3, 2, {"types_repaired": 2}, {"number to integer": 1, "string to integer": 1}),
        ("reject", 1, 4, {}, {}),
        ("keep", 5, 0, {"wrong_types_kept": 4}, {}),
    ],
)
def test_a_policy_for_wrong_types(
    prepare: Prepare,
    tmp_path: Path,
    policy: str,
    kept: int,
    rejected: int,
    flags: dict[str, int],
    repairs: dict[str, int],
) -> None:
    """A recorded result belongs to the call as it was made: "3" with a result is not repaired."""
    rows = [_row(4), _row("3"), _row(5.0), _row("6", "an error: a is no number"), _row("many")]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, result = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={tmp_path}/own.jsonl",
        *("data.val_share=0", "data.decontaminate=off", "data.dedup=exact", "data.max_rejected_share=1"),
        f"data.wrong_types={policy}",
    )
    account = result["sources"]["openai"]
    assert (account["kept"], sum(account["rejected"].values())) == (kept, rejected)
    assert set(account["rejected"]) <= {"argument_type"}
    assert (account["flags"], account["repairs"]) == (flags, repairs)
    card = (out / "card.md").read_text()
    assert all(kind in card for kind in repairs)
    if policy == "repair":
        golds = [
            json.loads(row["reward_model"]["ground_truth"])["calls"][0]["arguments"]["a"]
            for row in pq.read_table(out / "rl/train.parquet").to_pylist()
        ]
        assert sorted(golds) == [3, 4, 5] and {type(gold) for gold in golds} == {int}
        metas = [
            json.loads(row["extra_info"]["meta"])
            for row in pq.read_table(out / "rl/train.parquet").to_pylist()
        ]
        assert sum("types_repaired" in meta.get("flags", ()) for meta in metas) == 2
