"""Any OpenAI-compatible server, asked by many threads at once within limits of number, pace and money.

One thread with an event loop sends everything, so that a sample that waits for its environment holds up
nobody's request.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from .account import Account, Usage, most_tokens
from .answer import Again, Answer, Unanswered, body_of, read_answer

if TYPE_CHECKING:
    from tenacity import RetryCallState

_IN_A_ROW = 8  # requests given up one after the other, which say that nobody is there
_LONGEST_PAUSE = 60.0  # seconds between two tries of a request
_DRAWN = ("temperature", "top_p")
_NEWER = "max_completion_tokens"  # what models of late want instead of max_tokens
_OVER = ("insufficient_quota", "billing_hard_limit_reached")


class Stopped(Exception):
    """Nothing more will be asked: the budget is spent, or the server does not serve.

    Args:
        error: As the user is told it.
    """

    def __init__(self, error: UserError) -> None:
        self.error = error
        super().__init__(str(error))


@dataclass(frozen=True)
class Limits:
    """How requests are sent.

    Attributes:
        concurrency: Requests under way at a time.
        seconds: That one request may take.
        tries: Of one request.
        requests_per_minute: None for no limit.
        tokens_per_minute: None for no limit.
    """

    concurrency: int
    seconds: float
    tries: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        temperature: As the server takes it; None is not sent.
        top_p: As the server takes it; None is not sent.
        max_tokens: The most that one completion may have.
    """

    temperature: float | None
    top_p: float | None
    max_tokens: int


class Pace:
    """Lets so many units a minute through, evenly.

    Args:
        per_minute: None lets everything through.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self, units: float = 1.0) -> None:
        """Waits for its turn."""
        if not self._seconds:
            return
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + units * self._seconds
        if start > now:
            await asyncio.sleep(start - now)


class Endpoint:
    """A server; as a context its connections are closed at the end.

    Args:
        address: With the version, as in `http://localhost:8000/v1`.
        key_variable: The environment variable that holds the key; where it is not set none is sent.
        limits: How requests are sent.
        sampling: How completions are drawn.
        account: What may be spent.
    """

    def __init__(
        self, address: str, key_variable: str | None, limits: Limits, sampling: Sampling, account: Account
    ) -> None:
        from openai import AsyncOpenAI

        self.address, self.limits, self.sampling, self.account = address, limits, sampling, account
        self._variable = key_variable
        self._key = (os.environ.get(key_variable) if key_variable else None) or ""
        self._client = AsyncOpenAI(
            base_url=address, api_key=self._key or "none", max_retries=0, timeout=limits.seconds
        )
        self._stopped: UserError | None = None
        self._given_up = 0
        self._limit = "max_tokens"  # as the server names it
        self._gate = asyncio.Semaphore(limits.concurrency)
        self._settled = asyncio.Event()
        self._requests, self._tokens = Pace(limits.requests_per_minute), Pace(limits.tokens_per_minute)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, model: str, messages: list[dict[str, str]]) -> Answer:
        """Asks and waits; from any thread.

        Raises:
            Unanswered: this request is given up.
            Stopped: nothing more will be asked.
        """
        if self._stopped is not None:
            raise Stopped(self._stopped)
        try:
            return asyncio.run_coroutine_threadsafe(self._ask(model, messages), self._loop).result()
        except (CancelledError, RuntimeError) as error:
            raise Stopped(self._stopped or UserError(f"the connection was closed ({error})")) from None

    def stop(self, error: UserError) -> None:
        """Lets nothing more be asked."""
        self._stopped = self._stopped or error
        self._loop.call_soon_threadsafe(self._settled.set)

    def abandon(self) -> None:
        """Ends requests under way as well; who waits for one hears of it at once."""
        self.stop(UserError("the work was ended"))
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(30)

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def close(self) -> None:
        """Ends requests under way, connections and the thread."""
        self.abandon()
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    # -- one request ---------------------------------------------------------------------------------------

    async def _ask(self, model: str, messages: list[dict[str, str]]) -> Answer:
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        trying = AsyncRetrying(
            stop=stop_after_attempt(self.limits.tries),
            retry=retry_if_exception_type(Again),
            wait=_pause,
            reraise=True,
        )
        try:
            answer: Answer = await trying(self._once, model, messages)
        except (Again, Unanswered) as error:
            if error.reason != "cut_off":  # which is an answer, if an empty one
                self._given_up += 1
            if self._given_up >= _IN_A_ROW:
                raise self._stop(
                    f"{self._given_up} requests in a row were given up; the last one because of: "
                    f"{error.detail}",
                    f"{_way_out(error)}; finished conversations are kept, and the same command goes on.",
                ) from None
            raise Unanswered(error.reason, error.detail) from None
        self._given_up = 0
        return answer

    async def _once(self, model: str, messages: list[dict[str, str]]) -> Answer:
        most = most_tokens(messages)
        async with self._gate:
            held = await self._set_aside(most, self.sampling.max_tokens)
            worst: Usage | None = Usage(1, *held, guessed=1)
            used: Usage | None = None
            try:
                await self._requests.wait()
                await self._tokens.wait(most / 4 + self.sampling.max_tokens / 4)
                used = worst  # until the server says what it was; a lost answer may have been charged
                answer = await self._send(model, messages, held)
                used = answer.usage
                return answer
            except Unanswered as error:
                used = used if error.reason == "cut_off" else None  # it has been written, if for nothing
                raise
            except Stopped:
                used = None
                raise
            except Again as error:
                used = used if error.charged else None
                raise
            finally:
                self.account.settle(held, used)
                self._settled.set()

    async def _set_aside(self, prompt: int, completion: int) -> tuple[int, int]:
        """Waits until the budget has room even if every request under way takes the most it can."""
        while True:
            if self._stopped is not None:
                raise Stopped(self._stopped)
            if self.account.fits(prompt, completion):
                return self.account.hold(prompt, completion)
            if not self.account.held:
                spent = self.account.spent
                raise self._stop(
                    f"the next request could exceed the budget: {spent.prompt + spent.completion:,} tokens "
                    f"in {spent.requests:,} requests were used, for {self.account.cost:.2f}",
                    "Raise synth.limits.budget or synth.limits.most_tokens; finished conversations are kept, "
                    "and the same command goes on.",
                )
            self._settled.clear()
            await self._settled.wait()

    async def _send(self, model: str, messages: list[dict[str, str]], held: tuple[int, int]) -> Answer:
        import openai

        drawn = {"temperature": self.sampling.temperature, "top_p": self.sampling.top_p}
        asked = self._client.chat.completions.with_streaming_response.create(
            model=model,
            messages=messages,  # type: ignore[arg-type]
            extra_body={
                self._limit: self.sampling.max_tokens,
                **{name: value for name, value in drawn.items() if value is not None},
            },
        )
        try:
            text = await asyncio.wait_for(body_of(asked), self.limits.seconds)
        except (TimeoutError, openai.APITimeoutError):
            raise Again("timeout", f"no answer within {self.limits.seconds:g} s") from None
        except openai.APIStatusError as error:
            raise self._status(error, model) from None
        except openai.APIConnectionError as error:
            raise Again("broken", f"no connection ({self._plain(error.__cause__ or error)})") from None
        except openai.OpenAIError as error:
            raise Again("garbage", self._plain(error)) from None
        return read_answer(text, held, self.sampling.max_tokens, self._plain)

    def _status(self, error: Any, model: str) -> Exception:
        """What an HTTP error means: try again, give this request up, or stop."""
        code, said = error.status_code, self._plain(_words_of(error))
        over = getattr(error, "code", None) in _OVER or any(word in said for word in _OVER)
        if over or code == 402:
            return self._stop(
                f"the quota is used up ({said})",
                "Finished conversations are kept; the same command goes on once there is quota.",
            )
        if code in (401, 403):
            variable = self._variable or "synth.key_variable"
            return self._stop(
                f"it asks for a login ({said})", f"Set {variable} to a key that may use {model}."
            )
        if code == 404:
            return self._stop(
                f"it does not serve the model {model} ({said})",
                "Give the address with the version, as in http://localhost:8000/v1, and a model it serves.",
            )
        if code == 429:
            return Again("busy", said, _asked_pause(error.response.headers), charged=False)
        if code in (408, 409) or code >= 500:
            return Again(
                "broken", f"HTTP {code} ({said})", _asked_pause(error.response.headers), charged=False
            )
        if _NEWER in said:  # others may be under way that say it in the old way
            self._limit = _NEWER
            return Again("refused", said, 0.0, charged=False)
        return Unanswered("refused", f"HTTP {code} ({said})")

    def _stop(self, what: str, fix: str) -> Stopped:
        self._stopped = self._stopped or UserError(what, where=self.address, fix=fix)
        self._settled.set()
        return Stopped(self._stopped)

    def _plain(self, said: Any) -> str:
        """What a server said, on one line, cut, and without the key."""
        text = " ".join(str(said).split())
        if self._key:
            text = text.replace(self._key, "…")
        return text[:300]


def _way_out(error: Again | Unanswered) -> str:
    """What may help where requests are given up."""
    if error.reason == "refused" and (named := [one for one in _DRAWN if one in error.detail]):
        keys = " or ".join(f"synth.sampling.{one}" for one in named)
        return f"Set {keys} to what this model takes, or to null, which sends none"
    return "Look at the server, or raise synth.limits.seconds"


def _words_of(error: Any) -> str:
    """What a server said with an HTTP error; the client knows OpenAI's form alone, and leaves out others."""
    said, body = str(error), error.body
    if " - " in said or not body:
        return said
    return f"{said} - {body if isinstance(body, str) else json.dumps(body)}"


def _asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After`, which may be a date."""
    said = headers.get("retry-after", "")
    try:
        return min(_LONGEST_PAUSE, max(0.0, float(said)))
    except ValueError:
        pass
    try:
        seconds = parsedate_to_datetime(said).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(_LONGEST_PAUSE, max(0.0, seconds))


def _pause(state: RetryCallState) -> float:
    """What the server asks for, or twice as long each time, with some chance so that not all come at once."""
    failed = state.outcome.exception() if state.outcome else None
    if isinstance(failed, Again) and failed.pause is not None:
        return failed.pause
    return min(_LONGEST_PAUSE, 0.5 * 2 ** (state.attempt_number - 1)) * (0.5 + random.random())
