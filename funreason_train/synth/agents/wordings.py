"""What users say where no agent writes their words: many ways of it, put together by the seed.

Four texts of a conversation are said by code whoever the agents are: a correction, the answer to a question,
a request that no tool serves, and the coming of a tool.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from ...dialogue.announced import ASKED_AGAIN
from ..explore.words import spoken
from . import phrases

_SORRY: Final = (
    *("No, ", "Sorry, ", "Wait, ", "Actually, ", "Hold on, ", "My mistake: ", "I misspoke: ", "Oh no, "),
    *("Not quite: ", "Let me correct myself: ", ""),
)
_MEANT: Final = (
    *("the {0} should be {1}", "I meant {1} as the {0}", "the {0} is {1}", "take {1} for the {0}"),
    *("the right {0} is {1}", "please use {1} as the {0}", "the {0} has to be {1}", "make the {0} {1}"),
)
_AGAIN: Final = (
    *("", " Please do it again.", " Could you do that once more?", " Once more with that, please."),
    *(" Can you repeat it with this?", " The rest stays as it was.", " Everything else was right."),
)
_OH: Final = (
    *("", "Sorry, ", "Ah yes: ", "Right, ", "Of course, ", "Good question: ", "I forgot: ", "Oh, "),
    *("Sure, ", "One moment… "),
)
_IT_IS: Final = (
    *("the {0} is {1}", "it is {1}, the {0}", "for the {0} take {1}", "{1} is the {0}", "{1} as the {0}"),
    *("the {0} would be {1}", "use {1} for the {0}"),
)
_GO_ON: Final = ("", "", " Please go on.", " Thanks.", " That should be all.", " Does that help?")
_OPEN: Final = (
    *("Please {}.", "Could you {}?", "Can you {} for me?", "I need you to {}.", "Would you {}?"),
    *("I would like you to {}.", "Would it be possible to {}?", "It would help me if you could {}."),
    *("I was hoping you could {}.", "My next wish: {}.", "Is there a way to {}?"),
)
_NEXT: Final = (
    *("Now please {}.", "Next, {}.", "After that, {}.", "And then {}.", "Good. Please {}."),
    *("Another thing: could you {}?", "While you are at it, {}.", "Thanks. Now {}.", "One more wish: {}."),
    *("Then I would like you to {}.", "That done, please {}."),
)
_WITH: Final = (
    *(
        " Here is what you need: {}.",
        " Details: {}.",
        " What I know: {}.",
        " For that: {}.",
        " It is about {}.",
    ),
    *(" In case you need it: {}.", " This is what I have: {}."),
)
_NEW_TOOL: Final = (
    ASKED_AGAIN,
    "Here is something more that you can call. Does it work now?",
    "More functions have become available to you. Please try my request again.",
    "You can use this as well from now on. How about it?",
    "That was missing from your list. Can you do it now?",
    "I have added what you need. Please go ahead.",
)
_OWN: Final = 0.5  # of the announcements that are in BFCL's own words


class Wordings:
    """The user's words of a conversation.

    Args:
        varied: Whether they vary widely; else a handful of frames.
        rng: Of every choice.
    """

    def __init__(self, varied: bool, rng: Random) -> None:
        self._varied, self._rng = varied, rng

    def correction(self, name: str, value: Any) -> str:
        """The user takes a value back and gives another."""
        said = (spoken(name), phrases.shown(value))
        if not self._varied:
            return self._rng.choice(phrases.CORRECT).format(*said)
        draw = self._rng.choice
        return _sentence(draw(_SORRY), draw(_MEANT).format(*said)) + draw(_AGAIN)

    def answer(self, name: str, value: Any) -> str:
        """The user answers a question for a value."""
        said = (spoken(name), phrases.shown(value))
        if not self._varied:
            return self._rng.choice(phrases.ANSWER).format(*said)
        draw = self._rng.choice
        return _sentence(draw(_OH), draw(_IT_IS).format(*said)) + draw(_GO_ON)

    def unserved(self, goal: str, values: list[str], first: bool) -> str:
        """A request that no tool serves.

        Args:
            goal: What the user wants, as an imperative.
            values: What there is to tell for it, as names and values.
            first: Whether it opens the conversation.
        """
        if not self._varied:
            asked = self._rng.choice(phrases.OPENERS if first else phrases.NEXT).format(goal)
            return asked + (f" {phrases.TOLD[0].format('; '.join(values))}" if values else "")
        asked = self._rng.choice(_OPEN if first else _NEXT).format(goal)
        return asked + (self._rng.choice(_WITH).format("; ".join(values)) if values else "")

    def new_tool(self) -> str:
        """What is said once a tool is there that was missing."""
        if not self._varied or self._rng.random() < _OWN:
            return ASKED_AGAIN
        return self._rng.choice(_NEW_TOOL)


def _sentence(opening: str, rest: str) -> str:
    """An opening and what follows; a sentence of its own begins with a capital, unless a value begins it."""
    if not opening and rest.startswith(("the ", "it ", "for ", "use ", "take ", "please ", "make ")):
        rest = rest[:1].upper() + rest[1:]
    return f"{opening}{rest}."
