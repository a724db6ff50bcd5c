"""A model's own chat template, whatever family it is of, as the prompt protocol uses it.

Templates differ in which roles they take, in how they end an answer and in whether they open a thought. All
of that is found out by rendering short conversations, so that no list of families is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from ..calls.markers import CALL_CLOSE, CALL_OPEN, RESULT_CLOSE, RESULT_OPEN, THINK_CLOSE, THINK_OPEN
from ..errors import UserError
from .messages import Message

if TYPE_CHECKING:
    from jinja2 import Template

#: What templates may ask for besides the messages: Llama 3.1 and later print a date, which must not be
#: today's, or a row would have other tokens tomorrow; hybrid models close an empty thought unless they may
#: think.
_VARIABLES = {"date_string": "26 Jul 2024", "enable_thinking": True}
_TAG = re.compile(r"\s*(<[^<>\s]+>|\[/?[A-Z_]+\])")
_FIX = "Use the chat template of an instruct model of the same family (chat_template.jinja in its folder)"


@dataclass(frozen=True)
class TemplateForm:
    """What was found out about a chat template.

    Attributes:
        system: Whether it takes a system message; if not, its text opens the first user message.
        tool: Whether it takes tool messages; if not, a result is shown in a user message, inside the tags
            that Qwen's template writes.
        close: What follows an answer: the token that ends it, and the white space after that.
    """

    system: bool
    tool: bool
    close: str

    def adapted(self, messages: Sequence[Message]) -> list[Message]:
        """The messages in the roles that the template takes."""
        ready = list(messages)
        if not self.tool:
            ready = [
                {"role": "user", "content": f"{RESULT_OPEN}\n{one['content']}\n{RESULT_CLOSE}"}
                if one["role"] == "tool"
                else one
                for one in ready
            ]
        if not self.system and ready and ready[0]["role"] == "system":
            first = ready.pop(0)["content"]
            if ready and ready[0]["role"] == "user":
                first = f"{first}\n\n{ready.pop(0)['content']}"
            ready.insert(0, {"role": "user", "content": first})
        return ready


_Render = Callable[[list[Message], bool], str]


def render(messages: Sequence[Message], tokenizer_or_template: Any) -> str:
    """The prompt's text by the model's own template, generation prompt included.

    Args:
        messages: As they shall be shown, escaped and with tool results merged.
        tokenizer_or_template: A Hugging Face tokenizer, or a chat template in Jinja.

    Raises:
        UserError: if the template cannot render such conversations.
    """
    renderer = _renderer(tokenizer_or_template)
    return renderer(form_of(tokenizer_or_template).adapted(messages), True)


def turn_close(tokenizer_or_template: Any) -> str:
    """What ends an answer: a model's `<|im_end|>` or `<|eot_id|>`, with the white space behind it.

    Raises:
        UserError: if the template ends answers with no token of its own.
    """
    return form_of(tokenizer_or_template).close


def form_of(tokenizer_or_template: Any) -> TemplateForm:
    """What was found out about the template; asked once for each.

    Raises:
        UserError: if it cannot render a conversation of a user and an assistant.
    """
    key = key_of(tokenizer_or_template)
    found = _FORMS.get(key)
    if found is None:
        found = _FORMS[key] = _probe(_renderer(tokenizer_or_template), specials_of(tokenizer_or_template))
    return found


def structure(tokenizer: Any) -> list[str]:
    """The special tokens that the template itself writes, without the protocol's own tags.

    A text that holds one of them would end a turn or begin one.
    """
    tags = (THINK_OPEN, THINK_CLOSE, CALL_OPEN, CALL_CLOSE, RESULT_OPEN, RESULT_CLOSE)
    shown = render([_TOLD, _ASKS, _SAYS, _AGAIN], tokenizer)
    return [
        token for token in specials_of(tokenizer) if token in shown and token not in tags and token.strip()
    ]


_FORMS: dict[tuple[str, ...], TemplateForm] = {}


def key_of(source: Any) -> tuple[str, ...]:
    """What tells one template and its tokenizer from another."""
    if isinstance(source, str):
        return (source,)
    ends = (str(getattr(source, name, None)) for name in ("bos_token", "eos_token"))
    return (str(getattr(source, "chat_template", None)), *ends)


def specials_of(source: Any) -> list[str]:
    """The texts of a tokenizer's special tokens, the longest first; empty for a template alone."""
    added = (getattr(source, "added_tokens_decoder", None) or {}).values()
    return sorted((str(one.content) for one in added if one.special), key=len, reverse=True)


def _renderer(source: Any) -> _Render:
    if isinstance(source, str):
        template = _compiled(source)
        return lambda messages, go_on: str(
            template.render(messages=messages, add_generation_prompt=go_on, **_VARIABLES)
        )
    return lambda messages, go_on: cast(
        str,
        source.apply_chat_template(messages, tokenize=False, add_generation_prompt=go_on, **_VARIABLES),
    )


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    # The same environment as transformers builds for a chat template.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    return environment.from_string(source)


#: Words that no template writes by itself.
_SYSTEM, _USER, _ANSWER, _RESULT, _MORE = "Sysqx", "Userqx", "Answerqx", "Resultqx", "Moreqx"
_TOLD: Message = {"role": "system", "content": _SYSTEM}
_ASKS: Message = {"role": "user", "content": _USER}
_SAYS: Message = {"role": "assistant", "content": _ANSWER}
_AGAIN: Message = {"role": "user", "content": _MORE}


def _probe(renderer: _Render, specials: Sequence[str]) -> TemplateForm:
    system = _takes(renderer, [_TOLD, _ASKS], _SYSTEM)
    head = [_TOLD] if system else []  # which some templates count on
    last, amid, prompt = _conversations(renderer, head)
    if _USER not in last or _ANSWER not in last or _MORE not in amid or _ANSWER not in amid:
        raise UserError("the chat template leaves out parts of a conversation", fix=_FIX)
    if prompt.rstrip().endswith(THINK_CLOSE):
        raise UserError(
            "the chat template closes an empty thought in every prompt (…</think>), and the prompt protocol "
            "opens one",
            fix="Use a template that lets the model think",
        )
    return TemplateForm(
        system=system,
        tool=_takes(renderer, [*head, _ASKS, _SAYS, {"role": "tool", "content": _RESULT}], _RESULT),
        close=_close(last.rpartition(_ANSWER)[2], amid.rpartition(_ANSWER)[2], specials),
    )


def _conversations(renderer: _Render, head: list[Message]) -> tuple[str, str, str]:
    """A conversation that ends in an answer, one that goes on after it, and a prompt."""
    from jinja2.exceptions import SecurityError

    try:
        return (
            renderer([*head, _ASKS, _SAYS], False),
            renderer([*head, _ASKS, _SAYS, _AGAIN], False),
            renderer([*head, _ASKS], True),
        )
    except SecurityError:
        raise
    except Exception as error:  # a template may raise whatever it likes
        why = " ".join(str(error).split())[:200]
        raise UserError(f"the chat template cannot render a conversation ({why})", fix=_FIX) from None


def _takes(renderer: _Render, messages: list[Message], word: str) -> bool:
    try:
        return renderer(messages, True).count(word) == 1
    except Exception:  # which is how templates say no
        return False


def _close(last: str, amid: str, specials: Sequence[str]) -> str:
    """The end of an answer, from what follows one at the end of a conversation and within one."""
    shared = _common(last, amid)
    lead = len(shared) - len(shared.lstrip())
    end = next((token for token in specials if shared.startswith(token, lead)), "")
    if not specials and (match := _TAG.match(shared)):
        end = match[1]
    if not end or lead:
        raise UserError(
            "the chat template ends an answer with no token of its own, so no model can learn to stop",
            fix=_FIX,
        )
    space = len(shared) - len(shared[len(end) :].lstrip())
    return shared[: max(space, len(end))]


def _common(one: str, other: str) -> str:
    pairs = zip(one, other, strict=False)
    return one[: next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))]


def opened(prompt: str) -> str:
    """The prompt with its thought opened once: templates of thinking models have done it already."""
    bare = prompt.rstrip()
    return bare if bare.endswith(THINK_OPEN) else prompt + THINK_OPEN
