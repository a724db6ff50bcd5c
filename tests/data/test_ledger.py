"""`ledger.json` as others read it: a change of it is a change of the data manifest's format."""

from __future__ import annotations

from pathlib import Path

from funreason_train.data.ledger import Ledger
from funreason_train.data.manifest import FORMAT
from funreason_train.data.measure.overlong import Cost
from funreason_train.data.report import ledger_table
from funreason_train.run.files import write_json

GOLDEN = Path(__file__).with_name("ledger.json")


def filled() -> Ledger:
    """An account with one of everything, and one of a source that was not measured."""
    ledger = Ledger(["apigen", "mine"])
    account = ledger["apigen"]
    account.read, account.kept, account.absorbed, account.steps = 9, 6, 1, 11
    account.rejected.update({"duplicate": 2, "unknown_tool": 1})
    account.note(["tools_inferred", "renamed:get-user"])
    account.repairs["text to integer"] = 4
    account.steps_dropped.update({"untrained": 1, "overlong": 2})
    account.overlong = Cost(
        conversations=2, whole=1, steps=2, target_tokens=30, all_target_tokens=400, calls=3, final_calls=1
    )
    account.augmented["irrelevance"] = 1
    account.conversations.update({"train": 5, "val": 1})
    account.rows_missing["train"] = 7
    account.prompt_tokens, account.target_tokens = [10, 20, 40], [3, 5, 9]
    return ledger


def test_the_file_is_the_golden_one(tmp_path: Path) -> None:
    write_json(tmp_path / "ledger.json", filled().to_json())
    assert (tmp_path / "ledger.json").read_text() == GOLDEN.read_text()
    assert FORMAT == 1, "with another format the golden file is another"


def test_read_is_kept_and_rejected() -> None:
    filled().check()


def test_the_table_shows_each_source_and_what_became_of_its_rows(tmp_path: Path) -> None:
    table = ledger_table(filled().to_json() | {"mine": Ledger(["mine"]).to_json()["mine"]}, tmp_path)
    assert [row[:5] for row in table.rows] == [("apigen", "9", "6", "3", "11"), ("mine", "0", "0", "0", "0")]
    assert table.rows[0][5:] == ("20/40", "5/9") and table.rows[1][5:] == ("–", "–")
    told = "\n".join(table.notes)
    assert "apigen, rejected: duplicate 2, unknown_tool 1" in told and "7.5%" in told
    assert str(tmp_path / "rejected.jsonl") in told
