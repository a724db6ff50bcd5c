"""Pages of one look: they fit a phone and a dark room, and nothing that data or a model wrote is markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.commands.report import write_report
from funreason_train.evaluate.browser import write_browser
from funreason_train.pages import charts
from funreason_train.pages.embed import Texts, blocks_of, pack, unpack
from funreason_train.pages.page import render_page
from funreason_train.pages.table import Table, inert
from funreason_train.run.paths import RunDir

EVIL = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202e\ud800\0"


class Page(HTMLParser):
    def __init__(self, page: Any) -> None:
        super().__init__()
        self.text = ""
        self.attributes: set[str] = set()
        self.tags: list[str] = []
        self.scrolled: list[Any] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "table":
            self.scrolled.append(any("scroll" in (part or "") for part in self.open[-1:]))
        if tag not in ("meta", "wbr", "input"):
            self.open.append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag: Any) -> None:
        self.open.pop()

    def handle_data(self, data: Any) -> None:
        self.text += data


def report(tmp_path: Path, name: str = f"run {EVIL[8:42]}".replace("/", "")) -> Any:
    run = RunDir.at(tmp_path / name)
    (run.root / "sft").mkdir(parents=True)
    rows = [{"step": n, "loss": 2.0 / (n + 1)} for n in range(40)] + [{"step": 41, "loss": float("nan")}]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 42, "lo'
    (run.root / "sft" / "metrics.jsonl").write_text(text)
    (run.root / "config.yaml").write_text(json.dumps({"model": {"path": EVIL}, EVIL: EVIL}))
    return write_report(run, 100, 20).read_text(encoding="utf-8")


def failures(tmp_path: Path) -> Any:
    write_browser(tmp_path / "f.html", EVIL, {}, [charts.Share(EVIL, 1.0, 0.4, 1.0)])
    return (tmp_path / "f.html").read_text(encoding="utf-8")


def card(tmp_path: Path) -> Any:
    parts = ("figures", "mixture", "sections", "charts", "examples", "refused")
    empty: dict[str, Any] = dict.fromkeys(parts, ())
    table = Table("", (EVIL,), ((EVIL,),))
    said: dict[str, Any] = {
        "title": EVIL,
        "tokenizer": EVIL,
        "names": [EVIL, EVIL],
        "settings": [(EVIL, EVIL)],
    }
    return render_page("card.html", sources=table, **said, **empty)


@pytest.mark.parametrize("make", [report, failures, card])
def test_what_others_wrote_is_text_on_every_page(tmp_path: Path, make: Any) -> None:
    page = make(tmp_path)
    found = Page(page)
    shown = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    assert "img" not in found.tags and not re.search(r"(?<![\w+/])49(?![\w+/])", shown)
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    assert "\u202e" not in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import", page)
    if make is card:
        assert "script" not in found.tags and "⟨U+202E⟩" in page and "⟨U+D800⟩" in page


@pytest.mark.parametrize("make", [report, failures])
def test_only_the_pages_own_scripts_may_run(tmp_path: Path, make: Any) -> None:
    page = make(tmp_path)
    policy = page.partition('Security-Policy" content="')[2].partition('"')[0]
    codes = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes]
    assert len(codes) == 3 and all(f"'sha256-{one}'" in policy for one in digests)
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy and "connect-src" not in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    ours = codes[-1]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", ours)
    assert all("Permission is hereby granted" in library for library in codes[:-1])


@pytest.mark.parametrize("make", [report, failures, card])
def test_every_page_has_the_same_style_and_fits_phones_and_dark_rooms(tmp_path: Path, make: Any) -> None:
    page = make(tmp_path)
    style = page.partition("<style>")[2].partition("</style>")[0]
    common = render_page("style.css").strip()
    assert common in style and "prefers-color-scheme: dark" in common
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "default-src 'none'" in page
    found = Page(page)
    assert all(found.scrolled), "a table wider than the screen scrolls within its panel"
    assert bool(found.scrolled) is (make is card)


def test_the_report_shows_curves_and_passes_over_what_is_not_a_number(tmp_path: Path) -> None:
    value = blocks_of(report(tmp_path, "run"))["report"]
    (sft,) = value["training"]
    (loss,) = [chart for chart in sft["charts"] if chart["title"] == "Loss"]
    assert loss["unit"] == "nats per token"
    (series,) = loss["series"]
    assert series["values"][39] == 2.0 / 40 and series["values"][-1] is None
    assert sft["x"]["step"][-1] == 41
    (tmp_path / "empty").mkdir()
    empty = write_report(RunDir.at(tmp_path / "empty"), 100, 20).read_text(encoding="utf-8")
    assert blocks_of(empty)["report"]["training"] == []


_TEXT = st.text(st.characters(), max_size=400)


@given(st.lists(_TEXT), st.data())
def test_texts_come_back_whole_whatever_they_share(texts: list[str], data: st.DataObject) -> None:
    held = Texts()
    numbers: list[int] = []
    for text in texts:
        after = data.draw(st.sampled_from(numbers)) if numbers else None
        repeated = text if after is None else texts[numbers.index(after)] + text
        numbers.append(held.number(repeated, after))
        texts[len(numbers) - 1] = repeated
    whole: list[str] = []
    for one in unpack(pack(held.all)):
        units = (
            whole[one[0]].encode("utf-16", "surrogatepass")[2:][: 2 * one[1]]
            if isinstance(one, list)
            else b""
        )
        whole.append(units.decode("utf-16-le", "surrogatepass") + one[2] if isinstance(one, list) else one)
    assert [whole[number] for number in numbers] == texts


@pytest.mark.parametrize("name, text", [("a b", ""), ("a", "<"), ('x"', "")])
def test_a_block_that_could_be_markup_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="not a block"):
        render_page("app.html", blocks={name: text}, title="t", otherwise="")


def test_a_table_survives_json_and_markdown_cells_stay_cells() -> None:
    table = Table("t", ("a|b", "n"), (("x|y\nz", "1"),), notes=("note",), total=True)
    assert Table.of_json(json.loads(json.dumps(table.to_json()))) == table
    assert table.markdown() == "### t\n\n| a\\|b | n |\n| --- | ---: |\n| x\\|y z | 1 |\n\n- note\n"
    assert inert("[a](b) <i> `x` | _y_") == "\\[a\\](b) \\<i\\> `x` \\| \\_y\\_"
    assert inert("`a_b`") == "`a_b`"
