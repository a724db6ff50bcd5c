"""Episodes become training samples: the tokens of evaluation's prompts, masks, limits, scores."""

import dataclasses
import itertools
import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from rl.episode_script import END, RULES, TASKS, TOKENIZER, completion, flat, gold, run, task_of

from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, render_prompt
from funreason_train.environments import Limits, make_environment, play_gold
from funreason_train.evaluate.heldout import Rules, play_tasks
from funreason_train.evaluate.serve.generate import Generated, Sampling
from funreason_train.reward import compute_score
from funreason_train.rl.rollout.episodes import record

TRUTH = '{"calls": [], "tools": []}'


def score(played: Any) -> Any:
    return compute_score(
        "embedded", played.samples[-1].text, TRUTH, {"turns": played.outcomes}, variant="progress"
    )


def prompts_of_evaluation(task: Any, completions: Any) -> Any:
    """What the evaluation asks when a model answers so, as token ids."""

    class Script:
        def __init__(self) -> None:
            self.asked: list[Any] = []
            self.waiting: list[Any] = []

        def submit(self, key: Any, prompt: Any, sampling: Any) -> None:
            self.asked.append(prompt)
            self.waiting.append(key)

        def collect(self) -> list[Any]:
            key = self.waiting.pop()
            text = completions[len(self.asked) - 1].removesuffix(END)
            return [Generated(key, text, 1, "stop")]

    model = Script()
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=400, max_model_tokens=10**6, seed=0)
    list(
        play_tasks(
            [task],
            model,
            lambda messages: render_prompt(messages, QWEN_CHAT_TEMPLATE),
            lambda text: TOKENIZER(text)["input_ids"],
            sampling,
            Rules("compact", Limits(responses=RULES.responses)),
            1,
        )
    )
    return model.asked


@pytest.mark.parametrize("task", TASKS[:40], ids=lambda task: task.id)
def test_each_response_is_asked_for_with_the_very_tokens_of_evaluation(task: Any) -> None:
    completions = flat(gold(task), thought="A long thought about [f(a=1)] that no later prompt may show.")
    played, asked = run(task, completions)
    assert asked == prompts_of_evaluation(task, completions)
    assert [sample.prompt for sample in played.samples] == asked
    for prompt in asked[1:]:
        assert "long thought" not in TOKENIZER.decode(prompt)


@pytest.mark.parametrize("task", TASKS[:40], ids=lambda task: task.id)
def test_gold_answers_score_one_and_every_one_is_a_sample(task: Any) -> None:
    played, _ = run(task, flat(gold(task)))
    assert score(played)["score"] == 1.0 and played.reasons == ()
    assert [sample.turn for sample in played.samples] == [
        number for number, turn in enumerate(gold(task)) for _ in turn
    ]
    assert [sample.number for sample in played.samples] == [
        number for turn in gold(task) for number in range(len(turn))
    ]


def test_only_what_the_model_wrote_is_a_response() -> None:
    """Users' words and tool results are in prompts alone, so nothing has to be masked out of a response."""
    for category in ("chain", "follow_up", "parallel", "mixed"):
        task = task_of(category)
        completions = flat(gold(task))
        played, _ = run(task, completions)
        for sample, written in zip(played.samples, completions, strict=True):
            assert TOKENIZER.decode(sample.written.ids) == written
            assert len(sample.written.log_probs) == len(sample.written.ids)
        results = [result.text for turn in play_gold(task) for result in turn.seen()]
        assert results and all(
            result not in TOKENIZER.decode(sample.written.ids)
            for result in results
            for sample in played.samples
        )


def test_results_of_one_response_are_one_merged_message() -> None:
    task = task_of("parallel")
    played, asked = run(task, flat(gold(task)))
    seen = play_gold(task)[0].seen()
    assert len(seen) == 2
    assert f"<tool_response>\n{[one.text for one in seen]}\n</tool_response>" in TOKENIZER.decode(asked[1])
    assert list(played.samples[0].results) == seen


def test_a_wrong_turn_does_not_end_the_episode() -> None:
    task = task_of("missing")  # asks first, then calls
    call = gold(task)[1][0]
    played, _ = run(task, [completion(call), completion("Done."), *flat(gold(task)[1:])])
    assert played.outcomes[0]["results_seen"] is False and "needless_call" in played.reasons[0]
    assert len(played.samples) == 2 + len(gold(task)[1])
    assert score(played)["score"] < 1.0


def test_half_of_the_turns_is_half_of_the_score() -> None:
    task = task_of("follow_up")
    turns = gold(task)
    played, _ = run(task, [*flat(turns[:1]), completion("I will not.")])
    assert score(played)["score"] == 0.5
    assert played.reasons and all(reason.startswith("turn 1: ") for reason in played.reasons)


def test_giving_up_early_does_not_pay() -> None:
    task = task_of("follow_up")
    played, _ = run(task, [*flat(gold(task)[:1]), completion("[find(")])
    assert played.outcomes == [
        {"state_equal": True, "results_seen": True},
        {"state_equal": False, "results_seen": False},
    ]
    assert score(played)["score"] == 0.5


@pytest.mark.parametrize("answer", ["[get_plan(", "[]", "", "```[f(a=1)]```"])
def test_a_malformed_answer_ends_the_episode(answer: str) -> None:
    task = task_of("follow_up")
    played, _ = run(task, [completion(answer)])
    assert len(played.samples) == 1 and "malformed" in played.reasons[0]
    assert score(played)["score"] == 0.0


def test_an_unclosed_answer_scores_nothing() -> None:
    task = task_of("follow_up")
    played, _ = run(task, [*flat(gold(task)[:1]), "I think and think" + END])
    assert score(played)["score"] == 0.0
    assert record(played, played.samples[-1])["figures"] == {"unclosed": 1.0, "cut": 0.0}


def test_a_cut_answer_is_over_long_even_where_text_would_do() -> None:
    task = task_of("no_tool")
    words = completion("No tool of mine does that. " * 40)
    played, _ = run(task, [words], dataclasses.replace(RULES, response_tokens=60))
    sample = played.samples[0]
    assert sample.cut and len(sample.written.ids) == len(sample.written.log_probs) == 60
    assert played.reasons == ("turn 0: over_long: cut off after 60 tokens",)
    assert score(played)["score"] == 0.0
    assert score(run(task, [words], dataclasses.replace(RULES, response_tokens=2000))[0])["score"] == 1.0


def test_the_responses_of_a_turn_are_limited() -> None:
    task = task_of("single")
    call = gold(task)[0][0]
    rules = dataclasses.replace(RULES, responses=3)
    played, _ = run(task, [completion(call)] * 9, rules)
    assert len(played.samples) == 3 and "too_many_responses" in played.reasons[0]
    assert score(played)["score"] == 0.0


def test_the_limit_of_responses_counts_each_turn_anew() -> None:
    task = task_of("follow_up")
    longest = max(map(len, gold(task)))
    played, _ = run(task, flat(gold(task)), dataclasses.replace(RULES, responses=longest))
    assert score(played)["score"] == 1.0 and len(played.samples) > longest


def test_a_prompt_that_grew_too_long_ends_the_episode_and_the_first_is_an_error() -> None:
    task = task_of("follow_up")
    completions = flat(gold(task))
    _, asked = run(task, completions)
    rules = dataclasses.replace(RULES, prompt_tokens=len(asked[1]))
    played, cut = run(task, completions, rules)
    assert cut == asked[:2] and "prompt_too_long" in played.reasons[-1]
    with pytest.raises(ValueError, match="prompt_too_long"):
        run(task, completions, dataclasses.replace(RULES, prompt_tokens=len(asked[0]) - 1))


def test_the_seconds_of_a_turn_are_limited_and_count_each_turn_anew() -> None:
    task = task_of("follow_up")
    completions = flat(gold(task))
    seconds = itertools.count(0, 10)
    played, _ = run(task, completions, dataclasses.replace(RULES, seconds=35), lambda: next(seconds))
    assert "too_slow" in played.reasons[0] and played.reasons[0].startswith("turn 0")
    assert score(played)["score"] == 0.0
    seconds = itertools.count(0, 10)
    patient = dataclasses.replace(RULES, seconds=100)
    assert score(run(task, completions, patient, lambda: next(seconds))[0])["score"] == 1.0
    assert next(seconds) > 100, "the whole episode took longer than one turn may"


def test_a_call_that_hangs_ends_its_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of("single")
    kind = type(make_environment(task.environment))
    release, call = threading.Event(), kind.call
    due = sum(len(step) for turn in task.turns for step in turn.steps)  # the gold play comes first
    made = itertools.count()

    def hang(self: Any, one: Any) -> Any:
        if next(made) >= due:
            release.wait(30)
        return call(self, one)

    monkeypatch.setattr(kind, "call", hang)
    threading.Timer(0.5, release.set).start()
    played, _ = run(task, flat(gold(task)), dataclasses.replace(RULES, seconds=0.1))
    assert "too_slow" in played.reasons[0] and len(played.samples) == 1
    assert played.outcomes == [{"state_equal": False, "results_seen": False}]


@settings(max_examples=40)
@given(some.data())
def test_any_answers_give_samples_and_a_score(data: Any) -> None:
    """Whatever is written, each response is kept with its own tokens, and the score is a share."""
    task = data.draw(some.sampled_from(TASKS[:30]))
    right = [answer for turn in gold(task) for answer in turn]
    answers = data.draw(
        some.lists(some.sampled_from([*right, "No.", "[x()]", "[f(", ""]), min_size=60, max_size=60)
    )
    completions = [completion(answer) for answer in answers]
    played, asked = run(task, completions)
    assert len(played.samples) == len(asked) >= 1
    assert [TOKENIZER.decode(sample.written.ids) for sample in played.samples] == completions[: len(asked)]
    result = score(played)
    assert 0.0 <= result["score"] <= 1.0 and result["error"] == 0.0
    assert (result["score"] == 1.0) == (not played.reasons)
    assert len(played.outcomes) == len(task.turns)


def test_a_record_says_what_happened_and_what_would_have_been_right() -> None:
    task = task_of("follow_up")
    played, _ = run(task, [*flat(gold(task)[:1]), completion("I will not.")])
    first, last = record(played, played.samples[0]), record(played, played.samples[-1])
    assert (first["turn"], first["response"], first["reasons"]) == (0, 0, [])
    seen = play_gold(task)[0].seen()
    assert first["results"] == [result.text for result in seen] and first["ok"] == [True] * len(seen)
    assert first["calls"] and first["gold"] == gold(task)[0]
    assert last["turn"] == 1 and last["reasons"][0].startswith("missing_result")
    assert last["gold"] == gold(task)[1]
    assert json.loads(json.dumps(first)) == first
