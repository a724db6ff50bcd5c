"""A value of the wrong kind is a mistake that is told, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from funreason_train.commands import cli
from funreason_train.errors import UserError
from funreason_train.settings.compose import compose
from funreason_train.settings.kinds import misfit


@pytest.mark.parametrize(
    ("shipped", "right", "wrong"),
    [
        (True, [False], [1, "yes", "true"]),
        (3, [0, -1], [True, 1.5, "3", [3]]),
        (0.5, [1, 2.5], [True, "0.5", [0.5]]),
        ("near", ["exact", 7, False], [["near"], {"near": 1}]),
        ([1], [[], ["a"]], [1, "abc", {"a": 1}]),
        ({"a": 1}, [{}], [1, "a", [1]]),
        (None, [1, "a", True, [], {}], []),
    ],
)
def test_a_value_has_the_kind_of_the_shipped_one(shipped: object, right: list, wrong: list) -> None:
    assert [misfit("data.key", shipped, value) for value in [*right, None]] == [None] * (len(right) + 1)
    assert all("data.key" in (misfit("data.key", shipped, value) or "") for value in wrong)


def test_all_of_them_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        compose("eval", ["samples=some", "categories=multi_turn", "temperature=[1]"])
    assert all(key in str(caught.value) for key in ("samples", "categories", "temperature"))


def test_a_key_that_a_recipe_fills_is_judged_by_the_recipe() -> None:
    assert compose("rl", ["+recipe=quickstart_cpu", "sft.epochs=2.5"]).sft.epochs == 2.5


def test_a_dry_run_says_what_would_not_start_and_shows_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rl", "samples_per_prompt=1", "temperature=-1", "dry_run=true", f"run_dir={tmp_path}"]
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert "problems would stop the run" in told or "rl.temperature=-1" in told
    assert "rl.temperature=-1" in told
    assert (tmp_path / "plan" / "config.yaml").is_file()
    assert cli.main(["rl", "dry_run=true", f"run_dir={tmp_path}"]) == 0
    assert (tmp_path / "plan" / "rl.yaml").is_file()
