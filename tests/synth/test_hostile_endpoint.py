"""Endpoints that answer with anything: a request is lost, or the run ends with one sentence."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from synth.mock_chat import serving
from synth.oracle import Oracle, answer_of
from synth.test_endpoint import ASKED, asking

from funreason_train.calls import parse_calls
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.synth.agents import endpoint as module
from funreason_train.synth.agents.account import Usage
from funreason_train.synth.agents.answer import LARGEST
from funreason_train.synth.agents.endpoint import Unanswered
from funreason_train.synth.agents.make import model_agents, models_of
from funreason_train.synth.agents.model import completion_of
from funreason_train.synth.phases import Phases
from funreason_train.synth.work.threads import in_threads


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = module._pause
    monkeypatch.setattr(module, "_pause", lambda state: min(0.02, pause(state)))


LOGIN = b"<!DOCTYPE html><html><body><form>Sign in</form></body></html>"
GOOD = json.dumps({"choices": [{"message": {"role": "assistant", "content": "yes"}}]}).encode()


def message(**parts: Any) -> bytes:
    reason = parts.pop("finish_reason", "stop")
    return json.dumps({"choices": [{"message": parts, "finish_reason": reason}]}).encode()


IMAGE = message(content=[{"type": "image_url"}, {"type": "text", "text": "yes"}])


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (("text/html", LOGIN, len(LOGIN)), "garbage", "a web page, as of a login"),
        (("application/json", LOGIN, len(LOGIN)), "garbage", "a web page, as of a login"),
        (("text/event-stream", b"data: {}\n\n", 10), "garbage", "not a chat completion"),
        (("application/json", GOOD[:20], len(GOOD)), "broken", "broke off"),
        (("application/json", b"", 50), "broken", "broke off"),
        (("application/json", b"\xff\xfe\x00\xd8{", 5), "garbage", "not a chat completion"),
        (("application/json", IMAGE, len(IMAGE)), "garbage", "not a chat"),
        (("application/json", message(content=None), len(message(content=None))), "garbage", "not a chat"),
        (("application/json", message(content=[1]), len(message(content=[1]))), "garbage", "not a chat"),
    ],
)
def test_an_answer_that_is_none_is_given_up_with_its_reason(raw: Any, reason: str, detail: str) -> None:
    with (
        serving(lambda _: "", raw=lambda n: raw) as server,
        asking(server, tries=2) as endpoint,
        pytest.raises(Unanswered) as found,
    ):
        endpoint.ask("m", ASKED)
    assert found.value.reason == reason and detail in found.value.detail
    assert len(found.value.detail) < 400 and "\n" not in found.value.detail
    assert len(server.asked) == 2 and not endpoint.account.held


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "text/html; charset=latin-1"])
def test_a_completion_under_another_content_type_is_read(kind: str) -> None:
    with serving(lambda _: "", raw=lambda n: (kind, GOOD, len(GOOD))) as server, asking(server) as endpoint:
        assert endpoint.ask("m", ASKED).text == "yes"


def test_a_byte_order_mark_and_blank_lines_before_a_completion_are_no_harm() -> None:
    with serving(lambda _: b"\xef\xbb\xbf\n\n  " + GOOD) as server, asking(server) as endpoint:
        assert endpoint.ask("m", ASKED).text == "yes"


def test_fifty_megabytes_are_not_read_to_their_end() -> None:
    body = b'{"choices": [{"message": {"content": "' + b"x" * (50 * 2**20) + b'"}}]}'
    with (
        serving(lambda _: "", raw=lambda n: ("application/json", body, len(body))) as server,
        asking(server, tries=1, seconds=60.0) as endpoint,
        pytest.raises(Unanswered) as found,
    ):
        endpoint.ask("m", ASKED)
    assert f"more than {LARGEST:,} bytes" in found.value.detail


def test_an_answer_that_breaks_off_once_is_asked_for_again() -> None:
    cut = ("application/json", GOOD[:20], len(GOOD))
    with (
        serving(lambda _: "yes", raw=lambda n: cut if n == 0 else None) as server,
        asking(server) as endpoint,
    ):
        assert endpoint.ask("m", ASKED).text == "yes"
    assert len(server.asked) == 2


def test_junk_of_unicode_becomes_a_text_that_can_be_stored() -> None:
    body = b'{"choices": [{"message": {"content": "a\\ud800b\\u0000 \xff"}}]}'
    with serving(lambda _: body) as server, asking(server) as endpoint:
        text = endpoint.ask("m", ASKED).text
    text.encode("utf-8")
    assert text.startswith("a") and "b" in text


def test_calls_in_place_of_content_are_calls() -> None:
    native = [{"type": "function", "function": {"name": "look_up", "arguments": '{"city": "Rome", "n": 2}'}}]
    older = {"function_call": native[0]["function"]}
    for said in (
        *(message(content=None, tool_calls=native), message(content="", tool_calls=native)),
        message(content=None, **older),
    ):
        with serving(lambda _, said=said: said) as server, asking(server) as endpoint:
            (call,) = parse_calls(endpoint.ask("m", ASKED).text)
        assert (call.name, dict(call.arguments)) == ("look_up", {"city": "Rome", "n": 2})


def test_calls_beside_a_content_stand_after_it_as_after_a_thought() -> None:
    native = [{"type": "function", "function": {"name": "look_up", "arguments": '{"city": "Rome"}'}}]
    for content, told in (
        ("Rome is meant.", 'Rome is meant.</think>\n\n[look_up(city="Rome")]'),
        ("<think>Rome is meant.</think>", 'Rome is meant.</think>\n\n[look_up(city="Rome")]'),
        ('Rome.\n[look_up(city="Rome")]', 'Rome.</think>\n\n[look_up(city="Rome")]'),
    ):
        said = message(content=content, tool_calls=native)
        with serving(lambda _, said=said: said) as server, asking(server) as endpoint:
            assert completion_of(endpoint.ask("m", ASKED).text) == told


@pytest.mark.parametrize("native", [[{}], [{"function": {"name": "f", "arguments": "{"}}], "f()", [7]])
def test_calls_in_place_of_content_that_cannot_be_read_are_garbage(native: Any) -> None:
    said = message(content=None, tool_calls=native)
    with (
        serving(lambda _: said) as server,
        asking(server, tries=1) as endpoint,
        pytest.raises(Unanswered, match="garbage"),
    ):
        endpoint.ask("m", ASKED)


def test_an_answer_without_a_word_for_want_of_tokens_is_not_asked_for_again() -> None:
    said = message(content="", finish_reason="length")
    with (
        serving(lambda _: said) as server,
        asking(server) as endpoint,
        pytest.raises(Unanswered, match="cut_off: nothing was said within max_tokens=50"),
    ):
        endpoint.ask("m", ASKED)
    assert len(server.asked) == 1 and endpoint.account.spent.requests == 1


def test_an_answer_that_was_cut_off_is_what_was_said() -> None:
    said = message(content="[f(a=", finish_reason="length")
    with serving(lambda _: said) as server, asking(server) as endpoint:
        assert endpoint.ask("m", ASKED).text == "[f(a="


# -- in the middle of a run --------------------------------------------------------------------------------

SMALL = (
    *("environments=[shop]", "trajectories=6", "heldout_tasks=0", "tuning_tasks=0", "turns=1", "model=any"),
    *("graph.measure=0", "graph.episodes=10", "agents=openai", "key_variable=null", "limits.tries=1"),
    *("limits.concurrency=2", "kinds={plain: 1.0}"),
)


def run(server: Any, out: Path) -> dict[str, Any]:
    settings: Any = OmegaConf.to_container(compose("synth", SMALL).synth, resolve=True)
    made = model_agents(settings, server.url, models_of(settings), Usage())
    agents = Oracle(made.endpoint, models_of(settings))
    with agents.endpoint:
        spread = partial(in_threads, agents=agents, most=2)
        return Phases(settings, 0, out, spread, agents.endpoint.account).run()


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        ((402, {}, {}), "the quota is used up"),
        ((429, {"error": {"code": "insufficient_quota", "message": "quota"}}, {}), "the quota is used up"),
        ((401, {}, {}), "it asks for a login"),
        ((503, {}, {}), "8 requests in a row were given up"),
    ],
)
def test_what_ends_in_the_middle_of_a_run_loses_nothing_finished(
    tmp_path: Path, later: Any, sentence: str
) -> None:
    with serving(answer_of, refuse=lambda n: later if n >= 12 else None) as server:
        with pytest.raises(UserError, match=rf"{sentence}.*[1-5] of 6 train conversations are finished"):
            run(server, tmp_path)
        first = len(server.asked)
    (store,) = tmp_path.glob(".samples-*.sqlite")
    with sqlite3.connect(store) as connection:
        kept = dict(connection.execute("SELECT number, row FROM samples WHERE ok = 1").fetchall())
    assert kept and not (tmp_path / "conversations.jsonl").exists()
    with serving(answer_of) as server:
        assert run(server, tmp_path)["conversations"] == 6
        assert len(server.asked) < first * 6
    rows = [json.loads(line) for line in (tmp_path / "conversations.jsonl").open(encoding="utf-8")]
    assert len({row["id"] for row in rows}) == 6
    written = {row["id"] for row in rows}
    assert all(json.loads(row)["id"] in written for row in kept.values())
    spent = json.loads((tmp_path / "funnel.json").read_text())["asked"]["requests"]
    assert spent >= len(server.asked), "what the first attempt spent is still counted"


def test_a_login_page_in_place_of_answers_ends_the_run_before_much_is_asked(tmp_path: Path) -> None:
    page = ("text/html", LOGIN, len(LOGIN))
    with serving(answer_of, raw=lambda n: page) as server:
        with pytest.raises(UserError, match=r"8 requests in a row were given up.*a web page, as of a login"):
            run(server, tmp_path)
        assert len(server.asked) < 12


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"content": None, "refusal": "I cannot help."}, "I cannot help."),
        ({"content": [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]}, "yes"),
        (
            {
                "content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "yes"}],
                "refusal": None,
            },
            "yes",
        ),
    ],
)
def test_a_refusal_and_a_content_in_parts_are_answers(parts: dict[str, Any], said: str) -> None:
    body = message(**parts)
    raw = ("application/json", body, len(body))
    with serving(lambda _: "", raw=lambda n: raw) as server, asking(server) as endpoint:
        assert endpoint.ask("m", ASKED).text == said and len(server.asked) == 1


def test_a_usage_that_cannot_be_is_not_believed() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 10**15}
    body = json.dumps({"choices": [{"message": {"content": "yes"}}], "usage": told}).encode()
    raw = ("application/json", body, len(body))
    with serving(lambda _: "", raw=lambda n: raw) as server, asking(server) as endpoint:
        used = endpoint.ask("m", ASKED).usage
    assert used.guessed == 1 and used.prompt == 5 and used.completion < 10**6


def test_refusals_in_a_row_end_the_run_with_what_the_server_said() -> None:
    refused: Any = (400, {"error": {"message": "temperature must be 1 with this model"}}, {})
    with serving(lambda _: "yes", refuse=lambda n: refused) as server, asking(server) as endpoint:
        for _ in range(module._IN_A_ROW - 1):
            with pytest.raises(Unanswered):
                endpoint.ask("m", ASKED)
        with pytest.raises(
            module.Stopped, match=r"requests in a row were given up.*temperature must be 1"
        ) as end:
            endpoint.ask("m", ASKED)
    assert "synth.sampling.temperature to what this model takes, or to null" in str(end.value.error.fix)


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_what_is_null_is_not_sent(name: str) -> None:
    sampling = replace(module.Sampling(0.7, 0.9, 64), **{name: None})  # type: ignore[arg-type]
    with serving(lambda _: "yes") as server, asking(server) as endpoint:
        endpoint.sampling = sampling
        assert endpoint.ask("m", ASKED).text == "yes"
    assert name not in server.asked[0] and {"temperature", "top_p"} & server.asked[0].keys()
    assert server.asked[0]["max_tokens"] == 64


def events(*deltas: Any, end: bytes = b"data: [DONE]\n\n") -> Any:
    chunks = [{"choices": [{"delta": one, "finish_reason": None}]} for one in deltas]
    told = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks)
    last = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\n'
    body = b": keep-alive\n\n" + told + last + end
    return "text/event-stream", body, len(body)


def test_a_stream_that_nobody_asked_for_is_read() -> None:
    parts = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "y"},
        {"content": "es"},
    ]
    first = {"index": 0, "function": {"name": "f", "arguments": '{"a"'}}
    called = [{"tool_calls": [first]}, {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}]
    raw = [events(*parts), events(*called), events(*parts, end=b"")]
    with serving(lambda _: "", raw=lambda n: raw[min(n, 2)]) as server, asking(server, tries=1) as endpoint:
        answer = endpoint.ask("m", ASKED)
        assert (answer.text, answer.thought, answer.usage.prompt) == ("yes", "hm", 7)
        assert endpoint.ask("m", ASKED).text == "[f(a=1)]"
        with pytest.raises(Unanswered, match="not a chat completion"):
            endpoint.ask("m", ASKED)


def test_a_model_that_names_the_limit_of_an_answer_otherwise_is_asked_in_its_words() -> None:
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def refuse(number: int) -> Any:
        return None if number else (400, {"error": {"message": said}}, {})

    with serving(lambda _: "yes", refuse=refuse) as server, asking(server) as endpoint:
        assert endpoint.ask("m", ASKED).text == "yes" and endpoint.ask("m", ASKED).text == "yes"
        assert "max_tokens" in server.asked[0]
        assert all("max_completion_tokens" in one and "max_tokens" not in one for one in server.asked[1:])
        assert len(server.asked) == 3 and endpoint.account.spent.requests == 2
