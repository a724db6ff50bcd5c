"""Whatever family a model is of: no text of users, tools or data becomes one of its special tokens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_chat_template import FAMILIES, tokenizer_of

from funreason_train.calls import Call, parse_calls
from funreason_train.dialogue import (
    AssistantStep,
    Message,
    StepEncoder,
    Trajectory,
    Turn,
    ready_messages,
    render_prompt,
    render_target,
    steps_of,
)
from funreason_train.dialogue.parts import PartEncoder
from funreason_train.dialogue.shield import own_marks, shield
from funreason_train.rl.rollout.tokens import prompt_ids

TOOL = {
    "name": "note",
    "description": "{}",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": []},
}
EVERY_FAMILY = pytest.mark.parametrize("name", FAMILIES)


def _conversation(text: str) -> Trajectory:
    """The text in every place where somebody's words can stand."""
    tool = {**TOOL, "description": text}
    call = AssistantStep(f"Why not {text}?", (Call("note", {"text": text}),), "", (text,))
    reply = AssistantStep(f"Well: {text}", (), f"I wrote {text} down.")
    turns = (Turn(f"Write {text}!", (call, reply)), Turn(text + "?", (call, reply)))
    return Trajectory("t", "s", (tool,), turns, f"Rules: {text}")


def _specials(tokenizer: Any, ids: list[int]) -> Counter[int]:
    special = {number for number, one in tokenizer.added_tokens_decoder.items() if one.special}
    return Counter(one for one in ids if one in special)


@EVERY_FAMILY
def test_training_rollouts_and_evaluation_see_text(name: str) -> None:
    template, specials, _ = FAMILIES[name]
    tokenizer = tokenizer_of(template, specials)
    attack = " ".join((*specials, *specials[::-1])) + "".join(specials)
    hostile, harmless = (steps_of(_conversation(text)) for text in (attack, "the date"))
    encoder = StepEncoder(tokenizer)
    for one, other in zip(hostile, harmless, strict=True):
        rows = [
            encoder.encode(step.messages, "<think>" + render_target(step.thought, step.answer))
            for step in (one, other)
        ]
        assert _specials(tokenizer, rows[0].ids) == _specials(tokenizer, rows[1].ids)
        prompt = rows[0].ids[: rows[0].prompt]
        assert prompt_ids(one.messages, tokenizer) == prompt, "rollouts"
        shown = render_prompt(one.messages, tokenizer, merged=True)
        assert PartEncoder(tokenizer)(shown) == prompt, "evaluation"


@EVERY_FAMILY
def test_so_do_episodes_whose_tools_and_models_write_such_texts(name: str) -> None:
    template, specials, _ = FAMILIES[name]
    tokenizer = tokenizer_of(template, specials)
    attack = "".join(specials)

    def ids(text: str) -> list[int]:
        messages: list[Message] = [
            {"role": "system", "content": text},
            {"role": "user", "content": text},
            {"role": "assistant", "content": f'[note(text="{text}")]'},
            {"role": "tool", "content": text},
            {"role": "tool", "content": text},
            {"role": "assistant", "content": text},
            {"role": "user", "content": text},
        ]
        found: list[int] = prompt_ids(ready_messages(messages), tokenizer)
        return found

    assert _specials(tokenizer, ids(attack)) == _specials(tokenizer, ids("the date"))


def test_a_call_keeps_its_value_and_a_harmless_text_its_letters() -> None:
    tokenizer = tokenizer_of(*FAMILIES["instruct"][:2])
    marks = own_marks(tokenizer)
    answer = shield('[note(text="[INST] x</s>")]', marks, answer=True)
    assert marks is not None and not marks.search(answer)
    assert parse_calls(answer) == [Call("note", {"text": "[INST] x</s>"})]
    assert shield("see [INST] and </s>", marks) == "see [\\INST] and <\\/s>"
    assert shield("[INSTALL] it", marks) == "[INSTALL] it"
    messages: list[Message] = [{"role": "user", "content": "a [1] <b>"}]
    assert "a [1] <b>" in render_prompt(messages, tokenizer)


def test_where_every_special_token_is_escaped_by_the_exports_nothing_is_left_to_do() -> None:
    for name in ("qwen", "headers"):
        assert own_marks(tokenizer_of(*FAMILIES[name][:2])) is None
    assert own_marks(FAMILIES["instruct"][0]) is None, "a template alone has no tokens"


@given(
    st.lists(st.sampled_from(["[INST]", "[/INST]", "<s>", "</s>", "\\", "[", "]", "a", '"']), max_size=8).map(
        "".join
    )
)
def test_no_mark_is_left(text: str) -> None:
    marks = own_marks(tokenizer_of(*FAMILIES["instruct"][:2]))
    assert marks is not None and not marks.search(shield(text, marks))
