"""The page of failures: everything a person needs is in it, and nothing in it can run."""

import base64
import gzip
import html
import json
import re
from pathlib import Path
from typing import Any

from evaluate.test_results import row

from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.browser import failed_tasks, read_browser, write_browser

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ONE = Attempts()


def page(path: Any, models: Any, tasks: int = 3) -> Any:
    shown = write_browser(path, f"Tasks {EVIL}", models, tasks)
    return shown, path.read_text(encoding="utf-8")


def test_tasks_that_some_model_failed_are_shown_with_every_models_answer(tmp_path: Path) -> None:
    first = [row("a", True), row("b", False, "chain", ["turn 0: wrong_state: x"]), row("c", True)]
    second = [row("a", True), row("b", True, "chain", completion="better"), row("c", True)]
    shown, _ = page(
        tmp_path / "p.html", {"base": failed_tasks([first], ONE), "rl": failed_tasks([second], ONE)}
    )
    data = read_browser(tmp_path / "p.html")
    (entry,) = data["entries"]
    assert shown == 1 and (entry["id"], entry["category"]) == ("b", "chain")
    assert data["models"] == ["base", "rl"] and data["tasks"] == 3
    ((wrong,), (right,)) = entry["tries"]
    assert (wrong["right"], wrong["why"], right["right"]) == (False, ["turn 0: wrong_state: x"], True)
    texts = data["texts"]
    assert texts[wrong["question"]] == "Do b." and texts[wrong["gold"]] == "[f(a=1)]\nDone."
    assert texts[right["completions"][0]] == "better" and texts[wrong["prompt"]] == "b?"


def test_nothing_that_a_model_wrote_becomes_markup(tmp_path: Path) -> None:
    bad = row(EVIL, False, EVIL, [f"turn 0: malformed: {EVIL}"], completion=EVIL)
    _, text = page(tmp_path / "p.html", {EVIL: failed_tasks([[bad]], ONE)})
    text = text.replace(html.escape(EVIL), "")  # the title is ours to escape
    assert "alert(" not in text and "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    code = text.rsplit("<script>", 1)[1]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", code)
    assert "default-src 'none'" in text and not re.search(r"(src|href)=|https?://|@import|url\(", text)
    assert read_browser(tmp_path / "p.html")["entries"][0]["id"] == EVIL


def test_texts_are_kept_once_and_long_ones_say_what_was_left_out(tmp_path: Path) -> None:
    long = "x" * 100_000
    rows = [row(f"{n}", False, reasons=["turn 0: malformed: unclosed"], completion=long) for n in range(200)]
    shown, text = page(tmp_path / "p.html", {"m": failed_tasks([rows], ONE)}, 200)
    data = read_browser(tmp_path / "p.html")
    assert shown == 200 and len(text) < 60_000
    (kept,) = {
        one["completions"][0] for entry in data["entries"] for tries in entry["tries"] for one in tries
    }
    assert "84000 characters left out here" in data["texts"][kept]


def test_attempts_are_named_and_the_same_rows_make_the_same_page(tmp_path: Path) -> None:
    attempts = Attempts(seeds=(3, 4))
    played = [[row("a", True)], [row("a", False, reasons=["turn 0: wrong_state: x"])]]
    for name in ("one", "two"):
        page(tmp_path / name, {"m": failed_tasks(played, attempts)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    data = read_browser(tmp_path / "one")
    assert [one["attempt"] for one in data["entries"][0]["tries"][0]] == [
        "seed 3, sample 0",
        "seed 4, sample 0",
    ]


def test_broken_unicode_does_not_break_the_page(tmp_path: Path) -> None:
    rows = [row("a", False, reasons=["turn 0: malformed: unclosed"], completion="\ud800 ok")]
    page(tmp_path / "p.html", {"m": failed_tasks([rows], ONE)})
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    packed = text.partition('id="data">')[2].partition("<")[0]
    assert json.loads(gzip.decompress(base64.b64decode(packed)))["entries"]
