"""Calls between tags or special tokens: Hermes, Glaive, Nemotron, Granite, DeepSeek, Kimi, InternLM …

All of them name what they are (`<tool_call>`, `<functioncall>`, `<TOOLCALL>`, `<|tool_call|>`,
`<｜tool▁calls▁begin｜>`, `<|tool_calls_section_begin|>`, `<minimax:tool_call>` …), so one pattern finds them,
and one reader takes what stands between them. Mistral's `[TOOL_CALLS]`, Llama's `<|python_tag|>`, Phi's
`functools[…]`, Gorilla's `<<function>>` and Qwen-Agent's `✿FUNCTION✿:` have an opening mark only.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..types import Call
from .body import read_body
from .elements import ELEMENT, SPACE
from .reading import Unreadable

_TAG = re.compile(
    r"""<(?P<close>/|[|｜]/)?[|｜]?(?:\w{1,12}:|DSML[|｜]|(?!start_|end_)[a-z]\w{0,20}_(?=(?:tool|function)_calls?>))?
          (?P<word>(?:start_|end_)?(?:tool|function)[_▁\ ]?(?:call(?:s|ing)?|uses?|code)(?:[_▁]section)?
                   (?:[_▁](?:begin|start|end))?
           |FunctionCall(?:Begin|End)
           |(?<=[|｜])(?:action_(?:start|end)|plugin|(?:START|END)_ACTION|tools_(?:prefix|suffix)
                    |python_(?:tag|start|end)))
        [|｜]?>
        |(?P<mark>\[(?P<shut>/)?TOOL_CALLS\]|\bfunctools(?=\s*\[)|<<function>>|✿FUNCTION✿:)""",
    re.VERBOSE | re.IGNORECASE,
)
_END_WORD = re.compile(r"end_|.*end\Z|.*end_action|.*_suffix\Z", re.IGNORECASE)
_ELEMENT_END = re.compile(rf"</(?:function|{SPACE}invoke|{SPACE}parameter|arg_value)>")
_NAME = r"[^\W\d][\w.:-]*+"
_PAYLOAD = re.compile(
    rf"""(?:\s|\\[nrt]|```\w*+)*
         (?:\{{|\[\s*(?:\{{|\]|[^\W\d][\w.]*\s*\()|{ELEMENT.pattern}|<[|｜]
           |{_NAME}(?:\(|\s*\{{|\[(?:ARGS|CALL_ID)\]|\s*<arg_key>|<[|｜]|\s*✿))""",
    re.VERBOSE | re.IGNORECASE,
)
_NOT_PROSE = re.compile(r"[{}=\[\]<>]|\w\(")
_ENDS = (
    *("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|end_of_text|>", "</s>"),
    "<｜end▁of▁sentence｜>",
)


def without_end(text: str) -> str:
    """The text without the mark that models put behind all they write."""
    bare = text.rstrip()
    end = next((mark for mark in _ENDS if bare.endswith(mark)), None) if bare[-1:] == ">" else None
    return bare.removesuffix(end) if end else text


def find_tags(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """Where tagged calls begin and end, from the first mark to the last; None without any.

    A mark that is only spoken of ("put it into <tool_call> tags") is followed by nothing like a call.
    """
    if "<" not in text and "TOOL_CALLS]" not in text and "functools" not in text and "✿" not in text:
        return None
    start, end, opened = -1, -1, -1
    tags = list(_TAG.finditer(text))
    for place, tag in enumerate(tags):
        if _closes(tag):
            inside = text[opened : tag.start()] if opened >= 0 and start < 0 else ""
            if inside.strip() in tool_names or _NOT_PROSE.search(inside):
                start = _first_of(tags[:place], text)
            end, opened = tag.end(), -1
            continue
        if start < 0 and (_PAYLOAD.match(text, tag.end()) or _is_token(text, tag)):
            start = _first_of(tags[: place + 1], text)
        end, opened = len(text), tag.end()
    element = ELEMENT.search(text) if "<" in text else None
    if element is not None and (start < 0 or element.start() < start):
        start, end = element.start(), max(end, len(text) if not _ELEMENT_END.search(text) else -1)
    if start < 0:
        return None
    if opened < 0:
        end = max([end, *(match.end() for match in _ELEMENT_END.finditer(text, start))])
    return start, end


def _closes(tag: re.Match[str]) -> bool:
    word = tag["word"]
    return bool(tag["close"] or tag["shut"]) or (word is not None and _END_WORD.match(word) is not None)


def _first_of(tags: list[re.Match[str]], text: str) -> int:
    """Where the opening tags begin whose last one stands right before a call: `<tool_calls>` around it."""
    start = tags[-1].start()
    for tag in reversed(tags[:-1]):
        if _closes(tag) or text[tag.end() : start].strip():
            break
        start = tag.start()
    return start


def _is_token(text: str, tag: re.Match[str]) -> bool:
    """Whether a mark is a token of its own, as nobody spells one in prose, at the beginning of a text."""
    return tag.group().startswith(("<|", "<｜")) and not text[: tag.start()].strip()


def read_tags(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """The calls of what `find_tags` found.

    Raises:
        Unreadable: something between the tags is not a call.
    """
    calls: list[Call] = []
    at = 0
    for tag in [*_TAG.finditer(text), None]:
        part = text[at : tag.start() if tag else len(text)]
        at = tag.end() if tag else at
        if not part.replace("\\n", "").strip():
            continue
        if tag and _closes(tag) and part.strip() in tool_names:  # GLM: a name alone has no arguments
            calls.append(Call(part.strip()))
            continue
        if tag is None and "<arg_key>" in part:
            raise Unreadable("call_tags", "the tag of a call is not closed")
        calls += read_body(part, tool_names)
    if not calls:
        raise Unreadable("call_tags", "there is nothing between the tags of a call")
    return calls
