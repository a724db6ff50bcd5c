"""What is left of a system prompt without instructions for another call format, and without our own words."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from .fields import blank

FLAG = "format_instructions_dropped"

#: Another family's markers and the words in them, which say nothing without the tools they announced.
_ONLY_MARKERS = re.compile(r"(?:<\|[^|>\s]*\|>|tool_declare|\s)*")
_BFCL = "You are an expert in composing functions"
#: Data sets in the call language that say it in other words than BFCL does show this.
_CALL_LANGUAGE = re.compile(r"\bin the format of\s+\[func")
#: What they say beside BFCL's sentences (ToolACE, earlier prompts of BFCL).
_KIN = (
    "You should only return the function call in tools call sections.",
    "You should only return the function call(s) in tools call sections.",
    "Should you decide to return the function call(s).",
    "Should you decide to return the function call(s), put it in the format of"
    " [func1(params_name=params_value, params_name2=params_value2...), func2(params)]",
    "Put it in the format of [func1(params_name=params_value, params_name2=params_value2...), func2(params)]",
    "NO other text MUST be included.",
)
_OWN_MARKS = re.compile("[\0\1\2]")  # which stand for something below; nobody writes them
#: What says nothing without the list that stood behind it.
_ANNOUNCED = re.compile(
    r"(?:here|below|these|following)\b[^\n]{0,40}\b(?:functions?|tools?)\b[^\n]{0,60}[:.]\s*\Z", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.:])(?=[A-Z])|(?<=[.:])\s+|\n+")
_ENDED = re.compile(r"(?:\A|[.!?:;)\]\n])[^\S\n]*\Z")
_UNIT = re.compile(r"[^\n]+?(?:[.!?:](?=\s)|\n|\Z)\s*|\s+")
_TAGS = "|".join(
    (
        *("tools?", "tool_calls?", "tool_responses?", "function_?calls?", "functions?", "invoke"),
        *("parameters?", "toolcall", "available_tools", "call"),
    )
)
_BLOCK = re.compile(rf"<({_TAGS})>(?:(?!<\1>).){{0,2000}}?</\1>", re.DOTALL | re.IGNORECASE)
#: What stands between these names a part of xLAM's prompts; of the tools' part nothing is left but the marks.
_PART = re.compile(
    r"\[BEGIN OF FORMAT INSTRUCTION\].*?\[END OF FORMAT INSTRUCTION\]"
    r"|\[BEGIN OF AVAILABLE[ _]TOOLS\]\s*\[END OF AVAILABLE[ _]TOOLS\]",
    re.DOTALL | re.IGNORECASE,
)
#: Marks around thoughts and answers, which belong to the form that is shown beside them.
_ANSWER = re.compile(
    r"<(think|thinking|thought|final|answer|final_answer|response)>(?:(?!<\1>).){0,500}?</\1>",
    re.DOTALL | re.IGNORECASE,
)
#: A line of the form that ReAct asks for; lines of it that follow one another are one piece.
_REACT = re.compile(
    r"(?:Question|Thought|Action|Action Input|Observation|Final Answer)\b[^\n]*|\.\.\.[^\n]*|Begin!?|", re.I
)
_BRACE = re.compile(r"[{}]")
_MARK = re.compile(
    rf"\0|</?(?:{_TAGS})\b[^>\n]*>|\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS)\]"
    r"|<[|｜]/?(?:python_tag|(?:available_)?tool[\w▁]*)[|｜]>"
    r"|\bAction Input\b|\bfunctioncall\b|\{\s*[\"']name[\"']\s*:\s*[<\"']"
    r"|\{\s*[\"']name[\"']\s*:\s*[^{}\"'\n]{1,60},\s*[\"'](?:arguments|parameters)[\"']"
    r"|\{\s*[\"'](?:tool_calls|function_calls?)[\"']\s*:",
    re.IGNORECASE,
)
#: Between a sentence and a mark that stands right behind it, which is no part of it.
_GLUED = re.compile(rf"(?<=[.!?:])(?=\0|</?(?:{_TAGS})>|<[|｜]/?(?:available_)?tools?[|｜]>)", re.IGNORECASE)
#: An object that describes a call or is one, `{"name": …, "arguments": …}`; a tool has a description too.
_CALL_SCHEMA = re.compile(
    r"""["']FunctionCall["']
        | ["']name["']\s*:.*["'](?:arguments|parameters)["']\s*:
        | ["']arguments["']\s*:.*["']name["']\s*:""",
    re.DOTALL | re.VERBOSE,
)
_FORMAT = re.compile(
    r"\b(?:json|xml|pydantic|schemas?|signatures?|function[- ]call(?:s|ing)?|tool[- ]call(?:s|ing)?)\b"
    r"|\bcall (?:one or more |an? )?(?:functions?|tools?)\b|\binto functions\b"
    r"|\b(?:following|this|output) (?:exact )?format\b|\AAction:\s*\Z|\A(?:or|and):?\s*\Z"
    r"|\b(?:following|available|list of) (?:functions|tools)\b|\A#+\s*(?:tools?|functions?)\s*\Z",
    re.IGNORECASE,
)


def own_instructions(system: str | None) -> tuple[str | None, list[str]]:
    """What a data set says itself: without our prompt's words, and without those for another call format.

    A model that is to answer in the call language must not read that it has to write
    `<tool_call>{"name": …}</tool_call>`. Sentences that show such a form go, and those about functions, JSON
    or schemas that stand next to one; everything else stays as it is.

    Args:
        system: The system prompt without a tool list.

    Returns:
        The rest, None if nothing is left, and `format_instructions_dropped` if something of another format
        was left out.
    """
    if blank(system) or system is None:
        return None, []
    if _ONLY_MARKERS.fullmatch(system):
        return None, [FLAG]
    ours = system.lstrip().startswith(_BFCL) or _CALL_LANGUAGE.search(system) is not None
    if (not ours and not _MARK.search(system)) or _OWN_MARKS.search(system):
        return system, []
    beside: list[str] = []

    def keep(match: re.Match[str]) -> str:
        beside.append(match[0])
        return f"\2{len(beside) - 1}\2\n"

    shown = _own_sentences().sub(_if_a_sentence, system) if ours else system
    shown = _PART.sub("\0", _BLOCK.sub("\0", shown))
    shown = _without_react(_without_call_schemas(_ANSWER.sub(keep, shown)))
    shown = _GLUED.sub("\n", shown)
    units = _UNIT.findall(shown)
    own = [one.strip() == "\1" or (ours and _ANNOUNCED.match(one) is not None) for one in units]
    foreign = [_MARK.search(one) is not None for one in units]
    nearby = [one.isspace() or "\2" in one or bool(_FORMAT.search(one.strip())) for one in units]
    dropped = [a or b for a, b in zip(own, foreign, strict=True)]
    for order in (range(len(units)), range(len(units) - 1, -1, -1)):
        near = False
        for at in order:
            near = dropped[at] = dropped[at] or (near and nearby[at])
    left = "".join(unit for unit, gone in zip(units, dropped, strict=True) if not gone).strip()
    left = re.sub("\2(\\d+)\2\n", lambda match: beside[int(match[1])], f"{left}\n").strip()
    flagged = any(
        gone and not our and unit.strip() for unit, gone, our in zip(units, dropped, own, strict=True)
    )
    return left or None, [FLAG] if flagged else []


def _if_a_sentence(match: re.Match[str]) -> str:
    """A mark for a sentence of ours, and what is only a part of somebody else's as it stands."""
    return "\1\n" if _ENDED.search(match.string, max(0, match.start() - 9), match.start()) else match[0]


def _without_react(text: str) -> str:
    """The text with a mark in the place of the lines that show ReAct's form."""
    if "Action Input" not in text:
        return text
    made: list[str] = []
    form: list[str] = []
    for line in [*text.split("\n"), None]:
        if line is not None and _REACT.fullmatch(line.strip()):
            form.append(line)
            continue
        made += ["\0"] if any("Action Input" in one for one in form) else form
        form = []
        made += [] if line is None else [line]
    return "\n".join(made)


def _without_call_schemas(text: str) -> str:
    """The text with a mark in the place of each object that describes a call, as Hermes' schema does."""
    parts, at, start, depth = [], 0, 0, 0
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            start, depth = (brace.start(), 1) if not depth else (start, depth + 1)
        elif depth:
            depth -= 1
            held = text[start : brace.end()]
            described = "FunctionCall" not in held and re.search(r"[\"']description[\"']\s*:", held)
            if not depth and not described and _CALL_SCHEMA.search(held):
                parts += [text[at:start], "\0"]
                at = brace.end()
    return "".join([*parts, text[at:]])


@cache
def _own_sentences() -> re.Pattern[str]:
    """The sentences of BFCL's default prompt, which the protocol writes itself, and of its kin."""
    text = files("funreason_train.dialogue").joinpath("prompts", "bfcl.txt").read_text(encoding="utf-8")
    said = [one for one in _SENTENCE.split(text.replace("{functions}", "")) if one.strip()]
    return re.compile("|".join(sorted(map(_loose, (*said, *_KIN)), key=len, reverse=True)), re.IGNORECASE)


def _loose(sentence: str) -> str:
    """A pattern for a sentence whose white space, number and last sign may differ."""
    words = sentence.strip().rstrip(".:").split()
    ends = r"\b[.:]?" if words[-1][-1].isalpha() else "[.:]?"
    return r"\s+".join(map(_word, words)) + ends


def _word(word: str) -> str:
    return "functions?" if word in ("function", "functions") else re.escape(word)
