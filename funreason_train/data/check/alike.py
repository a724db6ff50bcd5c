"""Whether another tool might do what a question asks of the one that is called: judged by words alone.

Where a call's tool is taken away, a tool that is left must not be able to do the same, or a refusal would be
taught where a call is right; and a distractor that can do the same makes a right call one of several. Nothing
here knows what words mean (`weather` and `climate` are strangers), so every sign counts, and a tool that is
merely alike is given up too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...calls import Call, check_call

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")  # Japanese and Chinese put nothing between words
# Words that any text may have, and those of any tool.
_PLAIN = """
a about above after all also an and are as at be been before below between both but by can could did do does
each either for from give given has have how i if in into is it its just let may me might more most must my
need needs no not of off on one only or other our out over please same should so some such than that the
their them then there these they this those through to under up us use user users using want was we were
what when where which while who whom whose why will with within would you your
"""
_OF_TOOLS = """
add allow api argument base based calculate call check compute contain create current data default detail
determine display endpoint fetch field find format func function generate get help id identifier include info
information input item key list load lookup make name number object obtain optional output parameter
perform provide query read request require result retrieve return run search send set show specific
specified specify string tell text tool type update valid value various via view
"""
# Words of tools that can do nearly anything.
_OF_ALL_TRADES = """
anything arbitrary assistant bash bing browse browser chatbot duckduckgo google gpt internet interpreter
javascript llm online python shell sql terminal web website wikipedia wolfram
"""
_COMMON_SHARE = 0.4  # of the words of the shorter description


def could_answer(
    tool: Mapping[str, Any], called: Sequence[Mapping[str, Any]], calls: Iterable[Call], asked: frozenset[str]
) -> bool:
    """Whether a tool might be called as well, or may not be told from one that might.

    So is a tool whose name shares its words with a called one's; whose description does, by two words and
    two fifths of them; which a gold call fits as it is, but for the name; which has as many words of the
    question as the called ones have; which searches the web, runs code or the like; or which neither by name
    nor by description says what it does.

    Args:
        tool: `{"name", "description", "parameters"}`.
        called: Those that the gold calls use.
        calls: The gold calls.
        asked: The `words` of what the user asks.
    """
    name, about = _said(tool)
    if not name | about or (name | about) & _UNIVERSAL:
        return True
    nearest = 1
    for other in called:
        its_name, its_about = _said(other)
        nearest = max(nearest, len(asked & (its_name | its_about)))
        common = len(about & its_about)
        if _same_name(name, its_name) or (
            common >= 2 and common >= _COMMON_SHARE * min(len(about), len(its_about))
        ):
            return True
    if len(asked & (name | about)) >= nearest:
        return True
    return any(
        call.arguments and not check_call(Call(tool["name"], call.arguments), [tool]) for call in calls
    )


def _same_name(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one name has all words of the other, or they share half of them, or a pair of characters."""
    common = one & other
    if any(map(_UNSPACED.match, common)):
        return True
    return bool(common) and (len(common) == min(len(one), len(other)) or 2 * len(common) >= len(one | other))


def _said(tool: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a tool's name, and of its description."""
    return _words(tool["name"]), _words(tool["description"])


def words(text: str) -> frozenset[str]:
    """The words that tell a text from others: without case, endings, and what any text may have.

    Names are taken apart at underscores, dots and capitals. Chinese and Japanese count by pairs of
    characters.
    """
    found: set[str] = set()
    for part in _PART.findall(text):
        if _UNSPACED.search(part):
            found.update(part[at : at + 2] for at in range(max(1, len(part) - 1)))
        elif len(part) > 1:
            found.add(_stem(part.lower()))
    return frozenset(found - _COMMON)


_words = lru_cache(maxsize=8192)(words)  # tools repeat between rows, questions do not


def _stem(word: str) -> str:
    """A word without the commonest English endings; what it makes of others, it makes of them everywhere."""
    for endings in _ENDINGS:
        for ending, instead in endings:
            if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
                word = word[: -len(ending)] + instead
                break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_ENDINGS = (
    (("ies", "y"), ("es", "e"), ("s", "")),
    (("ing", ""), ("ed", ""), ("er", ""), ("or", ""), ("ion", "")),
)
_COMMON = frozenset(map(_stem, (_PLAIN + _OF_TOOLS).split()))
_UNIVERSAL = frozenset(map(_stem, _OF_ALL_TRADES.split()))
