"""A source of which too many rows cannot be used stops the stage, which says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.settings.load import load_settings

Prepare = Callable[..., tuple[Path, dict[str, Any]]]


def _row(number: int, *, said: Any = "Yes.", role: str = "user") -> dict[str, Any]:
    asked = {"role": role, "content": f"Is {number} the number that I thought of?"}
    return {"messages": [asked, {"role": "assistant", "content": said}], "tools": []}


def _words(path: Path, *words: str) -> tuple[str, ...]:
    return (
        "data.datasets=[openai]",
        f"data.openai.path={path}",
        *("data.val_share=0", "data.decontaminate=off", "data.dedup=exact", *words),
    )


def test_the_three_commonest_reasons_and_where_the_rows_are(prepare: Prepare, tmp_path: Path) -> None:
    rows = [_row(n) for n in range(3)] + [_row(n, said="[f(") for n in range(4)]
    rows += [_row(n, role="wizard") for n in range(3)] + [_row(9, said=None)] * 2 + [_row(9, said="<think>")]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError) as caught:
        prepare(*_words(path))
    message = str(caught.value)
    assert message.startswith("openai: 10 of 13 rows cannot be used, more than data.max_rejected_share=0.5")
    assert all(reason in message for reason in ("4 call_syntax", "3 row_shape", "2 empty_answer"))
    assert "unclosed_think" not in message and "data.max_rejected_share" in message
    kept = tmp_path / "run" / "data"
    assert str(kept) in message
    assert len((kept / "rejected.jsonl").read_text().splitlines()) == 10
    assert json.loads((kept / "ledger.json").read_text())["openai"]["rejected"]["call_syntax"] == 4
    _, result = prepare(*_words(path, "data.max_rejected_share=0.9"))
    assert result["sources"]["openai"]["kept"] == 3


def test_what_a_setting_leaves_out_says_nothing_against_a_data_set(prepare: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text((json.dumps(_row(1)) + "\n") * 20)
    _, result = prepare(*_words(path))
    assert result["sources"]["openai"]["rejected"] == {"duplicate": 19}


@pytest.mark.parametrize("value", ["-0.1", "1.5", "much", "null"])
def test_a_share_is_a_share(value: str) -> None:
    with pytest.raises(UserError, match="max_rejected_share"):
        load_settings("data", [f"max_rejected_share={value}"])
