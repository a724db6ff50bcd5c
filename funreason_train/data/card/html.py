"""A card as one HTML page without any address or script in it; everything that data wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ...pages.charts import bars
from .content import Card, Example, Source

#: Longest text of one message and most supervised tokens that are shown; what is left out is said.
_TEXT, _TOKENS = 12_000, 2_400
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_STYLE = Path(__file__).with_name("card.css")


def to_html(card: Card) -> str:
    """The page."""
    firsts = {one.source: one for one in reversed(card.examples)}
    measured = f"Tokens counted with {card.tokenizer}." if card.tokenizer else "Lengths were not measured."
    parts = [
        f"<h1>{_text(card.title)}</h1>",
        f'<p class="soft">What the training data of this run are made of. {_text(measured)}</p>',
        _figures(card),
        "<h2>Sources</h2>",
        _mixture(card.sources),
        _sources(card.sources),
    ]
    if card.rejected:
        parts += [
            "<h2>Turned away</h2>",
            '<p class="soft">Each of these rows stands in <code>rejected.jsonl</code> with its position.</p>',
            _counts(card, "reason", card.rejected),
        ]
    if card.noted:
        parts += [
            "<h2>Mended, odd or left out</h2>",
            '<p class="soft">Rows that were kept all the same; each row\'s flags stand in its meta.</p>',
            _counts(card, "what", card.noted),
        ]
    if lost := [one for one in card.sources if one.account["overlong"]["steps"]]:
        parts += ["<h2>Left out as too long</h2>", _lost(lost)]
    parts += ["<h2>Shape</h2>", _legend(card.sources), '<div class="charts">']
    for one in card.histograms:
        parts.append(
            f'<figure class="panel chart"><figcaption><b>{_text(one.title)}</b>'
            f"<span>{_text(one.summary)}</span></figcaption>{bars(one)}</figure>"
        )
    parts += [
        "</div><h2>Examples</h2>",
        '<p class="soft">As the model sees them. The loss covers what is <span class="marked">marked</span>,'
        " token by token, and nothing else.</p>",
        *(_example(one, one is firsts[one.source]) for one in card.examples),
        "<h2>Settings</h2>",
        _settings(card),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(card.title)}</title><style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )


def _settings(card: Card) -> str:
    cells = (
        f"<div><code>{_text(key)}</code><span>{_text(value)}</span></div>" for key, value in card.settings
    )
    return f'<div class="panel settings">{"".join(cells)}</div>'


def _text(text: str) -> str:
    """Text that cannot be markup, nor hide or turn round what stands beside it."""
    return escape(_INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text))


def _figures(card: Card) -> str:
    cells = []
    for name, value in card.figures:
        main, plus, rest = _text(value).partition(" + ")
        small = f"<small> + {rest}</small>" if plus else ""
        cells.append(f'<div class="panel figure"><b>{main}{small}</b><span>{_text(name)}</span></div>')
    return f'<div class="figures">{"".join(cells)}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a heading `l:…` aligns its column left. Cells are markup already."""
    left = [head.startswith("l:") for head in heads]
    cell = ' class="l wide"', ' class="l"', ""
    top = "".join(
        f"<th{cell[1] if flag else ''}>{_text(head.removeprefix('l:'))}</th>"
        for head, flag in zip(heads, left, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{cell[0] if flag else ''}>{one}</td>" for one, flag in zip(row, left, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="panel scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _dot(number: int) -> str:
    return f'<i class="dot s{number % 6}"></i>'


def _legend(sources: Sequence[Source]) -> str:
    if len(sources) < 2:
        return ""
    names = "".join(f"<span>{_dot(number)}{_text(one.name)}</span>" for number, one in enumerate(sources))
    return f'<p class="legend">{names}</p>'


def _mixture(sources: Sequence[Source]) -> str:
    """How much of the training conversations each source is, as one bar."""
    counts = [one.account["conversations"].get("train", 0) for one in sources]
    if len(sources) < 2 or not sum(counts):
        return ""
    parts = "".join(
        f'<i class="s{number % 6}" style="flex:{count}" title="{_text(one.name)}: {count:,}"></i>'
        for number, (one, count) in enumerate(zip(sources, counts, strict=True))
        if count
    )
    return f'<div class="mix">{parts}</div>'


def _sources(sources: Sequence[Source]) -> str:
    heads = ("l:source", "l:licence", "l:read from", "read", "kept", "rejected", "steps", "train", "val")
    rows = []
    for number, one in enumerate(sources):
        account, sides = one.account, one.account["conversations"]
        counts = (account["read"], account["kept"], sum(account["rejected"].values()), account["steps"])
        numbers = (*counts, sides.get("train", 0), sides.get("val", 0))
        name = f"{_dot(number)}{_text(one.name)}"
        if one.format != one.name:
            name += f' <span class="soft">{_text(one.format)}</span>'
        origin = f'<code title="{_text(one.origin)}">{_text(one.shown)}</code>'
        rows.append((name, _text(one.licence), origin, *map(_count, numbers)))
    return _table(heads, rows)


def _count(number: int) -> str:
    return f"{number:,}"


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _counts(card: Card, head: str, found: Iterable[tuple[str, str, Mapping[str, int]]]) -> str:
    names = [one.name for one in card.sources]
    return _table(
        (f"l:{head}", "l:meaning", *names),
        (
            (
                f"<code>{_text(what).replace('_', '_<wbr>')}</code>",
                _text(meaning),
                *(_count(counts[name]) for name in names),
            )
            for what, meaning, counts in found
        ),
    )


def _lost(sources: Sequence[Source]) -> str:
    heads = ("l:source", "conversations", "whole", "responses", "supervised tokens", "share", "final calls")
    rows = []
    for one in sources:
        cost = one.account["overlong"]
        numbers = (
            cost["conversations"],
            cost["whole_conversations"],
            cost["steps"],
            cost["supervised_tokens"],
        )
        share = f"{cost['supervised_tokens_share']:.1%}"
        rows.append((_text(one.name), *map(_count, numbers), share, _count(cost["final_calls"])))
    return _table(heads, rows)


def _example(one: Example, opened: bool) -> str:
    tokens = (
        f"{one.prompt_tokens:,} + {len(one.supervised):,} tokens" if one.prompt_tokens is not None else ""
    )
    about = " · ".join(filter(None, (one.source, _plural(one.tools, "tool"), tokens)))
    messages = []
    for role, text in one.prompt:
        shown = f"<pre>{_shortened(text)}</pre>"
        if role == "system":
            shown = f"<details><summary>{len(text):,} characters</summary>{shown}</details>"
        messages.append(f'<div class="message"><div class="role">{_text(role)}</div><div>{shown}</div></div>')
    target = f'<div class="message sup"><div class="role">assistant</div><div>{_supervised(one)}</div></div>'
    return (
        f'<details class="panel example"{" open" if opened else ""}><summary><code>{_text(one.id)}</code>'
        f'<span class="soft">{_text(about)}</span></summary>{"".join(messages)}{target}</details>'
    )


def _shortened(text: str) -> str:
    if len(text) <= _TEXT:
        return _text(text)
    half = _TEXT // 2
    left = f'<span class="cut"> … {len(text) - 2 * half:,} characters not shown … </span>'
    return _text(text[:half]) + left + _text(text[-half:])


def _supervised(one: Example) -> str:
    pieces = [f"<span>{_token(piece)}</span>" for piece in one.supervised]
    if len(pieces) > _TOKENS:
        half = _TOKENS // 2
        left = f'<i class="cut"> … {len(pieces) - 2 * half:,} tokens not shown … </i>'
        pieces = [*pieces[:half], left, *pieces[-half:]]
    return f"<pre>{''.join(pieces)}</pre>"


def _token(piece: str) -> str:
    return _text(piece).replace("\n", '<i class="eol">↵</i>\n')
