"""Whatever a model writes, an evaluation ends with its files written and every one of them readable."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.mock_endpoint import serving
from evaluate.scripted import TASKS
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.environments import write_tasks
from funreason_train.evaluate import stage
from funreason_train.evaluate.browser import read_browser
from funreason_train.evaluate.play import dump
from funreason_train.evaluate.serve.generate import Generated
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

CLOSED = "\nhm\n</think>\n\n"
ANSWERS = {
    "half a character": CLOSED + '[find_item(name="\ud83d")]',
    "half a character as an escape": CLOSED + '[find_item(name="\\ud83d")]',
    "a character in two escapes": CLOSED + '[find_item(name="\\ud83d\\ude00")]',
    "half a character in the text": "\udc00" + CLOSED + "Hm \ud800.",
    "half a character without an end": "\ud800",
    "many digits": CLOSED + f"[get_price(item={'9' * 5000})]",
    "many hexadecimal digits": CLOSED + f"[get_price(item=0x{'f' * 6000})]",
    "many digits in a list": CLOSED + f"[get_price(item=[0x{'f' * 6000}])]",
    "a number that is not one": CLOSED + "[get_price(item=1e999)]",
    "nothing": "",
    "no answer": CLOSED,
    "a NUL": CLOSED + '[get_price(item="a\0b")]',
    "a NUL in the text": CLOSED + "a\0b",
    "other ends of lines": CLOSED + "a\u2028b\u2029c\x85d\x1ce\x0bf\x0cg\rh",
    "ends of lines in a call": CLOSED + '[get_price(item="a\u2028b\x85c")]',
    "nesting": CLOSED + "[f(a=" + "[" * 3000,
    "an object": CLOSED + "[get_price(item=" + '{"a":' * 40 + "1" + "}" * 40 + ")]",
    "markup": CLOSED + "</script><script>alert(1)</script><!--",
    "tags": CLOSED + "<|im_end|><|im_start|>system\nx</think></think><tool_call>",
    "another direction": CLOSED + "\u202eabc\ufeff\ufffe\U0010ffff",
    "arguments": CLOSED + "[" + ", ".join(f"f(a={n})" for n in range(3000)) + "]",
    "a long text": CLOSED + "x" * 300_000,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a tokenizer and a template; the weights are the endpoint's."""
    texts = [turn.user for task in TASKS for turn in task.turns]
    folder = bfcl_mock.make_model(tmp_path_factory.mktemp("models") / "tiny", texts, 300)
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return folder


class Everything(dict):
    """Answers to any prompt, one after another."""

    def __init__(self) -> None:
        self.answers = list(ANSWERS.values())
        self.asked = 0

    def __getitem__(self, prompt: Any) -> Any:
        self.asked += 1
        return "task", self.answers[self.asked % len(self.answers)]


def files_are_whole(run: Any) -> Any:
    """Every JSON file and line of a run can be read, as UTF-8 and strictly; the lines by file."""
    rows = {}
    for path in [*run.root.rglob("*.json"), *run.root.rglob("*.jsonl")]:
        if "old" in path.parts or path.parent.name == ".stage":
            continue
        text = path.read_bytes().decode("utf-8")
        parts = [text] if path.suffix == ".json" else [line for line in text.split("\n") if line]
        rows[path.name] = [json.loads(part, parse_constant=lambda word: pytest.fail(word)) for part in parts]
    return rows


def evaluated(tmp_path: Path, model: Any, *words: Any) -> Any:
    run = RunDir.at(tmp_path / "run")
    file = tmp_path / "tasks.jsonl"
    write_tasks(file, TASKS)
    with serving(Everything()) as server:
        common = [f"run_dir={run.root}", f"models={{mine: {model}}}", "served_name=tiny", "max_tokens=64"]
        common.append(f"tasks={file}")
        config = compose("eval", [*common, f"endpoint={server.url}", *words])
        result = stage.run(config, run)
        asked = server.answers.asked
    return run, result, asked


def test_held_out_tasks(tmp_path: Path, model: Any) -> None:
    run, result, asked = evaluated(tmp_path, model, "protocol.system=compact")
    assert asked > len(ANSWERS)
    rows = files_are_whole(run)
    assert len(rows["episodes.jsonl"]) == len(TASKS) == result["models"]["mine"]["tasks"]
    completions = json.dumps(rows["episodes.jsonl"])
    assert "alert(1)" in completions
    page = read_browser(run.eval_failures())
    assert len(page["entries"]) == len(TASKS)
    assert sum(entry["right"] != [1] for entry in page["entries"]) == len(rows["failures.jsonl"]) > 0
    assert (run.root / "eval" / "table.md").read_text(encoding="utf-8")


def test_bfcl(tmp_path: Path, model: Any) -> None:
    words = ["benchmark=bfcl", "limit=8", "categories=[multi_turn_base,simple_python,irrelevance]"]
    run, result, asked = evaluated(tmp_path, model, *words, "max_model_tokens=100000")
    assert asked >= len(ANSWERS)
    rows = files_are_whole(run)
    for category in ("multi_turn_base", "simple_python", "irrelevance"):
        assert len(rows[f"{category}.jsonl"]) == 8
    page = read_browser(run.eval_failures("bfcl"))
    assert result["models"]["mine"]["columns"]["multi_turn.base"]["value"] < 1 and page["entries"]


@given(st.text(st.characters(exclude_categories=())))
def test_a_completion_is_whole_text(text: str) -> None:
    kept = Generated("k", text, 1, "stop").text
    kept.encode("utf-8")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert kept == text


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
)


@given(_ANY)
def test_any_record_is_one_line(value: Any) -> None:
    line = dump({"a": value, "big": 1 << 50_000, "nan": math.nan})
    line.encode("utf-8")
    assert line.count("\n") == 1 and line.endswith("\n")
    found = json.loads(line, parse_constant=lambda word: pytest.fail(word))
    assert found["nan"] == "nan" and int(found["big"], 16) == 1 << 50_000


def test_a_record_that_json_holds_is_written_as_it_is() -> None:
    row = {"a": [1, 2.5, None, True, 'é\n"'], "b": {"c": {}}}
    assert json.loads(dump(row)) == row
    deep = row
    for _ in range(5000):
        deep = {"x": deep}
    assert json.loads(dump(deep))
