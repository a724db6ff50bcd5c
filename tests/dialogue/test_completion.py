"""Taking completions apart, strictly and as the history sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funreason_train.calls import Call
from funreason_train.dialogue import ERRORS, history_answer, read_completion, render_target

CALLS = [Call("f", {"a": 1})]


@pytest.mark.parametrize(
    "text",
    [
        "\nI think.\n</think>\n\n[f(a=1)]",
        "I think.</think>[f(a=1)]",
        "<think>\nI think.\n</think>\n\n[f(a=1)]",
        "\n<think>I think.</think>\n\n[f(a=1)]",
        "\nI think.\n</think>\n\n<tool_call>\n[f(a=1)]\n</tool_call>",
        "\nI think.\n</think>\n\n[f(a=1)]<|im_end|>",
        "\nI think.\n</think>\n\n[f(a=1)]<|im_end|>\n",
        "\nI think.\n</think>\n\n[f(a=1)]<|endoftext|>",
    ],
)
def test_reads_calls(text: str) -> None:
    completion = read_completion(text)
    assert (completion.thought, completion.answer) == ("I think.", "[f(a=1)]")
    assert (completion.calls, completion.closed, completion.error) == (CALLS, True, "")


@pytest.mark.parametrize(
    "answer",
    [
        "It is 21 degrees.",
        "Which city do you mean?",
        "File(s) were found (two).",
        "See [the page](https://example.org) and [1].",
        '["a", "b"] are the files.',
        "f(x) grows with x.",
        "I would need a city to call get_weather(city=...).",
        "42",
        "是的",
        "f(x) is the answer (to f(y)).",
        "print(x), then exit() ends it.",
        "[Please name the file(s) to remove.]",
        '{"files": ["a", "b"]}',
    ],
)
def test_reads_plain_text(answer: str) -> None:
    completion = read_completion(f"t</think>\n\n{answer}")
    assert (completion.answer, completion.calls, completion.error) == (answer, [], "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "unclosed"),
        ("[f(a=1)]", "unclosed"),
        ("<think>[f(a=1)]", "unclosed"),
        ("a</think>b</think>[f(a=1)]", "repeated_think"),
        ("a<think>b</think>[f(a=1)]", "repeated_think"),
        ("<think><think>b</think>[f(a=1)]", "repeated_think"),
        ("a</think><think>[f(a=1)]", "repeated_think"),
        ("a<|im_end|>\n<|im_start|>assistant\n</think>[f(a=1)]", "stray_marker"),
        ("a</think>", "empty_answer"),
        ("a</think> \n ", "empty_answer"),
        ("a</think>...!", "empty_answer"),
        ("a</think>[]", "no_calls"),
        ("a</think>[ ]", "no_calls"),
        ("a</think>[f(1)]", "positional_argument"),
        ("a</think>[f(a=1, a=2)]", "duplicate_argument"),
        ("a</think>[f(a=1)", "syntax"),
        ("a</think>[f(a=1)] and done", "trailing_text"),
        ("a</think>[" + "f(a=1)," * 5000 + "]", "too_long"),
        ("a</think>Sure: [f(a=1)]", "mixed_answer"),
        ("a</think>Sure: [f(1)]", "mixed_answer"),
        ("a</think>f(a=1)", "mixed_answer"),
        ("a</think>f(a=1), g()", "mixed_answer"),
        ("a</think>f(x)", "mixed_answer"),
        ("a</think>```python\n[f(a=1)]\n```", "mixed_answer"),
        ("a</think>`f(a=1)`", "mixed_answer"),
        ('a</think>{"name": "f", "arguments": {"a": 1}}', "mixed_answer"),
        ("a</think>[{'name': 'f', 'arguments': {'a': 1}}]", "mixed_answer"),
        ('a</think>```json\n[{"name": "f"}]\n```', "mixed_answer"),
        ('a</think>{"id": 1, "type": "function", "function": {"name": "f"}}', "mixed_answer"),
        ('a</think>[{"type": "function", "function": {"name": "f"}}]', "mixed_answer"),
        ('a</think>{"tool_calls": []}', "mixed_answer"),
        ("a</think>f(a=1)]", "mixed_answer"),
        ("a</think>f(a=1),", "mixed_answer"),
        ("a</think>'f(a=1)'", "mixed_answer"),
        ("a</think>`f(a=1)]`", "mixed_answer"),
        ("a</think>(f(a=1))", "mixed_answer"),
        ("a</think>[(f(a=1))]", "mixed_answer"),
        ("a</think>f(a=1)  # done\n]", "mixed_answer"),
        ("a</think>```python\nf(a=1)\n```", "mixed_answer"),
        ("a</think>f(a='(x) y')]", "mixed_answer"),
        ("a</think><tool_call>[f(a=1)]", "stray_marker"),
        ("a</think>[f(a=1)]</tool_call>", "stray_marker"),
        ("a</think>It is done.</tool_call>", "stray_marker"),
        ("a</think><tool_call>[f()]</tool_call><tool_call>[g()]</tool_call>", "trailing_text"),
        ("a</think><tool_call>It is done.</tool_call>", "not_a_list"),
        ("a</think><tool_call></tool_call>", "empty_answer"),
        ("a</think>Done.<|im_end|>\n<|im_start|>user\nmore", "stray_marker"),
    ],
)
def test_malformed_is_neither_calls_nor_text(text: str, error: str) -> None:
    completion = read_completion(text)
    assert completion.calls is None
    assert completion.error == error
    assert completion.closed is ("</think>" in text)


def test_an_unclosed_thought_is_no_answer() -> None:
    completion = read_completion("I think and think")
    assert (completion.thought, completion.answer) == ("I think and think", "")


@pytest.mark.parametrize("text", ["a</think>b</think>[f(a=1)]", "x<think>a</think>\n\n[f(a=1)]"])
def test_lenient_reads_what_follows_the_last_thought(text: str) -> None:
    assert read_completion(text).calls is None
    assert read_completion(text, lenient=True).calls == CALLS


def test_history_keeps_only_the_answer() -> None:
    assert history_answer("a</think>b</think>\n\n[f(a=1)]<|im_end|>") == "[f(a=1)]"
    assert history_answer("no end") is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda t: "<" not in t))
def test_reads_back_what_the_protocol_renders(thought: str) -> None:
    completion = read_completion(render_target(thought, "[f(a=1)]"))
    assert completion.thought == thought.strip()
    assert completion.calls == CALLS


PIECES = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<|im_end|>",
    "[",
    "f(",
    "a=1",
    ")",
    "]",
    " ",
    "x",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=60), st.booleans())
def test_total_and_consistent(text: str, lenient: bool) -> None:
    completion = read_completion(text, lenient=lenient)
    assert (completion.calls is None) == bool(completion.error)
    assert completion.error in ("", *ERRORS)
    if completion.calls is not None:
        assert completion.closed and completion.answer
        assert lenient or text.count("</think>") == 1
