"""The holes found in other projects' rewards and decoders, each named after where it was: closed here."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from reward.rewarding import TOOLS, judge, score, truth

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


# Spellings that readers of calls get wrong.

NOTE = "note"


def written(value: str, gold: object, variant: str = "binary") -> float:
    """The score of `note(a=VALUE)` where the gold value, of no declared type, is `gold`."""
    return score(f"[{NOTE}(a={value})]", Call(NOTE, {"a": gold}), variant=variant)


@EVERY_VARIANT
def test_nested_quotes(variant: str) -> None:
    text = """She said "it's 5 o'clock" and left"""
    for spelling in (
        r'"She said \"it\'s 5 o\'clock\" and left"',
        r"""'She said "it\'s 5 o\'clock" and left'""",
        '"""She said "it\'s 5 o\'clock" and left"""',
    ):
        assert written(spelling, text, variant) == 1
    assert written('"She said "it is 5" and left"', text, variant) == 0


@EVERY_VARIANT
def test_unicode(variant: str) -> None:
    assert written('"größe 查询 😀"', "größe 查询 😀", variant) == 1
    assert written(r'"gr\u00f6\u00dfe"', "größe", variant) == 1
    assert written('"grosse"', "größe", variant) < 1
    assert score("[查询(größe=1)]", Call("查询", {"größe": 1}), variant=variant) == 1


@EVERY_VARIANT
def test_escapes(variant: str) -> None:
    assert written(r'"a\n\tb\\c\x41"', "a\n\tb\\cA", variant) == 1
    assert written(r'r"\d+\n"', r"\d+\n", variant) == 1
    assert written(r'"\d+"', r"\d+", variant) == 1  # as Python, which keeps an escape it does not know
    assert written(r'"a\n"', "a\\n", variant) < 1
    assert written(r'"\xZZ"', "xZZ", variant) == 0


@EVERY_VARIANT
def test_very_deep_lists(variant: str) -> None:
    assert written("[" * 20 + "1" + "]" * 20, json.loads("[" * 20 + "1" + "]" * 20), variant) == 1
    assert written("[" * 20 + "1" + "]" * 20, json.loads("[" * 19 + "1" + "]" * 19), variant) < 1
    for deep in (100, 9_000):
        result = judge(f"[{NOTE}(a={'[' * deep}{']' * deep})]", Call(NOTE, {"a": []}), variant=variant)
        assert (result["score"], reason_of(result)) == (0, "too_deep")


@EVERY_VARIANT
def test_ten_thousand_calls(variant: str) -> None:
    for count in (65, 3_000, 10_000):
        result = judge("[" + ",".join(["pwd()"] * count) + "]", PWD, variant=variant)
        assert result["score"] == 0
        assert reason_of(result) in ("too_many_calls", "too_long")


@EVERY_VARIANT
def test_duplicate_keyword_arguments(variant: str) -> None:
    for text in ("[note(a=1, a=1)]", "[note(a=2, a=1)]", '[note(a=1, b={"x": 1, "x": 2})]'):
        assert score(text, Call(NOTE, {"a": 1}), variant=variant) == 0


@EVERY_VARIANT
def test_positional_arguments(variant: str) -> None:
    for text in ("[note(1)]", "[note(1, a=1)]", "[note(a=1, 1)]"):
        assert score(text, Call(NOTE, {"a": 1}), variant=variant) == 0


@EVERY_VARIANT
def test_unpacked_keyword_arguments(variant: str) -> None:
    for text in ('[note(**{"a": 1})]', "[note(*[1])]", '[note(a=1, **{"b": 2})]'):
        assert score(text, Call(NOTE, {"a": 1}), variant=variant) == 0


@EVERY_VARIANT
def test_comments(variant: str) -> None:
    for text in ("[pwd()] # done", "[pwd() # done\n]", "# first\n[pwd()]"):
        assert score(text, PWD, variant=variant) == 0
    assert written('"# a text"', "# a text", variant) == 1


@EVERY_VARIANT
def test_f_strings(variant: str) -> None:
    for text in ('f"x"', 'f"{1}"', 'F"x"', 'rf"x"', 'b"x"'):
        assert written(text, "x", variant) == 0


@EVERY_VARIANT
@pytest.mark.parametrize(
    ("text", "value"),
    [("1_000", 1000), ("0x10", 16), ("0b11", 3), ("0o17", 15), ("1e3", 1000.0), (".5", 0.5)],
)
def test_spellings_of_numbers(text: str, value: float, variant: str) -> None:
    assert written(text, value, variant) == 1
    assert written(f'"{text}"', value, variant) < 1
    assert written(text, value + 1, variant) < 1


@EVERY_VARIANT
def test_numbers_that_python_has_not(variant: str) -> None:
    for text in ("007", "1__0", "1j", "1e999", "0x", "１"):
        assert written(text, 7, variant) == 0


@EVERY_VARIANT
def test_whole_floats_are_no_integers(variant: str) -> None:
    assert written("1e3", 1000, variant) < 1
    gold = Call("book", {"city": "Oslo", "price": 1000})
    assert score('[book(city="Oslo", price=1e3)]', gold, variant=variant) == 1  # but are where it says number


@EVERY_VARIANT
def test_negative_zero(variant: str) -> None:
    assert written("-0.0", 0.0, variant) == written("0.0", -0.0, variant) == written("-0", 0, variant) == 1


@EVERY_VARIANT
def test_nan_is_no_value(variant: str) -> None:
    for text in ("nan", "NaN", "Infinity", "-inf", 'float("nan")'):
        for gold in (float("nan"), None, "NaN", 0):
            assert written(text, gold, variant) == 0
    assert written('"NaN"', "NaN", variant) == 1


@EVERY_VARIANT
def test_true_and_its_lookalikes(variant: str) -> None:
    assert written("True", True, variant) == written("true", True, variant) == 1
    for text in ('"true"', '"True"', "1", "1.0", "TRUE", "T", "yes", "False", "null"):
        assert written(text, True, variant) < 1
    assert written("true", "true", variant) < 1


@EVERY_VARIANT
def test_none_and_its_lookalikes(variant: str) -> None:
    assert written("None", None, variant) == written("null", None, variant) == 1
    for text in ('"None"', '"null"', '""', "0", "False", "[]", "{}", "nil"):
        assert written(text, None, variant) < 1
    assert score("[note()]", Call(NOTE, {"a": None}), variant=variant) < 1


@EVERY_VARIANT
def test_a_tuple_is_a_list(variant: str) -> None:
    assert (
        written("(1, 2)", [1, 2], variant) == written("(1,)", [1], variant) == written("()", [], variant) == 1
    )
    assert written("(1)", 1, variant) == 1
    assert written("(1)", [1], variant) < 1
    assert written("{1, 2}", [1, 2], variant) == 0


def test_calls_hidden_in_prose_are_not_plain_text() -> None:
    assert reason_of(judge("I will call [pwd()] now.")) == "mixed_answer"
    assert score("I will call [pwd()] now.", PWD) == 0


@EVERY_VARIANT
@pytest.mark.parametrize(
    "answer",
    [
        "book(city='Oslo')]",
        "book(city='Oslo'),",
        "(book(city='Oslo'))",
        "[(book(city='Oslo'))]",
        "[#\nbook(city='Oslo')]",
        "[\\\nbook(city='Oslo')\n]",
        "`book(city='(a) b')]`",
        "```python\nbook(city='Oslo')\n```",
        json.dumps([{"id": "call_1", "type": "function", "function": {"name": "book", "arguments": "{}"}}]),
    ],
)
def test_calls_that_others_fix_and_execute_are_not_plain_text(answer: str, variant: str) -> None:
    assert score(answer, variant=variant) == 0
    assert score(answer, Call("book", {"city": "Oslo"}), variant=variant) == 0


@EVERY_VARIANT
def test_openai_tools_echo_is_no_answer(variant: str) -> None:
    echo = [{"type": "function", "function": tool} for tool in TOOLS]
    assert score(json.dumps(echo), variant=variant) == score(json.dumps(echo[0]), variant=variant) == 0


@EVERY_VARIANT
@pytest.mark.parametrize("name", ["मौसम", "வானிலை", "caf\u00e9", "cafe\u0301", "ﬁnd", "查询.天气", "\u0958लम"])
def test_right_answers_in_every_script_are_right(name: str, variant: str) -> None:
    """In a ground truth of your own, too, whose names nobody has given an alias."""
    argument = name.replace(".", "_")
    schema = {"type": "object", "properties": {argument: {"type": "number"}}, "required": [argument]}
    gold = {
        "calls": [{"name": name, "arguments": {argument: 1}}],
        "tools": [{"name": name, "parameters": schema}],
    }
    for spelling in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFKC", name)):
        answer = f"t</think>[{spelling}({spelling.replace('.', '_')}=1.0)]"
        assert compute_score("s", answer, json.dumps(gold), None, variant=variant)["score"] == 1


@EVERY_VARIANT
def test_an_unterminated_string_is_no_string(variant: str) -> None:
    for value in ("'''x'", '"""x"', "'''x''", '"x', "r'''x'", "u'x"):
        result = judge(f"[{NOTE}(a={value})]", Call(NOTE, {"a": "x"}), variant=variant)
        assert (result["score"], result["format"]) == (0, 0), value


@EVERY_VARIANT
def test_other_notations_are_neither_plain_text_nor_calls(variant: str) -> None:
    call = Call("book", {"city": "Oslo"})
    inner = '{"name": "book", "arguments": {"city": "Oslo"}}'
    for answer in (
        f"<functioncall> {inner}",
        f"<TOOLCALL>[{inner}]</TOOLCALL>",
        f"<tool_call>\n{inner}\n</tool_call>",
        '<function=book>{"city": "Oslo"}</function>',
        '<invoke name="book"><parameter name="city">Oslo</parameter></invoke>',
        f"[TOOL_CALLS] [{inner}]",
        f"<|python_tag|>{inner}",
        'Thought: t\nAction: book\nAction Input: {"city": "Oslo"}',
        f"Sure. {inner}",
        f"functools[{inner}]",
        'book(city="Oslo")',
        '- book(city="Oslo")\n- pwd()',
        'Sure.\nbook(city="Oslo")',
        'Sure.\n```python\nbook(city="Oslo")\n```',
        '<\\tool_call>\n{"name": "book", "arguments": {"city": "Oslo"}}\n<\\/tool_call>',
    ):
        for gold in ((), (call,)):
            result = judge(answer, *gold, variant=variant)
            assert (result["score"], result["format"]) == (0, 0), answer
    for answer in ('[book(city="Oslo")]', '<tool_call>[book(city="Oslo")]</tool_call>'):
        assert judge(answer, call, variant=variant)["score"] == 1


@EVERY_VARIANT
@pytest.mark.parametrize(
    "reply",
    [
        "See the [docs (v2)](https://example.org).",
        "[Smith (2020)]",
        "[x.strip() for x in lines]",
        "nouns[Math.floor(Math.random() * nouns.length)]",
        '{"name": "Ada", "age": 31}',
        "The integral is $[F(b) - F(a)]$.",
        'You can call `book(city="Oslo")` for that.',
        "- [ ] book a room (Oslo)",
    ],
)
def test_plain_replies_are_plain_text(reply: str, variant: str) -> None:
    assert judge(reply, variant=variant)["score"] == 1
    assert judge(reply, PWD, variant=variant)["score"] == 0
