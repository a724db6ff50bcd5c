"""The prompts that every stage renders."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest

from funreason_train.calls import Call
from funreason_train.dialogue import (
    QWEN_CHAT_TEMPLATE,
    AssistantStep,
    Message,
    Trajectory,
    Turn,
    find_markers,
    merge_tool_messages,
    read_completion,
    render_answer,
    render_prompt,
    render_target,
    steps_of,
    system_prompt,
)
from funreason_train.errors import UserError

TOOLS = (
    {
        "name": "pwd",
        "description": "Where am I? – “here”",
        "parameters": {"type": "object", "properties": {}},
    },
    {"name": "cat", "description": "Reads {x}", "parameters": {"type": "object", "properties": {}}},
)


def message(role: Any, content: str) -> Message:
    return {"role": role, "content": content}


CHAT = [
    message("system", "S"),
    message("user", "U"),
    message("assistant", "[pwd(), cat()]"),
    message("tool", "/home"),
    message("tool", '{"it\'s": "x"}'),
    message("assistant", "Done."),
    message("user", "More"),
    message("assistant", "[pwd()]"),
    message("tool", "/"),
]
RENDERED = (
    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
    "<|im_start|>assistant\n[pwd(), cat()]<|im_end|>\n"
    "<|im_start|>user\n<tool_response>\n['/home', '{\"it\\'s\": \"x\"}']\n</tool_response><|im_end|>\n"
    "<|im_start|>assistant\nDone.<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
    "<|im_start|>assistant\n[pwd()]<|im_end|>\n<|im_start|>user\n<tool_response>\n['/']\n</tool_response><|im_end|>\n"
    "<|im_start|>assistant\n<think>"
)


def test_renders_a_conversation() -> None:
    assert render_prompt(CHAT, QWEN_CHAT_TEMPLATE) == RENDERED


def test_tool_messages_are_merged_once() -> None:
    merged = merge_tool_messages(CHAT)
    assert [m["role"] for m in merged].count("tool") == 2
    assert merged[3]["content"] == str(["/home", '{"it\'s": "x"}'])
    assert merge_tool_messages(merged) == merged
    assert len(CHAT) == 9  # the caller's list is untouched
    stored = json.loads(json.dumps(merged))
    assert render_prompt(merged, QWEN_CHAT_TEMPLATE) == RENDERED
    assert render_prompt(stored, QWEN_CHAT_TEMPLATE, merged=True) == RENDERED


def test_a_tokenizer_renders_like_its_template() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"x": 0}, unk_token="x"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend)
    tokenizer.chat_template = QWEN_CHAT_TEMPLATE
    assert render_prompt(CHAT, tokenizer) == RENDERED


def test_unmerged_tool_messages_share_one_user_turn() -> None:
    text = render_prompt(CHAT[:5], QWEN_CHAT_TEMPLATE, merged=True)
    assert "user\n<tool_response>\n/home\n</tool_response>\n<tool_response>\n" in text
    assert text.count("<|im_start|>user") == 2


def test_the_template_keeps_text_as_it_is() -> None:
    text = "  {{ 7 * 7 }} <b>&amp;</b>\n\n "
    assert f"user\n{text}<|im_end|>" in render_prompt([message("user", text)], QWEN_CHAT_TEMPLATE)


def test_the_template_refuses_tools() -> None:
    template = jinja2.Environment().from_string(QWEN_CHAT_TEMPLATE)
    with pytest.raises(
        jinja2.exceptions.UndefinedError
    ):  # raise_exception exists only where chats are rendered
        template.render(messages=CHAT, tools=[{}])


def test_a_template_that_opens_the_thought_itself_gets_no_second_one() -> None:
    """As those of Qwen3's Thinking-2507 and DeepSeek-R1 do."""
    plain = render_prompt(CHAT, QWEN_CHAT_TEMPLATE)
    opening = "{% if add_generation_prompt %}{{ '<think>\n' }}{% endif %}"
    assert render_prompt(CHAT, QWEN_CHAT_TEMPLATE + opening) == plain
    assert plain.count("<think>") == 1 and plain.endswith("<think>")


def test_a_template_that_closes_an_empty_thought_is_refused() -> None:
    """verl#3477, LF#10773: the model would answer after a thought that it never had."""
    closing = "{% if add_generation_prompt %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    with pytest.raises(UserError, match="closes an empty thought"):
        render_prompt(CHAT, QWEN_CHAT_TEMPLATE + closing)


def test_a_hostile_template_is_sandboxed() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        render_prompt(CHAT, "{{ ''.__class__.__mro__[1].__subclasses__() }}")


def test_bfcl_prompt_is_what_bfcl_evaluates_with() -> None:
    utils = pytest.importorskip("bfcl_eval.model_handler.utils")
    for tools in ([], [TOOLS[0]], list(TOOLS)):
        question = [{"role": "user", "content": "U"}]
        theirs = utils.system_prompt_pre_processing_chat_model(question, tools, "multi_turn_base_0")
        assert system_prompt(tools) == theirs[0]["content"]
        question = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "U"}]
        theirs = utils.system_prompt_pre_processing_chat_model(question, tools, "multi_turn_base_0")
        assert system_prompt(tools, "bfcl", "Be kind.") == theirs[0]["content"]


def test_bfcls_decoder_reads_bare_and_untagged_answers() -> None:
    utils = pytest.importorskip("bfcl_eval.model_handler.utils")
    calls = [Call("cat", {"file": 'a "b"\n', "n": 3}), Call("pwd")]
    for tagged in (False, True):
        answer = read_completion(render_target("t", render_answer(calls, tagged=tagged))).answer
        assert utils.default_decode_ast_prompting(answer) == [{call.name: call.arguments} for call in calls]


def test_compact_prompt() -> None:
    prompt = system_prompt(TOOLS, "compact", "Be kind.")
    assert json.dumps(list(TOOLS), separators=(",", ":"), ensure_ascii=False) in prompt
    assert prompt.endswith("\n\nBe kind.")
    assert len(prompt) < len(system_prompt(TOOLS)) / 2


def test_an_unknown_style_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="compact"):
        system_prompt(TOOLS, "fancy")  # type: ignore[arg-type]


TRAJECTORY = Trajectory(
    id="row7",
    source="test",
    tools=TOOLS,
    turns=(
        Turn(
            "Where am I?",
            (
                AssistantStep("I look.\n", (Call("pwd"), Call("cat", {"f": "x"})), "", ("/home", "text")),
                AssistantStep("I know.", (), "\nYou are at home. "),
            ),
        ),
        Turn("Thanks", (AssistantStep("", (), "You are welcome."),)),
    ),
    meta={"row": 7},
)


def test_one_step_a_response() -> None:
    steps = steps_of(TRAJECTORY)
    assert [step.id for step in steps] == ["row7/0.0", "row7/0.1", "row7/1.0"]
    assert [step.answer for step in steps] == ['[pwd(), cat(f="x")]', "You are at home.", "You are welcome."]
    assert [step.calls for step in steps] == [(Call("pwd"), Call("cat", {"f": "x"})), (), ()]
    assert [step.thought for step in steps] == ["I look.", "I know.", ""]
    assert [[m["role"] for m in step.messages] for step in steps] == [
        ["system", "user"],
        ["system", "user", "assistant", "tool"],
        ["system", "user", "assistant", "tool", "assistant", "user"],
    ]
    assert steps[1].messages[3]["content"] == "['/home', 'text']"
    assert steps[0].messages[0]["content"] == system_prompt(TOOLS)
    assert steps[2].meta == {"row": 7}


def test_thoughts_never_enter_a_prompt() -> None:
    for step in steps_of(TRAJECTORY, tagged=True):
        assert not any("I look." in m["content"] or "think" in m["content"] for m in step.messages[1:])


def test_steps_render_without_merging_twice() -> None:
    step = steps_of(TRAJECTORY)[2]
    assert "<tool_response>\n['/home', 'text']\n</tool_response>" in render_prompt(
        step.messages, QWEN_CHAT_TEMPLATE
    )


@pytest.mark.parametrize("tagged", [False, True])
def test_every_target_reads_back_as_its_step(tagged: bool) -> None:
    for step in steps_of(TRAJECTORY, tagged=tagged):
        completion = read_completion(render_target(step.thought, step.answer))
        assert completion.calls == list(step.calls)
        assert completion.thought == step.thought
        assert ("<tool_call>" in step.answer) is (tagged and bool(step.calls))


def test_target_form() -> None:
    assert render_target("I look.", "[pwd()]") == "\nI look.\n</think>\n\n[pwd()]"


@pytest.mark.parametrize("text", ["a<|im_end|>b", "</think>", "x <tool_response>", "<|im_start|>system"])
def test_control_markers_are_found(text: str) -> None:
    assert len(find_markers(text)) == 1
    assert find_markers("a < b, <|im_ end|>, < /think>") == []


def test_tools_stand_as_json_dumps_indents_them() -> None:
    tools: list[dict[str, Any]] = [
        {"name": "é\n", "parameters": {}, "x": [1.5, 10**30, None, True, [], "\u2028\r x"]},
        {"a": {"b": [{}]}},
    ]
    for some in ([], tools[:1], tools):
        assert json.dumps(some, indent=4) in system_prompt(some)
