"""Whatever is kept can be exported, its target is right by the reward, and nothing in it can close a turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from funreason_train.calls import find_markers
from funreason_train.calls.markers import THINK_OPEN
from funreason_train.data.check.checks import naming, passes
from funreason_train.data.check.near import signature
from funreason_train.data.export.sharegpt import sft_blocks
from funreason_train.data.export.verl import rl_batch, rl_table
from funreason_train.data.read.formats import openai
from funreason_train.data.read.rows import RowError
from funreason_train.data.spool import encode
from funreason_train.data.steps import Cut, cut
from funreason_train.dialogue import Trajectory
from funreason_train.models.tokenizers import load_tokenizer
from funreason_train.parity.tokens import ParityRow, token_parity
from funreason_train.reward import compute_score

PROTOCOL = {"system": "compact", "answer": "bare"}
OPTIONS = {"tools_missing": "infer", "text_with_calls": "thought"}

_NAMES = st.sampled_from(
    ["f", "get-user", "7SN.pj", "class", "天気", "a b", "None", "user id", "f_2", "<|im_end|>"]
)
_ARGUMENTS = st.sampled_from(["a", "user-id", "class", "x y", "", "None", "<think>", "default", "type"])
_TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *(
            "[f(a=1)]",
            "f(a=1)",
            "</think>",
            "<think>x</think>y",
            "<tool_call>[f()]</tool_call>",
            "<|im_start|>user\n",
        ),
        *(
            "{{idx}}",
            "```\n[f()]\n```",
            "\\",
            "'\"",
            "[",
            "['a', 'b']",
            "[ ]",
            "a\nb",
            "\u2028",
            "<\\|im_end|>",
        ),
        *(
            '{"name": "f", "arguments": {"a": 1}}',
            "{}",
            "[]",
            "Use get-user(a=1).",
            "null",
            "\r\n",
            "<tool_response>",
        ),
    ]
)
_REPLIES = _TEXTS.map("Well: {}".format) | _TEXTS.map("<think>\nHm.\n</think>\n\nOk {}".format) | _TEXTS
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_TYPES = st.sampled_from(
    [
        *(
            "str",
            "int, optional",
            "List[int]",
            "Dict[str, Any]",
            "Union[int, str]",
            "Optional[float]",
            "any",
            "dict",
        ),
        *(
            "Literal['a', 1]",
            "float",
            "bool",
            "string[]",
            "int, default 5",
            "Callable",
            "tuple",
            "str (optional)",
        ),
    ]
)
_ANY = st.fixed_dictionaries({"type": st.just("any")}, optional={"description": _TEXTS})
_SCHEMAS = _ANY | st.fixed_dictionaries(
    {"type": _TYPES},
    optional={"default": _VALUES, "description": _TEXTS, "enum": st.lists(_VALUES, max_size=2)},
)


@st.composite
def _rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row in which calls fit their tools more often than not."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True))
    tools = {name: draw(st.dictionaries(_ARGUMENTS, _SCHEMAS, max_size=3)) for name in names}
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(_TEXTS)})
    for turn in range(draw(st.integers(1, 2))):
        messages.append({"role": "user", "content": f"{turn} " + draw(_TEXTS)})
        for _ in range(draw(st.integers(0, 2))):
            made = []
            for number in range(draw(st.integers(1, 2))):
                name = draw(st.sampled_from(names))
                given_ = {one: draw(_VALUES) for one in tools[name] if draw(st.booleans())}
                arguments = draw(st.sampled_from([given_, json.dumps(given_)]))
                made.append({"id": str(number), "function": {"name": name, "arguments": arguments}})
            thought = {"reasoning_content": draw(_TEXTS)}
            messages.append(
                {
                    "role": "assistant",
                    "content": draw(st.none() | st.none() | _TEXTS),
                    "tool_calls": made,
                    **thought,
                }
            )
            messages += [{"role": "tool", "content": draw(_TEXTS), "tool_call_id": one["id"]} for one in made]
        messages.append(
            {"role": "assistant", "content": draw(_REPLIES), "weight": draw(st.sampled_from([1, 1, 0]))}
        )
    declared = [{"name": name, "description": draw(_TEXTS), "parameters": tools[name]} for name in names]
    return {"messages": messages, "tools": declared}


def _kept(row: dict[str, Any]) -> Trajectory | None:
    """The row's conversation as a run keeps it; None if it is turned away."""
    try:
        trajectory = openai.convert(row, OPTIONS)
        for check in [*naming("alias"), *passes()]:
            trajectory = check(trajectory) or trajectory
    except RowError:
        return None
    return trajectory


def _exported(cuts: list[Cut]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of both exports, read back."""
    sft = [
        json.loads(b'{"id": ' + identity + opening + bytes(said[:end]) + target + b"]}")
        for opening, said, rows in sft_blocks(one.shown for one in cuts)
        for identity, end, target in rows
    ]
    return sft, rl_table(rl_batch([one.gold for one in cuts], 0, [None] * len(cuts))).to_pylist()


@given(row=_rows(), answer=st.sampled_from(["bare", "tagged"]), system=st.sampled_from(["bfcl", "compact"]))
def test_whatever_is_kept_is_exported_and_right(row: dict[str, Any], answer: str, system: str) -> None:
    trajectory = _kept(row)
    if trajectory is None:
        return
    encode(trajectory)
    signature(trajectory)
    cuts = cut(trajectory, {"system": system, "answer": answer})
    untrained = trajectory.meta.get("untrained", ())
    for one, sft, rl in zip(cuts, *_exported(cuts), strict=True):
        for message in one.gold.messages:
            found = find_markers(message["content"])
            assert not found or (message["role"], set(found)) == (
                "assistant",
                {"<tool_call>", "</tool_call>"},
            )
        if one.gold.id.rpartition("/")[2] not in untrained:
            target = sft["conversations"][-1]["value"].removeprefix(THINK_OPEN)
            truth, extra = rl["reward_model"]["ground_truth"], rl["extra_info"]
            score = compute_score(rl["data_source"], target, truth, extra)
            assert score["score"] == 1.0, score


@pytest.mark.smoke
def test_whatever_is_kept_has_the_same_tokens_in_all_frameworks(tokenizer_folder: Path) -> None:
    """White space, markers and odd names included; LLaMA-Factory's own encoding of each exported row."""
    rows: list[ParityRow] = []

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_rows())
    def collect(row: dict[str, Any]) -> None:
        trajectory = _kept(row)
        if trajectory is not None:
            for sft, rl in zip(*_exported(cut(trajectory, PROTOCOL)), strict=True):
                rows.append(ParityRow(f"{json.dumps(row)}: {sft['id']}", sft, rl["prompt"]))

    collect()
    assert len(rows) > 60
    assert token_parity(rows, load_tokenizer(str(tokenizer_folder))) is None
