"""Calls in public notations that are recognised by their form and not read.

They lack what a call needs to be read without guessing: names for their arguments, types for their values, or
an end. Knowing them keeps such an answer from being taken for plain text.

    >>>f                          Functionary           #E1 = f[x]                       ReWOO
    [Action]f[Args]{"a": 1}       action and arguments  <<<api_call>>>: f(x)             Gorilla's API calls
    {"action": "Final Answer", "action_input": "x"}     LangChain's JSON agents
    f                                                   ChatGLM3 and GLM-4
    ```python
    tool_call(a=1)
    ```
    Call: f(a=g(b=1))             NexusRaven, where the call language cannot read it
    [Get Info(user id=3)]         a call list of a tool whose name is no name of the call language
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..types import Call
from .reading import Unreadable

_NAME = r"[^\W\d][\w.-]*+"
_SPACED = r"[^\W\d](?:[\w.:/&'’-]|[ ](?=\S))*+"
_FORMS = {
    "Functionary": rf"<\|recipient\|>\s*(?!all\b){_NAME} | ^>>>(?!all\b){_NAME}[^\S\n]*\n\s*\{{",
    "Gorilla": r"<<<api_call>>>",
    "an action and its arguments": rf"\[Action\]\s*{_NAME}\s*\[Args\]",
    "ChatGLM3": r"^[^\S\n]*```(?:python)?[^\S\n]*\n\s*tool_call\(",
    "GLM-4": r"\A\s*[a-z][a-z0-9]*(?:_[a-z0-9]+)+[^\S\n]*\n\s*\{\s*[\"'](?=.*\}\s*\Z)",
    "NexusRaven": rf"^Call:[^\S\n]*{_NAME}\((?:\)|\s*[^\W\d]\w*\s*=(?!=))",
    "ReWOO": rf"^\#E\d+\s*=\s*{_NAME}\[",
    "LangChain": r"\"action\"\s*:\s*\"[^\"\n]*+\"\s*,\s*\"action_input\"\s*:",
    "code that is run": r"\A\s*<(?P<run>execute|search|code|python|bash)>.*</(?P=run)>\s*\Z"
    r" | ```\s*<end_code>",
    "JSON with comments": rf"\{{\s*\"name\"\s*:\s*\"{_NAME}\"\s*,\s*//[^\n]*\n"
    r"\s*\"(?:arguments|parameters)\"\s*:",
    "a call list": rf"\A\s*\[\s*{_SPACED}\(\s*{_SPACED}=(?!=).*\]\s*\Z",
}
_FORM = re.compile(
    "|".join(f"(?:{pattern})" for pattern in _FORMS.values()), re.VERBOSE | re.MULTILINE | re.DOTALL
)
_EACH = {name: re.compile(pattern, re.VERBOSE | re.MULTILINE | re.DOTALL) for name, pattern in _FORMS.items()}


def find_foreign(text: str, tool_names: Collection[str] = ()) -> tuple[int, int] | None:
    """The whole text if it holds such a call; None for any other.

    Args:
        text: An answer.
        tool_names: Not looked at; these forms are evidence by themselves.
    """
    return (0, len(text)) if _FORM.search(text) else None


def read_foreign(text: str, tool_names: Collection[str] = ()) -> list[Call]:
    """Reads nothing; see above.

    Raises:
        Unreadable: `call_tags`, always, with the notation's name.
    """
    name = next((name for name, form in _EACH.items() if form.search(text)), "another family")
    raise Unreadable("call_tags", f"a call stands in the notation of {name}, which is not read")
