"""What is too long is left out as a whole; its cost is put down, and too much of it stops the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.data.measure.overlong import Cost, too_long
from funreason_train.data.spool import Kept
from funreason_train.errors import UserError

Prepare = Callable[..., tuple[Path, dict[str, Any]]]


def _kept(lengths: list[tuple[int, int]], calls: tuple[tuple[int, ...], ...], limit: int) -> Kept:
    kept = Kept("a", "k", "f:1", 0, 1, len(lengths), calls=calls, lengths=lengths)
    kept.dropped = too_long(lengths, (limit, None))
    return kept


def test_which_steps_are_too_long() -> None:
    lengths = [(10, 5), (20, 50), (30, 5)]
    assert too_long(lengths, (None, None)) == set()
    assert too_long(lengths, (20, 50)) == {2}
    assert too_long(lengths, (20, 49)) == {1, 2}
    assert too_long(lengths, (None, 5)) == {1}


def test_the_cost() -> None:
    cost = Cost()
    cost.add(_kept([(10, 5), (20, 6), (30, 7)], ((1, 2), (0,)), 40))  # nothing
    cost.add(_kept([(10, 5), (20, 6), (30, 7)], ((1, 2), (0,)), 25))  # the closing reply alone
    cost.add(_kept([(10, 5), (20, 6), (30, 7)], ((1, 2), (0,)), 15))  # and the final calls
    cost.add(_kept([(90, 10)], ((3,),), 15))  # everything
    assert cost.to_json() == {
        "conversations": 3,
        "whole_conversations": 1,
        "steps": 4,
        "supervised_tokens": 7 + 13 + 10,
        "supervised_tokens_share": round(30 / 64, 4),
        "calls": 5,
        "final_calls": 2,
    }
    cost.check("a", 0.47)
    with pytest.raises(UserError, match=r"a: the limits leave out 46.9% .* longest prompt has 90 tokens"):
        cost.check("a", 0.46)
    Cost().check("a", 0.0)


def test_too_much_stops_the_run_and_leaves_the_ledger(
    prepare: Prepare, tokenizer_folder: Path, tmp_path: Path
) -> None:
    words: tuple[str, ...] = (
        f"data.tokenizer={tokenizer_folder}",
        "data.val_share=0",
        f"data.out={tmp_path}/out",
    )
    words = (*words, "protocol.system=compact", "data.datasets=[funreason_mt]")
    _, whole = prepare(*words)
    tokens = whole["sources"]["funreason_mt"]["tokens"]
    assert whole["sources"]["funreason_mt"]["overlong"]["steps"] == 0
    words = (*words, f"data.max_prompt_tokens={tokens['prompt']['p50']}")
    with pytest.raises(
        UserError, match=r"funreason_mt: the limits leave out .* responses with .*out\.failed"
    ):
        prepare(*words)
    ledger = json.loads((tmp_path / "out.failed" / "ledger.json").read_text())["funreason_mt"]["overlong"]
    assert 0 < ledger["steps"] < 15 and ledger["supervised_tokens_share"] > 0.1

    _, allowed = prepare(*words, "data.max_dropped_share=1")
    account = allowed["sources"]["funreason_mt"]
    assert account["overlong"] == ledger
    assert account["steps"] + account["overlong"]["steps"] == 15
    left = account["tokens"]["target"]["mean"] * account["steps"]
    everything = tokens["target"]["mean"] * 15
    assert abs(everything - left - ledger["supervised_tokens"]) < 2  # means are rounded
