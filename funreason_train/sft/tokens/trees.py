"""Tokenised rows -> lines of trees: which rows belong together, how they are cut, packed and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy

from ...dialogue import Message, render_prompt
from ...errors import UserError
from ...models.attention.tree import Line, laid_out, shared, trees
from . import tables
from .packing import pack

#: Tokens in which the prompts of two steps may differ at their end, where the tokenizer is not at hand.
_OPENING = 16
_SEAM = 2  # tokens that what follows may still merge with what stood there before
_WINDOW = 512  # trees among which those of one line are chosen
_SPLIT = "Set sft.tree=false, which trains the same rows one by one"
#: A conversation in which a template can show whether it keeps what it has once written.
_TALK: list[Message] = [
    {"role": "system", "content": "You call functions."},
    {"role": "user", "content": "What is the weather in Rome?"},
    {"role": "assistant", "content": "[weather(city='Rome')]"},
    {"role": "tool", "content": "['sunny']"},
    {"role": "assistant", "content": "It is sunny in Rome."},
    {"role": "user", "content": "And in Oslo?"},
    {"role": "assistant", "content": "[weather(city='Oslo')]"},
    {"role": "tool", "content": "['rain']"},
    {"role": "assistant", "content": "It rains in Oslo."},
    {"role": "user", "content": "Thank you."},
]


def rewriting(tokenizer: Any) -> UserError | None:
    """The refusal of a chat template that writes earlier turns otherwise once others follow, or None.

    Args:
        tokenizer: A Hugging Face tokenizer, or a chat template in Jinja.
    """
    shorter, before = "", ""
    for place, one in enumerate(_TALK):
        if one["role"] not in ("user", "tool"):
            continue
        prompt = render_prompt(_TALK[: place + 1], tokenizer, merged=True)
        kept = shorter[: shorter.rindex(before) + len(before)]
        if not prompt.startswith(kept):
            at = next(n for n, letter in enumerate(kept) if prompt[n : n + 1] != letter)
            return UserError(
                f"the chat template rewrites earlier turns when others follow ({kept[at:][:40]!r} becomes "
                f"{prompt[at:][:40]!r}), so the steps of a trajectory share no trunk",
                where="sft.tree",
                fix=_SPLIT,
            )
        shorter, before = prompt, one["content"]
    return None


def opening(tokenizer: Any) -> int:
    """How many tokens at a prompt's end are gone once the conversation goes on: those that open the thought.

    Args:
        tokenizer: A Hugging Face tokenizer whose template is not `rewriting`.
    """
    prompts = [
        numpy.array(tokenizer(text, add_special_tokens=False)["input_ids"])
        for place, one in enumerate(_TALK)
        if one["role"] in ("user", "tool")
        for text in [render_prompt(_TALK[: place + 1], tokenizer, merged=True)]
    ]
    return max(len(one) - shared(one, other) for one, other in pairwise(prompts)) + _SEAM


def trajectories(rows: Iterable[tables.NamedRow], opening: int = _OPENING) -> Iterator[list[tables.NamedRow]]:
    """Rows that follow one another and belong to one trajectory.

    The data stage names a row `TRAJECTORY/TURN.RESPONSE`. Rows without such names belong together where a
    prompt continues the one before it.

    Args:
        rows: The rows.
        opening: In how many tokens at their end prompts of one history may differ.

    Raises:
        UserError: if the rows of one trajectory disagree about its history.
    """
    group: list[tables.NamedRow] = []
    for one in rows:
        if group and not _together(group[-1], one, opening):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _together(before: tables.NamedRow, one: tables.NamedRow, opening: int) -> bool:
    common = shared(before.row.ids, one.row.ids)
    agree = common >= min(before.prompt, one.prompt) - opening
    keys = [name.rpartition("/")[0] for name in (before.name, one.name)]
    if not all(keys):
        return agree and keys[0] == keys[1]
    if keys[0] == keys[1] and not agree:
        raise UserError(
            f"the rows {before.name!r} and {one.name!r} of one trajectory disagree about their history: "
            f"their prompts of {before.prompt} and {one.prompt} tokens part at token {common}",
            where="sft.tree",
            fix="Prepare the data again, or take the trajectory out, if one of them is wrong; a template "
            f"that rewrites history does this as well. {_SPLIT}",
        )
    return keys[0] == keys[1]


def lines(
    rows: Iterable[tables.NamedRow],
    most: int | None,
    packed: bool,
    together: bool = True,
    opening: int = _OPENING,
) -> Iterator[Line]:
    """Rows as lines of trees.

    Args:
        rows: None of them longer than `most`.
        most: Tokens of a line; None: one tree each, of any size.
        packed: Whether several trees share a line; needs `most`.
        together: Whether the rows of a trajectory share a tree; without, each row is a line.
        opening: See `trajectories`.
    """
    groups = trajectories(rows, opening) if together else ([one] for one in rows)
    grown = (tree for group in groups for tree in trees((one.row for one in group), most))
    if not packed:
        yield from (laid_out(tree.rows) for tree in grown)
        return
    assert most is not None
    for some in pack(grown, most, lambda tree: tree.size, _WINDOW):
        yield laid_out([row for tree in some for row in tree.rows])


def write(
    shards: Sequence[str], file: Path, job: Mapping[str, Any], together: bool, opening: int = _OPENING
) -> dict[str, int]:
    """Writes the rows of `shards` as lines to an Arrow file.

    Args:
        shards: What `tables.raw` wrote.
        file: The new file.
        job: The node `tree` of a job: `most` and `packed`, see `lines`.
        together: See `lines`.
        opening: See `trajectories`.

    Returns:
        `rows`, `sequences`, `tokens` (of the lines), `learned`, `longest` (row), `split` (tokens of the rows
        alone) and `largest` (line).
    """
    report = dict.fromkeys(("rows", "sequences", "tokens", "learned", "longest", "split", "largest"), 0)
    with tables.writing(file, tables.schema(tables.TREE, tables.TREE_SCALARS)) as add:
        for one in lines(tables.named(shards), job["most"], job["packed"], together, opening):
            add([tables.line(one)])
            report["rows"] += one.rows
            report["sequences"] += 1
            report["tokens"] += len(one.ids)
            report["learned"] += len(one.targets)
            report["longest"] = max(report["longest"], int(one.positions.max()) + 1)
            report["split"] += one.split
            report["largest"] = max(report["largest"], len(one.ids))
    return report


def too_small(longest: int, most: int | None) -> UserError | None:
    """The refusal of a limit that one row alone exceeds, or None."""
    if most is None or longest <= most:
        return None
    return UserError(
        f"one step alone has {longest} tokens, and nothing may be cut",
        where=f"sft.tree_tokens={most}",
        fix=f"Set sft.tree_tokens to at least {longest}, or drop long rows in the data stage",
    )
