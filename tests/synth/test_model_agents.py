"""agents=openai from the command to the files, against a server that knows the answers or nothing."""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from synth.mock_chat import serving
from synth.oracle import Oracle, answer_of

from funreason_train.commands.line.loading import every_problem
from funreason_train.data.read.formats import funreason_mt
from funreason_train.dialogue import read_completion
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import run_of
from funreason_train.synth import stage
from funreason_train.synth.agents import make, prompts
from funreason_train.synth.agents.model import completion_of

SMALL = (
    *("environments=[shop,helpdesk]", "heldout_tasks=0", "tuning_tasks=0", "agents=openai", "model=big"),
    *("graph.episodes=25", "graph.measure=0", "limits.concurrency=8", "limits.tries=2"),
)


@pytest.fixture(autouse=True)
def _oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models know the reference."""
    made = make.model_agents

    def oracles(settings: Any, address: Any, models: Any, spent: Any) -> Any:
        agents = made(settings, address, models, spent)
        return Oracle(agents.endpoint, models, errors={"wrong_value": 0.3, "malformed": 0.1})

    monkeypatch.setattr("funreason_train.synth.work.asking.model_agents", oracles)


def config_of(*words: Any) -> Any:
    return compose("synth", [*SMALL, *words])


def synthesise(out: Any, *words: Any) -> Any:
    config = config_of(f"out={out}", *words)
    assert not every_problem(config, "synth")
    return stage.run(config, run_of(config, f"{out}.run"))


def funnel_of(out: Any) -> Any:
    return json.loads((out / "funnel.json").read_text())


def store_of(out: Any) -> Any:
    """Samples in the store of a run that was stopped."""
    import sqlite3

    (file,) = out.glob(".samples-*.sqlite")
    return sqlite3.connect(file).execute("SELECT COUNT(*), SUM(ok) FROM samples").fetchone()


def test_conversations_come_from_an_endpoint(tmp_path: Path) -> None:
    with serving(answer_of, latency=0.02) as server:
        made = synthesise(tmp_path / "out", f"endpoint={server.url}", "trajectories=40")
    assert made["conversations"] == 40
    lines = (tmp_path / "out" / "conversations.jsonl").read_text().splitlines()
    options = {"error_tool_response": "keep", "tools_missing": "reject"}
    read = [funreason_mt.convert(json.loads(line), options) for line in lines]
    assert len(read) == 40
    funnel = funnel_of(tmp_path / "out")
    assert funnel["asked"]["requests"] == len(server.asked) and funnel["asked"]["guessed"] == 0
    assert sum(funnel["critiques"].values()) > 0, "some tries failed and were criticised"
    assert "all will take" in funnel["asked"]["forecast"]["sentence"]
    assert 2 <= server.most <= 8, "several at a time, and never more than allowed"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["prompts"] == prompts.digests() and len(manifest["prompts"]) == 4


def test_more_of_the_same_buys_only_what_is_not_there(tmp_path: Path) -> None:
    out, words = tmp_path / "out", ["limits.concurrency=1", "kinds={plain: 1.0}"]
    with serving(answer_of) as server:
        synthesise(out, f"endpoint={server.url}", "trajectories=6", *words)
        few, asked = (out / "conversations.jsonl").read_text(), len(server.asked)
        made = synthesise(out, f"endpoint={server.url}", "trajectories=8", *words)
        more = (out / "conversations.jsonl").read_text()
    assert made["conversations"] == 8 and more.startswith(few) and len(more.splitlines()) == 8
    assert 0 < len(server.asked) - asked < asked, "what was bought before is not bought again"
    assert funnel_of(out)["asked"]["requests"] == len(server.asked)


def test_a_prompt_never_holds_the_reference(tmp_path: Path) -> None:
    """What offline agents may look at is in no request but the oracle's own line."""
    with serving(answer_of) as server:
        synthesise(tmp_path / "out", f"endpoint={server.url}", "trajectories=10", "kinds={plain: 1.0}")
    reasoning = [one for one in server.asked if one["messages"][0]["role"] == "system"]
    assert reasoning
    for body in reasoning:
        answer = read_completion(answer_of(body))
        said = body["messages"][-1]["content"].partition("@@ORACLE@@")[0]
        assert answer.thought not in said
        assert {one["role"] for one in body["messages"]} <= {"system", "user", "assistant"}


def test_each_role_may_have_a_model_of_its_own(tmp_path: Path) -> None:
    words = ["trajectories=10", "roles.reasoning=thinker", "roles.critiquing=critic"]
    with serving(answer_of) as server:
        synthesise(tmp_path / "out", f"endpoint={server.url}", *words)
    by_model = Counter(body["model"] for body in server.asked)
    assert set(by_model) == {"big", "thinker", "critic"}
    assert all(body["model"] == "thinker" for body in server.asked if body["messages"][0]["role"] == "system")
    funnel, page = funnel_of(tmp_path / "out"), (tmp_path / "out" / "card.html").read_text()
    assert set(funnel["roles"]) == {"tooling", "querying", "reasoning", "critiquing"}
    assert sum(one["requests"] for one in funnel["roles"].values()) <= funnel["asked"]["requests"]
    cost = page.partition("<h2>Cost</h2>")[2].partition("</table>")[0]
    assert all(f">{role}</td>" in cost for role in funnel["roles"])


def test_garbage_costs_samples_and_not_the_run(tmp_path: Path) -> None:
    asked = itertools.count(1)
    with serving(lambda body: "I am a teapot." if next(asked) % 9 == 0 else answer_of(body)) as server:
        made = synthesise(tmp_path / "out", f"endpoint={server.url}", "trajectories=20")
    assert made["conversations"] == 20
    lost = funnel_of(tmp_path / "out")["lost"]
    assert sum(lost["query"].values()) > 0 and set(lost["query"]) & {
        "advanced_unreadable",
        "query_unreadable",
    }


def test_requests_that_fail_now_and_then_cost_samples_and_not_the_run(tmp_path: Path) -> None:

    def refuse(number: int) -> Any:
        return (500, {}, {}) if number % 40 == 7 else None

    with serving(answer_of, refuse=refuse) as server:
        words = ["trajectories=10", "limits.tries=1"]
        made = synthesise(tmp_path / "out", f"endpoint={server.url}", *words)
    assert made["conversations"] == 10 and funnel_of(tmp_path / "out")["lost"]["endpoint"]["broken"] > 0


def test_a_budget_ends_the_run_and_more_of_it_continues(tmp_path: Path) -> None:
    prices = [
        "limits.prices.prompt=1.0",
        "limits.prices.completion=4.0",
        "trajectories=30",
        "kinds={plain: 1.0}",
    ]
    out = tmp_path / "out"
    with serving(answer_of) as server:
        with pytest.raises(UserError, match=r"could exceed the budget.*of 30 train conv"):
            synthesise(out, f"endpoint={server.url}", *prices, "limits.budget=0.7")
        sent = sum(sum(len(one["content"]) for one in body["messages"]) // 4 for body in server.asked)
        assert 0.1 < sent / 1e6 <= 0.7
        first = len(server.asked)
        samples, accepted = store_of(out)
        assert 0 < accepted < 30 and not (out / "manifest.json").exists()
        made = synthesise(out, f"endpoint={server.url}", *prices, "limits.budget=5.0")
    assert made["conversations"] == 30
    asked = funnel_of(out)["asked"]
    assert asked["requests"] == len(server.asked) > first, "what the first attempt spent is counted as well"
    assert funnel_of(out)["samples"] >= samples - 1


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (401, {}, "asks for a login"),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, "the quota is used up"),
    ],
)
def test_a_quota_that_runs_out_keeps_what_is_finished(
    tmp_path: Path, status: int, said: dict[str, Any], sentence: str
) -> None:

    def refuse(number: int) -> Any:
        return (status, said, {}) if number >= 500 else None

    with (
        serving(answer_of, refuse=refuse) as server,
        pytest.raises(UserError, match=sentence),
    ):
        synthesise(tmp_path / "out", f"endpoint={server.url}", "trajectories=100")
    assert store_of(tmp_path / "out")[1] > 0
    assert len(server.asked) <= 500 + 8, "nothing is asked any more"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the address of the server is missing"),
        (["endpoint=localhost"], "is not an address"),
        (["endpoint=http://localhost:1/v1/chat/completions"], "Write endpoint=http://localhost:1/v1"),
        (["endpoint=http://me:hunter2000@host/v1"], "synth.key_variable"),
        (["endpoint=http://localhost:1/v1", "model=null"], "no model plays tooling, querying"),
        (["agents=vllm", "roles.reasoning=x"], "one model for all roles"),
        (["endpoint=http://localhost:1/v1", "limits.concurrency=0"], "synth.limits.concurrency"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(words: Any, said: str) -> None:
    told = "\n".join(map(str, every_problem(config_of(*words), "synth")))
    assert said in told and "hunter2000" not in told


@pytest.mark.parametrize(
    ("text", "thought", "calls"),
    [
        ("<think>Look it up.</think>\n\n[find(a=1)]", "Look it up.", 1),
        ("Look it up.</think>[find(a=1)]", "Look it up.", 1),
        ("I look it up first.\n\n[find(a=1)]", "I look it up first.", 1),
        ("<think>I look it up first.\n[find(a=1), find(a=2)]", "I look it up first.", 2),
        ("<think>Done.</think>\nIt is done.", "Done.", 0),
    ],
)
def test_the_forms_in_which_models_answer(text: str, thought: str, calls: int) -> None:
    read = read_completion(completion_of(text))
    assert (read.thought, len(read.calls or ())) == (thought, calls)


@pytest.mark.parametrize("text", ["It is done.", "[find(a=1)]", "", "<think>", "find(a=1)"])
def test_an_answer_without_a_thought_is_not_one(text: str) -> None:
    assert read_completion(completion_of(text)).calls is None
    if text == "[find(a=1)]":
        assert (
            read_completion(completion_of(text, "The server kept this.")).thought == "The server kept this."
        )
