"""Calls as public models and data sets write them, in rows of our own wording, and what becomes of each."""

# ruff: noqa: E501 (each text stands on one line, as a model writes it)
from __future__ import annotations

from typing import Any, NamedTuple

from funreason_train.calls import Call

TOOLS: list[dict[str, Any]] = [
    {
        "name": "forecast",
        "description": "Weather to come.",
        "parameters": {
            "type": "object",
            "properties": {
                "town": {"type": "string"},
                "days": {"type": "integer"},
                "wind": {"type": "boolean"},
                "hours": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["town"],
        },
    },
    {"name": "tides", "description": "", "parameters": {"type": "object", "properties": {}}},
]
LOM = Call("forecast", {"town": "Lom", "days": 3})
VIK = Call("forecast", {"town": "Vik"})
TIDES = Call("tides", {})
ARGUMENTS = '{"town": "Lom", "days": 3}'
OBJECT = f'{{"name": "forecast", "arguments": {ARGUMENTS}}}'
OTHER = '{"name": "forecast", "arguments": {"town": "Vik"}}'


NEEDS_NAMES = (
    "GLM-4.5, no arguments",
    "JSON by name, as BFCL's golds",
    "Python, fenced after prose",
    "JSON, inline arguments of a known tool",
)


class Case(NamedTuple):
    """One text.

    Attributes:
        name: What it is.
        text: As a model writes it.
        calls: The calls that are read; None where they must not be.
        problem: Why they are not.
        around: The plain text beside them.
    """

    name: str
    text: str
    calls: list[Call] | None
    problem: str | None = None
    around: str = ""

    @property
    def needs_names(self) -> bool:
        """Whether it is plain text to whom does not know the tools."""
        return self.name in NEEDS_NAMES


def _read(name: str, text: str, *calls: Call, around: str = "") -> Case:
    return Case(name, text, list(calls), None, around)


def _rejected(name: str, text: str, problem: str) -> Case:
    return Case(name, text, None, problem)


READ = [
    _read("call list", '[forecast(town="Lom", days=3)]', LOM),
    _read("call list, two", '[forecast(town="Lom", days=3), tides()]', LOM, TIDES),
    _read("call list after prose", 'I look it up.\n[forecast(town="Vik")]', VIK, around="I look it up."),
    _read("Glaive", f"<functioncall> {OBJECT}", LOM),
    _read("Glaive, quoted", f'<functioncall> {{"name": "forecast", "arguments": \'{ARGUMENTS}\'}}', LOM),
    _read("Glaive, closed", f"<functioncall>{OBJECT}</functioncall> <|endoftext|>", LOM),
    _read("Glaive after prose", f"Let me see. <functioncall> {OTHER}", VIK, around="Let me see."),
    _read("Hermes", f"<tool_call>\n{OBJECT}\n</tool_call>", LOM),
    _read(
        "Hermes, arguments first",
        f'<tool_call>{{"arguments": {ARGUMENTS}, "name": "forecast"}}</tool_call>',
        LOM,
    ),
    _read(
        "Hermes, two", f"<tool_call>\n{OBJECT}\n</tool_call>\n<tool_call>\n{OTHER}\n</tool_call>", LOM, VIK
    ),
    _read(
        "Hermes, Python's quotes",
        "<tool_call>{'name': 'forecast', 'arguments': {'town': 'Vik'}}</tool_call>",
        VIK,
    ),
    _read("Hermes, line ends written out", f"<tool_call>\\n{OTHER}\\n</tool_call>", VIK),
    _read("Hermes, not closed", f"<tool_call>\n{OTHER}", VIK),
    _read("Hermes, call list inside", '<tool_call>[forecast(town="Vik")]</tool_call>', VIK),
    _read(
        "Hermes after prose", f"One moment.\n<tool_call>\n{OTHER}\n</tool_call>", VIK, around="One moment."
    ),
    _read("Nemotron", f"<TOOLCALL>[{OBJECT}, {OTHER}]</TOOLCALL>", LOM, VIK),
    _read(
        "Qwen3-coder",
        "<tool_call>\n<function=forecast>\n<parameter=town>\nLom\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        LOM,
    ),
    _read(
        "Qwen3-coder without tags",
        "<function=forecast>\n<parameter=town>\nVik\n</parameter>\n</function>",
        VIK,
    ),
    _read("Qwen3-coder, no arguments", "<tool_call>\n<function=tides>\n</function>\n</tool_call>", TIDES),
    _read(
        "Qwen3-coder, list and bool",
        "<tool_call><function=forecast><parameter=town>\nLom\n</parameter><parameter=hours>\n[1, 2]\n</parameter><parameter=wind>\ntrue\n</parameter></function></tool_call>",
        Call("forecast", {"town": "Lom", "hours": [1, 2], "wind": True}),
    ),
    _read("Llama function tag", f"<function=forecast>{ARGUMENTS}</function>", LOM),
    _read("Llama function tag, end of message", f"<function=forecast>{ARGUMENTS}</function><|eom_id|>", LOM),
    _read("Llama python tag", f"<|python_tag|>{OBJECT}", LOM),
    _read(
        "Llama python tag, parameters",
        f'<|python_tag|>{{"type": "function", "name": "forecast", "parameters": {ARGUMENTS}}}<|eom_id|>',
        LOM,
    ),
    _read("Llama JSON", f'{{"name": "forecast", "parameters": {ARGUMENTS}}}', LOM),
    _read("Llama JSON, two", f'{{"name": "forecast", "parameters": {ARGUMENTS}}}; {OTHER}', LOM, VIK),
    _read("GLM-4.5, no arguments", "<tool_call>tides\n</tool_call>", TIDES),
    _read("Llama 4 pythonic", '<|python_start|>[forecast(town="Vik")]<|python_end|>', VIK),
    _read(
        "Claude",
        '<function_calls>\n<invoke name="forecast">\n<parameter name="town">Vik</parameter>\n</invoke>\n</function_calls>',
        VIK,
    ),
    _read(
        "Claude, two",
        '<function_calls><invoke name="forecast"><parameter name="town">Lom</parameter><parameter name="days">3</parameter></invoke><invoke name="tides"></invoke></function_calls>',
        LOM,
        TIDES,
    ),
    _read(
        "Claude after prose",
        'I will check.\n\n<function_calls>\n<invoke name="tides">\n</invoke>\n</function_calls>',
        TIDES,
        around="I will check.",
    ),
    _read(
        "Claude with a name space",
        '<x:function_calls><x:invoke name="forecast"><x:parameter name="town">Vik</x:parameter></x:invoke></x:function_calls>',
        VIK,
    ),
    _read(
        "MiniMax",
        '<minimax:tool_call>\n<invoke name="forecast">\n<parameter name="town">Vik</parameter>\n</invoke>\n</minimax:tool_call>',
        VIK,
    ),
    _read("MiniMax, older", f"<tool_calls>\n{OBJECT}\n{OTHER}\n</tool_calls>", LOM, VIK),
    _read("Mistral", f"[TOOL_CALLS] [{OBJECT}]", LOM),
    _read(
        "Mistral, with an id",
        f'[TOOL_CALLS] [{{"name": "forecast", "arguments": {ARGUMENTS}, "id": "a1b2c3d4e"}}]</s>',
        LOM,
    ),
    _read("Mistral, newer", f"[TOOL_CALLS]forecast[ARGS]{ARGUMENTS}", LOM),
    _read(
        "Mistral, newer, two", f"[TOOL_CALLS]forecast[ARGS]{ARGUMENTS}[TOOL_CALLS]tides[ARGS]{{}}", LOM, TIDES
    ),
    _read("Mistral, with a call id", f"[TOOL_CALLS]forecast[CALL_ID]a1b2c3d4e[ARGS]{ARGUMENTS}", LOM),
    _read("Mistral, name and JSON", f"[TOOL_CALLS]forecast{ARGUMENTS}", LOM),
    _read(
        "ReAct",
        f"Thought: I need the weather.\nAction: forecast\nAction Input: {ARGUMENTS}",
        LOM,
        around="Thought: I need the weather.",
    ),
    _read(
        "ReAct, two",
        f"Action: forecast\nAction Input: {ARGUMENTS}\nAction: tides\nAction Input: {{}}",
        LOM,
        TIDES,
    ),
    _read(
        "ReAct, numbered",
        f"Thought 1: hm.\nAction 1: forecast\nAction Input 1: {ARGUMENTS}",
        LOM,
        around="Thought 1: hm.",
    ),
    _read("ReAct, fenced", f"Action: forecast\nAction Input:\n```json\n{ARGUMENTS}\n```", LOM),
    _read(
        "ReAct, JSON", f'Action:\n```json\n{{"action": "forecast", "action_input": {ARGUMENTS}}}\n```', LOM
    ),
    _read("ReAct, as a call", 'Action: forecast(town="Lom", days=3)', LOM),
    _read(
        "Command-R",
        f'Action: ```json\n[\n    {{\n        "tool_name": "forecast",\n        "parameters": {ARGUMENTS}\n    }}\n]\n```',
        LOM,
    ),
    _read(
        "Command-A",
        f'<|START_ACTION|>[{{"tool_call_id": "0", "tool_name": "forecast", "parameters": {ARGUMENTS}}}]<|END_ACTION|>',
        LOM,
    ),
    _read(
        "OpenAI object",
        f'{{"type": "function", "function": {{"name": "forecast", "arguments": {ARGUMENTS}}}}}',
        LOM,
    ),
    _read(
        "OpenAI, arguments as text",
        '{"id": "c1", "type": "function", "function": {"name": "forecast", "arguments": "{\\"town\\": \\"Vik\\"}"}}',
        VIK,
    ),
    _read(
        "OpenAI tool_calls",
        f'{{"tool_calls": [{{"id": "c1", "type": "function", "function": {OBJECT}}}, {{"id": "c2", "type": "function", "function": {OTHER}}}]}}',
        LOM,
        VIK,
    ),
    _read("OpenAI function_call", f'{{"function_call": {OBJECT}}}', LOM),
    _read(
        "OpenAI, parallel",
        f'{{"tool_uses": [{{"recipient_name": "functions.forecast", "parameters": {ARGUMENTS}}}]}}',
        LOM,
    ),
    _read("JSON list", f"[{OBJECT}, {OTHER}]", LOM, VIK),
    _read("JSON, tool and parameters", f'{{"tool": "forecast", "parameters": {ARGUMENTS}}}', LOM),
    _read("JSON, function and args", f'{{"function": "forecast", "args": {ARGUMENTS}}}', LOM),
    _read("JSON, fenced", f"```json\n{OBJECT}\n```", LOM),
    _read(
        "JSON, fenced after prose",
        f"Let me check that.\n\n```json\n{OTHER}\n```",
        VIK,
        around="Let me check that.",
    ),
    _read("JSON after prose", f"I will call: {OTHER}", VIK, around="I will call:"),
    _read("JSON in Python's quotes", "[{'name': 'forecast', 'arguments': {'town': 'Vik'}}]", VIK),
    _read("JSON by name, as BFCL's golds", f'[{{"forecast": {ARGUMENTS}}}]', LOM),
    _read("JSON, no arguments", '{"name": "tides", "arguments": null}', TIDES),
    _read(
        "DeepSeek V3",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>forecast\n```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        LOM,
    ),
    _read(
        "DeepSeek V3, two",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>forecast\n```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>tides\n```json\n{{}}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
        LOM,
        TIDES,
    ),
    _read(
        "DeepSeek V3.1",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>forecast<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        LOM,
    ),
    _read(
        "Kimi K2",
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.forecast:0<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>",
        LOM,
    ),
    _read(
        "GLM-4.5",
        "<tool_call>forecast\n<arg_key>town</arg_key>\n<arg_value>Lom</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
        LOM,
    ),
    _read("Granite", f"<|tool_call|>[{OBJECT}]", LOM),
    _read("Granite, tagged list", f"<tool_call>[{OBJECT}, {OTHER}]</tool_call>", LOM, VIK),
    _read(
        "gpt-oss",
        f"<|channel|>commentary to=functions.forecast <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        LOM,
    ),
    _read(
        "gpt-oss, with analysis",
        f"<|channel|>analysis<|message|>Weather.<|end|><|start|>assistant<|channel|>commentary to=functions.forecast <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
        LOM,
        around="<|channel|>analysis<|message|>Weather.<|end|>",
    ),
    _read(
        "gpt-oss, recipient first",
        f"<|start|>assistant to=functions.forecast<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>",
        LOM,
    ),
    _read("Phi functools", f"functools[{OBJECT}]", LOM),
    _read("Firefunction", f" functools[{OBJECT}, {OTHER}]", LOM, VIK),
    _read("Gorilla", '<<function>>forecast(town="Lom", days=3)', LOM),
    _read("Gorilla, two", '<<function>>forecast(town="Lom", days=3)<<function>>tides()', LOM, TIDES),
    _read(
        "InternLM",
        f'<|action_start|><|plugin|>\n{{"name": "forecast", "parameters": {ARGUMENTS}}}<|action_end|>',
        LOM,
    ),
    _read("LFM2", '<|tool_call_start|>[forecast(town="Vik")]<|tool_call_end|>', VIK),
    _read("Olmo 3", '<function_calls>\nforecast(town="Lom", days=3)\ntides()\n</function_calls>', LOM, TIDES),
    _read(
        "Doubao",
        f'<|FunctionCallBegin|>[{{"name": "forecast", "parameters": {ARGUMENTS}}}]<|FunctionCallEnd|>',
        LOM,
    ),
    _read("Qwen-Agent", f"✿FUNCTION✿: forecast\n✿ARGS✿: {ARGUMENTS}", LOM),
    _read("tool_code", '```tool_code\nprint(forecast(town="Lom", days=3))\n```', LOM),
    _read("tool_code, default_api", '```tool_code\nprint(default_api.forecast(town="Vik"))\n```', VIK),
    _read("tool_code, tagged", '<tool_code>\nforecast(town="Vik")\n</tool_code>', VIK),
    _read("Python, fenced", '```python\nforecast(town="Vik")\n```', VIK),
    _read("Python, fenced list", '```python\n[forecast(town="Lom", days=3), tides()]\n```', LOM, TIDES),
    _read("Python, fenced after prose", 'On it.\n```python\nforecast(town="Vik")\n```', VIK, around="On it."),
    _read("bare call", 'forecast(town="Vik")', VIK),
    _read("bare calls on lines", 'forecast(town="Lom", days=3)\ntides()', LOM, TIDES),
    _read("bare calls with a comma", 'forecast(town="Lom", days=3), tides()', LOM, TIDES),
    _read("bulleted calls", '- forecast(town="Lom", days=3)\n- forecast(town="Vik")', LOM, VIK),
    _read("bare call after prose", 'Sure.\nforecast(town="Vik")', VIK, around="Sure."),
    _read("code span", '`forecast(town="Vik")`', VIK),
    _read("printed call", 'print(forecast(town="Vik"))', VIK),
]
REJECTED = [
    _rejected("call list, positional", '[forecast("Lom")]', "positional_argument"),
    _rejected("call list, cut off", '[forecast(town="Lom"', "syntax"),
    _rejected(
        "call list, twice the same argument", '[forecast(town="Lom", town="Vik")]', "duplicate_argument"
    ),
    _rejected("Hermes, cut off", '<tool_call>\n{"name": "forecast", "arguments": {"town": "Lo', "json"),
    _rejected(
        "Hermes, brace missing",
        '<tool_call>{"name": "forecast", "arguments": {"town": "Lom"}</tool_call>',
        "json",
    ),
    _rejected("Hermes, words", "<tool_call>forecast town=Lom</tool_call>", "call_tags"),
    _rejected("Hermes, no name", '<tool_call>{"arguments": {"town": "Lom"}}</tool_call>', "no_name"),
    _rejected(
        "Hermes, duplicate key",
        '<tool_call>{"name": "forecast", "arguments": {"town": "Lom", "town": "Vik"}}</tool_call>',
        "duplicate_argument",
    ),
    _rejected(
        "Hermes, unread key",
        '<tool_call>{"name": "forecast", "arguments": {"town": "Lom"}, "unit": "C"}</tool_call>',
        "unread_key",
    ),
    _rejected(
        "Hermes, inline arguments", '<tool_call>{"name": "forecast", "town": "Lom"}</tool_call>', "unread_key"
    ),
    _rejected(
        "Hermes, not finite",
        '<tool_call>{"name": "forecast", "arguments": {"town": NaN}}</tool_call>',
        "not_finite",
    ),
    _rejected(
        "Hermes, arguments a list",
        '<tool_call>{"name": "forecast", "arguments": ["Lom"]}</tool_call>',
        "arguments_not_object",
    ),
    _rejected(
        "Hermes, text between",
        f"<tool_call>{OBJECT}</tool_call> and then <tool_call>{OTHER}</tool_call>",
        "call_tags",
    ),
    _rejected(
        "Hermes, half a character",
        '<tool_call>{"name": "forecast", "arguments": {"town": "\\ud83d"}}</tool_call>',
        "bad_character",
    ),
    _rejected("Qwen3-coder, cut off", "<tool_call>\n<function=forecast>\n<parameter=town>\nLom", "call_tags"),
    _rejected(
        "Qwen3-coder, twice the same",
        "<function=forecast><parameter=town>\nLom\n</parameter><parameter=town>\nVik\n</parameter></function>",
        "duplicate_argument",
    ),
    _rejected(
        "Qwen3-coder, not of its type",
        "<function=forecast><parameter=days>\nthree\n</parameter></function>",
        "untyped_value",
    ),
    _rejected(
        "Qwen3-coder, no such argument, two meanings",
        "<function=forecast><parameter=unit>\n5\n</parameter></function>",
        "untyped_value",
    ),
    _rejected(
        "Claude, damaged",
        '<function_calls><invoke name="forecast"><parameter name="town">Lom</invoke></function_calls>',
        "call_tags",
    ),
    _rejected(
        "Claude, entity",
        '<invoke name="forecast"><parameter name="town">A &amp; B</parameter></invoke>',
        "untyped_value",
    ),
    _rejected(
        "Nemotron, damaged", '<TOOLCALL>[{"name": "forecast", "arguments": {"town": }]</TOOLCALL>', "json"
    ),
    _rejected("Glaive, damaged", '<functioncall> {"name": "forecast", "arguments": ', "json"),
    _rejected("Mistral, damaged", '[TOOL_CALLS] [{"name": "forecast", "arguments": {"town"', "json"),
    _rejected("ReAct, text for input", "Thought: hm.\nAction: forecast\nAction Input: Lom", "untyped_value"),
    _rejected("ReAct, square brackets", "Thought: hm.\nAction: forecast[Lom]", "positional_argument"),
    _rejected(
        "ReAct, with its own observation",
        f"Action: forecast\nAction Input: {ARGUMENTS}\nObservation: rain",
        "json",
    ),
    _rejected("JSON, cut off", '{"name": "forecast", "arguments": {"town": "Lom"', "json"),
    _rejected(
        "JSON, two keys of arguments",
        '{"name": "forecast", "arguments": {"town": "Lom"}, "parameters": {"days": 3}}',
        "unread_key",
    ),
    _rejected(
        "JSON, duplicate key",
        '{"name": "forecast", "arguments": {"town": "Lom", "town": "Vik"}}',
        "duplicate_argument",
    ),
    _rejected("JSON, inline arguments of a known tool", '{"name": "forecast", "town": "Lom"}', "unread_key"),
    _rejected(
        "DeepSeek, damaged",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>forecast\n```json\n{"town": \n```',
        "json",
    ),
    _rejected(
        "Kimi, damaged",
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.forecast:0<|tool_call_argument_begin|>{"town"',
        "json",
    ),
    _rejected(
        "GLM, damaged",
        "<tool_call>forecast\n<arg_key>town</arg_key>\n<arg_value>Lom</tool_call>",
        "call_tags",
    ),
    _rejected(
        "gpt-oss, damaged",
        '<|channel|>commentary to=functions.forecast <|constrain|>json<|message|>{"town": <|call|>',
        "json",
    ),
    _rejected("functools, damaged", 'functools[{"name": "forecast", "arguments": {]', "json"),
    _rejected("Gorilla, positional", '<<function>>forecast("Lom")', "positional_argument"),
    _rejected("python tag with code", "<|python_tag|>print(1 + 1)", "not_a_call"),
    _rejected(
        "tool_code with a program", '```tool_code\nx = forecast(town="Lom")\nprint(x)\n```', "call_tags"
    ),
    _rejected(
        "FunctionGemma",
        "<start_function_call>call:forecast{town:<escape>Lom<escape>}<end_function_call>",
        "call_tags",
    ),
    _rejected("bare call, positional", 'forecast("Lom")', "positional_argument"),
    _rejected("bare call, computed", 'forecast(town="Lom", days=1 + 2)', "syntax"),
]
CASES = [*READ, *REJECTED]
