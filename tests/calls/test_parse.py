"""The call language as a model may write it, well or badly."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from funreason_train.calls import (
    REASONS,
    Call,
    CallSyntaxError,
    is_argument_name,
    is_tool_name,
    parse_calls,
)
from funreason_train.calls.parse import _Reader
from funreason_train.calls.plain_form import plain_calls


def argument(text: str) -> object:
    """The value that `text` is read as."""
    return parse_calls(f"[f(a={text})]")[0].arguments["a"]


def reason(text: str) -> str:
    with pytest.raises(CallSyntaxError) as caught:
        parse_calls(text)
    assert caught.value.reason in REASONS
    return caught.value.reason


def test_reads_the_form_that_prompts_ask_for() -> None:
    assert parse_calls('[f(a=1), geo.lookup(b="x", c=[True, None])]') == [
        Call("f", {"a": 1}),
        Call("geo.lookup", {"b": "x", "c": [True, None]}),
    ]
    assert parse_calls(" [\n  pwd( ),\n] ") == [Call("pwd", {})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000", 1000),
        ("0x10", 16),
        ("0b11", 3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("+5", 5),
        ("-5", -5),
        ("true", True),
        ("false", False),
        ("null", None),
        ('"true"', "true"),
        ("(1, 2)", [1, 2]),
        ("(1,)", [1]),
        ("()", []),
        ("(1)", 1),
        ('"a" "b"', "ab"),
        (r'"\d+\n"', "\\d+\n"),
        (r'r"\d+\n"', r"\d+\n"),
        (r'u"\u00e9"', "é"),
        ('"""a\n"b" """', 'a\n"b" '),
        ("'it\\'s \"q\"'", 'it\'s "q"'),
        (r'"\u00e9\x41\101"', "éAA"),
        ('"# no comment"', "# no comment"),
        ('"größe 查询 😀"', "größe 查询 😀"),
        ('{"a": {"b": [1, {}]}}', {"a": {"b": [1, {}]}}),
        ("9" * 400, int("9" * 400)),
        ("9" * 4300, int("9" * 4300)),
        ("0x" + "f" * 3_000, int("f" * 3_000, 16)),
        (r'"\ud83d\ude00"', "😀"),
        (r'"a\ud83d\ude00\uD83D\uDE00z"', "a😀😀z"),
        ("'' 'x'", "x"),
        ('""', ""),
        ('""' * 3, ""),
    ],
)
def test_values(text: str, value: object) -> None:
    read = argument(text)
    assert read == value
    assert type(read) is type(value)


def test_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1, argument("-0.0")) == -1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("[]", "no_calls"),
        ("f(a=1)", "not_a_list"),
        ("(f(a=1), g())", "not_a_list"),
        ("[1]", "not_a_call"),
        ("[f]", "not_a_call"),
        ("[[f()]]", "not_a_call"),
        ('[f("src")]', "positional_argument"),
        ('[f(a=1, "src")]', "positional_argument"),
        ("[f(**{'a': 1})]", "unpacking"),
        ("[f(*[1])]", "unpacking"),
        ("[*f()]", "unpacking"),
        ("[f(a={**{}})]", "unpacking"),
        ("[f(a=1, a=2)]", "duplicate_argument"),
        ('[f(a={"x": 1, "x": 2})]', "duplicate_key"),
        ("[f(a={1: 2})]", "key_not_string"),
        ("[f(a={1, 2})]", "key_not_string"),
        ("[f(a=x)]", "bare_name"),
        ("[f(a=nan)]", "bare_name"),
        ("[f(a=NaN)]", "bare_name"),
        ("[f(a=Infinity)]", "bare_name"),
        ("[f(a=g(b=1))]", "nested_call"),
        ("[f(a=__import__('os'))]", "nested_call"),
        ("[f(a=__import__('os').system('true'))]", "nested_call"),
        ("[f(a=...)]", "syntax"),
        ('[f(a=f"{1}")]', "string_prefix"),
        ('[f(f"{1}")]', "string_prefix"),
        ('[f(a=b"x")]', "string_prefix"),
        (r'[f(a="\xZZ")]', "bad_escape"),
        (r'[f(a="\U00110000")]', "bad_escape"),
        (r'[f(a="\777")]', "bad_escape"),
        ('[f(a="x)]', "unterminated_string"),
        ('[f(a="x\ny")]', "unterminated_string"),
        ("[f(a='''x')]", "unterminated_string"),
        ('[f(a="""x")]', "unterminated_string"),
        ('[f(a="""x"")]', "unterminated_string"),
        ("[f(a=''''x')]", "unterminated_string"),
        ("[f(a='''x\\''')]", "unterminated_string"),
        ('[f(a=r"""x")]', "unterminated_string"),
        ("[f(a=u'''x')]", "unterminated_string"),
        ('[f(a=b"""x")]', "unterminated_string"),
        ("[f(a=f'x)]", "unterminated_string"),
        ('[f(a="x" """y")]', "unterminated_string"),
        ("[f(a='x''y)]", "unterminated_string"),
        ('[f(a="x" f"y")]', "syntax"),
        ('[f(a="x" b"y")]', "syntax"),
        ('[f(a="x\\")]', "unterminated_string"),
        (r'[f(a="\ud83d")]', "bad_escape"),
        (r'[f(a="\ude00\ud83d")]', "bad_escape"),
        (r'[f(a="\ud83d" "\ude00")]', "bad_escape"),
        (r'[f(a={"\ud83d": 1})]', "bad_escape"),
        ('[f(a="\ud83d\ude00")]', "bad_character"),
        ("[f\ud83d(a=1)]", "bad_character"),
        ("[f(a=0x" + "f" * 5_000 + ")]", "bad_number"),
        ("[f(a=-0b" + "1" * 19_000 + ")]", "bad_number"),
        ("[f(a=1e400)]", "not_finite"),
        ("[f(a=1e99999999999)]", "not_finite"),
        ("[f(a=" + "9" * 400 + ".0)]", "not_finite"),
        ("[f(é=1, e\u0301=2)]", "duplicate_argument"),
        ("[\uff34\uff52\uff55\uff45(a=1)]", "bad_character"),
        ("[f(a=\uff34\uff52\uff55\uff45)]", "bad_character"),
        ("[f(a=007)]", "bad_number"),
        ("[f(a=1__0)]", "bad_number"),
        ("[f(a=1j)]", "bad_number"),
        ("[f(a=1if 1 else 2)]", "bad_number"),
        ("[7SN.pj(a=1)]", "bad_number"),
        ("[f(a=1e999)]", "not_finite"),
        ("[f(a=-1e999)]", "not_finite"),
        ("[f(a=1)] # because", "trailing_text"),
        ("[f(a=1),] # because", "trailing_text"),
        ("[f(a=1) # because\n]", "comment"),
        ("[f(a=1, # because\n b=2)]", "comment"),
        ("[f(a=1);g()]", "bad_character"),
        ("No function fits. Sorry", "not_a_list"),
        ("[f(a=1\x00)]", "bad_character"),
        ('[f(a="\x00")]', "bad_character"),
        ("[²(a=1)]", "bad_number"),
        ("[f(a=1+1)]", "syntax"),
        ("[f(a=--1)]", "syntax"),
        ("[f(a=-True)]", "syntax"),
        ("[f(a=1 b=2)]", "syntax"),
        ("[f(a=)]", "syntax"),
        ("[f(,)]", "syntax"),
        ("[f(a=1),,]", "not_a_call"),
        ("[f(a.b=1)]", "syntax"),
        ("[f(a=1)", "syntax"),
        ("[f(a=1)] [g()]", "trailing_text"),
        ("[f(a=1)] is my answer", "trailing_text"),
    ],
)
def test_refuses(text: str, expected: str) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" + "f()," * 10_000 + "]", "too_long"),
        ("[" + "f()," * 4_000 + "]", "too_many_calls"),
        ("[f(a=" + "[" * 9_000 + "]" * 9_000 + ")]", "too_deep"),
        ("[f(a=" + "(" * 9_000, "too_deep"),
        ("[f(a=" + '{"a":' * 3_000, "too_deep"),
        ("[" * 20_000, "not_a_call"),
        ("[f(a=" + "-" * 19_000 + "1)]", "syntax"),
        ("[f(a=" + "9" * 19_000 + ")]", "bad_number"),
        ('"' * 19_999, "not_a_list"),
        ("'''" * 6_000, "not_a_list"),
        ("\\" * 20_000, "not_a_list"),
        ("a." * 10_000, "not_a_list"),
    ],
)
def test_hostile_input_is_refused(text: str, expected: str) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("[f(a=[" + "1," * 9_990 + "])]", 9_990),
        ('[f(a="' + "\\n" * 9_990 + '")]', 9_990),
        ("[f(a=" + '"" ' * 6_600 + ")]", 0),
    ],
)
def test_reads_as_much_as_the_cap_allows(text: str, size: int) -> None:
    value = parse_calls(text)[0].arguments["a"]
    assert len(value) == size


PIECES = [
    "f(",
    "g.h(",
    ")",
    "a=",
    "b=",
    ", ",
    ",",
    " ",
    '"x"',
    "'y'",
    '"',
    "'",
    "1",
    "-2.5",
    "007",
    "1e3",
    ".",
    "_",
]
PIECES += [
    "[",
    "]",
    "[1, 2]",
    "[]",
    "True",
    "null",
    "None",
    "nan",
    "{}",
    "\\",
    "\n",
    "\0",
    "é",
    "=",
    "-",
    "0",
    "True(",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: f"[f(a={''.join(pieces)})]"))
@example('[f(a=1, a="x")]')
@example("[f(a=-0, b=-0.0)]")
@example("[True(a=1)]")
@example("[f(a=12345678901234567890)]")
@example('[f(a="x" "y")]')
@example("[" + ", ".join(["f()"] * 65) + "]")
def test_the_quick_reading_of_the_plain_form_is_the_full_one(text: str) -> None:
    quick = plain_calls(text)
    if quick is not None:
        assert repr(quick) == repr(_Reader(text).call_list())


def test_the_form_that_is_taught_is_read_quickly() -> None:
    text = """[f(a=1, b="x", c=[1, -2.5, 'y']), geo.g(), h(d=True,e=null, f=[])]"""
    assert plain_calls(text) == [
        Call("f", {"a": 1, "b": "x", "c": [1, -2.5, "y"]}),
        Call("geo.g", {}),
        Call("h", {"d": True, "e": None, "f": []}),
    ]
    assert not any(
        map(plain_calls, ['[f(a="\\n")]', "[f(a=1, a=2)]", "[f(a={})]", "[f(a=1) ]", "[f(1)]", "[]", ""])
    )


def test_says_where() -> None:
    with pytest.raises(CallSyntaxError) as caught:
        parse_calls("[f(a=1, a=2)]")
    assert caught.value.position == 8


def test_prints_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert argument(r'"\d\p\/"') == r"\d\p\/"


def test_names_that_the_language_can_call() -> None:
    assert all(map(is_tool_name, ["f", "geo.lookup", "_x", "查询", "a1"]))
    assert not any(map(is_tool_name, ["7SN.pj", "get-user", "a b", "", "a.", "True", "null", "a..b"]))
    assert is_argument_name("from") and not is_argument_name("a.b")
    assert parse_calls('[f(from="x")]') == [Call("f", {"from": "x"})]


def test_a_name_is_read_in_the_normal_form_as_python_does() -> None:
    assert parse_calls("[cafe\u0301(ﬁ=1)]") == [Call("caf\u00e9", {"fi": 1})]
    assert parse_calls('[मौसम(शहर="x"), வானிலை.நகரம்()]') == [
        Call("मौसम", {"शहर": "x"}),
        Call("வானிலை.நகரம்"),
    ]


def plain(value: object) -> object:
    """Tuples as lists, as the language reads them."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(st.text(alphabet=list("0123456789xXeEjJ_.+-'\"\\rnuU[](){},: #aTF\n"), max_size=14))
@example("0_1")
@example("1.e5")
@example('r"\\""')
@example("'a'\"b\"")
@example("0_0")
@example("1,")
@example("(1,),")
def test_accepted_values_mean_what_python_means(text: str) -> None:
    try:
        value = argument(text)
    except CallSyntaxError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        literal = text.strip().removesuffix(",")  # a trailing comma ends the argument
        assert repr(value) == repr(plain(ast.literal_eval(f"({literal})")))


@given(st.text(max_size=200) | st.text(alphabet=list("[](){}=,:*f1\"'\\ #"), max_size=60).map("[f(".__add__))
def test_total_on_any_text(text: str) -> None:
    try:
        assert parse_calls(text)
    except CallSyntaxError as error:
        assert error.reason in REASONS
        assert 0 <= error.position <= len(text)


def test_needs_only_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import funreason_train.calls;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['funreason_train']"
