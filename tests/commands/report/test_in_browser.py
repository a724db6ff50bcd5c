"""The report and the page of tasks in a real browser: they can be used, and nothing in them can run."""

from pathlib import Path
from typing import Any

import pytest
from commands.report.conftest import Visit, counted
from commands.report.made_run import HOSTILE, SAMPLES, make_run, planned

from funreason_train.commands.report import write_report

STEPS, GROUPS = 6, 5
ALL = STEPS * GROUPS * SAMPLES
FIRST = "#/rollouts/2/00000002-000001/0"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = planned(make_run(tmp_path_factory.mktemp("plain") / "run", STEPS, GROUPS))
    return write_report(run, 1000, 20)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("hostile") / "run", 2, 2, hostile=HOSTILE)
    return write_report(run, 1000, 20)


def texts(tab: Any, selector: str) -> list[str]:
    found: list[str] = tab.eval_on_selector_all(selector, "all => all.map((one) => one.textContent)")
    return found


def wide(tab: Any) -> Any:
    """How far the page's content goes beyond the screen, in pixels."""
    return tab.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_shows_every_section_on_every_screen(
    report: Path, visit: Visit, width: int, scheme: str
) -> None:
    tab = visit(report, width=width, scheme=scheme)
    tab.wait_for_selector("#settings")
    titles = texts(tab, ".section > h2")
    assert titles == [
        "Stages",
        "Evaluation",
        "Supervised fine-tuning",
        "Reinforcement learning",
        "Plan and measurement",
        "Data",
        "Settings",
    ]
    assert wide(tab) <= 0
    assert tab.locator("h1").text_content() == "run"
    charts = texts(tab, ".chart figcaption b")
    wanted = {
        "Reward",
        "Groups without gradient",
        "Loss",
        "Entropy",
        "Gradient norm",
        "Learning rate",
        "Memory",
    }
    assert wanted | {"Throughput", "Length of responses", "Why samples scored as they did"} <= set(charts)
    drawn = tab.eval_on_selector_all(".plot canvas", "all => all.map((one) => one.width)")
    assert len(drawn) == len(charts) and min(drawn) > 200
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 22, 28)" if scheme == "dark" else "rgb(246, 247, 249)")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_plan_stands_beside_what_was_measured(report: Path, visit: Visit, width: int) -> None:
    tab = visit(report, width=width)
    tab.wait_for_selector("#plan tbody tr")
    rows = tab.eval_on_selector_all(
        "#plan tbody tr", "all => all.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    found = {(stage, what): (planned, measured, ratio) for stage, what, planned, measured, ratio in rows}
    assert found["sft", "time of a step (s)"][1] == "2" and found["rl", "time of a step (s)"][1] == "–"
    assert found["rl", "tokens of a step (tokens)"][1] == "1,000"
    planned, measured, ratio = found["sft", "peak memory of all processes (GiB)"]
    assert measured == "1" and float(ratio) == pytest.approx(float(planned), rel=0.02)
    shown = tab.eval_on_selector_all(
        "#plan td", "all => all.map((cell) => cell.getBoundingClientRect().right)"
    )
    assert max(shown) <= width, "nothing is cut off"


def test_curves_run_over_steps_tokens_or_hours(report: Path, visit: Visit) -> None:
    tab = visit(report)
    tab.wait_for_selector("#rl canvas")
    for name in ("tokens", "hours", "step"):
        tab.click(f"#rl .buttons button:text-is('{name}')")
        tab.wait_for_selector(f"#rl button[aria-pressed=true]:text-is('{name}')")
        assert tab.locator("#rl canvas").count() > 8
    shown = tab.locator("#rl .chart:has(b:text-is('Reward')) .key b").text_content()
    assert 0 <= float(shown) <= 1


def test_colours_can_be_chosen(report: Path, visit: Visit) -> None:
    tab = visit(report, scheme="light")
    tab.wait_for_selector("#bar .icon")
    seen = set()
    for _ in range(3):
        tab.click("#bar .icon")
        seen.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert seen == {"rgb(18, 22, 28)", "rgb(246, 247, 249)"}


def test_rejected_rows_of_every_reason_can_be_looked_at(report: Path, visit: Visit) -> None:
    tab = visit(report, width=390)
    for reason, rows in (("duplicate_key", 4), ("no_turns", 2)):
        tab.click(f"#data .reasons button:has-text('{reason}')")
        tab.wait_for_selector(f"#data h4:has-text('{reason}: {rows} of {rows} rows')")
        assert tab.locator("#data .example").count() == rows
    assert "row 4" in tab.locator("#data .example pre").first.text_content() and wide(tab) <= 0


def test_from_the_trend_to_the_tokens_of_a_sample(report: Path, visit: Visit) -> None:
    tab = visit(report, "#/rollouts")
    with counted(tab, f"{ALL} of {ALL} samples"):
        tab.wait_for_selector(".detail .plot canvas")
    tab.click(".detail .chip:has-text('2')")
    tab.wait_for_selector(".detail h2:text-is('Step 2')")
    assert tab.locator(".detail .group").count() == GROUPS
    tab.click(".detail .group >> nth=1")
    tab.wait_for_selector(f".detail .try >> nth={SAMPLES - 1}")
    assert "Lamp 1 of step 2." in tab.locator(".detail .conversation").text_content()
    tab.click(".detail .switcher .chip >> nth=0")
    tab.wait_for_selector(".detail .thought")
    assert tab.evaluate("location.hash") == FIRST
    detail = tab.locator(".detail").text_content()
    for said in ("Sample 0 of step 2.", "row-1", "kind-1", "other values than expected", "2.jsonl, line 5"):
        assert said in detail
    assert tab.locator(".calls .unlike").text_content() == "[set_lamp(room=2, on=True)]"
    assert tab.locator(".calls .missed").text_content() == "[set_lamp(room=1, on=True)]"
    tab.click("text=Show the tokens as they were trained")
    tab.wait_for_selector(".tokens span")
    assert tab.locator(".tokens span").count() == 12 and tab.locator(".tokens .unmasked").count() == 2
    names = tab.eval_on_selector_all(
        ".token-view .buttons button", "all => all.map((one) => one.textContent)"
    )
    assert {"Mask", "Log-prob, old", "Log-prob, new", "Advantage", "Entropy", "New minus old"} <= set(names)
    tab.hover(".tokens span >> nth=3")
    told = tab.locator(".token-view .told").text_content()
    assert "token 4 of 12" in told and "advantage -0.5" in told and "entropy 0." in told
    tab.click(".token-view summary")
    tab.wait_for_selector(".figures-table tbody tr >> nth=11")
    assert tab.locator(".figures-table tbody tr").count() == 12


def test_a_sample_has_an_address_of_its_own_and_filters_stay_in_it(report: Path, visit: Visit) -> None:
    tab = visit(report, FIRST + "?score=zero&step=2")
    tab.wait_for_selector(".detail .thought")
    assert "Sample 0 of step 2." in tab.locator(".detail .thought").text_content()
    with counted(tab, f"{GROUPS * SAMPLES // 2} of {ALL} samples"):
        pass
    tab.keyboard.press("j")
    tab.wait_for_function("hash => location.hash !== hash", arg=FIRST + "?score=zero&step=2")
    assert tab.evaluate("location.hash") == "#/rollouts/2/00000002-000001/2?score=zero&step=2"
    tab.go_back()
    tab.wait_for_function("() => document.querySelector('.thought')?.textContent.includes('Sample 0 of')")
    wrong = visit(report, "#/rollouts/2/nobody/9")
    wrong.wait_for_selector("text=This page has no such sample.")


@pytest.mark.parametrize(
    ("query", "samples"),
    [
        ("step=3", GROUPS * SAMPLES),
        ("score=best", ALL // 2),
        ("score=zero", ALL // 2),
        ("score=between", 0),
        ("reason=values", ALL // 2),
        ("category=kind-1", STEPS * 2 * SAMPLES),
        ("signal=yes", ALL),
        ("signal=no", 0),
        ("q=Sample%203%20of%20step%206", GROUPS),
        ("q=row-4", STEPS * SAMPLES),
        ("q=nowhere", 0),
        ("step=1&reason=right&category=kind-0", 3 * SAMPLES // 2),
    ],
)
def test_filters(report: Path, visit: Visit, query: str, samples: int) -> None:
    tab = visit(report, f"#/rollouts?{query}")
    with counted(tab, f"{samples} of {ALL} samples"):
        pass
    tab.click("text=Clear")
    with counted(tab, f"{ALL} of {ALL} samples"):
        pass


def test_filters_by_hand_and_sorting(report: Path, visit: Visit) -> None:
    tab = visit(report, "#/rollouts")
    with counted(tab, f"{ALL} of {ALL} samples"):
        pass
    with counted(tab, f"{ALL // 2} of {ALL} samples"):
        tab.select_option("select[aria-label=reason]", "right")
    with counted(tab, f"{GROUPS * SAMPLES // 2} of {ALL} samples"):
        tab.select_option("select[aria-label=step]", "4")
    with counted(tab, f"{SAMPLES // 2} of {ALL} samples"):
        tab.fill("input[type=search]", "Lamp 2 of")
    tab.click("text=Clear")
    with counted(tab, f"{ALL} of {ALL} samples"):
        pass
    for direction in ("asc", "desc"):
        tab.click(".tabulator-col[tabulator-field=score] .tabulator-col-title")
        tab.wait_for_timeout(200)
        scores = tab.eval_on_selector_all(
            ".tabulator-row .badge", "all => all.map((one) => Number(one.textContent))"
        )
        assert scores == sorted(scores, reverse=direction == "desc") and len(scores) > 10


def test_a_search_that_was_cleared_says_nothing_more(report: Path, visit: Visit) -> None:
    tab = visit(report, "#/rollouts")
    with counted(tab, f"{ALL} of {ALL} samples"):
        pass
    # The texts of a step come only once they are let go, as they do slowly from a long run.
    tab.evaluate(
        """() => { const real = block; window.waiting = [];
        window.block = async (name) => { await new Promise((go) => waiting.push(go));
          return real(name); }; }"""
    )
    tab.fill("input[type=search]", "Lamp")
    tab.wait_for_function("() => waiting.length === 1")
    tab.click("text=Clear")
    with counted(tab, f"{ALL} of {ALL} samples"):
        pass
    tab.evaluate("() => waiting.splice(0).forEach((go) => go())")
    tab.wait_for_timeout(300)
    assert texts(tab, ".status") == [f"{ALL} of {ALL} samples"]


def test_a_phone_shows_the_list_or_the_sample(report: Path, visit: Visit) -> None:
    tab = visit(report, "#/rollouts", width=390)
    tab.wait_for_selector(".tabulator-row")
    assert tab.locator(".detail").is_hidden() and wide(tab) <= 0
    tab.click(".tabulator-row >> nth=2")
    tab.wait_for_selector(".detail .thought")
    assert tab.locator(".entries").is_hidden() and wide(tab) <= 0
    tab.click(".crumbs a >> nth=0")
    tab.wait_for_selector(".tabulator-row")


def test_tasks_open_on_the_last_model_with_its_own_reasons(report: Path, visit: Visit) -> None:
    tab = visit(report.parent / "eval" / "failures.html")
    with counted(tab, "3 of 8 tasks"):
        pass
    reasons = tab.locator(".bars.panel").text_content()
    assert "rl_reason" in reasons and "base_reason" not in reasons and "sft_reason" not in reasons
    with counted(tab, "5 of 8 tasks"):
        tab.select_option("select[aria-label=result]", "right")
    with counted(tab, "2 of 8 tasks"):
        tab.select_option("select[aria-label=against]", "sft")
    tab.click(".tabulator-row >> nth=0")
    tab.wait_for_selector(".detail .try")
    assert tab.evaluate("location.hash").startswith("#/tasks/task-3?")
    assert tab.locator(".detail .try.right").count() == 1
    address = tab.evaluate("location.hash")
    again = visit(report.parent / "eval" / "failures.html", address)
    again.wait_for_selector("text=rl said")
    with counted(again, "2 of 8 tasks"):
        pass
    with counted(again, "5 of 8 tasks"):
        again.select_option("select[aria-label=model]", "sft")
        again.select_option("select[aria-label=result]", "wrong")
    assert "sft_reason" in again.locator("select[aria-label=reason]").text_content()


@pytest.mark.parametrize(
    "address",
    ["", "#/rollouts", "#/rollouts/1", "#/rollouts/1/00000001-000000", "#/rollouts/1/00000001-000000/0"],
)
def test_hostile_text_is_shown_and_not_executed(hostile: Path, visit: Visit, address: str) -> None:
    tab = visit(hostile, address)
    tab.wait_for_selector(".detail h2:visible, .detail .plot:visible, #settings:visible")
    if address.endswith("/0"):
        tab.click("text=Show the tokens as they were trained")
        tab.wait_for_selector(".tokens span")
        tab.click("details.quiet summary, .quiet summary")
    if not address:
        tab.click("#data .reasons button >> nth=0")
        tab.wait_for_selector("#data .example pre")
    tab.wait_for_timeout(300)
    assert tab.evaluate("window.broken") is None
    assert (
        tab.locator("img").count() == 0
        and tab.evaluate("document.querySelectorAll('svg[onload]').length") == 0
    )
    if "/0" in address:
        text = tab.locator(".detail").text_content()
        assert "</script><script>window.broken=1</script>" in text and "\u202e" not in text
        assert "⟨U+202E⟩" in text and "⟨U+0000⟩" in text and "{{ 7*7 }}" in text
    assert wide(tab) <= 0


def test_hostile_tasks_are_shown_and_not_executed(hostile: Path, visit: Visit) -> None:
    tab = visit(hostile.parent / "eval" / "failures.html")
    tab.wait_for_selector(".tabulator-row")
    tab.click(".tabulator-row >> nth=0")
    tab.wait_for_selector(".detail .try")
    assert tab.evaluate("window.broken") is None and tab.locator("img").count() == 0
    assert "window.broken=1" in tab.locator(".detail").text_content()


def test_an_answer_of_a_megabyte_opens_in_parts(tmp_path: Path, visit: Visit) -> None:
    run = make_run(tmp_path / "run", 1, 1, long=200_000)
    tab = visit(write_report(run, 100, 20), "#/rollouts/1/00000001-000000/0")
    tab.wait_for_selector(".thought")
    assert "characters left out here; rl/rollouts/1.jsonl has them" in tab.locator(".detail").text_content()
    assert tab.evaluate("document.querySelector('.detail').textContent.length") < 200_000


def test_a_page_without_rollouts_says_nothing_of_them(tmp_path: Path, visit: Visit) -> None:
    (tmp_path / "run" / "sft").mkdir(parents=True)
    (tmp_path / "run" / "sft" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    from funreason_train.run.paths import RunDir

    tab = visit(write_report(RunDir.at(tmp_path / "run"), 100, 20), "#/rollouts")
    tab.wait_for_selector("#sft canvas")
    assert tab.locator("nav.tabs a").count() == 1
