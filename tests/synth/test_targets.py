"""The tools that a file names: told wrong before anything starts, or before anything is explored."""

import json
from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.synth.explore.targets import Targets

TOOLS = {"shop": ("find_item", "order_item"), "bank": ("sign_in",)}


def test_targets_come_from_lists_and_from_failures(tmp_path: Path) -> None:
    plain = tmp_path / "tools.txt"
    plain.write_text("\ufefforder_item\nbank:sign_in\n\n", encoding="utf-8")
    assert Targets.read(str(plain)).among(TOOLS) == {"shop": ["order_item"], "bank": ["sign_in"]}
    plain.write_text('["find_item", "bank:sign_in"]')
    assert Targets.read(str(plain)).among(TOOLS) == {"shop": ["find_item"], "bank": ["sign_in"]}
    plain.write_text(json.dumps(["find_item", "bank:sign_in"], indent=2))
    assert Targets.read(str(plain)).among(TOOLS) == {"shop": ["find_item"], "bank": ["sign_in"]}
    rows = [{"gold": [{"name": "find_item", "arguments": {}}]}, {"right": True}, {"score": 1}]
    plain.write_text(json.dumps(rows, indent=1))
    assert Targets.read(str(plain)).among(TOOLS) == {"shop": ["find_item"]}
    failures = tmp_path / "failures.jsonl"
    missed = 'missing_result: [order_item(item="K1", quantity=2)] never answered {"order": "R1"}'
    rows = [
        {"task": "t", "right": False, "turns": [{"user": "?", "reasons": [missed], "responses": []}]},
        {"task": "u", "right": False, "turns": [{"user": "?", "reasons": [missed], "responses": []}]},
        {"gold": {"calls": [{"name": "find_item", "arguments": {"name": "x"}}]}, "score": 0},
        {"gold": {"calls": [{"name": "sign_in", "arguments": {}}]}, "score": 1},
        {"gold": {"calls": [{"name": "of_another_evaluation", "arguments": {}}]}, "score": 0},
    ]
    failures.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = Targets.read(str(failures)).among(TOOLS)
    assert found == {"shop": ["find_item", "order_item", "order_item"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it names no tool"),
        ("\n\n", "it names no tool"),
        ("[1, 2]\n{}\n", "it names no tool"),
        ('{"right": true, "turns": []}\n{"right": true}\n', "nothing was got wrong there"),
        ("find_item\n\n# Tools of ours\n", r"line 3 is no tool's name \(# Tools of ours\)"),
        ("{not json", "line 1 is not JSON"),
        ('find_item\n\n{"gold": "[not json"}', "line 3 is not JSON"),
        ("[" * 100_000, "line 1 is not JSON"),
        ('{"turns": [3]}', "line 1 is neither a failure of an evaluation nor a rollout"),
        ('{"turns": [{"reasons": 4}]}', "line 1 is neither a failure of an evaluation nor a rollout"),
    ],
)
def test_a_file_that_names_no_tools_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "targets").write_text(text)
    with pytest.raises(UserError, match=sentence) as error:
        Targets.read(str(tmp_path / "targets"))
    assert error.value.where and error.value.fix


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for path in (tmp_path, tmp_path / "binary"):
        with pytest.raises(UserError, match="cannot be read"):
            Targets.read(str(path))
    with pytest.raises(UserError, match="no such file"):
        Targets.read(str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("find_item\nodrer_item", r"line 2 names odrer_item, which no .* offers\. Did you mean order_item\?"),
        ("bank:find_item", r"line 1 names bank:find_item, which .* Did you mean find_item\?"),
        ("zzz", r"line 1 names zzz, which .* for example, find_item"),
        (
            '{"gold": [{"name": "fly", "arguments": {}}]}',
            r"no tool of the environments shop, bank .*\(fly, …\)",
        ),
    ],
)
def test_a_tool_that_nobody_offers_is_told_with_the_nearest(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "targets").write_text(text)
    with pytest.raises(UserError, match=sentence):
        Targets.read(str(tmp_path / "targets")).among(TOOLS)
