"""Writes the report of a run with many rollouts and uses it as a reader would, in headless Chromium.

    python benchmarks/operate/report_speed.py [--rollouts 5000] [--tokens 350]

prints a row of the table in docs/report.md. The rollouts are made, with prompts of about 4,000 characters and
as many tokens an answer as asked for, in words drawn at random (real text packs better). A time lasts until
what was asked for can be seen. A frame: the longest time between two drawn frames, while the list is scrolled
from its first to its last entry, and while a search goes through all texts.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from funreason_train.commands.report import write_report
from funreason_train.plain import json_text
from funreason_train.rl.train import records, token_records
from funreason_train.run.paths import RunDir

SAMPLES = 8
GROUPS = 32  # a step
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: Scrolls the list in so many steps, one a frame, and returns the longest frame in milliseconds.
_SCROLL = """async (steps) => {
  const list = document.querySelector(".tabulator-tableholder");
  let worst = 0, last = await new Promise(requestAnimationFrame);
  for (let step = 1; step <= steps; step++) {
    list.scrollTop = (list.scrollHeight - list.clientHeight) * step / steps;
    const now = await new Promise(requestAnimationFrame);
    worst = Math.max(worst, now - last);
    last = now;
  }
  return [worst, list.scrollTop, document.querySelectorAll(".tabulator-row").length];
}"""
#: Notes the longest frame from now on.
_FRAMES = """() => { window.worst = 0; let last = performance.now();
  const next = (now) => {
    window.worst = Math.max(window.worst, now - last); last = now; requestAnimationFrame(next);
  };
  requestAnimationFrame(next); }"""


def make(run: RunDir, rollouts: int, tokens: int) -> None:
    """A finished RL run of so many rollouts, as the trainer leaves it."""
    rng = random.Random(0)
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(2, 9))) for _ in range(20_000)]
    run.rl.mkdir(parents=True)
    (run.rl / "rollouts").mkdir()
    steps = -(-rollouts // (SAMPLES * GROUPS))
    reasons = ["right", "values", "unclosed", "syntax"]
    with (run.rl / "metrics.jsonl").open("w") as metrics:
        for step in range(1, steps + 1):
            here = min(GROUPS, -(-(rollouts - (step - 1) * SAMPLES * GROUPS) // SAMPLES))
            _step(run, step, here, tokens, rng, words, reasons)
            line = {"step": step, "total": steps, "health/score": rng.random(), "perf/total_num_tokens": 9000}
            metrics.write(json.dumps(line) + "\n")


def _step(
    run: RunDir, step: int, groups: int, tokens: int, rng: random.Random, words: list[str], reasons: list[str]
) -> None:
    lines: list[dict[str, Any]] = []
    columns: dict[str, list[Any]] = {name: [] for name in token_records.COLUMNS}
    for group in range(groups):
        prompt = " ".join(rng.choices(words, k=600))
        gold = json.dumps({"calls": [{"name": "f", "arguments": {"a": group}}], "tools": []})
        for sample in range(SAMPLES):
            ids = rng.choices(range(len(words)), k=tokens)
            answer = " ".join(words[at] for at in ids) + f"</think>\n\n[f(a={group + sample % 2})]"
            score = float(sample % 2 == 0)
            result = {"score": score, "acc": score, "reason": rng.choice(reasons) if not score else "right"}
            row = records.Row(f"{step:08d}-{group:06d}_{sample}_0", score, result)
            kind = f"kind-{group % 7}"
            lines.append(records.line(row, prompt, answer, gold, f"row-{step}-{group}", kind))
            columns["ids"].append(ids)
            columns["mask"].append([1] * tokens)
            columns["advantage"].append([score - 0.5] * tokens)
            for name in ("rollout", "old", "new", "entropy"):
                columns[name].append([-rng.random() for _ in ids])
    file = run.rl / "rollouts" / f"{step}.jsonl"
    text = "".join(json_text(line) + "\n" for line in records.share_prompts(lines))
    file.write_text(text, encoding="utf-8")
    token_records.write(file.with_suffix(".npz"), range(len(lines)), columns, lambda one: words[one])


def used(page: Path) -> dict[str, Any]:
    """What a reader waits for, in seconds; frames in milliseconds; the page's memory in MB."""
    from playwright.sync_api import sync_playwright

    path = next(where for name in _CHROMIUM if (where := shutil.which(name)))
    found: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--enable-precise-memory-info"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.set_default_timeout(120_000)

        def timed(name: str, do: Any, until: str) -> None:
            begun = time.monotonic()
            do()
            tab.wait_for_function(f"() => {until}")  # a function: the page allows no text to be run
            found[name] = round(time.monotonic() - begun, 2)

        status = "document.querySelector('.status')?.textContent"
        timed(
            "open the list",
            lambda: tab.goto(page.as_uri() + "#/rollouts"),
            f"{status}?.includes('samples') && document.querySelector('.tabulator-row')",
        )
        found["listed"] = tab.evaluate(status)
        tab.wait_for_timeout(1000)
        worst, _, drawn = tab.evaluate(_SCROLL, 120)
        found["longest frame, scrolling (ms)"], found["rows drawn"] = round(worst), drawn
        before = tab.evaluate(status)
        timed(
            "filter by reason",
            lambda: tab.select_option("select[aria-label=reason]", "values"),
            f"{status} !== {json.dumps(before)}",
        )
        timed("clear", lambda: tab.click("text=Clear"), f"{status} === {json.dumps(before)}")
        tab.evaluate(_FRAMES)
        timed(
            "search all texts",
            lambda: tab.fill("input[type=search]", "f(a=7)"),
            f"{status} !== {json.dumps(before)} && {status}.includes(' of {before.split()[-2]} samples')",
        )
        found["longest frame, searching (ms)"] = round(tab.evaluate("window.worst"))
        tab.click("text=Clear")
        tab.wait_for_function(f"() => {status} === {json.dumps(before)}")
        timed(
            "open a sample",
            lambda: tab.locator(".tabulator-row").nth(3).click(),
            "document.querySelector('.detail .thought')",
        )
        show = tab.get_by_text("Show the tokens as they were trained")
        if show.count():
            timed("its tokens", show.click, "document.querySelector('.tokens span')")
        found["memory (MB)"] = round(tab.evaluate("performance.memory.usedJSHeapSize") / 1e6)
        browser.close()
    assert not errors, errors
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=5000)
    parser.add_argument("--tokens", type=int, default=350)
    parser.add_argument("--shown", type=int, default=20_000, help="report.rollouts")
    parser.add_argument("--megabytes", type=float, default=20, help="report.megabytes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir.at(Path(folder) / "run")
        make(run, arguments.rollouts, arguments.tokens)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        page = write_report(run, arguments.shown, arguments.megabytes)
        found: dict[str, Any] = {
            "rollouts": arguments.rollouts,
            "write (s)": round(time.monotonic() - begun, 1),
            "peak (MB)": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "before (MB)": round(before / 1024),
            "file (MB)": round(page.stat().st_size / 1e6, 1),
            **used(page),
        }
    print(json.dumps(found), flush=True)
    return 0 if found["file (MB)"] < arguments.megabytes else 1


if __name__ == "__main__":
    sys.exit(main())
