"""The page of an evaluation: every task, right or wrong, model beside model, without any address in it.

Nothing that a model or a data set wrote becomes markup: the data travels as compressed blocks, the page's
script writes it as plain text only, and the page's policy lets no other script run and nothing be loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pages import charts
from ..pages.embed import Texts, blocks_of, pack, shortened
from ..pages.page import render_page
from ..run.files import write_text
from .attempts import Attempts

#: Tasks whose texts are in one block.
_BLOCK = 100
#: Bytes that the blocks of a page may take; beyond, what is right is shown with less.
_MOST = 18_000_000
_SCRIPTS = ("core.js", "charts.js", "list.js", "conversation.js", "tasks.js")

Tries = Mapping[str, Sequence[Mapping[str, Any]]]
"""Task id to what one model did, one item an attempt: `{"category", "right", "why", "attempt", "prompt",
"turns": [{"user", "gold", "completions", "results"}]}`; `prompt` is the last one of the first wrong turn, or
of the last turn."""


def played_tasks(played: Sequence[Sequence[Mapping[str, Any]]], attempts: Attempts) -> dict[str, list[Any]]:
    """What one model did in each task, for `write_browser`.

    Args:
        played: The rows of each attempt.
        attempts: Which attempts they are.
    """
    found: dict[str, list[Any]] = {}
    for one, rows in zip(attempts.all, played, strict=True):
        for row in rows:
            found.setdefault(row["id"], []).append(
                {
                    "category": row["category"],
                    "right": bool(row["right"]),
                    "why": list(row["reasons"]),
                    "attempt": label(one.seed, one.sample) if len(attempts.all) > 1 else "",
                    "prompt": _prompt(row["turns"]),
                    "turns": [_turn(turn) for turn in row["turns"]],
                }
            )
    return found


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user": turn["user"],
        "gold": list(turn["gold"]),
        "completions": [response["completion"] for response in turn["responses"]],
        "results": ["\n".join(response["results"]) for response in turn["responses"]],
    }


def _prompt(turns: Sequence[Mapping[str, Any]]) -> str:
    wrong = next((turn for turn in turns if turn["reasons"]), turns[-1] if turns else None)
    return str(wrong["responses"][-1]["prompt"]) if wrong and wrong["responses"] else ""


def label(seed: int, sample: int) -> str:
    """An attempt's name on the page."""
    return f"seed {seed}, sample {sample}"


def write_browser(
    path: Path,
    title: str,
    models: Mapping[str, Tries],
    shares: Sequence[charts.Share] = (),
    report: str | None = None,
) -> int:
    """Writes the page.

    Args:
        path: Where to.
        title: Its heading.
        models: Model name to its tries, in the order of the tables; the page opens on the last one.
        shares: How often each model is right, for a chart above the list.
        report: A path from the page to the run's report.

    Returns:
        How many tasks are shown.
    """
    names = list(models)
    tasks = list(dict.fromkeys(task for name in names for task in models[name]))
    blocks = next(
        blocks
        for spared in (0, 1, 2)
        if sum(map(len, (blocks := dict(_blocks(models, tasks, spared))).values())) <= _MOST or spared == 2
    )
    index = {
        "title": title,
        "models": names,
        "shares": [
            {"name": one.name, "value": one.value, "low": one.low, "high": one.high} for one in shares
        ],
        "report": report,
        "entries": [_entry(number, task, models) for number, task in enumerate(tasks)],
    }
    page = render_page(
        "app.html",
        scripts=_SCRIPTS,
        libraries=("uplot", "tabulator"),
        blocks={"tasks": pack(index), **blocks},
        title=title,
        otherwise="episodes.jsonl and failures.jsonl beside it hold the same.",
    )
    write_text(path, page)
    return len(tasks)


def read_browser(path: Path) -> dict[str, Any]:
    """The data inside a page, for tests and other programs: the index, with each entry's `tries` in full."""
    blocks = blocks_of(path.read_text(encoding="utf-8"))
    index: dict[str, Any] = blocks["tasks"]
    for entry in index["entries"]:
        held = blocks[entry["block"]]
        texts = _unfold(held["texts"])
        entry["tries"] = [
            [_whole(one, texts) for one in tries] for tries in held["tasks"][entry["place"]]["tries"]
        ]
    return index


def _unfold(texts: Sequence[Any]) -> list[str]:
    found: list[str] = []
    for one in texts:
        found.append(one if isinstance(one, str) else found[one[0]][: one[1]] + one[2])
    return found


def _whole(one: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    def text(value: Any) -> Any:
        return [texts[number] for number in value] if isinstance(value, list) else texts[value]

    turns = [{name: text(value) for name, value in turn.items()} for turn in one["turns"]]
    return {**one, "prompt": text(one["prompt"]), "turns": turns}


def _entry(number: int, task: str, models: Mapping[str, Tries]) -> dict[str, Any]:
    """What the list shows: for each model the share of right attempts and why it was wrong first."""
    tries = [models[name].get(task, ()) for name in models]
    why = [next((one["why"][0] for one in some if not one["right"] and one["why"]), "") for some in tries]
    return {
        "id": task,
        "category": next(one["category"] for some in tries for one in some),
        "right": [sum(one["right"] for one in some) / len(some) if some else None for some in tries],
        "why": [shortened(reason, most=600) for reason in why],
        "block": f"tasks-{number // _BLOCK}",
        "place": number % _BLOCK,
    }


def _blocks(models: Mapping[str, Tries], tasks: Sequence[str], spared: int) -> Iterator[tuple[str, str]]:
    """The texts of tasks. `spared` 1: no prompts of what is right; 2: nothing of it but the answers."""
    for start in range(0, len(tasks), _BLOCK):
        texts = Texts("episodes.jsonl has them")
        held = [
            {
                "tries": [
                    [_packed(one, texts, spared) for one in tries.get(task, ())] for tries in models.values()
                ]
            }
            for task in tasks[start : start + _BLOCK]
        ]
        yield f"tasks-{start // _BLOCK}", pack({"texts": texts.all, "tasks": held})


def _packed(one: Mapping[str, Any], texts: Texts, spared: int) -> dict[str, Any]:
    less = spared if one["right"] else 0
    left_out = "(left out of this page; episodes.jsonl has it)"
    return {
        "right": one["right"],
        "why": [shortened(reason, most=4000) for reason in one["why"]],
        "attempt": one["attempt"],
        "prompt": texts.number(left_out if less else one["prompt"]),
        "turns": [
            {
                "user": texts.number(turn["user"]),
                "gold": _numbers([] if less > 1 else turn["gold"], texts),
                "completions": _numbers(turn["completions"], texts),
                "results": _numbers([left_out] * (less > 1) or turn["results"], texts),
            }
            for turn in one["turns"]
        ],
    }


def _numbers(some: Iterable[str], texts: Texts) -> list[int]:
    return [texts.number(text) for text in some]
