"""Conversations as the clients of other APIs and libraries would hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from funreason_train.dialogue.messages import AssistantStep, Turn

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": [],
}


TOOLS = [{"name": name, "description": "Does it.", "parameters": SCHEMA} for name in ("look_up", "book")]


Row = dict[str, Any]


def _ids(turns: tuple[Turn, ...]) -> Iterator[tuple[AssistantStep, list[str]]]:
    for number, turn in enumerate(turns):
        for place, step in enumerate(turn.steps):
            yield step, [f"c{number}_{place}_{n}" for n in range(len(step.calls))]


def _responses(system: str, turns: tuple[Turn, ...]) -> Row:
    ids = {id(step): named for step, named in _ids(turns)}
    items: list[Any] = []
    for turn in turns:
        items.append({"role": "user", "content": [{"type": "input_text", "text": turn.user}]})
        for step in turn.steps:
            if step.thought:
                summary = [{"type": "summary_text", "text": step.thought}]
                items.append({"type": "reasoning", "id": "rs_1", "summary": summary})
            if step.text:
                said = {"type": "output_text", "text": step.text, "annotations": []}
                items.append(
                    {
                        "type": "message",
                        "id": "m",
                        "role": "assistant",
                        "status": "completed",
                        "content": [said],
                    }
                )
            for call, named in zip(step.calls, ids[id(step)], strict=True):
                items.append(
                    {
                        "type": "function_call",
                        "id": "fc_" + named,
                        "call_id": named,
                        "name": call.name,
                        "arguments": json.dumps(call.arguments),
                        "status": "completed",
                    }
                )
            results = list(zip(step.results, ids[id(step)], strict=False))
            for text, named in reversed(results):  # they may come in any order
                items.append({"type": "function_call_output", "call_id": named, "output": text})
    return {
        "instructions": system,
        "input": items,
        "tools": [{"type": "function", "strict": None, **tool} for tool in TOOLS],
    }


def _gemini(system: str, turns: tuple[Turn, ...]) -> Row:
    contents: list[Any] = []
    for turn in turns:
        contents.append({"role": "user", "parts": [{"text": turn.user}]})
        for step in turn.steps:
            parts: list[Any] = [{"text": step.thought, "thought": True}] if step.thought else []
            parts += [{"text": step.text}] if step.text else []
            parts += [{"functionCall": {"name": c.name, "args": dict(c.arguments)}} for c in step.calls]
            contents.append({"role": "model", "parts": parts})
            answers = [
                {"functionResponse": {"name": call.name, "response": json.loads(text)}}
                for call, text in zip(step.calls, step.results, strict=False)
            ]
            if answers:
                contents.append({"role": "user", "parts": answers})
    return {
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": contents,
        "tools": [{"functionDeclarations": TOOLS}],
    }


def _bedrock(system: str, turns: tuple[Turn, ...]) -> Row:
    ids = {id(step): named for step, named in _ids(turns)}
    messages: list[Any] = []
    for turn in turns:
        messages.append({"role": "user", "content": [{"text": turn.user}]})
        for step in turn.steps:
            reasoning = {"reasoningContent": {"reasoningText": {"text": step.thought}}}
            blocks: list[Any] = [reasoning] if step.thought else []
            blocks += [{"text": step.text}] if step.text else []
            blocks += [
                {"toolUse": {"toolUseId": named, "name": call.name, "input": dict(call.arguments)}}
                for call, named in zip(step.calls, ids[id(step)], strict=True)
            ]
            messages.append({"role": "assistant", "content": blocks})
            answers = [
                {
                    "toolResult": {
                        "toolUseId": named,
                        "content": [{"json": json.loads(text)}],
                        "status": "success",
                    }
                }
                for text, named in zip(step.results, ids[id(step)], strict=False)
            ]
            if answers:
                messages.append({"role": "user", "content": answers})
    specs = [
        {
            "toolSpec": {
                "name": tool["name"],
                "description": tool["description"],
                "inputSchema": {"json": tool["parameters"]},
            }
        }
        for tool in TOOLS
    ]
    return {"system": [{"text": system}], "messages": messages, "toolConfig": {"tools": specs}}


def _langchain(wrap: Callable[[str, Row], Row]) -> Callable[[str, tuple[Turn, ...]], Row]:
    def write(system: str, turns: tuple[Turn, ...]) -> Row:
        ids = {id(step): named for step, named in _ids(turns)}
        messages = [wrap("system", {"content": system})]
        for turn in turns:
            messages.append(wrap("human", {"content": turn.user, "example": False}))
            for step in turn.steps:
                calls = [
                    {"name": call.name, "args": dict(call.arguments), "id": named, "type": "tool_call"}
                    for call, named in zip(step.calls, ids[id(step)], strict=True)
                ]
                told = [
                    {
                        "id": named,
                        "type": "function",
                        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                    }
                    for call, named in zip(step.calls, ids[id(step)], strict=True)
                ]
                own: Row = {"tool_calls": told} if told else {}
                own |= {"reasoning_content": step.thought} if step.thought else {}
                said = {"content": step.text, "additional_kwargs": own, "tool_calls": calls}
                messages.append(wrap("ai", {**said, "invalid_tool_calls": [], "id": "run-1"}))
                for text, named in zip(step.results, ids[id(step)], strict=False):
                    messages.append(
                        wrap(
                            "tool",
                            {"content": text, "tool_call_id": named, "status": "success", "artifact": None},
                        )
                    )
        return {"messages": messages, "tools": [{"type": "function", "function": tool} for tool in TOOLS]}

    return write


def _vercel(system: str, turns: tuple[Turn, ...]) -> Row:
    ids = {id(step): named for step, named in _ids(turns)}
    messages: list[Any] = [{"role": "system", "parts": [{"type": "text", "text": system}]}]
    for turn in turns:
        messages.append({"role": "user", "parts": [{"type": "text", "text": turn.user}]})
        parts: list[Any] = []
        for step in turn.steps:
            parts.append({"type": "step-start"})
            parts += [{"type": "reasoning", "text": step.thought, "state": "done"}] if step.thought else []
            parts += [{"type": "text", "text": step.text, "state": "done"}] if step.text else []
            for place, (call, named) in enumerate(zip(step.calls, ids[id(step)], strict=True)):
                own = {"type": f"tool-{call.name}", "toolCallId": named, "input": dict(call.arguments)}
                done = {"state": "output-available", "output": json.loads(step.results[place])}
                parts.append({**own, **done})
        messages.append({"role": "assistant", "parts": parts})
    return {"messages": messages, "tools": [{"type": "function", "function": tool} for tool in TOOLS]}


def _llamaindex(system: str, turns: tuple[Turn, ...]) -> Row:
    ids = {id(step): named for step, named in _ids(turns)}

    def said(role: str, text: str, *blocks: Any, **more: Any) -> Row:
        own = [{"block_type": "text", "text": text}] if text else []
        return {"role": role, "additional_kwargs": more, "blocks": [*blocks, *own]}

    messages = [said("system", system)]
    for turn in turns:
        messages.append(said("user", turn.user))
        for step in turn.steps:
            blocks: list[Row] = [{"block_type": "thinking", "content": step.thought}] if step.thought else []
            blocks += [
                {
                    "block_type": "tool_call",
                    "tool_call_id": named,
                    "tool_name": call.name,
                    "tool_kwargs": dict(call.arguments),
                }
                for call, named in zip(step.calls, ids[id(step)], strict=True)
            ]
            messages.append(said("assistant", step.text, *blocks))
            messages += [
                said("tool", text, tool_call_id=named)
                for text, named in zip(step.results, ids[id(step)], strict=False)
            ]
    return {"messages": messages, "tools": TOOLS}


_CLASSES = {"system": "SystemMessage", "human": "HumanMessage", "ai": "AIMessage", "tool": "ToolMessage"}


WRITERS: dict[str, Callable[[str, tuple[Turn, ...]], Row]] = {
    "responses": _responses,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "vercel": _vercel,
    "llamaindex": _llamaindex,
    "langchain_data": _langchain(lambda kind, said: {"type": kind, "data": {**said, "type": kind}}),
    "langchain_flat": _langchain(lambda kind, said: {**said, "type": kind}),
    "langchain_lc": _langchain(
        lambda kind, said: {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", _CLASSES[kind]],
            "kwargs": {**said, "type": kind},
        }
    ),
}
