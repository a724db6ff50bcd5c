"""The page of tasks: everything a person needs is in it, and nothing in it can run."""

import html
import re
from pathlib import Path
from typing import Any

from evaluate.test_results import row

from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.browser import played_tasks, read_browser, write_browser
from funreason_train.pages.embed import blocks_of

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ONE = Attempts()


def page(path: Any, models: Any) -> Any:
    shown = write_browser(path, f"Tasks {EVIL}", models)
    return shown, path.read_text(encoding="utf-8")


def test_every_task_is_shown_with_every_models_answer_and_its_own_reason(tmp_path: Path) -> None:
    first = [row("a", True), row("b", False, "chain", ["turn 0: wrong_state: x"]), row("c", True)]
    second = [
        row("a", True),
        row("b", True, "chain", completion="better"),
        row("c", False, reasons=["turn 0: late"]),
    ]
    shown, _ = page(
        tmp_path / "p.html", {"base": played_tasks([first], ONE), "rl": played_tasks([second], ONE)}
    )
    data = read_browser(tmp_path / "p.html")
    by_id = {entry["id"]: entry for entry in data["entries"]}
    assert shown == 3 and list(by_id) == ["a", "b", "c"] and data["models"] == ["base", "rl"]
    assert [by_id[name]["right"] for name in "abc"] == [[1, 1], [0, 1], [1, 0]]
    assert by_id["b"]["category"] == "chain"
    assert [by_id[name]["why"] for name in "abc"] == [
        ["", ""],
        ["turn 0: wrong_state: x", ""],
        ["", "turn 0: late"],
    ]
    ((wrong,), (right,)) = by_id["b"]["tries"]
    assert (wrong["right"], wrong["why"], right["right"]) == (False, ["turn 0: wrong_state: x"], True)
    (turn,) = right["turns"]
    assert (turn["user"], turn["gold"], turn["completions"]) == ("Do b.", ["[f(a=1)]", "Done."], ["better"])
    assert wrong["prompt"] == "b?"


def test_nothing_that_a_model_wrote_becomes_markup(tmp_path: Path) -> None:
    bad = row(EVIL, False, EVIL, [f"turn 0: malformed: {EVIL}"], completion=EVIL)
    _, text = page(tmp_path / "p.html", {EVIL: played_tasks([[bad]], ONE)})
    text = text.replace(html.escape(EVIL), "")  # the title is ours to escape
    assert text.count("<script>") == text.count("<script type") + 1 == 3  # two libraries and ours; two blocks
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "alert(" not in outside and "<img" not in outside and outside.count("</script>") == 2
    assert "default-src 'none'" in text and not re.search(r'<[^>]+(src|href)=|@import|url\("?http', text)
    assert read_browser(tmp_path / "p.html")["entries"][0]["id"] == EVIL


def test_texts_are_kept_once_and_long_ones_say_what_was_left_out(tmp_path: Path) -> None:
    long = "x" * 100_000
    rows = [row(f"{n}", False, reasons=["turn 0: malformed: unclosed"], completion=long) for n in range(200)]
    shown, text = page(tmp_path / "p.html", {"m": played_tasks([rows], ONE)})
    held = sum(len(part) for part in re.findall(r'id="block-[^"]+">([^<]*)<', text))
    assert shown == 200 and held < 60_000
    kept = {
        one["turns"][0]["completions"][0]
        for entry in read_browser(tmp_path / "p.html")["entries"]
        for tries in entry["tries"]
        for one in tries
    }
    (kept_once,) = kept
    assert "84000 characters left out here" in kept_once


def test_attempts_are_named_and_the_same_rows_make_the_same_page(tmp_path: Path) -> None:
    attempts = Attempts(seeds=(3, 4))
    played = [[row("a", True)], [row("a", False, reasons=["turn 0: wrong_state: x"])]]
    for name in ("one", "two"):
        page(tmp_path / name, {"m": played_tasks(played, attempts)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    data = read_browser(tmp_path / "one")
    assert data["entries"][0]["right"] == [0.5]
    assert [one["attempt"] for one in data["entries"][0]["tries"][0]] == [
        "seed 3, sample 0",
        "seed 4, sample 0",
    ]


def test_broken_unicode_does_not_break_the_page(tmp_path: Path) -> None:
    rows = [row("a", False, reasons=["turn 0: malformed: unclosed"], completion="\ud800 ok")]
    _, text = page(tmp_path / "p.html", {"m": played_tasks([rows], ONE)})
    assert blocks_of(text)["tasks"]["entries"]


def test_a_page_that_would_be_too_large_spares_what_is_right(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("funreason_train.evaluate.browser._MOST", 1)
    rows = [row("a", True, completion="fine"), row("b", False, reasons=["turn 0: x"], completion="bad")]
    page(tmp_path / "p.html", {"m": played_tasks([rows], ONE)})
    right, wrong = (entry["tries"][0][0] for entry in read_browser(tmp_path / "p.html")["entries"])
    assert "left out of this page" in right["prompt"] and right["turns"][0]["completions"] == ["fine"]
    assert wrong["prompt"] == "b?"
