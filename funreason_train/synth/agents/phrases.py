"""What offline users and assistants say: frames around the words of the tools' own documents."""

from __future__ import annotations

import re
from typing import Any, Final

from ..chain.query import written
from ..explore.words import spoken

OPENERS: Final = (
    "Please {}.",
    "I would like you to {}.",
    "Could you {}?",
    "I need you to {}.",
    "Can you {} for me?",
    "Would you {}?",
)
NEXT: Final = ("Now please {}.", "Next, {}.", "After that, {}.", "And then {}.", "Good. Please {}.")
TOLD: Final = ("Here is what you need: {}.", "Details: {}.", "What I know: {}.", "For that: {}.")
NOISE: Final = (
    "I have been meaning to get to this since last week.",
    "My colleague usually does this, but she is away.",
    "No hurry, though today would be good.",
    "The weather is dreadful here, by the way.",
    "I am writing this on the train.",
    "Somebody told me this was complicated; I hope it is not.",
    "I already asked about something else this morning, never mind that.",
    "Sorry if I am asking in the wrong place.",
)
ASK: Final = (
    "Which {0} do you mean?",
    "What is the {0}?",
    "I need one more thing: what is the {0}?",
    "Could you tell me the {0}?",
)
ANSWER: Final = ("The {0} is {1}.", "{1}. That is the {0}.", "Sorry, the {0} is {1}.", "It is {1}, the {0}.")
CORRECT: Final = (
    "No, I meant another one: the {0} should be {1}.",
    "Sorry, not that one. The {0} is {1}; please do it again.",
    "That was my mistake: {1} is the right {0}. Once more, please.",
)
NO_TOOL: Final = (
    "None of my tools can do that, so I cannot help with it here.",
    "I have no tool for that.",
    "That is beyond what my tools can do.",
)
DONE: Final = ("Done: {}.", "That is done; {}.", "All finished. {}.", "It worked: {}.")
THOUGHTS: Final[dict[str, tuple[str, ...]]] = {
    "call": (
        "Everything that {tool} needs is known, so it can be called now.",
        "This is what {tool} is for, and the request gives its values.",
    ),
    "lookup": (
        "Before anything else something has to be found out; {tool} tells it.",
        "A value is missing that the user does not have to know. {tool} will give it.",
    ),
    "prepare": (
        "What is asked for is refused without it, so {tool} comes first.",
        "{tool} has to be done before; the rest depends on it.",
    ),
    "parallel": (
        "These do not depend on each other, so they can be called together.",
        "Two things are asked for that need nothing of each other.",
    ),
    "ask": ("The {slot} is missing and no tool tells it, so I have to ask.",),
    "no_tool": ("None of the offered tools does this, and a wrong one would do harm.",),
    "recover": (
        "The last call failed; its message says why. {tool} is what helps now.",
        "That did not work. With what the error says, {tool} is next.",
    ),
    "wrong": ("{tool} looks right for this.",),
    "done": ("Everything asked for is done; the user should hear of it.",),
}
HINTS: Final[dict[str, str]] = {
    "count": "The number of calls is not right: compare what you did with everything that was asked for.",
    "tools": "A tool was used that does something else than what was asked for; read the descriptions again.",
    "arguments": "An argument is missing, or one was given that nobody asked for.",
    "values": "A value was not the right one: take it from the request or from an answer, and never guess.",
    "order": "The order of the calls matters here.",
    "state": "What was asked for is not yet so in the world; something is missing, or too much was changed.",
    "failed": "A call was refused: what it needs has to be there before.",
    "malformed": "The answer could not be read. Close the thought, then write one list of calls.",
}

_BELONGS = re.compile(r"^.*?Tool description:\s*", re.DOTALL)
#: A dot inside a word ends nothing (`files.read`, 2.5), nor does one after a single capital or `e.g`.
_SENTENCE_END = re.compile(
    r"(?:(?<=[^\WA-Z_])|(?<=[A-Z]{2})|(?<=[)\]`'\"]))(?<!\be\.g)(?<!\bi\.e)(?:[.;](?=\s|$)|\n)|。"
)
_WRAPPED = re.compile(r"(?<=[\w,-])[ \t]*\n[ \t]*(?=[a-z(])")  # a sentence that goes on in the next line
_LONG, _SHORT = 80, 8  # characters of a wish that nobody would say whole; and that say something
#: Where a long sentence begins to tell how, and no more what.
_ADDS = re.compile(
    r"[,;:(]? ?\(|[;:] |,? (?:with|using|including|based on|via|optionally|returning)\b"
    r"|, (?=\w+ing\b)|, (?:call|use) (?:this|it)\b"
)
_VERB = re.compile(r"^[A-Z]?[a-z]+,?$")
#: `takes` in `Harvests a planting and takes it out`: what follows it tells that it is no noun.
_SECOND_VERB = re.compile(
    r"(?:(?<=\band )|(?<=\bor )|(?<=\bthen ))[a-z]+s(?= (?:its?|the|them|their|an?|all|one)\b)"
)
#: What stands before the verb where a description does not begin with one: `Given an id, return …`.
_WHEN = re.compile(r"^(?:given|once|after|before|when|if|while)\b.*?,\s+(?=[a-z])", re.IGNORECASE)
_ABOUT_ITSELF = re.compile(
    r"^(?:the user (?:must|should|can) )?(?:(?:call|use) (?:this|it)(?: tool| function)? (?:to|for)"
    r"|(?:(?:this|the|an?) )?(?:\w+ )?(?:tool|function)"
    r" (?:that|which|to|(?:is )?used to|will|can|(?=\w+s\b)))\s*",
    re.IGNORECASE,
)
#: `A tool for reflective problem solving`, of which one says that it is done; not so of `for thinking`.
_FOR_NOUN = re.compile(r"^(?:this|the|an?) (?:[\w-]+ ){0,3}?(?:tool|function|utility) for (?!\w+ing\b)", re.I)
#: What is there, and not what is done: `All open loans`, `The current balance`; no tool's name for itself.
_NOUN = re.compile(
    r"^(?:the|an?|all|every|each|both) (?!(?:[\w-]+ ){0,3}(?:tool|function|utility|method|command)\b)", re.I
)
_THAT = re.compile(r" (?:that|which|who|whose) ")
_STATES = re.compile(r"\b(?:is|are|was|were|will|must|can|has|have)\b")
#: With which a tool's name says what it does.
_DOING = frozenset(
    (
        *(
            "get",
            "set",
            "list",
            "find",
            "look",
            "read",
            "show",
            "create",
            "add",
            "remove",
            "delete",
            "update",
        ),
        *("fetch", "search", "count", "check", "compute", "calculate", "convert", "write", "send", "make"),
        *("describe", "view", "query", "load", "open", "export", "print", "tell", "retrieve", "return"),
    )
)
_NO_VERB = frozenset(
    (
        *("the", "a", "an", "this", "it", "you", "your", "there", "for", "tool"),
        *("given", "once", "after", "before", "when", "if"),
    )
)


def closing(rng: Any, facts: str) -> str:
    """What is said once everything is done; a sentence of its own begins with a capital."""
    frame = rng.choice(DONE)
    facts = re.sub(r"(?<=[\w)\]])\.$", "", facts)  # the frame ends with one
    return str(frame.format(facts[:1].upper() + facts[1:] if ". {" in frame else facts))


def goal(document: dict[str, Any] | Any) -> str:
    """What a tool does, as an imperative that fits after `please`; of a long sentence the beginning."""
    wish = _wish(document)
    if len(wish) > _LONG and (end := _ADDS.search(wish, _SHORT)):
        return wish[: end.start()]
    return wish


def _wish(document: dict[str, Any] | Any) -> str:
    text = _BELONGS.sub("", str(document.get("description") or "")).strip()
    text = " ".join(_SENTENCE_END.split(_WRAPPED.sub(" ", text))[0].split()).rstrip(".")
    name = str(document["name"])
    if name in text and not name.isalpha():  # people do not speak of tools by their names
        text = text.replace(name, spoken(name))
    text = _ABOUT_ITSELF.sub("", _FOR_NOUN.sub("do ", _WHEN.sub("", text)))
    first, _, rest = text.partition(" ")
    if first.replace("/", "").isalpha():  # `Calculates/evaluates`
        first = first.split("/")[0]
    if not text or first.lower() in _NO_VERB or _NOUN.match(text):
        called = _called(name)
        if _NOUN.match(text) and called.split()[0] not in _DOING and not _STATES.search(_THAT.split(text)[0]):
            return f"show {first.lower()} {rest}"
        return called
    if _VERB.match(first):
        verb, comma = first.lower().rstrip(","), "," * first.endswith(",")
        if _bare(verb) != verb:
            rest = _SECOND_VERB.sub(lambda found: _bare(found[0]), rest)
        return f"{_bare(verb)}{comma} {rest}".strip()
    return f"{first.lower()} {rest}".strip() if first.istitle() or first[1:].islower() else text


def _called(name: str) -> str:
    """A tool's name in words, the verb first: `notes.add` is to add notes."""
    words = spoken(name).split()
    if words[-1] in _DOING and words[0] not in _DOING:
        words = [words[-1], *words[:-1]]
    return " ".join(words)


def _bare(verb: str) -> str:
    """A verb without the ending of the third person."""
    if verb.endswith("es") and verb[:-2].endswith(("ch", "sh", "ss", "x", "o")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") and len(verb) > 3 else verb


def told(name: str, value: Any) -> str:
    """A name and its value in words."""
    return f"{spoken(name)} {shown(value)}"


def shown(value: Any) -> str:
    """A value in words; lists with commas."""
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(told(key, one) for key, one in value.items())
    return written(value)


def ordinal(number: int) -> str:
    """`first`, `second`, and so on."""
    names = ("first", "second", "third", "fourth", "fifth")
    return names[number - 1] if number <= len(names) else f"{number}th"


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def long_text(rng: Any, sentences: int) -> str:
    """A long text that has nothing to do with the request, as people paste one in."""
    subjects = [
        "The committee",
        "The gardener",
        "Our neighbour",
        "The second report",
        "A visitor",
        "The archive",
    ]
    verbs = ["mentioned", "described", "could not find", "returned to", "wrote about", "kept asking for"]
    things = ["the old fence", "a missing ledger", "the spring order", "two broken lamps", "the long path"]
    ends = [
        "before lunch",
        "without a word",
        "for the third time",
        "as agreed",
        "in the rain",
        "near the gate",
    ]
    chosen = (
        f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(things)} {rng.choice(ends)}."
        for _ in range(sentences)
    )
    return " ".join(chosen)
