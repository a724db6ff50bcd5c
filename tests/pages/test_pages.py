"""Pages of one look: they fit a phone and a dark room, and nothing that data or a model wrote is markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.commands.run_page import write_report
from funreason_train.evaluate.browser import write_browser
from funreason_train.pages import charts
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


def report(tmp_path: Path, name: str = "run") -> Any:
    run = RunDir.at(tmp_path / name)
    (run.root / "sft").mkdir(parents=True)
    rows = [{"step": n, "loss": 2.0 / (n + 1)} for n in range(40)] + [{"step": 41, "loss": float("nan")}]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 42, "lo'
    (run.root / "sft" / "metrics.jsonl").write_text(text)
    table = Table(f"Scores {EVIL}", ("category", EVIL), ((EVIL, "1"), ("all", "2")), total=True)
    shares = [charts.Share(EVIL, 0.5, 0.4, 0.6)]
    stages = {EVIL: {"state": "done", "seconds": 3.0, "peak_bytes": 2**30}}
    write_report(run, table, {"seconds": {"total": 3.0}}, stages, shares)
    return run.report.read_text(encoding="utf-8")


def failures(tmp_path: Path) -> Any:
    write_browser(tmp_path / "f.html", EVIL, {}, 3, [charts.Share(EVIL, 1.0, 0.4, 1.0)])
    return (tmp_path / "f.html").read_text(encoding="utf-8")


def card(tmp_path: Path) -> Any:
    empty = dict.fromkeys(("figures", "mixture", "sections", "charts", "examples"), ())
    table = Table("", (EVIL,), ((EVIL,),))
    said = {"title": EVIL, "tokenizer": EVIL, "names": [EVIL, EVIL], "settings": [(EVIL, EVIL)]}
    return render_page("card.html", sources=table, **said, **empty)


@pytest.mark.parametrize("make", [report, failures, card])
def test_what_others_wrote_is_text_on_every_page(tmp_path: Path, make: Any) -> None:
    page = make(tmp_path)
    found = Page(page)
    assert "alert(1)" in found.text and "img" not in found.tags and "49" not in found.text
    assert found.tags.count("script") == (2 if make is failures else 0)
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    assert "\u202e" not in page and "⟨U+202E⟩" in page and "⟨U+D800⟩" in page
    assert not re.search(r"https?://|@import|url\(", page)


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
    assert bool(found.scrolled) is (make is not failures)


def test_the_report_shows_curves_and_passes_over_what_is_not_a_number(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert "SFT loss" in page and "at step 39: loss 0.05" in page and "<polyline" in page
    assert "<h2>Training</h2>" in page
    run = RunDir.at(tmp_path / "empty")
    write_report(run, None, {"seconds": {"total": 0.0}}, {})
    assert "<h2>Training</h2>" not in run.report.read_text()


_NUMBER = st.floats(-1e12, 1e12)


_POINTS = st.lists(st.tuples(st.integers(0, 10**6), _NUMBER), min_size=1)


@given(st.dictionaries(st.text(), _POINTS, min_size=1))
def test_curves_are_well_formed_and_inside_the_chart(of: Any) -> None:
    drawn = ElementTree.fromstring(charts.curves("t<", of))
    lines = list(drawn.iter("polyline"))
    assert len(lines) == len(of)
    for line in lines:
        for point in line.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 520 and 0 <= y <= 210


@given(st.lists(st.builds(charts.Share, st.text(), *[st.floats(0, 1)] * 3)))
def test_shares_are_well_formed(shares: list[Any]) -> None:
    drawn = ElementTree.fromstring(charts.intervals("t&", shares))
    assert sum(1 for _ in drawn.iter("circle")) == len(shares)


def test_a_table_survives_json_and_markdown_cells_stay_cells() -> None:
    table = Table("t", ("a|b", "n"), (("x|y\nz", "1"),), notes=("note",), total=True)
    assert Table.of_json(json.loads(json.dumps(table.to_json()))) == table
    assert table.markdown() == "### t\n\n| a\\|b | n |\n| --- | ---: |\n| x\\|y z | 1 |\n\n- note\n"
    assert inert("[a](b) <i> `x` | _y_") == "\\[a\\](b) \\<i\\> `x` \\| \\_y\\_"
    assert inert("`a_b`") == "`a_b`"
