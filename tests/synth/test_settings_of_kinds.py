"""`synth.kinds`: what is named is all there is, in words and in recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from funreason_train.settings.compose import compose
from funreason_train.synth.chain.plan import KINDS
from funreason_train.synth.kinds import kind_shares


def shares(*words: str) -> dict[str, float]:
    section: Any = OmegaConf.to_container(compose("synth", words).synth, resolve=True)
    return {kind: share for kind, share in kind_shares(section).items() if share}


def test_without_a_word_all_kinds_come() -> None:
    assert shares().keys() == KINDS.keys() and sum(shares().values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "words",
    [["kinds={plain: 0.6, parallel: 0.4}"], ["kinds.plain=0.6", "kinds.parallel=0.4"]],
)
def test_shares_in_words_are_all_there_is(words: list[str]) -> None:
    assert shares(*words) == {"plain": 0.6, "parallel": 0.4}


def test_a_recipe_with_shares_of_its_own_inherits_no_other_kind(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "# @package _global_\nsynth:\n  kinds:\n    plain: 0.6\n    no_tool: 0.4\n    error: 0\n"
    )
    assert shares(f"+recipe={recipe}") == {"plain": 0.6, "no_tool": 0.4}
    assert shares(f"+recipe={recipe}", "kinds.long=0.1") == {"plain": 0.6, "no_tool": 0.4, "long": 0.1}


def test_zeros_alone_take_kinds_out_of_the_usual_ones() -> None:
    assert shares().keys() - shares("kinds.error=0", "kinds.long=0").keys() == {"error", "long"}
