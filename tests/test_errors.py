"""What is said of a user's mistakes."""

import pytest

from funreason_train.errors import Problem, UserError, refuse


def test_a_problem_is_one_sentence_with_place_and_fix() -> None:
    assert str(Problem("must be above 0", where="rl.temperature=-1", fix="Set it to 1")) == (
        "rl.temperature=-1: must be above 0. Set it to 1"
    )
    assert str(Problem("there is no model")) == "there is no model"


def test_sentences_and_errors_become_problems() -> None:
    problem = Problem("is missing", "sft.model", "Set it")
    assert Problem.of(problem) is problem
    assert Problem.of(UserError("is missing", where="sft.model", fix="Set it")) == problem
    assert Problem.of("is missing") == Problem("is missing")


def test_nothing_found_refuses_nothing() -> None:
    refuse([])


def test_one_problem_keeps_its_parts() -> None:
    with pytest.raises(UserError) as caught:
        refuse([Problem("is missing", "sft.model", "Set it")])
    assert Problem.of(caught.value) == Problem("is missing", "sft.model", "Set it")


def test_all_problems_are_told_at_once_and_each_once() -> None:
    with pytest.raises(UserError) as caught:
        refuse(["a is wrong", Problem("b is wrong"), "a is wrong"])
    assert str(caught.value) == "2 problems would stop the run:\n  - a is wrong\n  - b is wrong"
