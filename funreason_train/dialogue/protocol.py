"""The prompt protocol: the only place where a prompt or a training target is rendered.

Source: the handler in FunReason-MT's model card. Tools stand as JSON in the system message; consecutive tool
messages become one whose content is the Python `str` of their list; the prompt ends in a literal `<think>`;
earlier answers stand in the history without their thoughts.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, get_args

from ..calls.markers import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, TOKEN_LIKE
from ..calls.render import render_calls
from ..calls.types import Call
from ..errors import UserError
from ..plain import last, once
from . import chat_template
from .announced import offered
from .escape import EscapedText, escape_answer, escape_markers
from .messages import AssistantStep, Message, Step, Trajectory
from .shield import shielded

PromptStyle = Literal["bfcl", "bfcl_readable", "compact"]

QWEN_CHAT_TEMPLATE = files(__package__).joinpath("qwen.jinja").read_text(encoding="utf-8")
"""The chat template that ships with our own tokenizers; any chat template without think handling will do."""


class MergedResults(EscapedText):
    """The content of a merged tool message: marks it, so that merging again leaves it alone."""

    __slots__ = ()


def merge_tool_messages(messages: Iterable[Message]) -> list[Message]:
    """Replaces each run of tool messages by one, whose content is `str` of the list of theirs, escaped.

    A single tool message is wrapped as well: `ok` becomes `['ok']`. Merging twice in one process changes
    nothing; messages that were merged, written to a file and read back look like any others and must not be
    merged again.
    """
    merged: list[Message] = []
    results: list[str] = []

    def flush() -> None:
        if results:
            merged.append({"role": "tool", "content": MergedResults(escape_markers(str(results)))})
            results.clear()

    for message in messages:
        if message["role"] == "tool" and not isinstance(message["content"], MergedResults):
            results.append(message["content"])
        else:
            flush()
            merged.append(message)
    flush()
    return merged


def ready_messages(messages: Iterable[Message]) -> list[Message]:
    """Messages as an export holds them and a chat template takes them: tool messages merged, markers escaped.

    Doing it twice in one process changes nothing; see `merge_tool_messages`.
    """
    return [
        {
            "role": message["role"],
            "content": (escape_answer if message["role"] == "assistant" else escape_markers)(
                message["content"]
            ),
        }
        for message in merge_tool_messages(messages)
    ]


def system_prompt(
    tools: Sequence[Mapping[str, Any]], style: PromptStyle = "bfcl", instructions: str | None = None
) -> str:
    """The system message that offers tools.

    Args:
        tools: `{"name", "description", "parameters"}`, written as JSON in the order given.
        style: `bfcl`: BFCL's own default prompt, JSON indented by 4, as in its evaluation, where letters
            beyond ASCII stand as `\\uXXXX`. `bfcl_readable`: the same with the letters themselves. `compact`:
            one line and JSON without white space, for tiny models.
        instructions: A data set's own system message; follows after an empty line, as BFCL does it.

    Raises:
        UserError: there is no such style.
    """
    if style not in get_args(PromptStyle):
        raise UserError(f"there is no prompt style {style!r}", fix=f"Use one of {get_args(PromptStyle)}")
    if style != "compact":
        listed = ",\n".join(map(_indented if style == "bfcl" else _readable, tools))
        functions = f"[\n{listed}\n]" if listed else "[]"
    else:
        functions = json.dumps(list(tools), separators=(",", ":"), ensure_ascii=False)
    if "<" in functions:
        functions = TOKEN_LIKE.sub(lambda match: "\\u003c" + match[0][1:], functions)
    prompt = _prompt_text(style).replace("{functions}", functions)
    if not instructions:
        return prompt
    shown = escape_markers(instructions)
    return type(shown)(f"{prompt}\n\n{shown}")


@once(8192)
def _indented(tool: Mapping[str, Any]) -> str:
    """A list's element as `json.dumps(…, indent=4)` writes it, which is slow; tools repeat between rows."""
    return textwrap.indent(json.dumps(tool, indent=4), "    ")


@once(8192)
def _readable(tool: Mapping[str, Any]) -> str:
    return textwrap.indent(json.dumps(tool, indent=4, ensure_ascii=False), "    ")


def prompt_style(protocol: Mapping[str, Any]) -> PromptStyle:
    """The style that the node `protocol` of the configuration asks for, by `system` and `escape`."""
    if protocol["system"] == "bfcl" and protocol.get("escape") is False:
        return "bfcl_readable"
    style: PromptStyle = protocol["system"]
    return style


@lru_cache
def _prompt_text(style: str) -> str:
    style = style.removesuffix("_readable")
    return files(__package__).joinpath("prompts", f"{style}.txt").read_text(encoding="utf-8")


def render_prompt(messages: Iterable[Message], tokenizer_or_template: Any, *, merged: bool = False) -> str:
    """The text that a model continues: chat template with generation prompt, then `<think>`.

    A template that opens the thought by itself, as those of thinking models do, gets no second one. Special
    tokens of the tokenizer in a message's text stay text (see `shield`).

    Args:
        messages: The conversation, system message first.
        tokenizer_or_template: A Hugging Face tokenizer, or a chat template in Jinja.
        merged: Whether the messages went through `ready_messages` already (rows read back from an export).

    Raises:
        UserError: the chat template cannot render such conversations.
    """
    ready = list(messages) if merged else ready_messages(messages)
    shown = shielded(ready, tokenizer_or_template)
    return chat_template.opened(chat_template.render(shown, tokenizer_or_template))


def render_answer(calls: Sequence[Call], text: str = "", *, tagged: bool = False) -> str:
    """What follows the thought: the call list, or the text of a response without calls, escaped.

    Args:
        calls: The calls made.
        text: Used when there are no calls.
        tagged: Whether a call list stands inside `<tool_call>` tags, as in the paper's examples.
    """
    if not calls:
        return escape_markers(text.strip())
    rendered = render_calls(calls)
    return f"{CALL_OPEN}\n{rendered}\n{CALL_CLOSE}" if tagged else rendered


@last
def rendered_answers(trajectory: Trajectory) -> list[str]:
    """`render_answer` of each response of a conversation, in order.

    Raises:
        ValueError: a call that the language cannot write (see `render_calls`).
    """
    return [render_answer(step.calls, step.text) for turn in trajectory.turns for step in turn.steps]


def render_target(thought: str, answer: str) -> str:
    """The completion to learn after the prompt's own `<think>`; `read_completion` reads it back.

    Args:
        thought: As its source wrote it.
        answer: From `render_answer`.
    """
    return f"\n{escape_markers(thought.strip())}\n{THINK_CLOSE}\n\n{answer}"


def steps_of(trajectory: Trajectory, *, style: PromptStyle = "bfcl", tagged: bool = False) -> list[Step]:
    """Cuts a trajectory at each assistant response.

    The prompt of a step is everything before it without any thought; its target is its thought and answer.

    Args:
        trajectory: One conversation.
        style: Of the system prompt.
        tagged: Whether call lists stand inside `<tool_call>` tags, in the history too.

    Raises:
        ValueError: a call that the language cannot write (see `render_calls`).
    """
    system = system_prompt(trajectory.tools, style, trajectory.system)
    history: list[Message] = [{"role": "system", "content": system}]
    steps: list[Step] = []
    tools = trajectory.tools
    for turn_number, turn in enumerate(trajectory.turns):
        tools = tuple(offered(tools, (turn.user,)))
        history.append({"role": "user", "content": escape_markers(turn.user)})
        for response_number, response in enumerate(turn.steps):
            answer = render_answer(response.calls, response.text, tagged=tagged)
            steps.append(
                Step(
                    id=f"{trajectory.id}/{turn_number}.{response_number}",
                    source=trajectory.source,
                    messages=tuple(history),
                    thought=response.thought.strip(),
                    answer=answer,
                    calls=tuple(response.calls),
                    tools=tools,
                    meta=trajectory.meta,
                )
            )
            history.append({"role": "assistant", "content": answer})
            history.extend(_results(response))
    return steps


def _results(response: AssistantStep) -> list[Message]:
    return merge_tool_messages({"role": "tool", "content": result} for result in response.results)
