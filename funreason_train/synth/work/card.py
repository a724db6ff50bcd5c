"""`card.html`: the yield of a run and what its conversations are like, as one page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ...pages.page import render_page
from ...pages.table import Table
from ...run.files import write_text
from ..explore.graph import Graph
from ..explore.picture import draw
from .funnel import PHASES
from .overlap import overlapping
from .store import Store

_EXAMPLES = 10
_DIVERSITY_ROWS = 2000  # conversations whose words are counted
_TEXT = 6000  # characters of a message that are shown


def write_card(
    path: Path,
    settings: Mapping[str, Any],
    graphs: Mapping[str, Graph],
    sampling: Mapping[str, Any],
    funnel: Mapping[str, Any],
    store: Store,
    end: int,
) -> None:
    """Writes the page.

    Args:
        path: Of the page.
        settings: What decided the samples.
        graphs: What was learnt.
        sampling: Environment -> how directed and uniform sampling compare.
        funnel: See `funnel_of`.
        store: Holds the samples.
        end: The number after the last sample that counts.
    """
    accepted, samples = funnel["accepted"], funnel["samples"]
    calls = sum(int(number) * count for number, count in funnel["calls"].items())
    turns = sum(funnel["calls"].values())
    once = funnel["tries"].get("1", 0) / max(1, sum(funnel["tries"].values()))
    different = {size: distinct(store, end, size) for size in (1, 2, 3)}
    jumps = sum(int(number) * count for number, count in funnel["jump"].items())
    texts = (" ".join(turn["user"] for turn in _turns(text)) for text in store.lines("train", end, "task"))
    shared = overlapping(texts)
    figures = [
        ("conversations", f"{accepted:,}"),
        ("of all samples", f"{accepted / max(1, samples):.1%}"),
        ("calls a trace", f"{calls / max(1, turns):.2f}"),
        ("turns solved at the first try", f"{once:.1%}"),
        ("calls that a query hides (jump length)", f"{jumps / max(1, turns):.2f}"),
        *((f"distinct {size}-grams of queries", f"{share:.1%}") for size, share in different.items()),
        (
            "conversations that share 8 words in a row with a question of BFCL",
            "BFCL is not installed" if shared is None else f"{shared:,} of {accepted:,}",
        ),
        ("replayed in a fresh environment", f"{accepted:,} of {accepted:,}"),
    ]
    page = render_page(
        "synth.html",
        title="Conversations made here",
        about="Every call was executed, and every conversation replayed in a fresh environment to the same "
        "answers and the same state before it was written.",
        warnings=list(_warnings(graphs)),
        figures=figures,
        sections=list(_sections(funnel, sampling)),
        graphs=[
            {
                "name": name,
                "about": f"{len(graph.tools)} tools, {len(graph.edges())} edges, of which "
                f"{len(funnel['while_sampling'][name]['edges_added'])} learnt while sampling",
                "drawn": draw(graph),
            }
            for name, graph in graphs.items()
        ],
        examples=list(_examples(store, end)),
        settings=list(_flat(settings)),
    )
    write_text(path, page)


def distinct(store: Store, end: int, size: int) -> float:
    """Different runs of so many words in users' messages, as a share of all, over the first conversations."""
    seen: Counter[tuple[str, ...]] = Counter()
    for text in islice(store.lines("train", end, "task"), _DIVERSITY_ROWS):
        for turn in _turns(text):
            words = turn["user"].lower().split()
            seen.update(zip(*(words[place:] for place in range(size)), strict=False))
    return len(seen) / max(1, sum(seen.values()))


def _turns(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["turns"])


def _warnings(graphs: Mapping[str, Graph]) -> Iterator[str]:
    if tested := [name for name in graphs if name.startswith("bfcl/")]:
        yield (
            f"These conversations were made in environments that BFCL scores ({', '.join(tested)}): whoever "
            "trains on them trains on the test's functions. BFCL's questions and states were not used."
        )


def _sections(funnel: Mapping[str, Any], sampling: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows: list[tuple[str, ...]] = [
        ("samples begun", "", f"{funnel['samples']:,}"),
        ("draws", "", f"{funnel['draws']:,}"),
    ]
    for phase in PHASES:
        rows += [(phase, reason, f"{count:,}") for reason, count in funnel["lost"][phase].items()]
    rows += [("given up", "no draw led to a conversation", f"{funnel['given_up']:,}")]
    rows += [("accepted", "", f"{funnel['accepted']:,}")]
    about = "A sample takes as many draws as it needs, up to a limit; each draw that is lost is counted once."
    table = Table("", ("where", "why", "draws"), tuple(rows), texts=2)
    yield {"title": "Yield", "about": about, "table": table}
    for title, key in (("Kinds", "kinds"), ("Environments", "environments")):
        cells: tuple[tuple[str, ...], ...] = tuple(
            (name, f"{one['samples']:,}", f"{one['accepted']:,}") for name, one in funnel[key].items()
        )
        yield {"title": title, "about": "", "table": Table("", (key, "samples", "accepted"), cells)}
    for title, key, unit in (
        ("Tries of a turn", "tries", "tries"),
        ("Calls of a trace", "calls", "calls"),
        ("Distance from the first call to the target", "distance", "edges"),
        ("Jump length: calls that a query does not speak of", "jump", "calls"),
    ):
        cells = tuple((number, f"{count:,}") for number, count in funnel[key].items())
        yield {"title": title, "about": "", "table": Table("", (unit, "turns"), cells)}
    if funnel["critiques"]:
        cells = tuple((reason, f"{count:,}") for reason, count in funnel["critiques"].items())
        about = f"{funnel['hints_refused']:,} hints held a gold call and were not passed on."
        yield {"title": "Critiques", "about": about, "table": Table("", ("reason", "tries"), cells)}
    yield from _cost(funnel)
    if out := [(name, *one) for name, tools in funnel["left_out"].items() for one in tools.items()]:
        table = Table("", ("environment", "tool", "why"), tuple(out), texts=3)
        yield {"title": "Tools that are left out", "about": "", "table": table}
    cells = tuple(
        (name, f"{one['tools']:.0%}", f"{one['edges']:.0%}") for name, one in funnel["coverage"].items()
    )
    yield {"title": "Coverage", "about": "", "table": Table("", ("environment", "tools", "edges"), cells)}
    lines = tuple(
        (
            name,
            policy,
            f"{one['reached']:.1%}",
            f"{one['calls']:.2f}",
            f"{one['tools']:.0%}",
            f"{one['edges']:.0%}",
        )
        for name, policies in sampling.items()
        for policy, one in policies.items()
    )
    if lines:
        head = ("environment", "sampling", "target reached", "calls to the target", "tools", "edges")
        about = "The same targets and worlds; uniform sampling draws among the legal tools."
        yield {
            "title": "Directed and uniform sampling",
            "about": about,
            "table": Table("", head, lines, texts=2),
        }


def _cost(funnel: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What asking models took, by role; nothing for offline agents."""
    if not funnel["roles"]:
        return
    prices = funnel.get("asked", {}).get("prices", {})
    rows = []
    for role, used in funnel["roles"].items():
        sent, written = used["prompt_tokens"], used["completion_tokens"]
        cost = (sent * prices.get("prompt", 0.0) + written * prices.get("completion", 0.0)) / 1e6
        rows.append((role, f"{used['requests']:,}", f"{sent:,}", f"{written:,}", f"{cost:,.4f}"))
    told = funnel.get("asked", {})
    about = (
        f"Finished samples of this data set. The whole run, what was begun and lost included: "
        f"{told.get('requests', 0):,} requests, {told.get('prompt_tokens', 0):,} tokens sent, "
        f"{told.get('completion_tokens', 0):,} written, cost {told.get('cost', 0.0):,.4f}."
    )
    head = ("role", "requests", "tokens sent", "tokens written", "cost")
    yield {"title": "Cost", "about": about, "table": Table("", head, tuple(rows))}


def _examples(store: Store, end: int) -> Iterator[dict[str, Any]]:
    for number in _chosen(store, end):
        found = store.example("train", number)
        if found is None:
            continue
        row, told = found
        messages = [
            {
                "role": message["role"],
                "text": message["content"][:_TEXT],
                "folded": message["role"] == "system" or len(message["content"]) > 1500,
            }
            for message in row["conversations"]
        ]
        notes = []
        for note in told["figures"]["notes"]:
            for key in ("easy", "advanced", "hints", "reasons"):
                if key in note:
                    notes.append({"role": key, "text": str(note[key])[:_TEXT]})
        tries = ", ".join(map(str, told["figures"]["tries"]))
        about = f"{told['kind']} in {told['environment']}; tries a turn: {tries}; verdict: accepted"
        yield {"id": row["id"], "about": about, "messages": messages, "notes": notes}


def _chosen(store: Store, end: int) -> list[int]:
    """The numbers of the examples: some with a hint, the others at even distances."""
    accepted = [(one["index"], one["figures"]["notes"]) for one in store.told("train", end) if one["ok"]]
    hinted = [number for number, notes in accepted if any("hints" in note for note in notes)]
    chosen = set(hinted[: _EXAMPLES // 3])
    others = [number for number, _ in accepted if number not in chosen]
    count = min(_EXAMPLES - len(chosen), len(others))
    chosen |= {others[place * len(others) // count] for place in range(count)}
    return sorted(chosen)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
