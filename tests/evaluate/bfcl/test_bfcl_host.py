"""BFCL's flow and checkers behind our handler: the truth scores 100 %, hostile answers 0 and do nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl import bfcl_mock
from evaluate.bfcl.bfcl_playing import OFFLINE, SAMPLING, gold_script, play, spread, start

from funreason_train.calls import parse_calls, render_calls
from funreason_train.dialogue import (
    QWEN_CHAT_TEMPLATE,
    AssistantStep,
    Trajectory,
    Turn,
    render_prompt,
    steps_of,
)
from funreason_train.evaluate.bfcl.game import BfclGame
from funreason_train.evaluate.play import play as play_games
from funreason_train.evaluate.serve.generate import Generated

CALL_SECONDS = 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("bfcl")


@pytest.fixture(scope="module")
def script(folder: Any) -> Any:
    return gold_script(folder, OFFLINE)


@pytest.fixture(scope="module")
def host(folder: Any) -> Iterator[Any]:
    with start(folder, (*OFFLINE, "web_search_base"), seconds=CALL_SECONDS, memory=256) as client:
        yield client


def completion(answer: Any) -> str:
    return f"\nhm\n</think>\n\n{answer}"


def test_the_truth_is_right_everywhere_whatever_was_answered_before(host: Any, script: Any) -> None:
    names = spread(host, 2)
    asked = [name for name in names if "_prereq" not in name]
    assert len(asked) == 2 * len(OFFLINE)
    wrong = set(asked[::3])

    def mixed(prompt: Any, name: Any) -> Any:
        return (
            completion("[never(heard=1)]" if wrong_kind(name) else "I do not know.")
            if name in wrong
            else (script.completion(prompt, name))
        )

    rows, _ = play(host, names, mixed)
    assert {name for name in asked if not rows[name]["right"]} == wrong
    again, prompts = play(host, names, script.completion)
    assert [(name, again[name]["reasons"]) for name in asked if not again[name]["right"]] == []
    once_more, same_prompts = play(host, list(reversed(names)), script.completion, concurrency=3)
    assert once_more == again
    assert same_prompts == prompts


def wrong_kind(name: Any) -> bool:
    """Whether a call is a wrong answer to it, rather than a text."""
    return "irrelevance" in name


def test_what_cannot_run_here_is_said(host: Any) -> None:
    assert host.hello["not_run"] == {"web_search_base": "needs the open web and a key in SERPAPI_API_KEY"}
    assert host.hello["isolation"] in ("seccomp", "python")


def test_prerequisites_fill_the_memory_that_questions_see(host: Any, script: Any) -> None:
    for category in ("memory_kv", "memory_rec_sum"):
        question = next(n for n in host.hello["entries"][category] if "_prereq" not in n)
        names = [*host.hello["needs"][question], question]
        assert len(names) > 2
        _, prompts = play(host, names, script.completion)
        assert bfcl_mock.FACT not in prompts[names[0]][0]
        assert bfcl_mock.FACT in prompts[question][0]


def test_a_prerequisite_played_again_does_not_find_its_own_traces(host: Any, script: Any) -> None:
    question = next(n for n in host.hello["entries"]["memory_rec_sum"] if "_prereq" not in n)
    names = list(host.hello["needs"][question])
    _, prompts = play(host, names, script.completion)
    _, again = play(host, [names[2]], script.completion)
    assert again[names[2]] == prompts[names[2]]


def with_math(host: Any) -> Any:
    """An entry whose environment has MathAPI's `power`."""
    for name in host.hello["entries"]["multi_turn_base"]:
        seen: list[Any] = []
        play(host, [name], lambda prompt, _, seen=seen: seen.append(prompt) or "no end")
        if '"name": "power"' in seen[0]:
            return name
    raise AssertionError("no entry offers power")


HOSTILE = {
    "shell": "[cd(folder=__import__('os').system('touch {file}'))]",
    "shell in arithmetic": "[cd(folder=1 + __import__('os').system('touch {file}'))]",
    "shell as the call": "[__import__('os').system('touch {file}')]",
    "lambda": "[cd(folder=(lambda: open('{file}', 'w'))())]",
    "open": "[open(file='{file}', mode='w')]",
    "power tower": "[cd(folder=9**9**9)]",
    "attribute": "[cd(folder=().__class__.__base__.__subclasses__())]",
    "private method": "[__init__(), _load_scenario(scenario={{}})]",
    "dunder attribute": "[cd.__globals__(x=1)]",
    "positional": "[cd('document')]",
    "deep": "[" * 9000,
    "minus": "-" * 19_000 + "1",
    "megabyte": "[cd(folder='" + "x" * 1_000_000 + "')]",
    "megabyte of text": "Well, " * 170_000,
}


@pytest.mark.parametrize(
    "category", ["multi_turn_base", "memory_kv", "simple_python", "irrelevance", "simple_java"]
)
def test_a_hostile_answer_runs_nothing_and_is_wrong(
    host: Any, script: Any, folder: Any, category: str
) -> None:
    names = [name for name in host.hello["entries"][category] if "_prereq" not in name]
    hostile = dict(zip(names, HOSTILE.values(), strict=False))
    neighbour = names[len(HOSTILE)]
    marker = folder / f"{category}.ran"
    if category == "irrelevance":  # where text is the right answer, and brackets are text
        for name, said in list(hostile.items()):
            if said in (HOSTILE["deep"], HOSTILE["minus"]):
                del hostile[name]

    def answer(prompt: Any, name: Any) -> Any:
        if name in hostile:
            return completion(hostile[name].replace("{file}", str(marker)).replace("{{}}", "{}"))
        return script.completion(prompt, name)

    rows, _ = play(host, [*hostile, neighbour], answer)
    assert [name for name in hostile if rows[name]["right"]] == []
    assert rows[neighbour]["right"] or category == "memory_kv"  # whose prerequisites were left out
    assert not marker.exists()


def test_a_call_that_would_take_forever_ends_its_entry_alone(host: Any, script: Any) -> None:
    name = with_math(host)
    other = next(n for n in host.hello["entries"]["multi_turn_base"] if n != name)

    def answer(prompt: Any, asked: Any) -> Any:
        burn = completion("[power(base=10, exponent=100000000)]")
        return burn if asked == name else script.completion(prompt, asked)

    rows, _ = play(host, [name, other], answer)
    assert not rows[name]["right"]
    assert rows[name]["reasons"][0].startswith("time_limit")
    assert rows[other]["right"]


def test_a_model_that_never_stops_calling_is_stopped_after_bfcls_steps(host: Any) -> None:
    name = host.hello["entries"]["multi_turn_base"][0]
    rows, _ = play(host, [name], lambda *_: completion("[pwd()]"))
    assert len(rows[name]["completions"]) == 21  # MAXIMUM_STEP_LIMIT is 20
    assert "force" in rows[name]["reasons"][0]


@pytest.mark.parametrize("category", ["simple_python", "irrelevance", "multi_turn_base", "memory_kv"])
def test_an_unclosed_thought_is_a_failed_answer(host: Any, script: Any, category: str) -> None:
    name = next(n for n in host.hello["entries"][category] if "_prereq" not in n)
    rows, _ = play(host, [name], lambda prompt, asked: "I think " + script.completion(prompt, asked)[-40:])
    assert not rows[name]["right"]
    assert rows[name]["unclosed"] >= 1


CARD = ["simple_python", "irrelevance", "live_relevance", "multi_turn_base"]


def test_an_unclosed_thought_counts_as_the_card_has_it_if_asked_for(folder: Any, script: Any) -> None:
    """The card's handler hands BFCL a sentence: no call, which is right where no call is."""
    with start(folder, CARD, unclosed="card") as host:
        names = [host.hello["entries"][category][0] for category in CARD]
        rows, _ = play(host, names, lambda *_: "I think and think")
    assert [rows[name]["right"] for name in names] == [False, True, False, False]
    assert all(rows[name]["unclosed"] for name in names)


def test_the_thought_stays_out_of_the_history_and_results_are_merged(host: Any) -> None:
    name = host.hello["entries"]["multi_turn_base"][0]
    answers = iter([completion("[pwd(), pwd()]"), completion("Done.")])
    _, prompts = play(host, [name], lambda *_: next(answers, completion("Done.")))
    result = '{"current_working_directory": "/workspace"}'
    assert prompts[name][1] == (
        prompts[name][0].removesuffix("<think>")
        + "[pwd(), pwd()]<|im_end|>\n<|im_start|>user\n<tool_response>\n"
        + str([result, result])
        + "\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>"
    )


def test_a_prompt_beyond_the_context_fails_its_entry(host: Any, script: Any) -> None:
    names = host.hello["entries"]["simple_python"][:1] + host.hello["entries"]["multi_turn_base"][:1]
    rows, prompts = play(host, names, script.completion, replace(SAMPLING, max_model_tokens=100))
    assert prompts == {}
    assert all(row["reasons"][0].startswith("prompt_too_long") for row in rows.values())


def canonical(script: Any) -> Any:
    """The gold answers in the one form that training teaches."""

    def answer(prompt: Any, name: Any) -> str:
        before, _, text = script.completion(prompt, name).rpartition("\n\n")
        return f"{before}\n\n{render_calls(parse_calls(text)) if text.startswith('[') else text}"

    return answer


@pytest.mark.parametrize(
    "category", ["simple_python", "multi_turn_base", "multi_turn_long_context", "memory_kv"]
)
def test_training_prompts_and_evaluation_prompts_are_the_same_tokens(
    host: Any, script: Any, tmp_path: Path, category: str
) -> None:
    name = next(n for n in host.hello["entries"][category] if "_prereq" not in n)
    asked = []
    host.open(name)
    answer, conversation = canonical(script), []
    tokenizer = tokenizer_in(tmp_path)
    while "done" not in (message := host.messages.get()[1]):
        conversation += message["ask"]
        asked.append(render_prompt(conversation, tokenizer))
        host.answer(name, answer(asked[-1], name))
    steps = steps_of(trajectory(conversation))
    assert len(steps) in (len(asked), len(asked) - 1)  # the last text is in no conversation
    for step, prompt in zip(steps, asked, strict=False):
        training = render_prompt(step.messages, tokenizer, merged=True)
        assert tokenizer(training, add_special_tokens=False).input_ids == (
            tokenizer(prompt, add_special_tokens=False).input_ids
        )
    assert tokenizer.decode(tokenizer(asked[-1], add_special_tokens=False).input_ids) == asked[-1]


def tokenizer_in(folder: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bfcl_mock.make_model(folder / "model", ["some text"] * 9, 400))


def trajectory(conversation: Any) -> Any:
    """The same conversation as a data source would give it."""
    head, _, rest = conversation[0]["content"].partition("that you can invoke.\n")
    if not rest:
        rest = head.partition("in json format that you can invoke.\n")[2]
    tools, end = json.JSONDecoder().raw_decode(rest)
    turns: list[Any] = []
    messages = [*conversation[1:], {"role": "assistant", "content": "the end"}]
    for number, message in enumerate(messages):
        if message["role"] == "user":
            turns.append((message["content"], []))
        elif message["role"] == "assistant":
            text = message["content"]
            results = []
            for later in messages[number + 1 :]:
                if later["role"] != "tool":
                    break
                results.append(later["content"])
            calls = tuple(parse_calls(text)) if results else ()
            turns[-1][1].append(AssistantStep("", calls, "" if calls else text, tuple(results)))
    return Trajectory(
        "x",
        "x",
        tuple(tools),
        tuple(Turn(user, tuple(made)) for user, made in turns),
        rest[end:].partition("\n\n\n")[2] or None,
    )


class Engine:
    """An engine in this process: works only while it is asked, and finishes one completion at a time."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.most = answer, 0
        self.asked: list[Any] = []

    def submit(self, key: Any, prompt: Any, sampling: Any) -> None:
        self.asked.append((key, bytes(prompt).decode()))
        self.most = max(self.most, len(self.asked))

    def collect(self) -> list[Any]:
        if len(self.asked) % 2:  # a step that finishes nothing
            self.asked.append(self.asked.pop(0))
        key, prompt = self.asked.pop(0)
        return [Generated(key, self.answer(prompt, key.rpartition("/")[0]), 7, "stop")]


def test_an_engine_that_works_only_when_asked_plays_the_same(host: Any, script: Any) -> None:
    names = host.hello["entries"]["multi_turn_base"][:6] + host.hello["entries"]["simple_python"][:6]
    expected, _ = play(host, names, script.completion)
    engine = Engine(script.completion)
    rows = play_games(
        [BfclGame(name, host) for name in names],
        engine,
        lambda messages: render_prompt(messages, QWEN_CHAT_TEMPLATE),
        lambda text: list(text.encode()),
        SAMPLING,
        4,
        host.messages,
    )
    assert {row["id"]: row for row in rows} == expected
    assert engine.most <= 4
