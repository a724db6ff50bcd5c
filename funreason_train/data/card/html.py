"""A card as one HTML page without any address or script in it; everything that data wrote is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...pages.charts import bars
from ...pages.page import render_page, visible
from ...pages.table import Table
from ..rejected import Rejected
from .content import Card, Example, Source

if TYPE_CHECKING:
    from markupsafe import Markup

#: Longest text of one message and most supervised tokens that are shown; what is left out is said.
_TEXT, _TOKENS = 12_000, 2_400


def to_html(card: Card) -> str:
    """The page."""
    firsts = {one.source: one for one in reversed(card.examples)}
    counts = [one.account["conversations"].get("train", 0) for one in card.sources]
    mixture = [
        {"number": number, "name": one.name, "count": count}
        for number, (one, count) in enumerate(zip(card.sources, counts, strict=True))
        if count and len(counts) > 1
    ]
    return render_page(
        "card.html",
        title=card.title,
        tokenizer=card.tokenizer,
        figures=[_figure(name, value) for name, value in card.figures],
        mixture=mixture,
        sources=_sources(card.sources),
        sections=list(_sections(card)),
        names=[one.name for one in card.sources],
        charts=[{"title": one.title, "summary": one.summary, "drawn": bars(one)} for one in card.histograms],
        refused=_refused(card),
        examples=[_example(one, one is firsts[one.source]) for one in card.examples],
        settings=card.settings,
    )


def _sections(card: Card) -> Iterator[dict[str, Any]]:
    """What was rejected, repaired and left out, where there is any of it."""
    if card.rejected:
        about = _markup("Each of these rows stands in <code>rejected.jsonl</code> with its position.")
        yield {"title": "Rejected", "about": about, "table": _counts(card, "reason", card.rejected)}
    if card.noted:
        about = _markup("Rows that were kept all the same; each row's flags stand in its meta.")
        yield {
            "title": "Repaired, odd or left out",
            "about": about,
            "table": _counts(card, "what", card.noted),
        }
    if lost := [one for one in card.sources if one.account["overlong"]["steps"]]:
        yield {"title": "Left out as too long", "about": "", "table": _lost(lost)}


def _markup(text: str, *values: str) -> Markup:
    """Markup with values in it, escaped."""
    from markupsafe import Markup

    return Markup(text).format(*map(visible, values))


def _figure(name: str, value: str) -> dict[str, str]:
    main, _, rest = value.partition(" + ")
    return {"name": name, "main": main, "rest": rest}


def _sources(sources: Sequence[Source]) -> Table:
    head = ("source", "licence", "read from", "read", "kept", "rejected", "steps", "train", "val")
    rows = []
    for number, one in enumerate(sources):
        account, sides = one.account, one.account["conversations"]
        counts = (account["read"], account["kept"], sum(account["rejected"].values()), account["steps"])
        numbers = (*counts, sides.get("train", 0), sides.get("val", 0))
        name = _markup(f'<i class="dot s{number % 6}"></i>{{}}', one.name)
        if one.format != one.name:
            name += _markup(' <span class="soft">{}</span>', one.format)
        origin = _markup('<code title="{}">{}</code>', one.origin, one.shown)
        rows.append((name, one.licence, origin, *map(_count, numbers)))
    return Table("", head, tuple(rows), texts=3)


def _count(number: int) -> str:
    return f"{number:,}"


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _counts(card: Card, head: str, found: Iterable[tuple[str, str, Mapping[str, int]]]) -> Table:
    names = [one.name for one in card.sources]
    rows = (
        (
            _markup("<code>{}</code>", what).replace("_", _markup("_<wbr>")),
            meaning,
            *(_count(counts[name]) for name in names),
        )
        for what, meaning, counts in found
    )
    return Table("", (head, "meaning", *names), tuple(rows), texts=2)


def _refused(card: Card) -> list[dict[str, Any]]:
    """The rejected rows by reason, the most frequent first."""
    counts = {reason: sum(by_source.values()) for reason, _, by_source in card.rejected}
    found: dict[str, list[Rejected]] = {}
    for one in card.refused:
        found.setdefault(one.reason, []).append(one)
    return [
        {"reason": reason, "rows": found[reason], "count": counts.get(reason, len(found[reason]))}
        for reason in sorted(found, key=lambda reason: -counts.get(reason, 0))
    ]


def _lost(sources: Sequence[Source]) -> Table:
    head = ("source", "conversations", "whole", "responses", "supervised tokens", "share", "final calls")
    rows = []
    for one in sources:
        cost = one.account["overlong"]
        counted = ("conversations", "whole_conversations", "steps", "supervised_tokens")
        share = f"{cost['supervised_tokens_share']:.1%}"
        rows.append((one.name, *(_count(cost[key]) for key in counted), share, _count(cost["final_calls"])))
    return Table("", head, tuple(rows))


def _example(one: Example, opened: bool) -> dict[str, Any]:
    tokens = (
        f"{one.prompt_tokens:,} + {len(one.supervised):,} tokens" if one.prompt_tokens is not None else ""
    )
    return {
        "id": one.id,
        "opened": opened,
        "about": " · ".join(filter(None, (one.source, _plural(one.tools, "tool"), tokens))),
        "messages": [
            {"role": role, "characters": len(text), "text": _shortened(text)} for role, text in one.prompt
        ],
        "supervised": _supervised(one),
    }


def _shortened(text: str) -> str | Markup:
    if len(text) <= _TEXT:
        return text
    half = _TEXT // 2
    left_out = f"{len(text) - 2 * half:,}"
    return _markup(
        '{}<span class="cut"> … {} characters not shown … </span>{}', text[:half], left_out, text[-half:]
    )


def _supervised(one: Example) -> Markup:
    pieces = [_token(piece) for piece in one.supervised]
    if len(pieces) > _TOKENS:
        half = _TOKENS // 2
        left_out = f"{len(pieces) - 2 * half:,}"
        left = _markup('<i class="cut"> … {} tokens not shown … </i>', left_out)
        pieces = [*pieces[:half], left, *pieces[-half:]]
    return _markup("").join(pieces)


def _token(piece: str) -> Markup:
    shown = _markup("{}", piece).replace("\n", _markup('<i class="eol">↵</i>\n'))
    return _markup("<span>") + shown + _markup("</span>")
