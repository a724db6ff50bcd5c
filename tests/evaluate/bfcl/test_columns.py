"""The paper's columns: weights worked out by hand, and intervals that hold what they promise."""

import random
from functools import partial
from importlib.resources import files
from typing import Any

import pytest
from evaluate.bfcl.bfcl_results import ENTRIES

from funreason_train.errors import UserError
from funreason_train.evaluate.bfcl.categories import CATEGORIES, GROUPS, choose_categories
from funreason_train.evaluate.bfcl.columns import (
    COLUMNS,
    LIVE_ENTRIES,
    column_value,
    entry_correlation,
    missing,
)
from funreason_train.pages.statistics import mean_share

BY_KEY = {column.key: column for column in COLUMNS}


def values_of(**shares: Any) -> Any:
    """Category to entries, `share` of a hundred of them right."""
    return {
        name: {f"{name}_{number}": float(number < 100 * share) for number in range(100)}
        for name, share in shares.items()
    }


def column(key: Any, **shares: Any) -> Any:
    values = values_of(**shares)
    return column_value(BY_KEY[key], values, lambda name: mean_share([*values[name].values()]))


@pytest.mark.parametrize(
    ("key", "shares", "expected"),
    [
        (
            "multi_turn.overall",
            {
                "multi_turn_base": 0.6,
                "multi_turn_miss_func": 0.4,
                "multi_turn_miss_param": 0.2,
                "multi_turn_long_context": 0.8,
            },
            0.5,
        ),
        (
            "single_turn.non_live",  # ((0.9 + 0.6 + 0.3) / 3 + 0.8 + 0.7 + 0.5) / 4
            {
                "simple_python": 0.9,
                "simple_java": 0.6,
                "simple_javascript": 0.3,
                "multiple": 0.8,
                "parallel": 0.7,
                "parallel_multiple": 0.5,
            },
            0.65,
        ),
        (
            "single_turn.live",
            {"live_simple": 0.5, "live_multiple": 0.9, "live_parallel": 0.0, "live_parallel_multiple": 1.0},
            (0.5 * 258 + 0.9 * 1053 + 0.0 * 16 + 1.0 * 24) / 1351,
        ),
        ("v4.memory", {"memory_kv": 0.3, "memory_vector": 0.0, "memory_rec_sum": 0.6}, 0.3),
        (
            "v4.overall",
            {
                "memory_kv": 0.3,
                "memory_vector": 0.0,
                "memory_rec_sum": 0.6,
                "web_search_base": 0.2,
                "web_search_no_snippet": 0.0,
            },
            0.2,
        ),
    ],
)
def test_columns_are_what_a_hand_works_out(key: str, shares: dict[str, Any], expected: float) -> None:
    found = column(key, **shares)
    assert found.mean == pytest.approx(expected)
    assert 0 <= found.low < found.mean < found.high <= 1


def test_the_papers_own_overall_figures_follow_from_its_parts() -> None:
    """Every published overall that has all its parts, within rounding: the formulas are the paper's."""
    import yaml

    text = files("funreason_train.evaluate.bfcl").joinpath("published.yaml").read_text(encoding="utf-8")
    whole = [row["values"] for row in yaml.safe_load(text) if len(row["values"]) == len(COLUMNS)]
    assert len(whole) == 3
    for row in whole:
        parts = ("base", "miss_func", "miss_param", "long_context")
        turns = sum(row[f"multi_turn.{name}"] for name in parts) / 4
        assert row["multi_turn.overall"] == pytest.approx(turns, abs=0.011)
        single = (row["single_turn.non_live"] + row["single_turn.live"]) / 2
        assert row["single_turn.overall"] == pytest.approx(single, abs=0.011)
        web = (row["v4.web_search.base"] + row["v4.web_search.no_snippet"]) / 2
        assert row["v4.web_search"] == pytest.approx(web, abs=0.011)
        memory = sum(row[f"v4.memory.{name}"] for name in ("kv", "vector", "rec_sum")) / 3
        assert row["v4.memory"] == pytest.approx(memory, abs=0.011)
        assert row["v4.overall"] == pytest.approx((web + memory) / 2, abs=0.011)


def test_every_columns_weights_add_up_to_one_over_known_categories() -> None:
    for one in COLUMNS:
        assert sum(one.weights.values()) == pytest.approx(1)
        assert set(one.weights) <= set(CATEGORIES)
    assert {name for one in COLUMNS for name in one.weights} == set(GROUPS["paper"])


def test_the_live_weights_are_the_installed_packages_counts() -> None:
    data = files("bfcl_eval") / "data"
    for name, count in LIVE_ENTRIES.items():
        lines = (data / f"BFCL_v4_{name}.json").read_text(encoding="utf-8").splitlines()
        assert sum(bool(line.strip()) for line in lines) == count == ENTRIES[name]


def test_a_column_lacks_the_categories_that_were_not_run() -> None:
    assert missing(BY_KEY["v4.memory"], {"memory_kv": 1, "memory_rec_sum": 1}) == ["memory_vector"]
    assert missing(BY_KEY["multi_turn.base"], {"multi_turn_base": 1}) == []


def test_stories_that_go_together_widen_the_interval() -> None:
    names = list(BY_KEY["multi_turn.overall"].weights)
    alike = values_of(**dict.fromkeys(names, 0.5))
    apart = {
        name: dict(zip(part, random.Random(name).sample([*part.values()], len(part)), strict=True))
        for name, part in alike.items()
    }
    assert entry_correlation(names[0], names[1], alike) == pytest.approx(1)
    assert (
        entry_correlation("live_simple", "live_multiple", values_of(live_simple=0.5, live_multiple=0.5)) == 0
    )

    def width(values: Any) -> Any:
        estimate = lambda name: mean_share([*values[name].values()])  # noqa: E731
        found = column_value(BY_KEY["multi_turn.overall"], values, estimate)
        return found.high - found.low

    one = mean_share([*alike[names[0]].values()])
    assert width(alike) == pytest.approx(one.high - one.low)  # four times the same is no more than once
    assert width(apart) < 0.7 * width(alike)


@pytest.mark.parametrize("together", [False, True])
def test_the_interval_of_a_column_covers_the_truth_about_95_times_in_100(together: bool) -> None:
    draw, covered, rounds = random.Random(5), 0, 400
    chances = dict(zip(BY_KEY["multi_turn.overall"].weights, (0.6, 0.5, 0.3, 0.1), strict=True))
    truth = sum(chances.values()) / 4
    for _ in range(rounds):
        luck = [draw.random() for _ in range(60)]
        values = {
            name: {f"{name}_{n}": float((luck[n] if together else draw.random()) < chance) for n in range(60)}
            for name, chance in chances.items()
        }
        found = column_value(
            BY_KEY["multi_turn.overall"],
            values,
            partial(lambda of, name: mean_share([*of[name].values()]), values),
        )
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / rounds <= 0.985


def test_categories_are_chosen_by_name_and_group() -> None:
    assert choose_categories(["live", "multi_turn_base"])[:1] == ("live_simple",)
    assert set(choose_categories(["paper"])) < set(choose_categories(["all"]))
    with pytest.raises(UserError, match="'multi_trun_base'; did you mean 'multi_turn_base'"):
        choose_categories(["multi_trun_base"])
    with pytest.raises(UserError, match="no BFCL category is named"):
        choose_categories([])
