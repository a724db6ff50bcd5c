"""The data card: right counts, what the loss covers, and no way for data to become markup."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.data.card import choose, examples
from funreason_train.data.measure.lengths import Lengths
from funreason_train.data.read.rows import FLAGS
from funreason_train.data.spool import Kept
from funreason_train.data.steps import cut
from funreason_train.dialogue import AssistantStep, Trajectory, Turn
from funreason_train.models.tokenizers import load_tokenizer
from funreason_train.pages.charts import bars
from funreason_train.pages.histogram import histogram

Prepare = Callable[..., tuple[Path, dict[str, Any]]]
BARE = {"system": "bfcl", "answer": "bare"}
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "p",
        "div",
        "span",
        "b",
        "i",
        "small",
    ),
    *(
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "pre",
        "figure",
        "figcaption",
        "details",
        "summary",
    ),
    *("wbr", "svg", "g", "line", "text", "rect"),
}
HOSTILE = (
    "</pre></span><script>alert(1)</script><img src=x onerror='f()'>\"'&amp; ````\n```\n# head \u202egnp.exe"
)


class _Page(HTMLParser):
    """Tags, attribute names and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def _hostile_rows(path: Path) -> None:
    tool = {"name": "f", "description": HOSTILE, "parameters": {"x": {"type": "str", "description": HOSTILE}}}
    row = {
        "id": HOSTILE,
        "query": HOSTILE,
        "answers": json.dumps([{"name": "f", "arguments": {"x": HOSTILE}}]),
        "tools": json.dumps([tool]),
    }
    path.write_text(json.dumps(row) + "\n")


def test_data_cannot_become_markup(prepare: Prepare, tmp_path: Path) -> None:
    folder = tmp_path / "<b>&"
    folder.mkdir()
    _hostile_rows(folder / "rows.jsonl")
    out, _ = prepare(
        "data.datasets=[apigen]", f"data.apigen.path={folder}/rows.jsonl", "data.apigen.licence=<i>"
    )
    page = (out / "card.html").read_text()
    found = _Page(page)
    assert found.tags <= TAGS
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    assert found.text.count("<script>alert(1)</script>") >= 4  # id, question, tools, call
    assert "\u202e" not in page and "⟨U+202E⟩" in page

    lines = (out / "card.md").read_text().split("\n")
    fence = next(line for line in lines if line.endswith("text") and line.startswith("`````"))
    opened = [number for number, line in enumerate(lines) if line == fence]
    for number in opened:
        end = lines.index(fence.removesuffix("text"), number)
        assert any("alert(1)" in line for line in lines[number:end])
    outside = [
        line
        for number, line in enumerate(lines)
        if "script" in line
        and "\\<script" not in line
        and not any(start < number < lines.index(fence.removesuffix("text"), start) for start in opened)
    ]
    assert outside == []


def test_what_the_card_says(prepare: Prepare, tokenizer_folder: Path) -> None:
    """Of what is exported, and not of what was kept: `rows` and `weight` decide what is trained on."""
    out, result = prepare(
        *(f"data.tokenizer={tokenizer_folder}", "data.val_share=0.3"),
        *("data.apigen.rows=3", "data.funreason_mt.weight=2"),
    )
    page = _Page((out / "card.html").read_text())
    assert page.tags <= TAGS
    assert [one["kept"] for one in result["sources"].values()] == [8, 3]
    conversations, tokens = {}, {}
    for side in ("train", "val"):
        conversations[side] = sum(one["conversations"].get(side, 0) for one in result["sources"].values())
        infos = pq.read_table(out / "rl" / f"{side}.parquet")["extra_info"].to_pylist()
        tokens[side] = sum(info["target_tokens"] for info in infos)
    for counts, what in ((conversations, "conversations"), (tokens, "supervised tokens")):
        assert f"{counts['train']:,} + {counts['val']:,} val{what}" in page.text
    for text in ("CC-BY-4.0", "Apache-2.0", "apigen_8rows.jsonl", "Prompt length", "Calls per turn"):
        assert text in page.text
    markdown = (out / "card.md").read_text()
    train = sum(one["conversations"]["train"] for one in result["sources"].values())
    assert train > markdown.count("\nSupervised:\n") > 3  # one of each conversation
    assert "| apigen | apigen | CC-BY-4.0 | apigen\\_8rows.jsonl | 8 | 8 | 0 | 8 |" in markdown


def test_the_card_tells_what_was_fixed_and_left_out(prepare: Prepare, tmp_path: Path) -> None:
    tool = {"name": "get-user", "parameters": {"x": {"type": "int", "default": "none"}}}
    row = {"id": 1, "query": "q", "answers": json.dumps([{"name": "get-user", "arguments": {"x": 1}}])}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"tools": json.dumps([tool])}) + "\n")
    out, result = prepare(
        *("data.datasets=[apigen]", f"data.apigen.path={tmp_path}/rows.jsonl", "data.apigen.rows=5")
    )
    assert result["sources"]["apigen"]["flags"] == {"aliased_names": 1, "default_contradicts_type": 1}
    page, markdown = _Page((out / "card.html").read_text()), (out / "card.md").read_text()
    assert page.tags <= TAGS
    for what, meaning in (*FLAGS.items(), ("rows_missing.train", "training conversations fewer")):
        there = what in ("aliased_names", "default_contradicts_type", "rows_missing.train")
        assert (meaning in page.text) is there and (f"| `{what}` | " in markdown) is there


def test_the_loss_covers_what_is_marked(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tokenizer_folder))
    turns = (Turn("Größe? 今天", (AssistantStep("Überlegen 🤔", text="Das weiß ich nicht 🙂."),)),)
    trajectory = Trajectory("i", "s", ({"name": "f", "description": "", "parameters": {}},), turns)
    kept = Kept("s", "k", "f:1", 0, 1, 1, "i")
    (example,) = examples([(kept, trajectory)], BARE, tokenizer, 0)
    assert (
        "".join(example.supervised) == "<think>\nÜberlegen 🤔\n</think>\n\nDas weiß ich nicht 🙂.<|im_end|>\n"
    )
    assert [role for role, _ in example.prompt] == ["system", "user"]
    assert example.prompt[1][1] == "Größe? 今天"
    prompt, target = Lengths(tokenizer).count([[one.shown for one in cut(trajectory, BARE)]])[0][0]
    opening = len(tokenizer("<think>", add_special_tokens=False)["input_ids"])
    assert example.prompt_tokens == prompt - opening
    assert len(example.supervised) <= opening + target + 1  # characters of several tokens are shown as one

    (bare,) = examples([(kept, trajectory)], BARE, None, 0)
    assert bare.supervised == ("".join(example.supervised),)
    assert bare.prompt_tokens is None


def test_ten_examples_from_each_source_in_turn() -> None:
    kept = [
        Kept(source, str(n), "f", n, 1, 1, str(n))
        for source, count in (("a", 50), ("b", 3))
        for n in range(count)
    ]
    chosen = choose([*kept, kept[0]], 0)
    assert [one.source for one in chosen] == ["a", "b"] * 3 + ["a"] * 4
    assert len({(one.source, one.id) for one in chosen}) == 10
    assert choose(kept[::-1], 0)[0] is not None
    assert [one.id for one in choose(kept, 0)] != [one.id for one in choose(kept, 1)]
    assert len(choose(kept[:2], 0)) == 2


@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 10**6) | st.integers(0, 20)), min_size=1)
)
def test_each_value_falls_into_the_bin_that_names_it(values: dict[str, list[int]]) -> None:
    made = histogram("t", "u", values)
    if made is None:
        assert not any(values.values())
        return
    assert {name: sum(counts) for name, counts in made.counts.items()} == {
        n: len(v) for n, v in values.items()
    }
    assert len(made.labels) <= 22
    for number, label in enumerate(made.labels):
        low, *rest = (int(word.replace(",", "")) for word in re.findall(r"[\d,]+", label))
        high = rest[0] if rest else 10**9 if label.endswith("more") else low
        inside = sum(low <= value <= high for some in values.values() for value in some)
        assert inside == made.totals[number]
    ElementTree.fromstring(bars(made))  # well-formed


def test_nothing_to_count() -> None:
    assert histogram("t", "u", {"a": []}) is None


@pytest.mark.parametrize("most", [1, 7, 12, 13, 99, 12345])
def test_a_chart_has_one_bar_a_count(most: int) -> None:
    made = histogram("<t>", "u", {"a": list(range(most + 1)), "<b>": [most]})
    assert made is not None
    drawn = ElementTree.fromstring(bars(made))
    rects = [one for one in drawn.iter("rect") if one.get("class") != "hit"]
    assert len(rects) == sum(bool(count) for counts in made.counts.values() for count in counts)
