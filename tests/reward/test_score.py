"""What the reward pays, says, and survives."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward.rewarding import TOOLS, judge, score, truth

from funreason_train.calls import Call, render_calls
from funreason_train.reward import (
    REASON_CODES,
    VARIANTS,
    RewardOptions,
    check_options,
    compute_score,
    reason_of,
)

BOOK = Call("book", {"city": "Oslo", "nights": 2})
PWD = Call("pwd")
KEYS = {"score", "acc", "format", "closed", "num_calls", "gold_calls", "length", "reason", "error"}


def test_a_right_answer() -> None:
    result = judge('[pwd(), book(nights=2, city="Oslo")]', BOOK, PWD)
    assert result == {
        "score": 1,
        "acc": 1,
        "format": 1,
        "closed": 1,
        "num_calls": 2,
        "gold_calls": 2,
        "length": len('\nI think.\n</think>\n\n[pwd(), book(nights=2, city="Oslo")]'),
        "reason": 0,
        "error": 0,
    }


def _nested(depth: int) -> list[Any]:
    return [_nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        ([BOOK, PWD], "right"),
        ([Call("book", {"city": 'a "b"\n<think> \u4e2d', "dates": [1, True, 1.0]})], "right"),
        ([PWD] * 64, "right"),
        ([PWD] * 65, "too_many_calls"),
        ([Call("book", {"city": _nested(33)})], "too_deep"),
        ([Call("book", {"city": "x" * 20_000})], "too_long"),
        (
            [Call("book", {"a\u00b7": 1})],
            "right",
        ),  # an identifier to Python, though not to its regular expressions
    ],
)
def test_the_golds_own_text_has_no_licence(gold: list[Call], reason: str) -> None:
    assert reason_of(judge(render_calls(gold), *gold)) == reason


def test_nothing_is_the_text_of_nan() -> None:
    gold = Call("book", {"city": "Oslo", "price": math.nan})
    assert reason_of(judge('[book(city="Oslo", price=NaN)]', gold)) == "bare_name"
    assert reason_of(judge('[book(city="Oslo", price=1.5)]', gold)) == "values"


@pytest.mark.parametrize(
    "completion",
    [
        "t</think>\n\n[pwd()]",
        "<think>t</think>\n\n[pwd()]",
        "</think>\n\n[pwd()]",
        "t\n</think>\n\n<tool_call>\n[pwd()]\n</tool_call>",
        "t</think>[ pwd ( ) ]",
        "t</think>\n\n[pwd()]<|im_end|>\n",
    ],
)
def test_forms_of_a_right_answer(completion: str) -> None:
    assert compute_score("test", completion, truth(PWD))["score"] == 1


@pytest.mark.parametrize(
    ("answer", "gold", "reason"),
    [
        ("[pwd()]", (PWD, PWD), "count"),
        ("[cancel()]", (PWD,), "tools"),
        ("[pwd(a=1)]", (PWD,), "arguments"),
        ('[book(city="Oslo", nights=3)]', (BOOK,), "values"),
        ("I cannot.", (PWD,), "text_for_calls"),
        ("[pwd()]", (), "calls_for_text"),
        ("[pwd(1)]", (PWD,), "positional_argument"),
        ("", (PWD,), "empty_answer"),
        ("[]", (PWD,), "no_calls"),
        ("Done.", (), "right"),
    ],
)
def test_reasons(answer: str, gold: tuple[Call, ...], reason: str) -> None:
    result = judge(answer, *gold)
    assert reason_of(result) == reason
    assert result["acc"] == result["score"] == (reason == "right")
    assert result["error"] == 0


def test_form_and_answer_are_told_apart() -> None:
    assert judge("[cancel()]", PWD)["format"] == 1
    assert judge("[cancel(1)]", PWD)["format"] == 0
    unclosed = compute_score("test", "[pwd()]", truth(PWD))
    assert (unclosed["closed"], unclosed["format"], reason_of(unclosed)) == (0, 0, "unclosed")


def test_order_is_an_option() -> None:
    assert score([PWD, BOOK], BOOK, PWD) == 1
    assert score([PWD, BOOK], BOOK, PWD, ordered=True) == 0
    assert score([BOOK, PWD], BOOK, PWD, ordered=True) == 1


def test_string_rule_is_an_option() -> None:
    answer = '[book(city="oslo.", nights=2)]'
    assert score(answer, BOOK) == 0
    assert score(answer, BOOK, strings="bfcl") == score(answer, BOOK, variant="bfcl") == 1


def test_accepted_values_are_read_by_the_bfcl_variant_alone() -> None:
    calls = [{"name": "book", "accepted": {"city": ["Oslo", "Christiania"], "nights": [2, ""]}}]
    gold = json.dumps({"calls": calls, "tools": TOOLS})

    def at(answer: str, variant: str = "bfcl") -> dict[str, float]:
        return compute_score("test", f"t</think>{answer}", gold, None, variant=variant)

    assert at('[book(city="oslo", nights=2)]')["score"] == at('[book(city="Christiania")]')["score"] == 1
    assert at('[book(city="Oslo", nights=3)]')["score"] == at("Oslo.")["score"] == 0
    assert at('[book(city="Oslo", nights=3)]')["error"] == 0
    for variant in ("binary", "partial", "progress"):
        result = at('[book(city="Oslo")]', variant)
        assert (result["score"], result["error"], reason_of(result)) == (0, 1, "ground_truth")


def test_an_empty_thought_is_a_fault_only_when_asked() -> None:
    completion = "\n</think>\n\n[pwd()]"
    assert compute_score("test", completion, truth(PWD))["score"] == 1
    result = compute_score("test", completion, truth(PWD), None, require_thought=True)
    assert (result["score"], result["format"], reason_of(result)) == (0, 0, "empty_thought")


def test_length_limit_and_soft_penalty() -> None:
    def at(length: int, **options: Any) -> float:
        tail = "</think>\n\n[pwd()]"
        completion = "x" * (length - len(tail)) + tail
        return compute_score("test", completion, truth(PWD), None, **options)["score"]

    assert at(1000, max_chars=1000) == 1
    assert at(1001, max_chars=1000) == 0
    soft = {"max_chars": 1000, "soft_chars": 800, "soft_weight": 0.5}
    assert [at(length, **soft) for length in (800, 900, 1000, 1001)] == [1, 0.75, 0.5, 0]
    wrong = compute_score("test", "x" * 900 + "</think>[cancel()]", truth(PWD), None, **soft)
    assert wrong["score"] == 0


def test_partial_credit_grows_with_what_is_right() -> None:
    gold = Call("book", {"city": "Oslo", "nights": 2, "price": 10})

    def partial(**arguments: Any) -> float:
        return score([Call("book", arguments)], gold, variant="partial")

    wrong_tool = score([PWD], gold, variant="partial")
    ladder = [
        wrong_tool,
        partial(),
        partial(city="Rome"),
        partial(city="Oslo"),
        partial(city="Oslo", nights=3, price=11),
        partial(city="Oslo", nights=2, price=11),
        partial(city="Oslo", nights=2, price=10.0),
    ]
    assert ladder == sorted(ladder) and len(set(ladder)) == len(ladder)
    assert (ladder[0], ladder[-1]) == (0, 1)


def test_partial_credit_is_for_well_formed_calls_where_calls_are_due() -> None:
    assert score("[pwd(), book(1)]", PWD, BOOK, variant="partial") == 0
    assert score("text", PWD, variant="partial") == 0
    assert score([PWD], variant="partial") == 0
    assert score([BOOK, PWD], PWD, BOOK, variant="partial", ordered=True) == 0
    assert score([PWD, PWD], PWD, BOOK, variant="partial", ordered=True) > 0


calls = st.sampled_from(
    [PWD, BOOK, Call("cancel"), Call("book", {"city": "Rome"}), Call("book", {"city": "Oslo", "nights": 2.0})]
)


@given(st.lists(calls, min_size=1, max_size=5), st.lists(calls, min_size=1, max_size=5), st.booleans())
def test_partial_is_full_exactly_where_binary_is(ours: list[Call], gold: list[Call], ordered: bool) -> None:
    binary = score(ours, *gold, ordered=ordered)
    partial = score(ours, *gold, variant="partial", ordered=ordered)
    assert (partial == 1) == (binary == 1)
    assert 0 <= partial <= 1


@given(st.lists(calls, min_size=1, max_size=4), st.lists(calls, min_size=1, max_size=4))
def test_a_surplus_call_never_pays(predicted: list[Call], gold: list[Call]) -> None:
    junk = Call("no_such_tool", {"a": 1})
    more, less = (score(c, *gold, variant="partial") for c in ([*predicted, junk], predicted))
    assert more < less or more == less == 0


# Whatever happens, the training goes on.


def check(result: dict[str, float]) -> None:
    assert result.keys() == KEYS
    assert all(type(value) is float and math.isfinite(value) for value in result.values())
    assert 0 <= result["score"] <= 1
    assert reason_of(result) in REASON_CODES


GOOD = render_calls([BOOK, Call("pwd", {"a": [1, {"b": None}], "c": "\\'\"</think>"})])
PIECES = st.sampled_from(
    [*"[](){}=,:'\"\\#*+-. \n\x00\ud800", "<think>", "</think>", "<tool_call>", "1e999", "nan", "f"]
)


@settings(max_examples=400)
@given(st.data(), st.sampled_from(VARIANTS))
def test_total_on_mutated_answers(data: st.DataObject, variant: str) -> None:
    text = f"t</think>\n\n{GOOD}"
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(PIECES | st.just("")) + text[at + data.draw(st.integers(0, 5)) :]
    check(compute_score("test", text, truth(BOOK, PWD), None, variant=variant))


@given(st.text(max_size=100), st.text(max_size=100))
def test_total_on_any_text(solution: str, ground_truth: str) -> None:
    check(compute_score("test", solution, ground_truth))
    check(compute_score("test", f"{solution}</think>{solution}", truth(PWD)))


@pytest.mark.parametrize("solution", [None, 3, b"x", ["x"]])
def test_a_completion_that_is_not_text(solution: Any) -> None:
    result = compute_score("test", solution, truth(PWD))
    check(result)
    assert (result["error"], reason_of(result)) == (1, "not_text")


@pytest.mark.parametrize(
    "ground_truth",
    [
        None,
        3,
        {"calls": []},
        [],
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"calls": []}',
        '{"calls": [], "tools": []} []',
        '{"calls": [], "tools": []},',
        '{"calls": null, "tools": []}',
        '{"calls": "pwd", "tools": []}',
        '{"calls": [{"name": "f"}], "tools": []}',
        '{"calls": [{"name": 3, "arguments": {}}], "tools": []}',
        '{"calls": [{"name": "f", "arguments": "{}"}], "tools": []}',
        '{"calls": [{"name": "f", "arguments": []}], "tools": []}',
        '{"calls": [{"name": "f", "arguments": [["a", 1]]}], "tools": []}',
        '{"calls": [{"name": "f", "accepted": {"a": 1}}], "tools": []}',
        '{"calls": [{"name": "f", "accepted": {"a": []}}], "tools": []}',
        '{"calls": [{"name": "f", "accepted": {}}, {"name": "f", "arguments": {}}], "tools": []}',
        '{"calls": [], "tools": [{}]}',
        '{"calls": [], "tools": "pwd"}',
        '{"calls": [], "tools": 5}',
        "[" * 100_000,
        '{"calls": [{"name": "f", "arguments": {"a": ' + "[" * 900 + "]" * 900 + '}}], "tools": []}',
    ],
)
def test_a_ground_truth_that_cannot_be_used_is_our_fault(ground_truth: Any) -> None:
    result = compute_score("test", "t</think>\n\n[f(a=1)]", ground_truth)
    check(result)
    assert (result["score"], result["error"]) == (0, 1)


def test_ground_truths_that_look_alike_are_told_apart() -> None:
    """Of the same length and beginning; their last tools, thousands of characters on, differ."""
    filler = [{"name": f"tool_{number}", "description": "x" * 80} for number in range(40)]

    def at(default: str) -> dict[str, float]:
        unit = {"type": "string", "default": default}
        tools = [*filler, {"name": "f", "parameters": {"type": "object", "properties": {"unit": unit}}}]
        calls = [{"name": "f", "arguments": {"unit": "km"}}]
        return compute_score("test", "t</think>[f()]", json.dumps({"calls": calls, "tools": tools}))

    assert [at(default)["score"] for default in ("km", "mi", "km")] == [1, 0, 1]


def test_a_result_is_the_callers_own() -> None:
    first = judge("[cancel()]", PWD)
    first["score"] = 1.0
    assert judge("[cancel()]", PWD)["score"] == 0


def test_nan_in_a_ground_truth_is_never_matched() -> None:
    ground_truth = '{"calls": [{"name": "f", "arguments": {"a": NaN}}], "tools": []}'
    for value in ("nan", "NaN", "None", '"NaN"'):
        result = compute_score("test", f"t</think>[f(a={value})]", ground_truth)
        check(result)
        assert result["score"] == 0


@pytest.mark.parametrize(
    "answer",
    [
        "[" * 500_000,
        "[pwd()" * 100_000,
        "<think>" * 100_000,
        "</think>" * 100_000,
        "<tool_call>" * 50_000,
        "[" + "pwd()," * 3000 + "]",
        "[book(city=" + "[" * 9000 + "]" * 9000 + ")]",
        "[book(dates=[" + "1," * 9_900 + "])]",
        '[book(city="' + "\\n" * 9_900 + '")]',
        " " * 1_000_000,
        "[ " * 400_000 + "x(",
        "`" * 400_000 + "f(",
        "f(" * 200_000 + ")",
        "a" * 400_000 + "(",
        ") " * 400_000,
    ],
)
@pytest.mark.parametrize("gold", [(), (PWD,)])
def test_hostile_answers_score_nothing(answer: str, gold: tuple[Call, ...]) -> None:
    result = judge(answer, *gold, variant="partial")
    check(result)
    assert result["score"] == 0


class Odd:
    """A value that can be neither compared nor hashed, as an array can be."""

    def __eq__(self, other: object) -> bool:
        raise ValueError

    def __hash__(self) -> int:
        raise ValueError


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"variant": "generous"}, "generous"),
        ({"variant": Odd()}, "Odd"),
        ({"strings": Odd()}, "Odd"),
        ({"ordered": Odd()}, "ordered"),
        ({"max_chars": Odd()}, "max_chars"),
        ({"variant": ["binary"]}, "binary"),
        ({"strings": "fuzzy"}, "fuzzy"),
        ({"colour": "red"}, "colour"),
        ({"ordered": "yes"}, "ordered"),
        ({"max_chars": -1}, "max_chars"),
        ({"max_chars": True}, "max_chars"),
        ({"soft_weight": 2}, "soft_weight"),
        ({"soft_weight": math.nan}, "soft_weight"),
        ({"soft_weight": 0.5}, "soft_chars"),
        ({"soft_weight": 0.5, "soft_chars": 9, "max_chars": 9}, "smaller"),
    ],
)
def test_wrong_options_are_found_before_and_survived_after(options: dict[str, Any], word: str) -> None:
    problems = check_options(options)
    assert len(problems) == 1 and word in problems[0]
    result = judge("[pwd()]", PWD, **options)
    check(result)
    assert (result["score"], reason_of(result)) == (0, "options")


def test_what_verl_adds_is_no_option() -> None:
    assert check_options({"reward_router_address": "x:1", "reward_model_tokenizer": object()}) == []
    assert judge("[pwd()]", PWD, reward_router_address="x:1", reward_model_tokenizer=object())["score"] == 1


def test_every_shipped_reward_is_a_set_of_options() -> None:
    hydra = pytest.importorskip("hydra")
    folder = Path(__file__).parents[2] / "configs" / "reward"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    assert set(VARIANTS) <= set(names)
    for name in names:
        with hydra.initialize_config_dir(str(folder), version_base="1.3"):
            options = dict(hydra.compose(name).rl.reward)
        assert options.keys() == RewardOptions.__dataclass_fields__.keys()
        assert check_options(options) == []
        assert options["variant"] == name
        assert judge("[pwd()]", PWD, **options)["score"] == 1


def test_loads_by_its_path_as_verl_does() -> None:
    import funreason_train.reward.score as module

    assert module.__file__
    spec = importlib.util.spec_from_file_location("custom_module", module.__file__)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["custom_module"] = loaded
    try:
        spec.loader.exec_module(loaded)
        assert loaded.compute_score("test", "t</think>[pwd()]", truth(PWD))["score"] == 1
    finally:
        del sys.modules["custom_module"]


def test_imports_no_framework() -> None:
    code = (
        "import sys, funreason_train.reward;"
        "print([m for m in ('torch', 'ray', 'verl', 'transformers', 'numpy', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_extra_info_and_source_change_nothing() -> None:
    extra = {"index": 3, "tools": json.dumps(TOOLS)}
    assert compute_score("other", "t</think>[pwd()]", truth(PWD), extra) == compute_score(
        "test", "t</think>[pwd()]", truth(PWD)
    )
