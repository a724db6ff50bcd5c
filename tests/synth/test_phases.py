"""The whole of maker=phases: what it writes, that it is the same again, and that it survives kills."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.calls import Call, check_call
from funreason_train.data.check.checks import check_calls, passes
from funreason_train.data.read.formats import funreason_mt
from funreason_train.data.read.rows import RowError
from funreason_train.dialogue import (
    QWEN_CHAT_TEMPLATE,
    announced,
    ready_messages,
    render_prompt,
    render_target,
    steps_of,
)
from funreason_train.environments import Episode, Task, make_environment, play_gold, read_tasks
from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.synth import stage
from funreason_train.synth.chain.plan import KINDS
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.workers import in_processes

Synthesise = Callable[..., Path]
OPTIONS = {"error_tool_response": "keep", "tools_missing": "reject"}
SMALL = (
    *("environments=[shop,helpdesk]", "trajectories=100", "heldout_tasks=8", "tuning_tasks=8"),
    *("graph.episodes=25", "graph.measure=10", "processes=1"),
)


@pytest.fixture(scope="module")
def made(synthesise: Synthesise) -> Path:
    return synthesise(*SMALL)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "conversations.jsonl").open(encoding="utf-8")]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_it_writes_what_the_contract_names(made: Path) -> None:
    found = digests(made)
    assert set(found) == {
        *("conversations.jsonl", "graph.json", "funnel.json", "card.html", "manifest.json"),
        *("tasks/heldout.jsonl", "tasks/tuning.jsonl"),
    }
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["outputs"] == {name: one for name, one in found.items() if name != "manifest.json"}
    assert len(rows(made)) == 100 and len(list(read_tasks(made / "tasks" / "heldout.jsonl"))) == 8


def test_kinds_come_in_the_shares_that_were_asked_for(made: Path) -> None:
    shares = compose("synth").synth.usual_kinds
    funnel = json.loads((made / "funnel.json").read_text())
    first = Counter(row["synth"]["category"] for row in rows(made))
    assert set(first) == set(KINDS)
    if funnel["samples"] == 100:
        assert {kind: 100 * share for kind, share in shares.items()} == pytest.approx(dict(first))


def test_every_call_of_a_row_was_executed_and_can_be_again(made: Path) -> None:
    for row in rows(made):
        task = row["synth"]["task"]
        environment = make_environment(task["environment"])
        environment.reset(task["config"])
        trajectory = funreason_mt.convert(row, OPTIONS)
        for turn in trajectory.turns:
            for step in turn.steps:
                assert [environment.call(call).text for call in step.calls] == list(step.results)
        final = environment.snapshot()
        assert play_gold(Task.from_json(task))[-1].state == final


def test_data_accepts_every_row_as_it_is(made: Path) -> None:
    for row in rows(made):
        trajectory = funreason_mt.convert(row, OPTIONS)
        assert [json.dumps(tool) for tool in trajectory.tools] == [json.dumps(tool) for tool in row["tools"]]
        for check in passes():
            trajectory = check(trajectory) or trajectory
        assert trajectory.meta["task"] == row["synth"]["task"]


def by_kind(made: Path, kind: str) -> list[dict[str, Any]]:
    found = [row for row in rows(made) if row["synth"]["category"] == kind]
    assert found
    return found


def test_a_failing_call_is_history_and_never_gold(made: Path) -> None:
    for row in by_kind(made, "error"):
        assert row["error_tool_response"] is True and row["synth"]["untrained"]
        trajectory = funreason_mt.convert(row, OPTIONS)
        for place in row["synth"]["untrained"]:
            turn, step = map(int, place.split("."))
            assert "error" in trajectory.turns[turn].steps[step].results[0]


def test_a_missing_tool_is_refused_and_then_used(made: Path) -> None:
    for row in by_kind(made, "missing_tool"):
        trajectory = funreason_mt.convert(row, OPTIONS)
        number = next(n for n, turn in enumerate(trajectory.turns) if announced(turn.user))
        (document,) = announced(trajectory.turns[number].user)
        name = document["name"]
        assert name not in {tool["name"] for tool in row["tools"]}
        assert name not in row["conversations"][0]["content"]
        refused, served = trajectory.turns[number - 1 : number + 1]
        assert not any(step.calls for step in refused.steps) and refused.steps[0].text
        assert row["synth"]["kinds"][f"{number - 1}.0"] == "no_tool"
        assert name in {call.name for step in served.steps for call in step.calls}
        before = {c.name for turn in trajectory.turns[:number] for step in turn.steps for c in step.calls}
        assert name not in before


def test_rows_of_a_missing_tool_show_the_same_prompt_in_training_and_in_play(made: Path) -> None:
    for row in by_kind(made, "missing_tool"):
        trajectory = funreason_mt.convert(row, OPTIONS)
        for check in passes():
            trajectory = check(trajectory) or trajectory
        steps = steps_of(trajectory)
        episode = Episode(Task.from_json(row["synth"]["task"]))
        for step in steps:
            assert render_prompt(
                ready_messages(episode.prompt_messages()), QWEN_CHAT_TEMPLATE
            ) == render_prompt(ready_messages(step.messages), QWEN_CHAT_TEMPLATE)
            assert not check_call_list(step.calls, step.tools)
            episode.receive(render_target(step.thought, step.answer))
        assert episode.outcome().right


def test_a_call_before_its_tool_appears_is_rejected(made: Path) -> None:
    row = by_kind(made, "missing_tool")[0]
    trajectory = funreason_mt.convert(row, OPTIONS)
    number = next(n for n, turn in enumerate(trajectory.turns) if announced(turn.user))
    early = replace(trajectory.turns[number - 1], steps=trajectory.turns[number].steps)
    turns = (*trajectory.turns[: number - 1], early, *trajectory.turns[number:])
    with pytest.raises(RowError, match="unknown_tool"):
        check_calls(replace(trajectory, turns=turns))


def check_call_list(calls: Iterable[Call], tools: Iterable[Any]) -> list[str]:
    return [problem for call in calls for problem in check_call(call, list(tools))]


def test_a_missing_value_is_asked_for_and_then_given(made: Path) -> None:
    for row in by_kind(made, "missing_parameter"):
        task = Task.from_json(row["synth"]["task"])
        asking = next(n for n, turn in enumerate(task.turns) if not turn.steps)
        assert task.turns[asking].text.endswith("?") and task.turns[asking + 1].steps
        assert len(task.turns) == 4


def test_parallel_calls_stand_in_one_response(made: Path) -> None:
    for row in by_kind(made, "parallel"):
        assert any(len(step) > 1 for turn in row["synth"]["task"]["turns"] for step in turn["steps"])


def test_a_request_that_no_tool_serves_is_answered_without_a_call(made: Path) -> None:
    for row in by_kind(made, "no_tool"):
        assert any(not turn["steps"] for turn in row["synth"]["task"]["turns"])


def test_a_correction_calls_the_same_tool_with_another_value(made: Path) -> None:
    for row in by_kind(made, "correction"):
        turns = Task.from_json(row["synth"]["task"]).turns
        pairs = [
            (one, two)
            for before, after in pairwise(turns)
            for one in [call for step in before.steps for call in step]
            for two in [call for step in after.steps for call in step]
        ]
        assert any(
            one.name == two.name and sum(one.arguments.get(k) != v for k, v in two.arguments.items()) == 1
            for one, two in pairs
        )


def test_the_splits_share_no_opening_no_calls_and_no_world(made: Path) -> None:
    train = [Task.from_json(row["synth"]["task"]) for row in rows(made)]
    splits = [train, *(list(read_tasks(made / f"tasks/{one}.jsonl")) for one in ("tuning", "heldout"))]

    def seen(tasks: list[Task]) -> set[str]:
        openings = {task.turns[0].user.lower() for task in tasks}
        worlds = {json.dumps(task.config, sort_keys=True) for task in tasks}
        calls = {f"{task.environment} {[turn.steps for turn in task.turns]}" for task in tasks}
        nothing = {text for text in calls if "Call(" not in text}
        return openings | worlds | (calls - nothing)

    for one, other in combinations(map(seen, splits), 2):
        assert not one & other


def test_the_guided_chain_was_guided(made: Path) -> None:
    funnel = json.loads((made / "funnel.json").read_text())
    assert funnel["tries"]["1"] > 10 * funnel["tries"]["2"] * 0.2 > 0 and funnel["critiques"]["values"] > 0
    assert funnel["accepted"] == 100


def test_the_card_shows_yield_graphs_and_ten_examples(made: Path) -> None:
    page = (made / "card.html").read_text()
    assert page.count("<svg") == 2 and page.count('class="panel example"') == 10
    assert "Yield" in page and "Kinds" in page and "Tries of a turn" in page and "Critiques" in page
    assert "Calls of a trace" in page and "Distance from the first call to the target" in page
    assert "Jump length" in page and "Coverage" in page and "Cost" not in page
    for size in (1, 2, 3):
        assert f"distinct {size}-grams of queries" in page
    assert "share 8 words in a row with a question of BFCL" in page and "0 of 100" in page
    examples = page.partition("<h2>Examples</h2>")[2]
    for shown in ('<div class="role">tool</div>', '<div class="role">hints</div>', "verdict: accepted"):
        assert shown in examples
    assert "Directed and uniform sampling" in page and "://" not in page.replace("http://www.w3.org/", "")


def phases(out: Path, *words: str) -> Phases:
    settings: Any = OmegaConf.to_container(compose("synth", [*SMALL, *words]).synth, resolve=True)
    return Phases(settings, 0, out, partial(in_processes, processes=settings["processes"]))


ONLY_PLAIN = tuple(f"kinds.{kind}={int(kind == 'plain')}" for kind in KINDS)
FEW = ("trajectories=40", "heldout_tasks=3", "graph.episodes=8", "graph.measure=0")


def test_the_same_seed_makes_the_same_bytes_for_any_number_of_processes(tmp_path: Path) -> None:
    phases(tmp_path / "one", *FEW).run()
    phases(tmp_path / "two", *FEW, "processes=2").run()
    names = ("conversations.jsonl", "graph.json", "funnel.json", "card.html", "tasks/heldout.jsonl")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_more_is_the_same_and_more(tmp_path: Path) -> None:
    phases(tmp_path / "few", *FEW, "trajectories=10").run()
    phases(tmp_path / "more", *FEW, "trajectories=30").run()
    few, more = ((tmp_path / name / "conversations.jsonl").read_text() for name in ("few", "more"))
    assert more.startswith(few)
    # Over the store of the smaller run as well, whose held-out tasks may meet what is trained on now.
    phases(tmp_path / "few", *FEW, "trajectories=30").run()
    grown, whole = (
        {file: digest for file, digest in digests(tmp_path / name).items() if ".samples-" not in file}
        for name in ("few", "more")
    )
    assert grown == whole and "tasks/heldout.jsonl" in whole


@pytest.mark.parametrize("validate", ["calls", "state"])
def test_a_try_is_judged_by_calls_or_by_state(tmp_path: Path, validate: str) -> None:
    words = ("offline.errors.wrong_value=0.4", f"chain.validate_by={validate}")
    found = phases(tmp_path, *FEW, *words).run()["funnel"]
    reasons = {"calls": "values", "state": "state"}
    assert found["critiques"][reasons[validate]] > 0 and found["tries"]["2"] > 0


def test_random_walks_and_easy_queries_are_to_be_had_for_comparison(tmp_path: Path) -> None:
    phases(tmp_path, *FEW, *ONLY_PLAIN, "sampler.policy=uniform", "query.style=easy").run()
    turns = [turn for row in rows(tmp_path) for turn in row["synth"]["task"]["turns"]]
    assert len(turns) == 120 and all(turn["steps"] for turn in turns)
    assert sum(", then " in turn["user"] for turn in turns) > 60


def test_an_imperfect_teacher_shows_what_is_wrong_and_the_task_stays_right(synthesise: Synthesise) -> None:
    slips = [f"offline.slips.{kind}=1" for kind in ("parallel", "no_tool", "ask")]
    kinds = ("kinds.plain=0", "kinds.error=0", "kinds.correction=0", "kinds.long=0", "turns=1")
    folder = synthesise(*SMALL, *slips, *kinds, "trajectories=60", "heldout_tasks=0", "tuning_tasks=0")
    shown: Counter[str] = Counter()
    for row in rows(folder):
        trajectory = funreason_mt.convert(row, OPTIONS)
        task = Task.from_json(row["synth"]["task"])
        assert len(play_gold(task)) == len(task.turns)
        for place, response in row["synth"]["demonstration"].items():
            turn, number = map(int, place.split("."))
            kind = row["synth"]["kinds"][place]
            shown[kind] += 1
            step, calls = trajectory.turns[turn].steps[number], response["calls"]
            if kind == "parallel":
                assert [Call.from_json(calls[0])] == list(step.calls[:1]) and len(step.calls) > 1
            elif kind == "no_tool":
                assert not step.calls and calls[0]["name"] in task.tools
            else:
                later = [call for one in trajectory.turns[turn + 1].steps for call in one.calls]
                meant = [call for call in later if call.name == calls[0]["name"]]
                assert meant and any(call.arguments.keys() == calls[0]["arguments"].keys() for call in meant)
                assert Call.from_json(calls[0]) not in later, "the value that nobody told is made up"
    assert set(shown) == {"parallel", "no_tool", "ask"}


def test_what_never_passes_is_rejected_and_counted(tmp_path: Path) -> None:
    words = ("offline.errors.malformed=1", "chain.tries=1", "draws=1", "trajectories=1", "heldout_tasks=0")
    with pytest.raises(UserError, match=r"only 0 of 1 .*chain/malformed"):
        phases(tmp_path, *words, "graph.episodes=5").run()


_RUN = """
import sys
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.synth import stage
stage.run(compose("synth", sys.argv[2:]), RunDir.at(sys.argv[1]))
"""


def test_kills_at_any_moment_lose_nothing_finished_and_duplicate_nothing(tmp_path: Path) -> None:
    words = [*SMALL, *FEW, "trajectories=200", "processes=2"]
    expected = Path(stage.run(compose("synth", words), RunDir.at(tmp_path / "whole"))["out"])
    root, rng, before = tmp_path / "killed", random.Random(5), 0
    for _ in range(20 if os.environ.get("FUNREASON_SLOW") else 7):
        child = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(root), *words], start_new_session=True, stderr=subprocess.DEVNULL
        )
        # Not a promise about speed: a kill that comes too early or too late is a kill all the same.
        time.sleep(rng.uniform(0.3, 4.0))
        if child.poll() is not None:  # it was done before the kill, and the next one begins anew
            before = 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        stores = list((root / "synth").glob(".samples-*.sqlite"))
        if not stores:
            continue
        with contextlib.closing(sqlite3.connect(stores[0])) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'samples'").fetchone():
                assert not before, "what was there is gone"
                continue  # killed before the store was made
            (now,) = connection.execute("SELECT COUNT(*) FROM samples").fetchone()
            (distinct,) = connection.execute(
                "SELECT COUNT(*) FROM (SELECT DISTINCT split, number FROM samples)"
            ).fetchone()
        assert now == distinct and now >= before
        before = now
    stage.run(compose("synth", words), RunDir.at(root))
    assert digests(root / "synth") == digests(expected)


def test_an_agent_that_waits_needs_a_loop_and_gives_the_same() -> None:
    from funreason_train.synth.work.workers import at_once

    async def waits() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {}

    with pytest.raises(RuntimeError, match="has waited"):
        at_once(waits())


def test_an_environment_whose_state_cannot_be_compared_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from funreason_train.environments.domains.shop import Shop

    def unreadable(self: Any) -> Any:
        raise ValueError("it holds a socket")

    monkeypatch.setattr(Shop, "snapshot", unreadable)
    with pytest.raises(UserError, match=r"could not be replayed and compared \(it holds a socket\)"):
        phases(tmp_path).run()


def test_targets_of_a_file_are_what_is_aimed_at(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("cancel_order\nclose_ticket\n")
    words = (f"targets={tmp_path}/t.txt", *ONLY_PLAIN, "sampler.extra_calls=[0,0]", "turns=1")
    phases(tmp_path / "out", *FEW, *words).run()
    called = [
        Call.from_json(step[-1]).name
        for row in rows(tmp_path / "out")
        for step in row["synth"]["task"]["turns"][0]["steps"][-1:]
    ]
    assert set(called) == {"cancel_order", "close_ticket"}
