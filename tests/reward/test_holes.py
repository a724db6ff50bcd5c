"""The holes found in other projects' rewards and decoders, each named after where it was: closed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rewarding import TOOLS, judge, score, truth

from funreason_train.calls import Call
from funreason_train.reward import VARIANTS, compute_score, reason_of

BOOK = Call("book", {"city": "Oslo", "nights": 2})
PWD = Call("pwd")
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)


@EVERY_VARIANT
def test_bfcl_decoder_drops_positional_arguments(variant: str) -> None:
    assert score('[pwd("src")]', PWD, variant=variant) == 0


@EVERY_VARIANT
def test_bfcl_decoder_reads_plus_as_minus(variant: str) -> None:
    gold = Call("book", {"city": "Oslo", "nights": 5})
    assert score('[book(city="Oslo", nights=+5)]', gold, variant=variant) == 1
    assert score('[book(city="Oslo", nights=+5)]', Call("book", {"city": "Oslo", "nights": -5})) == 0


@EVERY_VARIANT
def test_bfcl_decoder_reads_true_as_a_string(variant: str) -> None:
    gold = Call("book", {"city": "Oslo", "pets": True})
    assert score('[book(city="Oslo", pets=true)]', gold, variant=variant) == 1
    assert score('[book(city="Oslo", pets="true")]', gold, variant=variant) < 1


def test_bfcl_decoder_evaluates_what_the_model_wrote(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for code in (
        f"__import__('os').system('touch {marker}')",
        f"1 + open('{marker}', 'w').write('x')",
        "2 ** 99999999",
    ):
        assert score(f"[book(city={code})]", Call("book", {"city": "Oslo"})) == 0
        assert score(f"[{code}]", PWD) == 0
    assert not marker.exists()


def test_tool_n1_tells_one_from_one_point_zero_for_a_number() -> None:
    gold = Call("book", {"city": "Oslo", "price": 1})
    assert score('[book(city="Oslo", price=1.0)]', gold) == 1
    assert score('[book(city="Oslo", nights=1.0)]', Call("book", {"city": "Oslo", "nights": 1})) == 0


@EVERY_VARIANT
def test_tool_n1_gives_a_right_reply_without_calls_nothing(variant: str) -> None:
    assert score("Which city do you mean?", variant=variant) == 1


@EVERY_VARIANT
@pytest.mark.parametrize(
    "completion",
    [
        "[pwd()]",
        "[pwd()]</think>",
        "a</think><think>[pwd()]",
        "a</think>b</think>[pwd()]",
        "</think>[pwd()]<think>",
        "<think>a<think></think>[pwd()]",
        "a</think>[pwd()]</think>",
    ],
)
def test_tool_n1_passes_misplaced_think_tags(completion: str, variant: str) -> None:
    assert compute_score("test", completion, truth(PWD), None, variant=variant)["score"] == 0


@EVERY_VARIANT
def test_looptool_compares_lists_as_sets(variant: str) -> None:
    gold = Call("book", {"city": "Oslo", "dates": [1, 1, 2]})
    for wrong in ("[2, 1]", "[1, 2]", "[2, 1, 1]"):
        assert score(f'[book(city="Oslo", dates={wrong})]', gold, variant=variant) < 1
    assert score('[book(city="Oslo", dates=[1, 1, 2])]', gold, variant=variant) == 1


@EVERY_VARIANT
def test_looptool_takes_true_for_one(variant: str) -> None:
    gold = Call("book", {"city": "Oslo", "nights": 1})
    assert score('[book(city="Oslo", nights=True)]', gold, variant=variant) < 1
    gold = Call("book", {"city": "Oslo", "pets": True})
    assert score('[book(city="Oslo", pets=1)]', gold, variant=variant) < 1


@EVERY_VARIANT
def test_toolrl_pays_for_the_right_call_among_junk(variant: str) -> None:
    junk = [Call("book", {"city": f"city{i}"}) for i in range(20)]
    right, one_more, buried = (
        score(calls, PWD, variant=variant) for calls in ([PWD], [PWD, junk[0]], [PWD, *junk])
    )
    assert right == 1 > one_more
    assert buried <= one_more
    assert buried < 0.1


@EVERY_VARIANT
def test_toolrl_lets_calls_where_none_is_due_go_free(variant: str) -> None:
    assert score([PWD], variant=variant) == 0


@EVERY_VARIANT
def test_rllm_lets_one_call_satisfy_two_golds(variant: str) -> None:
    assert score([PWD], PWD, PWD, variant=variant) < 1
    assert score([PWD, PWD], PWD, PWD, variant=variant) == 1


@EVERY_VARIANT
def test_rllm_lets_extra_calls_go_free(variant: str) -> None:
    assert score([BOOK, PWD], BOOK, variant=variant) < 1
    assert score([BOOK, BOOK], BOOK, variant=variant) < 1


@EVERY_VARIANT
def test_rllm_matches_a_gold_without_arguments_with_anything(variant: str) -> None:
    assert score([Call("pwd", {"path": "/"})], PWD, variant=variant) < 1
    assert score([Call("cancel")], PWD, variant=variant) == 0


@EVERY_VARIANT
@pytest.mark.parametrize(
    "answer", ["", " \n", "[]", "[ ]", "[pwd(]", "[pwd(1)]", "pwd()", "<tool_call></tool_call>"]
)
def test_rllm_calls_everything_right_when_no_call_is_due(answer: str, variant: str) -> None:
    assert score(answer, variant=variant) == 0


@EVERY_VARIANT
def test_nemo_gym_accepts_extra_argument_names(variant: str) -> None:
    for extra in ({"stars": 5}, {"price": 3}, {"pets": True}):
        assert score([Call("book", {**BOOK.arguments, **extra})], BOOK, variant=variant) < 1
    assert score([Call("book", {**BOOK.arguments, "pets": False})], BOOK, variant=variant) == 1  # its default


@EVERY_VARIANT
def test_nemo_gym_reads_broken_arguments_as_none(variant: str) -> None:
    for broken in ("[pwd({)]", "[pwd(a=)]", "[pwd(a={)]", '[pwd({"a")]'):
        result = judge(broken, PWD, variant=variant)
        assert result["score"] == 0 and result["format"] == 0


@EVERY_VARIANT
def test_schema_echo_is_no_answer(variant: str) -> None:
    for gold in ((PWD,), ()):
        assert score(json.dumps(TOOLS), *gold, variant=variant) == 0
        assert score(json.dumps(TOOLS, indent=4), *gold, variant=variant) == 0
        assert score(f"```json\n{json.dumps(TOOLS[1])}\n```", *gold, variant=variant) == 0


def test_calls_hidden_in_prose_are_no_plain_text() -> None:
    assert reason_of(judge("I will call [pwd()] now.")) == "mixed_answer"
    assert score("I will call [pwd()] now.", PWD) == 0
