"""The parity gate with Qwen3's real tokenizer and its own chat templates.

Tested: the template of Qwen3-4B-Instruct-2507, FunReason-MT's base model; that of the hybrid models (as in
Qwen3-4B), which treats the history differently after the last user message; and the way in which the
Thinking-2507 models open a thought.
"""

from __future__ import annotations

import json
from itertools import groupby, product
from typing import Any

import pytest
from smoke.llamafactory_rows import llamafactory_encoder
from smoke.prepared import ROOT, prepare
from smoke.qwen3 import instruct_2507_template, qwen3_folder

from funreason_train.data.read.formats import funreason_mt
from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, Message, StepEncoder, render_prompt, steps_of
from funreason_train.dialogue.sharegpt import sft_messages
from funreason_train.errors import UserError
from funreason_train.models.tokenizers import load_tokenizer
from funreason_train.parity.tokens import ParityRow, sample_rows, token_parity
from funreason_train.rl.rollout.tokens import lost_in_decoding
from funreason_train.run.paths import RunDir

pytestmark = pytest.mark.smoke
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(str(qwen3_folder()))


@pytest.fixture(scope="module")
def instruct() -> Any:
    """The tokenizer as Qwen3-4B-Instruct-2507 ships it: the same words, its own template."""
    found = load_tokenizer(str(qwen3_folder()))
    found.chat_template = instruct_2507_template()
    return found


@pytest.fixture(scope="module")
def rows(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> list[ParityRow]:
    """All rows of the real samples, through the data stage, whose own gate measures with this tokenizer."""
    run = RunDir.at(tmp_path_factory.mktemp("run"))
    prepare(run, f"data.tokenizer={qwen3_folder()}")
    return sample_rows(run.data, 100, 0)


def test_it_is_the_template_with_think_handling(tokenizer: Any) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert "<think>\n\n</think>" in tokenizer.apply_chat_template(said, tokenize=False)
    assert tokenizer.convert_tokens_to_ids("<think>") == 151667
    assert len(tokenizer("</think>", add_special_tokens=False)["input_ids"]) == 1
    assert lost_in_decoding(tokenizer) == []


@pytest.mark.parametrize("model", ["tokenizer", "instruct"])
def test_real_rows_agree_in_all_three(
    request: pytest.FixtureRequest, model: str, rows: list[ParityRow]
) -> None:
    assert len(rows) == 23 and all(row.prompt for row in rows)
    assert any(message["role"] == "tool" for row in rows for message in row.prompt or ())
    assert token_parity(rows, request.getfixturevalue(model)) is None


@pytest.mark.parametrize("model", ["tokenizer", "instruct"])
def test_the_prompt_is_what_the_model_card_s_handler_renders(
    request: pytest.FixtureRequest, model: str
) -> None:
    """FunReason-MT's BFCL handler: raw messages, tool runs as `str(list)`, the chat template, then `<think>`.

    Its history holds answers alone: BFCL's base class appends `model_responses`, never the reasoning.
    """
    tokenizer, compared = request.getfixturevalue(model), 0
    for line in (FIXTURES / "funreason_mt_3rows.jsonl").open():
        trajectory = funreason_mt.convert(
            json.loads(line), {"error_tool_response": "keep", "tools_missing": "infer"}
        )
        steps = iter(steps_of(trajectory))
        raw: list[Message] = []
        for turn in trajectory.turns:
            raw.append({"role": "user", "content": turn.user})
            for response in turn.steps:
                step = next(steps)
                messages = [step.messages[0], *raw]
                handler = _card_prompt(messages, tokenizer)
                assert render_prompt(messages, tokenizer) == handler
                assert render_prompt(step.messages, tokenizer, merged=True) == handler
                assert handler.endswith("<|im_start|>assistant\n<think>") and handler.count("<think>") == 1
                raw.append({"role": "assistant", "content": step.answer})
                raw += [{"role": "tool", "content": result} for result in response.results]
                compared += 1
    assert compared == 15


def _card_prompt(messages: list[Message], tokenizer: Any) -> str:
    """The handler's rendering, written from its description and apart from the protocol's code."""
    ready: list[Any] = []
    for tools, group in groupby(messages, key=lambda message: message["role"] == "tool"):
        some = list(group)
        ready += [{"role": "tool", "content": str([one["content"] for one in some])}] if tools else some
    text = tokenizer.apply_chat_template(ready, tokenize=False, add_generation_prompt=True)
    return str(text) + "<think>"


def test_all_templates_render_our_prompts_alike(tokenizer: Any, instruct: Any, rows: list[ParityRow]) -> None:
    """Answers without thoughts leave the think handling nothing to do, so a checkpoint may carry any."""
    for row in rows:
        assert row.prompt is not None
        ours = render_prompt(row.prompt, QWEN_CHAT_TEMPLATE, merged=True)
        assert render_prompt(row.prompt, tokenizer, merged=True) == ours
        assert render_prompt(row.prompt, instruct, merged=True) == ours


def test_our_template_is_that_of_instruct_2507(instruct: Any) -> None:
    """For any messages of the protocol, whatever stands in them: our own models differ in nothing."""
    texts = ("", "a", "\n lead", "trail \n", "</think>", "<think>\nold\n</think>\n\nx", "<tool_response>\nq")
    tools: list[Message] = [{"role": "tool", "content": "1"}, {"role": "tool", "content": ""}]
    for first, asked, answer in product(texts, repeat=3):
        system: list[Message] = [{"role": "system", "content": first}]
        turn: list[Message] = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        for messages in ([*system, *turn, *tools], [*turn, *tools[:1], *turn], [*system, *turn[:1]]):
            assert render_prompt(messages, QWEN_CHAT_TEMPLATE, merged=True) == render_prompt(
                messages, instruct, merged=True
            )


def test_thinking_disabled_in_the_template_is_told(rows: list[ParityRow]) -> None:
    """A template that closes an empty thought in every prompt (verl#3477, LF#10773)."""
    changed = load_tokenizer(str(qwen3_folder()))
    changed.chat_template = "{%- set enable_thinking = false %}" + changed.chat_template
    with pytest.raises(UserError, match="closes an empty thought"):
        token_parity(rows[:1], changed)


def test_a_template_that_opens_the_thought_itself_gives_the_same_tokens(
    rows: list[ParityRow], tokenizer: Any
) -> None:
    """As Qwen3's Thinking-2507 models do: no second `<think>`."""
    changed = load_tokenizer(str(qwen3_folder()))
    changed.chat_template = QWEN_CHAT_TEMPLATE.replace(
        r"<|im_start|>assistant\n", r"<|im_start|>assistant\n<think>\n"
    )
    assert token_parity(rows, changed) is None
    for row in rows:
        steps = [StepEncoder(one).encode(*sft_messages(row.sft)) for one in (changed, tokenizer)]
        assert steps[0] == steps[1]


def test_the_training_rows_are_those_that_llamafactory_would_make(
    rows: list[ParityRow], tokenizer: Any
) -> None:
    theirs, ours = llamafactory_encoder(tokenizer, "qwen3_nothink"), StepEncoder(tokenizer)
    for row in rows:
        step = ours.encode(*sft_messages(row.sft))
        assert theirs(row.sft) == (step.ids, [-100] * step.learned + step.ids[step.learned :]), row.id
