"""A card as Markdown, for a repository or a hub page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...pages.histogram import Histogram
from ...pages.table import Table, inert
from .content import Card, Example

_TEXT = 4_000  # characters of one message that are shown; what is left out is said
_BAR = 32  # characters of the longest bar


def to_markdown(card: Card) -> str:
    """The text."""
    measured = (
        f"Tokens counted with {inert(card.tokenizer)}." if card.tokenizer else "Lengths were not measured."
    )
    figures = ", ".join(f"**{value}** {name}" for name, value in card.figures)
    parts = [f"# {inert(card.title)}", f"{figures}. {measured}", "## Sources"]
    heads = ("source", "format", "licence", "read from", "read", "kept", "rejected", "steps", "train", "val")
    rows = []
    for one in card.sources:
        account, sides = one.account, one.account["conversations"]
        counts = (account["read"], account["kept"], sum(account["rejected"].values()), account["steps"])
        numbers = (*counts, sides.get("train", 0), sides.get("val", 0))
        rows.append((one.name, one.format, one.licence, one.shown, *(f"{number:,}" for number in numbers)))
    parts.append(_table(heads, rows, 4))
    names = [one.name for one in card.sources]
    for title, head, found in (
        ("Rejected", "reason", card.rejected),
        ("Repaired, odd or left out", "what", card.noted),
    ):
        rows = [
            (f"`{what}`", meaning, *(f"{counts[name]:,}" for name in names))
            for what, meaning, counts in found
        ]
        if rows:
            parts += [f"## {title}", _table((head, "meaning", *names), rows, 2)]
    if lost := [one for one in card.sources if one.account["overlong"]["steps"]]:
        keys = (
            "conversations",
            "steps",
            "supervised_tokens",
            "supervised_tokens_share",
            "calls",
            "final_calls",
        )
        rows = [(one.name, *(str(one.account["overlong"][key]) for key in keys)) for one in lost]
        parts += [
            "## Left out as too long",
            _table(("source", *(key.replace("_", " ") for key in keys)), rows, 1),
        ]
    parts.append("## Shape")
    for chart in card.histograms:
        parts += [f"**{inert(chart.title)}** ({chart.summary})", _fenced(_bars(chart))]
    parts.append("## Examples")
    for example in card.examples:
        parts += _example(example)
    settings = [(f"`{key}`", value) for key, value in card.settings]
    parts += ["## Settings", _table(("key", "value"), settings, 2)]
    return "\n\n".join(parts) + "\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], texts: int) -> str:
    return Table("", head, tuple(rows), texts).markdown(inert).rstrip()


def _fenced(text: str) -> str:
    """A block that nothing inside it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _bars(of: Histogram) -> str:
    most, width = max(of.totals), max(map(len, of.labels))
    return "\n".join(
        f"{label:>{width}}  {'█' * round(_BAR * count / most) or ('▏' if count else ''):<{_BAR}}  {count:,}"
        for label, count in zip(of.labels, of.totals, strict=True)
    )


def _example(one: Example) -> list[str]:
    prompt = "\n\n".join(f"[{role}]\n{_shortened(text)}" for role, text in one.prompt)
    tokens = (
        f", {one.prompt_tokens:,} + {len(one.supervised):,} tokens" if one.prompt_tokens is not None else ""
    )
    offered = f"{one.tools:,} tool" + "s" * (one.tools != 1)
    return [
        f"### {inert(one.id)}",
        f"{inert(one.source)}, {offered}{tokens}. Prompt, without loss:",
        _fenced(prompt),
        "Supervised:",
        _fenced(_shortened("".join(one.supervised).removesuffix("\n"))),
    ]


def _shortened(text: str) -> str:
    if len(text) <= _TEXT:
        return text
    half = _TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters not shown …\n{text[-half:]}"
