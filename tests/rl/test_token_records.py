"""The tokens of a step on disk: what was trained comes back, whole groups at a time; nothing is unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.rl.train import token_records

_GROUPS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50)), max_size=20)


def columns(lengths: list[int], seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "ids": [rng.integers(0, 9, length).tolist() for length in lengths],
        "mask": [[1] * length for length in lengths],
        "advantage": [[0.25] * length for length in lengths],
        "old": [(-rng.random(length)).tolist() for length in lengths],
    }


@given(st.lists(st.integers(0, 30), max_size=8))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    file = tmp_path_factory.mktemp("tokens") / "1.npz"
    given_columns = columns(lengths)
    places = [3 * n for n in range(len(lengths))]
    token_records.write(file, places, given_columns, lambda one: f"<{one}>")
    found = dict(token_records.read(file))
    assert list(found) == places
    for at, place in enumerate(places):
        tokens = found[place]
        assert tokens.pieces == [f"<{one}>" for one in given_columns["ids"][at]]
        assert tokens.columns["ids"] == given_columns["ids"][at]
        assert tokens.columns["advantage"] == given_columns["advantage"][at]
        assert np.allclose(tokens.columns["old"], given_columns["old"][at], atol=1e-3)
        assert "new" not in tokens.columns  # what was not computed is missing, not made up


def test_only_the_lines_that_are_asked_for_are_given(tmp_path: Path) -> None:
    token_records.write(tmp_path / "1.npz", [0, 1, 2], columns([3, 4, 5]), str)
    assert [place for place, _ in token_records.read(tmp_path / "1.npz", [2])] == [2]


def test_half_a_character_and_an_infinite_value_are_written(tmp_path: Path) -> None:
    given_columns: dict[str, Any] = {"ids": [[1, 2]], "old": [[float("-inf"), float("nan")]]}
    token_records.write(tmp_path / "1.npz", [0], given_columns, lambda one: "\ud800")
    ((_, tokens),) = token_records.read(tmp_path / "1.npz")
    assert tokens.pieces == ["\ud800"] * 2 and np.isfinite(tokens.columns["old"]).all()


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_file_is_named(tmp_path: Path, damage: bytes | None) -> None:
    file = tmp_path / "1.npz"
    token_records.write(file, [0], columns([40]), str)
    file.write_bytes(file.read_bytes()[:-40] if damage is None else damage)
    with pytest.raises(ValueError, match=r"1\.npz does not hold the tokens of a step"):
        list(token_records.read(file))


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "1.npz"
    harm = np.array([{"a": 1}], dtype=object)
    np.savez(file, lines=harm, starts=harm, ids=harm, vocabulary=harm)
    with pytest.raises(ValueError, match="does not hold"):
        list(token_records.read(file))


@given(_GROUPS, st.one_of(st.none(), st.integers(0, 200)))
def test_whole_groups_are_kept_as_long_as_they_fit(rows: list[tuple[str, int]], most: int | None) -> None:
    groups, lengths = [name for name, _ in rows], [length for _, length in rows]
    places = token_records.within(groups, lengths, most)
    kept = {groups[place] for place in places}
    assert places == [place for place, name in enumerate(groups) if name in kept]
    order = list(dict.fromkeys(groups))
    assert list(dict.fromkeys(groups[place] for place in places)) == order[: len(kept)]
    total = sum(lengths[place] for place in places)
    assert most is None or total <= most
    if most is None:
        assert len(places) == len(rows)
    elif len(kept) < len(order):
        following = sum(length for name, length in rows if name == order[len(kept)])
        assert total + following > most
