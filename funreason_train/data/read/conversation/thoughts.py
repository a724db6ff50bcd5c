"""Where a response's thought ends and its answer begins, in the marks of several families.

`<think>` is read strictly. Other marks count where a response begins with them: `[THINK]` (Magistral),
`<thinking>`, `<thought>`, `<reasoning>`, `<scratch_pad>` (Hermes), `<seed:think>`, `◁think▷` (Kimi),
`<|begin_of_thought|>`, `<|START_THINKING|>` (Command A), the channels of gpt-oss, and ReAct's `Thought:`
where a `Final Answer:` follows. Behind a thought, marks around the answer go too (`<response>`,
`<|begin_of_solution|>`).
"""

from __future__ import annotations

import re

from ..rows import RowError

FLAG = "other_thought_marks"

_OPEN = re.compile(r"<think(?:\s[^<>\n]{0,200})?>")
_MARKED = re.compile(
    r"""\A(?:<(?P<tag>think(?:ing)?|thoughts?|reasoning|scratch_?pad|seed:think)(?:\s[^<>]*)?>(?P<a>.*?)</(?P=tag)>
        |\[THINK\](?P<b>.*?)\[/THINK\]
        |◁think▷(?P<c>.*?)◁/think▷
        |<\|begin_of_thought\|>(?P<d>.*?)<\|end_of_thought\|>
        |<\|START_THINKING\|>(?P<e>.*?)<\|END_THINKING\|>
        |(?:ASSISTANT[ ])?Thought:(?P<f>.*?)\n[^\S\n]*(?:ASSISTANT[ ])?(?=Final[ ]Answer:))""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_BEGUN = re.compile(r"\A(?:\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>)")
_CHANNEL = re.compile(
    r"""\s*(?:<\|start\|>assistant)?<\|channel\|>(?P<name>analysis|commentary|final)\s*<\|message\|>
        (?P<said>.*?)(?:<\|end\|>|<\|return\|>|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ANSWER = re.compile(
    r"<(?P<tag>response|output|final_answer|solution)>|<\|begin_of_(?P<kind>solution)\|>"
    r"|<\|START_(?P<part>RESPONSE|TEXT)\|>",
    re.IGNORECASE,
)
_FINAL = re.compile(r"Final Answer:\s*", re.IGNORECASE)
_CALLS_END = re.compile(r"</(?:\w+:)?(?:tool|function)_?calls?>\Z", re.IGNORECASE)
_EDGE = re.compile(r"\A>>>[^\S\n]?all(?=\s)|\A<[|｜][^\s<>|｜]{1,40}[|｜]>|<[|｜][^\s<>|｜]{1,40}[|｜]>\Z")


def thought_and_answer(content: str, flags: list[str]) -> tuple[str, str]:
    """The thought of a response, without its marks, and the answer.

    Args:
        content: The response, without white space around it.
        flags: Receives `other_thought_marks` for marks of another family.

    Raises:
        RowError: `unclosed_think`.
    """
    thought, body, marked = "", content, False
    if opening := _OPEN.match(body):
        thought, closed, body = body[opening.end() :].partition("</think>")
        if not closed:
            raise RowError("unclosed_think")
    elif "</think>" in body:  # the prompt itself ended in <think>
        thought, _, body = body.partition("</think>")
    elif "<|channel|>" in body:
        thought, body = _channels(body)
        marked = body != content
    elif found := _MARKED.match(body):
        thought, body, marked = _said(found), body[found.end() :], True
    elif _BEGUN.match(body):
        raise RowError("unclosed_think", "a thought in the marks of another family is not closed")
    if _OPEN.search(thought) or _OPEN.search(body) or "</think>" in body:
        raise RowError("unclosed_think", "more than one think block in a response")
    body = body.strip()
    if thought.strip() or marked:
        answer = _unwrapped(body)
        marked, body = marked or answer != body, answer
    if marked:
        flags.append(FLAG)
    return thought.strip(), body


def check_edges(text: str) -> None:
    """Makes sure that what is left as a reply is not in the form of another chat template.

    Raises:
        RowError: `other_template`.
    """
    if mark := _EDGE.search(text):
        raise RowError("other_template", f"a response has {mark[0]} at its beginning or end")


def _said(match: re.Match[str]) -> str:
    return next((text for name, text in match.groupdict().items() if name != "tag" and text is not None), "")


def _channels(body: str) -> tuple[str, str]:
    """The thought in gpt-oss's channels, and the answer: replies, and calls as they stand."""
    thoughts: list[str] = []
    texts: list[str] = []
    at = 0
    while found := _CHANNEL.match(body, at):
        (thoughts if found["name"] == "analysis" else texts).append(found["said"].strip())
        at = found.end()
    rest = body[at:].strip()
    return "\n\n".join(thoughts), "\n\n".join(one for one in (*texts, rest) if one)


def _unwrapped(body: str) -> str:
    """An answer without the marks around its one reply, which may stand behind calls in their own marks."""
    if final := _FINAL.match(body):
        return body[final.end() :]
    opening = _ANSWER.search(body)
    if opening is None:
        return body
    if opening["tag"]:
        closing = f"</{opening['tag']}>"
    else:
        closing = "<|end_of_solution|>" if opening["kind"] else f"<|END_{opening['part']}|>"
    before, said = body[: opening.start()].strip(), body[opening.end() :]
    if not said.endswith(closing) or said.count(closing) > 1 or _ANSWER.search(said):
        return body
    if before and not _CALLS_END.search(before):
        return body
    return "\n".join(one for one in (before, said.removesuffix(closing).strip()) if one)
