"""Trees of rows: what is shared, where everything stands, and that limits cut trees without losing a row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.dialogue import QWEN_CHAT_TEMPLATE
from funreason_train.errors import UserError
from funreason_train.models.attention.tree import ANSWER, THOUGHT, Line, TreeRow, laid_out, trees
from funreason_train.sft.tokens.tables import NamedRow
from funreason_train.sft.tokens.trees import lines, rewriting, too_small, trajectories


def row(ids: Sequence[int], learned: int = 1, answer: int | None = None) -> TreeRow:
    return TreeRow(numpy.array(ids, numpy.int32), learned, learned if answer is None else answer)


@st.composite
def forests(draw: st.DrawFn) -> list[TreeRow]:
    """Rows that continue, part from and repeat one another at any token."""
    rows: list[TreeRow] = []
    for _ in range(draw(st.integers(1, 7))):
        base: list[int] = []
        continues = draw(st.booleans())
        if rows and continues:
            before = draw(st.sampled_from(rows)).ids.tolist()
            base = before[: draw(st.integers(0, len(before)))]
        ids = base + draw(st.lists(st.integers(0, 2), min_size=2, max_size=9))
        learned = draw(st.integers(1, len(ids) - 1))
        rows.append(row(ids, learned, draw(st.integers(learned, len(ids)))))
    return rows


def predicted(line: Line) -> list[tuple[tuple[int, ...], int, int]]:
    """For each learned token: all that its prediction sees, the token, and its segment."""
    found = []
    for place, target, segment in zip(line.places, line.targets, line.segments, strict=True):
        seen = [j for j in range(place + 1) if line.ends[j] > place]
        assert line.positions[seen].tolist() == list(range(len(seen))), "positions go on from the trunk's"
        found.append((tuple(line.ids[seen].tolist()), int(target), int(segment)))
    return sorted(found)


def alone(rows: Sequence[TreeRow]) -> list[tuple[tuple[int, ...], int, int]]:
    return sorted(
        (tuple(one.ids[:n].tolist()), int(one.ids[n]), THOUGHT if n < one.answer else ANSWER)
        for one in rows
        for n in range(one.learned, len(one.ids))
    )


@given(forests(), st.sampled_from([None, 20, 60]))
def test_every_token_sees_what_it_sees_in_its_own_row_and_is_there_once(
    rows: list[TreeRow], most: int | None
) -> None:
    limit = None if most is None else max(most, *(len(one.ids) for one in rows))
    grown = list(trees(rows, limit))
    assert sum(len(tree.rows) for tree in grown) == len(rows), "cut, never dropped"
    assert limit is not None or len(grown) == 1
    for tree in grown:
        line = laid_out(tree.rows)
        prefixes = {tuple(one.ids[: n + 1].tolist()) for one in tree.rows for n in range(len(one.ids))}
        assert len(line.ids) == tree.size == len(prefixes), "no token twice"
        assert limit is None or tree.size <= limit
        assert predicted(line) == alone(tree.rows)
        assert line.split == sum(len(one.ids) for one in tree.rows) and line.rows == len(tree.rows)


def steps(trajectory: str, *answers: tuple[list[int], list[int]]) -> list[NamedRow]:
    """A conversation: a history of token 1s, and for each step its thought and its answer."""
    history, rows = [1] * 30, []
    for number, (thought, answer) in enumerate(answers):
        prompt = [*history, 2, 3]
        ids = numpy.array([*prompt, *thought, *answer], numpy.int32)
        one = TreeRow(ids, len(prompt), len(prompt) + len(thought))
        rows.append(NamedRow(one, len(prompt), f"{trajectory}/0.{number}"))
        history += [2, *answer, 4, 4]
    return rows


def test_an_answer_without_its_thought_is_another_token_than_with_it() -> None:
    (line,) = lines(steps("a", ([7, 7], [5, 5]), ([8, 8], [6, 6])), None, packed=False)
    # The trunk: 30 of history, `2 5 5 4 4`, then `2 3` and the second thought; a branch: `3 7 7 5 5`.
    assert len(line.ids) == 30 + 5 + 2 + 5 + 4
    assert line.ids[-5:].tolist() == [3, 7, 7, 5, 5], "the trunk stands before its branches"
    assert line.positions[-5:].tolist() == [31, 32, 33, 34, 35]
    assert sorted(numpy.nonzero(line.ids == 5)[0].tolist()) == [31, 32, 44, 45]


def test_trajectories_are_lines_unless_packed_and_no_limit_loses_a_row() -> None:
    rows = [*steps("a", ([7], [5]), ([7], [6])), *steps("b", ([8], [5]))]
    assert [line.rows for line in lines(rows, None, packed=False)] == [2, 1]
    assert [line.rows for line in lines(rows, 400, packed=True)] == [3]
    assert [line.rows for line in lines(rows, 40, packed=False)] == [1, 1, 1]
    assert [line.rows for line in lines(rows, None, packed=False, together=False)] == [1, 1, 1]


def test_rows_without_names_belong_together_where_one_continues_the_other() -> None:
    nameless = [one._replace(name="") for one in steps("a", ([7], [5]), ([7], [6]))]
    stranger = NamedRow(row([9] * 40, 30), 30, "")
    assert [len(group) for group in trajectories([*nameless, stranger, *nameless])] == [2, 1, 2]
    samples = [nameless[0], nameless[0]._replace(row=row([*nameless[0].row.ids[:-1], 9], 32))]
    assert [len(group) for group in trajectories(samples)] == [2], "two answers to one prompt"


def test_branches_that_disagree_about_their_trunk_are_named() -> None:
    first, second = steps("a", ([7], [5]), ([7], [6]))
    torn = second._replace(row=row([9, *second.row.ids[1:]], second.row.learned))
    with pytest.raises(UserError, match=r"'a/0.0' and 'a/0.1' of one trajectory disagree .* at token 0"):
        list(trajectories([first, torn]))


@pytest.mark.parametrize(
    ("template", "refused"),
    [
        (QWEN_CHAT_TEMPLATE, False),
        # Qwen3's own way: a thought, here an empty one, is kept behind the last question alone.
        (
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and "
            "(messages | length) - loop.index0 < 4 %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}"
            "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            True,
        ),
        ("<|im_start|>{{ messages | length }}<|im_end|>\n" + QWEN_CHAT_TEMPLATE, True),
    ],
)
def test_a_template_that_rewrites_history_is_found(template: str, refused: bool) -> None:
    found: Any = rewriting(template)
    assert (found is not None) == refused
    if refused:
        assert "rewrites earlier turns" in str(found) and "sft.tree=false" in str(found)


def test_a_limit_below_one_step_is_told_with_the_one_that_is_needed() -> None:
    assert too_small(100, None) is None and too_small(100, 100) is None
    assert "Set sft.tree_tokens to at least 101" in str(too_small(101, 100))


def test_a_dry_run_says_about_how_much_is_saved(tmp_path: Path) -> None:
    from funreason_train.sft.brief import shared_text

    history = [{"from": "human", "value": "word " * 100}]
    file = tmp_path / "train.json"
    rows = [{"id": str(n), "system": "", "conversations": history * (n + 1)} for n in range(4)]
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    seen, ratio, trees = shared_text(file)
    assert seen == 4 and 2.3 < ratio < 2.7 and trees == 1, "ten histories for four"
    for name in ("a", "b"):  # what two trajectories have in common is computed in each of them
        rows += [
            {"id": f"{name}/{n}", "system": "the same tools " * 99, "conversations": history * (n + 1)}
            for n in range(2)
        ]
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows[4:])) + "\n]\n")
    seen, ratio, trees = shared_text(file)
    assert (seen, trees) == (4, 2) and 1.6 < ratio < 1.9
    file.write_text("[]")
    assert shared_text(file) == (0, 1.0, 0)
