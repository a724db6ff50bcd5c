"""What a server's response holds, which may be an answer, or anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...calls import Call, CallSyntaxError, parse_calls, render_calls
from .account import Usage

_BEYOND = 100  # times the most tokens that a request can have taken, from which on nobody is believed
_THOUGHTS = ("thinking", "reasoning")  # parts of a message that say nothing to the user
_EVENTS = re.compile(r"\s*(?::[^\n]*\n\s*|event:[^\n]*\n)*data:")
LARGEST = 4 * 2**20
"""Bytes of one answer."""


class Unanswered(Exception):
    """One request that was given up.

    Args:
        reason: `timeout`, `busy`, `broken`, `garbage`, `cut_off` or `refused`.
        detail: In the server's words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Again(Exception):
    """One try that failed in a way that may pass.

    Args:
        reason: As of `Unanswered`.
        detail: In the server's words.
        pause: Seconds that the server asks for.
        charged: Whether it may have cost something all the same.
    """

    def __init__(self, reason: str, detail: str, pause: float | None = None, *, charged: bool = True) -> None:
        self.reason, self.detail, self.pause, self.charged = reason, detail, pause, charged
        super().__init__(detail)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        text: The message.
        thought: What the server says was thought before it, if it keeps the two apart.
        usage: What it took.
    """

    text: str
    thought: str
    usage: Usage


def read_answer(text: str, held: tuple[int, int], most: int, plain: Callable[[Any], str]) -> Answer:
    """The answer in a response's body, which may be anything.

    Args:
        text: The body.
        held: The most tokens, sent and written, that it can have taken.
        most: Tokens that it could have.
        plain: Makes what a server said fit for an error.

    Raises:
        Again: it is no answer.
        Unanswered: nothing was said within the tokens that it could have.
    """
    try:
        value = _joined(text) if _EVENTS.match(text) else json.loads(text)
        choice = value["choices"][0]
        message = choice["message"]
        said = _with_calls(_in_parts(message.get("content")), _native_calls(_called(message)))
        said = said or message.get("refusal") or ""
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        if not isinstance(said, str) or not isinstance(thought, str):
            raise TypeError("the message is no text")
        if not said + thought:
            if choice.get("finish_reason") == "length":
                raise Unanswered("cut_off", f"nothing was said within max_tokens={most}")
            raise TypeError("the message is empty")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        shown = plain(text[:2000])
        page = shown[:200].lower().startswith(("<!doctype", "<html"))
        what = "a web page, as of a login," if page else "not a chat completion"
        raise Again("garbage", f"the answer is {what}: {shown or 'empty'}") from None
    return Answer(_writable(said), _writable(thought), _usage(value.get("usage"), held))


def _joined(text: str) -> dict[str, Any]:
    """The completion in a stream of events, which some servers send whether or not they are asked for one.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: It is none, or it broke off.
    """
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    chunks = [json.loads(line) for line in lines if line not in ("", "[DONE]")]
    message: dict[str, Any] = {}
    reason, usage, calls = None, None, dict[int, dict[str, Any]]()
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"][:1]:
            reason = choice.get("finish_reason") or reason
            for key, part in (choice.get("delta") or {}).items():
                if isinstance(part, str) and key != "role":
                    message[key] = message.get(key, "") + part
                for one in (part or ()) if key == "tool_calls" else ():
                    call = calls.setdefault(one.get("index", len(calls)), {"name": "", "arguments": ""})
                    for name in call:
                        call[name] += one["function"].get(name) or ""
    if reason is None and "[DONE]" not in lines:
        raise ValueError("it broke off")
    message["tool_calls"] = [{"function": one} for one in calls.values()]
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


async def body_of(asked: Any) -> str:
    """A response's body as text, whatever it holds; not more of it than an answer can have."""
    parts, size = [], 0
    async with asked as response:
        try:
            async for part in response.iter_bytes():
                size += len(part)
                if size > LARGEST:
                    raise Again("garbage", f"the answer has more than {LARGEST:,} bytes")
                parts.append(part)
        except Again:
            raise
        except Exception as error:  # of whatever the client's HTTP library is
            if "timeout" in type(error).__name__.lower():
                raise TimeoutError from None
            raise Again("broken", f"the answer broke off ({error})") from None
    return b"".join(parts).decode("utf-8-sig", "replace")  # some servers send a byte order mark


def _in_parts(content: Any) -> Any:
    """A message's content; some servers send it as a list of parts, of which the texts are what was said.

    Raises:
        TypeError: A part is neither a text nor a thought.
    """
    if not isinstance(content, list):
        return content
    if unread := {part["type"] for part in content} - {"text", *_THOUGHTS}:
        raise TypeError(f"parts of the message are {', '.join(map(str, unread))}")
    return "".join(part["text"] for part in content if part["type"] == "text")


def _with_calls(said: Any, called: str) -> Any:
    """A message with the calls that a server took out of its text, unless they still stand there as well."""
    if not called or not isinstance(said, str) or not said.strip():
        return said or called
    try:
        stand_there = bool(parse_calls(said.strip().rpartition("\n")[2]))
    except CallSyntaxError:
        stand_there = False
    return said if stand_there else f"{said.rstrip()}\n\n{called}"


def _called(message: Mapping[str, Any]) -> Any:
    """The calls of a message; older servers have one, under another name."""
    one = message.get("function_call")
    return message.get("tool_calls") or ([{"function": one}] if one else None)


def _native_calls(told: Any) -> str:
    """Calls that a server took out of the text, as the text that they stood in; empty if there are none.

    Raises:
        ValueError, KeyError, TypeError: they are not calls.
    """
    calls = []
    for one in told or ():
        arguments = one["function"]["arguments"]
        read = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        calls.append(Call(str(one["function"]["name"]), dict(read)))
    return render_calls(calls) if calls else ""


def _writable(text: str) -> str:
    """A text that every file and every request can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _usage(told: Any, held: tuple[int, int]) -> Usage:
    """The tokens of a request; where the server tells none, the most they can have been."""
    told = told if isinstance(told, Mapping) else {}
    numbers = [told.get("prompt_tokens"), told.get("completion_tokens")]
    known = [
        one if isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= _BEYOND * most else None
        for one, most in zip(numbers, held, strict=True)
    ]
    prompt, completion = (most if one is None else one for one, most in zip(known, held, strict=True))
    return Usage(1, prompt, completion, int(None in known))
