"""Calls written as in Python without marks around them: a call list amid prose, or calls on lines.

What decides is how arguments are passed. `[f(a="x")]` and `- f(a="x")` are calls wherever they stand;
`[Smith (2020)]`, `[x.strip() for x in lines]`, `[docs (v2)](https://…)` and `[F(b) - F(a)]` are not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ..parse import MAX_CHARS, CallSyntaxError, parse_calls

_NAME = r"[^\W\d][\w.-]*+"
_LIST = re.compile(rf"(?<![\w\])\\])\[\s*+(?P<name>{_NAME})(?P<gap>\s*+)\(")
_FURTHER_LIST = re.compile(rf"[\s,;]*+(?P<list>\[\s*+{_NAME}\()")
_LINE = re.compile(
    rf"""^(?P<indent>[^\S\n]*+)(?P<bullet>(?:[-*•+>]|>>>|\d{{1,3}}[.)])[^\S\n]++)?(?:Call:[^\S\n]*+)?
         [`'"]*+(?P<name>{_NAME})\(""",
    re.MULTILINE | re.VERBOSE,
)
_LINE_END = re.compile(r"""(?:[`'"]|<bot_end>)*+[;,.]?[^\S\n]*+(?:\#[^\n]*+)?(?:\n|\Z)""")
_ASSIGNED = re.compile(
    rf"^[^\S\n]*+(?:\w+\s*=\s*|(?:print|await|return)\b[\s(]*)+(?P<name>{_NAME})\(", re.MULTILINE
)
_KEYWORD = re.compile(r"\s*[^\W\d]\w*+\s*+=(?!=)")
_LITERAL = r"""(?:"[^"\n]*+"|'[^'\n]*+'|[-+]?\.?\d[\w.]*+|True|False|None|true|false|null)"""
_LITERALS = re.compile(rf"\s*+(?:{_LITERAL}\s*+(?:,\s*+|(?=\Z)))*\Z")
_PLAIN = re.compile(r"""\s*+(?:[\w."'+-]++\s*+(?:,\s*+|(?=\Z)))*\Z""")
_COMPREHENSION = re.compile(r"\)\s+(?:async\s+)?for\s+\w[^\]\n]{0,80}?\sin\s")
_PLURAL = re.compile(r"e?s\)")
_CODE = re.compile(
    r"""^[^\S\n]*+(?:
          (?:import|from|def|class|for|while|if|elif|else|with|try|except|return|async|const|let|var|function
            |public|package|using|assert|print|echo|sudo)\b[^\n]*+(?<![.!?])$
          | \#include | \$[ ] | // | @\w
          | [\w.]++(?:\[[^\]\n]*+\])?[ ]?[-+*/]?=[ ]?[^=\s] )""",
    re.MULTILINE | re.VERBOSE,
)
# What a reader that repairs an answer takes away before the first call and behind the last: BFCL's strips
# quotes and back-ticks and adds brackets, and Python's passes over parentheses, commas and comments.
_BEFORE = re.compile(r"""(?:[`'"\s\[(\\]|(?:python|py|tool_code|json)(?=\s))*(?:\#[^\n]*+\n\s*+)*[\s\[(]*+""")
_BETWEEN = re.compile(r"""(?:[`'"\s\],;\[)]|\#[^\n]*+)*""")
_OPEN, _CLOSE = "([{", ")]}"
_QUOTED = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL)
_MARK = re.compile(r"[\[\](){}\"']")


@dataclass
class _Scan:
    """Finds closing brackets, each once, and gives up on a text that is made to be searched in vain.

    Attributes:
        text: Where they are looked for.
        left: Characters that may still be looked at.
        known: Place of an opening bracket -> where it closes; -1 if it does not, or if others cross it.
    """

    text: str
    left: int
    known: dict[int, int] = field(default_factory=dict)

    def closing(self, opening: int) -> int:
        """Where the bracket at `opening` closes; -1 if it does not, or if others cross it."""
        if opening not in self.known:
            self._search(opening)
        return self.known[opening]

    def _search(self, opening: int) -> None:
        """Follows the brackets from `opening` on; what is learnt of those within it holds for them alone."""
        text, at = self.text, opening
        unclosed: list[tuple[int, str]] = []  # place, and what would close it
        while self.left > 0:
            mark = _MARK.search(text, at)
            if mark is None:
                self.left -= len(text) - at
                break
            self.left -= mark.start() - at + 1
            at, character = mark.end(), mark[0]
            if character in "\"'":
                quoted = _QUOTED.match(text, mark.start())
                if quoted:
                    self.left -= quoted.end() - at
                    at = quoted.end()
                else:  # it was searched for up to the end of the line
                    end = text.find("\n", at)
                    self.left -= (len(text) if end < 0 else end) - at
            elif character in _OPEN:
                unclosed.append((mark.start(), _CLOSE[_OPEN.index(character)]))
            elif not unclosed or unclosed[-1][1] != character:
                break
            else:
                self.known[unclosed.pop()[0]] = mark.start()
                if not unclosed:
                    return
        self.known.update((place, -1) for place, _ in unclosed)
        self.known.setdefault(opening, -1)


def _scan(text: str) -> _Scan:
    return _Scan(text, 4 * len(text) + 1000)


def is_call_list(text: str) -> bool:
    """Whether `parse_calls` reads a text."""
    try:
        return len(text) <= MAX_CHARS and bool(parse_calls(text))
    except CallSyntaxError:
        return False


def find_call_list(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """Where a call list, whole or damaged, begins in a text, and where it ends; None without one."""
    if "[" not in text:
        return None
    scan, first = _scan(text), len(text) - len(text.lstrip())
    for opening in _LIST.finditer(text):
        bracket = opening.end() - 1
        closing = scan.closing(bracket)
        leads = opening.start() <= first
        if _means_call(text, opening, closing, leads, opening["name"] in tool_names):
            end = scan.closing(opening.start()) if closing >= 0 else -1
            if end < 0:
                return opening.start(), len(text)
            while further := _FURTHER_LIST.match(text, end + 1):
                following = scan.closing(further.start("list"))
                if following < 0:
                    return opening.start(), len(text)
                end = following
            return opening.start(), end + 1
    return None


def _means_call(text: str, opening: re.Match[str], closing: int, leads: bool, known: bool) -> bool:
    name, bracket = opening["name"], opening.end() - 1
    keyword = _KEYWORD.match(text, bracket + 1) is not None
    if closing < 0:
        return keyword or known or (leads and not opening["gap"] and not _PLURAL.match(text, bracket + 1))
    follower = text[closing + 1 : closing + 40].lstrip()
    if follower.startswith("](") or follower.startswith("]["):
        return False  # a link of Markdown
    if _COMPREHENSION.search(text, closing, closing + 200):
        return False
    if keyword:
        return not follower.startswith(tuple("+-*/%<>=|&^"))
    if follower[:1] not in ("]", ",", ";", "") and not (leads and follower[:1] == "."):
        return False
    if known:
        return True
    if opening["gap"] or _PLURAL.match(text, bracket + 1) or _is_formula(name):
        return False
    given = text[bracket + 1 : closing]
    return leads or _LITERALS.match(given) is not None


def _is_formula(name: str) -> bool:
    """`F(b)`, `P(A)`, `O(n)`: functions of mathematics have one capital letter for a name."""
    return len(name) == 1 and name.isupper()


def find_lines(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """Where lines that are calls begin and end; None without any.

    A call with keyword arguments on a line of its own is one, unless it stands in a program. Where the tools
    are known, any call of one of them on a line is; but not a list of their names, `- ls()`.
    """
    if "(" not in text:
        return None
    spans = list(_lines(text, tool_names))
    sure = [place for place, (_, _, bare) in enumerate(spans) if not bare]
    if sure:
        first, last = sure[0], sure[-1]
        while first and spans[first - 1][1] == spans[first][0]:  # `tides()` right above a call, or below it
            first -= 1
        while last + 1 < len(spans) and spans[last][1] == spans[last + 1][0]:
            last += 1
        return spans[first][0], spans[last][1]
    for assigned in _ASSIGNED.finditer(text):
        if assigned["name"] in tool_names:
            return assigned.start(), len(text)
    return None


def _lines(text: str, tool_names: Collection[str]) -> Iterator[tuple[int, int, bool]]:
    """Beginning and end of each line that is a call, and whether it is bare: a call only beside others."""
    scan, at = _scan(text), 0
    program: bool | None = None
    for line in _LINE.finditer(text):
        if line.start() < at:
            continue
        closing = scan.closing(line.end() - 1)
        ending = _LINE_END.match(text, closing + 1) if closing >= 0 else None
        bare = not text[line.end() : max(closing, 0)].strip()
        if line["name"] in tool_names and (ending or closing < 0) and not bare:
            at = ending.end() if ending else len(text)
        elif (
            ending is None
            or len(line["indent"]) > 3
            or _is_formula(line["name"])
            or not is_call_list(f"[{text[line.start('name') : closing + 1]}]")
        ):
            continue
        else:
            if program is None:
                program = _CODE.search(text) is not None
            if program:
                return
            at = ending.end()
        yield line.start(), at, bare and (line["name"] not in tool_names or bool(line["bullet"]))


def find_nothing_but_calls(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """The whole text if it is only calls once fences, quotes, stray brackets and comments are taken away."""
    before = _BEFORE.match(text)
    at = before.end() if before else 0
    first = _name_at(text, at)
    if first is None:
        return None
    scan, count = _scan(text), 0
    while call := _name_at(text, at):
        bracket = call.end() - 1
        closing = scan.closing(bracket)
        keyword = _KEYWORD.match(text, bracket + 1) is not None
        if closing < 0:
            return (0, len(text)) if keyword or count or call[1] in tool_names else None
        given = text[bracket + 1 : closing]
        plain = keyword or not given.strip() or _PLAIN.match(given) is not None or call[1] in tool_names
        if _PLURAL.match(text, bracket + 1) or (not plain and not _holds_call(given)):
            return None
        if _is_formula(call[1]) and call[1] not in tool_names:
            return None
        count += 1
        between = _BETWEEN.match(text, closing + 1)
        at = between.end() if between else closing + 1
        if at < len(text) and at == closing + 1:
            return None
        if at < len(text) and text[closing + 1 : at].strip() == "" and "\n" not in text[closing + 1 : at]:
            return None  # words behind a bracket: "f(x) is the answer"
    return (0, len(text)) if at == len(text) else None


_CALL = re.compile(rf"({_NAME})\(")
# What may be a name before a bracket. From its beginning only: a search from each of its characters would
# take the square of its length.
_RUN, _LETTER = re.compile(r"(?<![\w.-])[\w.-]++\("), re.compile(r"[^\W\d]")


def _name_at(text: str, at: int) -> re.Match[str] | None:
    return _CALL.match(text, at)


def _holds_call(given: str) -> bool:
    """Whether arguments hold a call of their own, as in `print(f(a=1))`."""
    return any(map(_LETTER.search, _RUN.findall(given))) or given.lstrip()[:1] in ("{", "[", "*", "f", "b")
