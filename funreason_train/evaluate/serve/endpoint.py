"""A model behind an OpenAI completions endpoint, ours (`serve.py`) or anyone's."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from types import TracebackType
from typing import Any

from ...errors import UserError
from ...run.files import MISSHAPEN
from .generate import Generated, Sampling

_TIMEOUT = 7200.0  # seconds for one completion; 20,000 tokens of a busy 4B model take minutes
_PAUSES = (0.5, 2.0, 8.0)  # seconds before each further attempt at a request that was lost or rejected
_BUSY = (429, 502, 503, 504)  # HTTP: try again later


def served_models(endpoint: str, timeout: float = 10.0) -> list[dict[str, Any]]:
    """What an endpoint serves: the entries of its `/models`.

    Raises:
        UserError: if it does not answer as an OpenAI endpoint does.
    """
    url = endpoint.rstrip("/") + "/models"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return [one for one in json.load(answer)["data"] if isinstance(one, dict) and "id" in one]
    except (OSError, http.client.HTTPException, *MISSHAPEN) as error:
        raise UserError(
            f"the endpoint does not answer ({error})",
            where=url,
            fix="Start the server first, and give its address with the version, as in http://localhost:8000/v1",
        ) from None


def choose_served(endpoint: str, wanted: str | None, path: str) -> str:
    """The name under which an endpoint serves the model that is to be evaluated.

    Args:
        endpoint: Its address, ending in `/v1`.
        wanted: The name that the user gave, if any.
        path: The model's folder, whose tokenizer and chat template render the prompts.

    Raises:
        UserError: if it does not answer, or serves another model.
    """
    models = served_models(endpoint)
    names = [str(model["id"]) for model in models]
    if wanted is not None:
        if wanted in names:
            return wanted
    else:
        for model in models:
            if path in (model.get("id"), model.get("root")):
                return str(model["id"])
    raise UserError(
        f"the endpoint serves {', '.join(names) or 'nothing'}, not {wanted or path}",
        where=endpoint,
        fix="Name what it serves with eval.served_name=NAME, if that is the model whose folder is given",
    )


class EndpointGenerator:
    """A `Generator` that sends each prompt's token ids to `/completions`, many requests at a time."""

    def __init__(
        self,
        endpoint: str,
        name: str | None,
        concurrency: int,
        inbox: queue.SimpleQueue[Any] | None = None,
    ) -> None:
        """Opens no connection yet; `inbox` is where completions and errors are put (else: our own queue)."""
        self._url = endpoint.rstrip("/") + "/completions"
        self._name = name
        self._waiting: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        # Not a pool of the library's, which at the end of a process waits for every answer on its way.
        self._most, self._workers, self._idle = concurrency, 0, threading.Semaphore(0)
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue() if inbox is None else inbox

    def __enter__(self) -> EndpointGenerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(queue.Empty):  # what has not been asked for is not any more
            while True:
                self._waiting.get_nowait()
        for _ in range(self._workers):
            self._waiting.put(None)

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """Queues a request; see `Generator`."""
        body = {
            "model": self._name,
            "prompt": prompt,
            "max_tokens": sampling.room(len(prompt)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed_of(key),
            "user": key,  # for the server's log
        }
        self._waiting.put((key, body))
        if not self._idle.acquire(blocking=False) and self._workers < self._most:
            self._workers += 1
            threading.Thread(target=self._work, name=f"completions-{self._workers}", daemon=True).start()

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            self._complete(*asked)
            self._idle.release()

    def collect(self) -> list[Any]:
        """Waits for at least one completion, or for what others put into the inbox; see `Generator`.

        Raises:
            RuntimeError: the endpoint refused a request or went away.
        """
        found = [self.inbox.get()]
        while not self.inbox.empty():
            found.append(self.inbox.get())
        for item in found:
            if isinstance(item, Exception):
                raise RuntimeError(f"{self._url}: {item}") from item
        return found

    def _complete(self, key: str, body: dict[str, Any]) -> None:
        try:
            value = self._post(json.dumps(body).encode())
            choice = value["choices"][0]
            tokens = int((value.get("usage") or {}).get("completion_tokens") or 0)
            self.inbox.put(
                Generated(key, str(choice["text"]), tokens, str(choice.get("finish_reason") or ""))
            )
        except Exception as error:  # handed to the thread that collects
            self.inbox.put(error)

    def _post(self, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        for pause in (*_PAUSES, None):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                if pause is None or error.code not in _BUSY:
                    detail = error.read(2000).decode("utf-8", "replace")
                    raise RuntimeError(f"{error.code} {error.reason}: {detail}") from None
            except (OSError, http.client.HTTPException):
                if pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")
