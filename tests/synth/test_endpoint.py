"""Asking an OpenAI-compatible server: what goes wrong there costs a request, or ends the run."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth.mock_chat import serving

from funreason_train.synth.agents import endpoint as module
from funreason_train.synth.agents.account import Account, Budget, Usage, forecast, most_tokens
from funreason_train.synth.agents.endpoint import Endpoint, Limits, Sampling, Stopped, Unanswered

ASKED = [{"role": "user", "content": "Say yes, please."}]
QUOTA = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between the tries, but those a server asks for."""
    pause = module._pause
    monkeypatch.setattr(module, "_pause", lambda state: min(0.02, pause(state)))


@contextmanager
def asking(server: Any, budget: Any = None, key_variable: Any = None, **limits: Any) -> Iterator[Any]:
    chosen = {"concurrency": 4, "seconds": 5.0, "tries": 3, **limits}
    account = Account(budget or Budget())
    sampling = Sampling(0.0, 1.0, 50)
    with Endpoint(server.url, key_variable, Limits(**chosen), sampling, account) as endpoint:
        yield endpoint


def test_an_answer_and_its_tokens_are_counted() -> None:
    with serving(lambda body: "yes, of course") as server, asking(server) as endpoint:
        answer = endpoint.ask("m", ASKED)
    assert answer.text == "yes, of course" and answer.usage == Usage(1, 4, 3)
    assert endpoint.account.spent == Usage(1, 4, 3) and not endpoint.account.held
    assert server.asked[0]["model"] == "m" and server.asked[0]["max_tokens"] == 50


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_thought_that_the_server_keeps_apart(field: str) -> None:
    body = b'{"choices": [{"message": {"content": "[f()]", "%s": "Hm."}}]}' % field.encode()
    with serving(lambda _: body) as server, asking(server) as endpoint:
        answer = endpoint.ask("m", ASKED)
    assert (answer.text, answer.thought) == ("[f()]", "Hm.")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_that_is_busy_or_broken_for_a_moment_is_asked_again(status: int) -> None:
    with (
        serving(lambda _: "yes", refuse=lambda n: (status, {}, {}) if n < 2 else None) as server,
        asking(server) as endpoint,
    ):
        assert endpoint.ask("m", ASKED).text == "yes"
    assert len(server.asked) == 3 and endpoint.account.spent.requests == 1, "what was refused is not charged"


def test_a_pause_that_the_server_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def pause(state: Any) -> int:
        waited.append(state.outcome.exception().pause)
        return 0

    def refuse(number: int) -> Any:
        return (429, {}, {"Retry-After": "7"}) if number == 0 else None

    monkeypatch.setattr(module, "_pause", pause)
    with serving(lambda _: "yes", refuse=refuse) as server, asking(server) as endpoint:
        endpoint.ask("m", ASKED)
    assert waited == [7.0]


def test_a_pause_until_a_date_is_kept_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def pause(state: Any) -> int:
        waited.append(state.outcome.exception().pause)
        return 0

    dates = [formatdate(time.time() + 20, usegmt=True), formatdate(time.time() - 9, usegmt=True), "soon"]

    def refuse(number: int) -> Any:
        return (429, {}, {"Retry-After": dates[number]}) if number < len(dates) else None

    monkeypatch.setattr(module, "_pause", pause)
    with serving(lambda _: "yes", refuse=refuse) as server, asking(server, tries=4) as endpoint:
        assert endpoint.ask("m", ASKED).text == "yes"
    first, past, unread = waited
    assert 10 < first <= 20 and past == 0.0 and unread is None


def test_a_stall_is_given_up_and_counted_as_charged() -> None:
    with (
        serving(lambda _: "yes", stall=lambda n: n < 2) as server,
        asking(server, seconds=0.3, tries=2) as endpoint,
    ):
        with pytest.raises(Unanswered) as found:
            endpoint.ask("m", ASKED)
        assert found.value.reason == "timeout"
        assert endpoint.account.spent.guessed == 2 and endpoint.account.spent.completion == 100
        assert endpoint.ask("m", ASKED).text == "yes", "the next request is served"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"null", b"{}", b"[" * 5000, b"\xff\xfe"),
        *(b'{"choices": []}', b'{"choices": [{"message": null}]}'),
        *(b'{"choices": [{"message": {"content": 7}}]}', b'{"choices": [{"message": {"content": ""}}]}'),
    ],
)
def test_garbage_is_given_up(body: Any) -> None:
    with (
        serving(lambda _: body) as server,
        asking(server, tries=2) as endpoint,
        pytest.raises(Unanswered) as found,
    ):
        endpoint.ask("m", ASKED)
    assert found.value.reason == "garbage" and len(server.asked) == 2


def test_a_refused_request_is_not_sent_again() -> None:

    def refuse(number: int) -> Any:
        return 400, {"error": {"message": "the context is too long"}}, {}

    with (
        serving(lambda _: "", refuse=refuse) as server,
        asking(server) as endpoint,
        pytest.raises(Unanswered) as found,
    ):
        endpoint.ask("m", ASKED)
    assert found.value.reason == "refused" and "too long" in found.value.detail and len(server.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the context is too long"}},
        {"error": "the context is too long"},
        {"detail": "the context is too long"},
        {"detail": [{"loc": ["body"], "msg": "the context is too long"}]},
        "the context is too long",
    ],
)
def test_a_refusal_is_told_in_the_server_s_words_whatever_form_they_have(body: Any) -> None:
    with (
        serving(lambda _: "", refuse=lambda n: (422, body, {})) as server,
        asking(server) as endpoint,
        pytest.raises(Unanswered, match="the context is too long"),
    ):
        endpoint.ask("m", ASKED)


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (429, QUOTA, "the quota is used up"),
        (402, {}, "the quota is used up"),
        (401, {}, "asks for a login"),
        (403, {}, "asks for a login"),
        (404, {}, "does not serve the model m"),
    ],
)
def test_what_no_further_try_can_change_stops_everything(status: int, said: Any, sentence: str) -> None:
    with serving(lambda _: "", refuse=lambda n: (status, said, {})) as server, asking(server) as endpoint:
        for _ in range(2):
            with pytest.raises(Stopped, match=sentence) as found:
                endpoint.ask("m", ASKED)
    assert len(server.asked) == 1 and found.value.error.where == server.url


def test_a_server_that_is_gone_stops_everything_after_a_few_requests() -> None:
    with serving(lambda _: "yes") as server:
        pass
    with asking(server, tries=1) as endpoint:
        for _ in range(7):
            with pytest.raises(Unanswered):
                endpoint.ask("m", ASKED)
        with pytest.raises(Stopped, match="8 requests in a row"):
            endpoint.ask("m", ASKED)


def test_the_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-secret-123")
    said = {"error": {"message": "Incorrect API key provided: sk-secret-123"}}
    with (
        serving(lambda _: "", refuse=lambda n: (401, said, {})) as server,
        asking(server, key_variable="THE_KEY") as endpoint,
        pytest.raises(Stopped) as found,
    ):
        endpoint.ask("m", ASKED)
    assert server.keys == ["Bearer sk-secret-123"]
    assert "secret" not in str(found.value) and "THE_KEY" in str(found.value)


def test_no_more_requests_than_allowed_are_under_way() -> None:
    with (
        serving(lambda _: "yes", latency=0.05) as server,
        asking(server, concurrency=3) as endpoint,
        ThreadPoolExecutor(12) as pool,
    ):
        assert {one.text for one in pool.map(lambda _: endpoint.ask("m", ASKED), range(24))} == {"yes"}
    assert server.most == 3


def test_requests_keep_the_pace() -> None:
    waits = []

    class Clock:
        now = 0.0

    pace = module.Pace(60)

    async def sleep(seconds: Any) -> None:
        waits.append(seconds)

    async def three() -> None:
        for _ in range(3):
            await pace.wait()

    import asyncio

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: Clock.now)
        patch.setattr(module.asyncio, "sleep", sleep)
        asyncio.run(three())
    assert waits == [1.0, 2.0], "one a second, the first at once"


def test_the_budget_is_never_exceeded() -> None:
    """Whatever comes in parallel: the server's own count stays below it."""
    budget = Budget(prompt_price=1.0, completion_price=2.0, most_cost=0.003)
    with (
        serving(lambda _: "yes" * 60, latency=0.005) as server,
        asking(server, budget, concurrency=8) as endpoint,
        ThreadPoolExecutor(16) as pool,
    ):

        def ask(_: Any) -> Any:
            try:
                return endpoint.ask("m", ASKED).usage
            except Stopped as error:
                return str(error)

        found = list(pool.map(ask, range(200)))
    served = [one for one in found if isinstance(one, Usage)]
    sent, written = sum(one.prompt for one in served), sum(one.completion for one in served)
    assert 0.0027 < budget.cost(sent, written) <= 0.003
    assert len(served) == len(server.asked) < 200, "what was not served was not sent"
    assert "could exceed the budget" in next(one for one in found if isinstance(one, str))


def test_a_server_that_tells_no_tokens_is_booked_at_the_most() -> None:
    with serving(lambda _: "yes", usage=False) as server, asking(server) as endpoint:
        endpoint.ask("m", ASKED)
    assert endpoint.account.spent == Usage(1, most_tokens(ASKED), 50, guessed=1)


@given(st.text(max_size=200))
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    assert most_tokens([{"role": "user", "content": text}]) >= len(text.encode("utf-8", "replace"))


def test_a_forecast_from_the_first_samples() -> None:
    budget = Budget(1.0, 2.0, most_cost=1.0)
    told = forecast(Usage(60, 40_000, 10_000), 20, 1000, budget)
    assert told["prompt_tokens"] == 2_000_000 and told["cost"] == 3.0 and told["requests"] == 3000
    assert not told["enough"] and "the budget ends it before" in told["sentence"]
    assert forecast(Usage(60, 40_000, 10_000), 20, 1000, Budget(1.0, 2.0, most_cost=4.0))["enough"]
    assert "none" in forecast(Usage(1, 1, 1), 0, 1000, budget)["sentence"]


def test_closing_ends_what_is_under_way() -> None:
    with serving(lambda _: "yes", stall=lambda n: True) as server, ThreadPoolExecutor(1) as pool:
        with asking(server, seconds=60.0) as endpoint:
            waiting = pool.submit(endpoint.ask, "m", ASKED)
            while not server.asked:
                time.sleep(0.01)
        with pytest.raises(Stopped):
            waiting.result(10)
