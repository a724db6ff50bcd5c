"""Rows of the shapes in which public data lost something, in our own wording, and what must become of each."""

# ruff: noqa: E501
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

PROPERTIES = {
    "dog": {"type": "string", "description": "Its name."},
    "minutes": {"type": "integer", "description": "How long."},
}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["dog"]}
TOOL = {"name": "walk", "description": "Takes a dog for a walk.", "parameters": SCHEMA}
OPENAI_TOOL = {"type": "function", "function": TOOL}
DOGS = ("Rex", "Bella", "Otto")
ASKED = "Please take {} out for twenty minutes."
DONE = "{} has been out."
ANSWER = '[walk(dog="{}", minutes=20)]'


@dataclass(frozen=True)
class Shape:
    """Rows of one shape.

    Attributes:
        format: The data set that reads them.
        rows: The rows; with `text`, what the file holds instead.
        answers: What SFT's targets answer, of each row, in order; `{}` is the dog.
        thoughts: What they think.
        flags: Flag -> rows.
        rejected: Reason -> rows.
        detail: What `rejected.jsonl` says.
        absorbed: Rows that are beginnings of others.
        dropped: Reason -> responses that are no target.
        text: What the file holds, if not a row a line.
        suffix: Of the file's name.
        tools: What the system prompt must show.
    """

    format: str
    rows: list[Any]
    answers: tuple[str, ...] = (ANSWER, DONE)
    thoughts: tuple[str, ...] = ("",)
    flags: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    detail: str = ""
    absorbed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    text: str = ""
    suffix: str = ".jsonl"
    tools: tuple[str, ...] = ('"dog"', '"minutes"')


def _arguments(dog: str) -> dict[str, Any]:
    return {"dog": dog, "minutes": 20}


def _chat(dog: str, *answer: dict[str, Any], tools: Any = None) -> dict[str, Any]:
    user = {"role": "user", "content": ASKED.format(dog)}
    return {"messages": [user, *answer], "tools": [OPENAI_TOOL] if tools is None else tools}


def _called(dog: str, **function: Any) -> list[dict[str, Any]]:
    call = {"id": "w1", "type": "function", "function": {"name": "walk", **function}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "w1", "content": '{"metres": 900}'},
        {"role": "assistant", "content": DONE.format(dog)},
    ]


def _full(dog: str, tools: Any = None) -> dict[str, Any]:
    return _chat(dog, *_called(dog, arguments=json.dumps(_arguments(dog))), tools=tools)


def _text(dog: str, text: str) -> dict[str, Any]:
    return _chat(dog, {"role": "assistant", "content": text})


def _each(make: Any) -> list[Any]:
    return [make(dog) for dog in DOGS]


def _share(dog: str, *said: tuple[str, str], system: str = "", tools: Any = None) -> dict[str, Any]:
    messages = [("human", ASKED.format(dog)), *said]
    messages = [("system", system), *messages] if system else messages
    row: dict[str, Any] = {"conversations": [{"from": who, "value": value} for who, value in messages]}
    return row if tools is None else {**row, "tools": tools}


def _hermes(dog: str, call: str, listed: str) -> dict[str, Any]:
    system = (
        f"Functions stand within <tools></tools>: <tools> {listed} </tools> To call one, give back a JSON object"
        " within <tool_call></tool_call> tags:\n<tool_call>\n{'arguments': …, 'name': …}\n</tool_call>"
    )
    result = '<tool_response>\n{"name": "walk", "content": {"metres": 900}}\n</tool_response>\n'
    return _share(dog, ("gpt", call), ("tool", result), ("gpt", DONE.format(dog)), system=system)


def _as_text(notation: str, *flags: str) -> Shape:
    made = _each(lambda dog: _text(dog, notation.replace("DOG", dog)))
    return Shape("openai", made, (ANSWER,), flags=dict.fromkeys(flags, 3))


def _split(dog: str) -> list[list[dict[str, str]]]:
    system = "You are an expert in composing functions. Here is a list of functions:\n" + json.dumps([TOOL])
    whole = [
        {"role": "system", "content": system},
        {"role": "user", "content": ASKED.format(dog)},
        {"role": "assistant", "content": f"<think>Walk {dog}.</think>{ANSWER.format(dog)}"},
        {"role": "tool", "content": "['done']"},
        {"role": "assistant", "content": f"<think>Tell of {dog}.</think>{DONE.format(dog)}"},
    ]
    bare = [{**one, "content": one["content"].rpartition("</think>")[2]} for one in whole]
    return [whole[:3], [*bare[:4], whole[4]]]


_OFFERED = {"type": "object", "properties": {"food": {"type": "string"}}, "required": ["food"]}
_OR = {"oneOf": [_OFFERED, {"type": "object", "properties": {"treat": {"type": "string"}}}]}
_SAID = ['{"name": "Rex", "age": 4}', "[leashes (two)](https://example.org/a)", "[Miller (2019)] says so.",
         "[dog.name for dog in dogs]", "barks[Math.floor(3.5)]", "[1, 2, 3]"]  # fmt: skip

SHAPES: dict[str, Shape] = {
    "args_lost_args.apigen": Shape(
        "apigen",
        [
            {
                "id": number,
                "query": ASKED.format(dog),
                "answers": json.dumps([{"name": "walk", "args": _arguments(dog)}]),
                "tools": json.dumps([TOOL]),
            }
            for number, dog in enumerate(DOGS)
        ],
        (ANSWER,),
    ),
    "args_lost_args.openai": Shape("openai", _each(lambda d: _chat(d, *_called(d, args=_arguments(d))))),
    "args_lost_input.openai": Shape("openai", _each(lambda d: _chat(d, *_called(d, input=_arguments(d))))),
    "args_lost_args.sharegpt": Shape(
        "apigen_mt",
        _each(
            lambda d: _share(
                d,
                ("function_call", json.dumps({"name": "walk", "args": _arguments(d)})),
                ("observation", '{"metres": 900}'),
                ("gpt", DONE.format(d)),
                tools=json.dumps([TOOL]),
            )
        ),
    ),
    "array_one_row_a_line": Shape(
        "openai",
        _each(_full),
        text="[\n" + ",\n".join(json.dumps(row) for row in _each(_full)) + "\n]\n",
    ),
    "array_on_one_line": Shape("openai", _each(_full), text=json.dumps(_each(_full))),
    "call_as_text_anthropic_xml": _as_text(
        '<function_calls>\n<invoke name="walk">\n<parameter name="dog">DOG</parameter>\n'
        '<parameter name="minutes">20</parameter>\n</invoke>\n</function_calls>',
        "other_notation",
    ),
    "call_as_text_glaive_functioncall": _as_text(
        '<functioncall> {"name": "walk", "arguments": \'{"dog": "DOG", "minutes": 20}\'}', "json_calls"
    ),
    "call_as_text_nemotron_toolcall": _as_text(
        '<TOOLCALL>[{"name": "walk", "arguments": {"dog": "DOG", "minutes": 20}}]</TOOLCALL>', "json_calls"
    ),
    "call_as_text_python_tag": _as_text(
        '<|python_tag|>{"name": "walk", "parameters": {"dog": "DOG", "minutes": 20}}', "json_calls"
    ),
    "call_as_text_qwen3coder_xml": _as_text(
        "<tool_call>\n<function=walk>\n<parameter=dog>\nDOG\n</parameter>\n<parameter=minutes>\n20\n</parameter>\n"
        "</function>\n</tool_call>",
        "other_notation",
    ),
    "call_as_text_react": Shape(
        "openai",
        _each(
            lambda d: _text(
                d, f"Thought: {d} waits.\nAction: walk\nAction Input: {json.dumps(_arguments(d))}"
            )
        ),
        (ANSWER,),
        ("{} waits.",),
        {"json_calls": 3},
    ),
    "call_as_text_of_nobodys_notation": Shape(
        "openai",
        _each(lambda d: _text(d, f'<do tool="walk"><with dog="{d}"/></do>')),
        (),
        rejected={"call_syntax": 3},
        detail="a notation that is not read",
    ),
    "tool_names_in_another_script_escaped": Shape(
        "openai",
        _each(
            lambda d: _chat(
                d,
                {"role": "assistant", "tool_calls": [{"name": "散歩", "arguments": {"犬": d}}]},
                tools=[
                    {
                        "name": "散歩",
                        "description": "犬の散歩。",
                        "parameters": {"type": "object", "properties": {"犬": {"type": "string"}}},
                    }
                ],
            )
        ),
        ('[散歩(犬="{}")]',),
        flags={"escaped_tools": 3},
        tools=("\\u6563\\u6b69",),
    ),
    "duplicate_argument_keys": Shape(
        "openai",
        _each(lambda d: _chat(d, *_called(d, arguments=f'{{"dog": "{d}", "minutes": 5, "dog": "Max"}}'))),
        (),
        rejected={"duplicate_key": 3},
        detail="the key 'dog' stands twice",
    ),
    "duplicate_keys_of_a_message": Shape(
        "openai",
        _each(_full),
        (),
        text="".join(
            json.dumps(row).replace('"role": "user", ', '"role": "user", "content": "Not this.", ') + "\n"
            for row in _each(_full)
        ),
        rejected={"duplicate_key": 3},
        detail="the key 'content' stands twice",
    ),
    "funreason_mt_split_per_response": Shape(
        "funreason_mt",
        [row for dog in DOGS for row in _split(dog)],
        thoughts=("Walk {}.", "Tell of {}."),
        absorbed=3,
        suffix=".json",
    ),
    "hermes_arguments_first": Shape(
        "apigen_mt",
        _each(
            lambda d: _hermes(
                d,
                "<tool_call>\n" + json.dumps({"arguments": _arguments(d), "name": "walk"}) + "\n</tool_call>",
                json.dumps([OPENAI_TOOL]),
            )
        ),
        flags={"format_instructions_dropped": 3, "json_calls": 3},
    ),
    "hermes_as_on_the_card": Shape(
        "apigen_mt",
        _each(
            lambda d: _hermes(
                d,
                f"<tool_call>\n{ {'arguments': _arguments(d), 'name': 'walk'} }\n</tool_call>\n",
                str([OPENAI_TOOL]),
            )
        ),
        flags={"format_instructions_dropped": 3, "json_calls": 3},
    ),
    "hermes_damaged_call_that_can_be_read": Shape(
        "apigen_mt",
        _each(
            lambda d: _share(
                d,
                ("gpt", f'<tool_call>\\n{{"arguments": {json.dumps(_arguments(d))}, "name": "walk"}}\\n</tool_call>'),
                tools=json.dumps([TOOL]),
            )
        ),
        (ANSWER,),
        flags={"json_calls": 3},
    ),
    "hermes_damaged_call": Shape(
        "apigen_mt",
        _each(
            lambda d: _share(
                d,
                ("gpt", f'<tool_call>\n{{"arguments": {{"dog": "{d}", "name": "walk"}}\n</tool_call>'),
                tools=json.dumps([TOOL]),
            )
        ),
        (),
        rejected={"call_syntax": 3},
        detail="delimiter",
    ),
    "llamafactory_v1_parts_value": Shape(
        "openai",
        _each(
            lambda d: {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "value": ASKED.format(d)}], "loss_weight": 0.0},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "reasoning", "value": f"{d} waits."},
                            {"type": "tool_call", "value": json.dumps({"name": "walk", "arguments": _arguments(d)})},
                        ],
                        "loss_weight": 1.0,
                    },
                ],
                "tools": json.dumps([OPENAI_TOOL]),
            }
        ),
        (ANSWER,),
        ("{} waits.",),
    ),
    "loss_weight_ignored": Shape(
        "openai",
        _each(
            lambda d: _chat(
                d,
                {**_called(d, arguments={"dog": "Nobody", "minutes": 20})[0], "loss_weight": 0.0},
                {"role": "tool", "tool_call_id": "w1", "content": "no such dog"},
                {**_called(d, arguments=_arguments(d))[0], "loss_weight": 1.0},
            )
        ),
        (ANSWER,),
        dropped={"untrained": 3},
    ),
    "text_reply_taken_for_call": Shape(
        "openai",
        [
            {
                "messages": [
                    {"role": "user", "content": f"What is the answer to number {number}?"},
                    {"role": "assistant", "content": said},
                ],
                "tools": [],
            }
            for number, said in enumerate(_SAID)
        ],
        tuple(_SAID),
        tools=(),
    ),
    "thinking_field_dropped": Shape(
        "openai",
        _each(
            lambda d: _chat(
                d, {**_called(d, arguments=_arguments(d))[0], "content": "", "thinking": f"{d} is restless."}
            )
        ),
        (ANSWER,),
        ("{} is restless.",),
    ),
    "tools_additionalProperties_true": Shape(
        "openai",
        _each(lambda d: _full(d, [{**TOOL, "parameters": {**SCHEMA, "additionalProperties": True}}])),
        tools=('"additionalProperties": true', '"dog"'),
    ),
    "tools_empty_string": Shape(
        "apigen_mt",
        [_share(dog, ("gpt", DONE.format(dog)), tools=none) for dog, none in zip(DOGS, ("", "None", "null"), strict=True)],
        (DONE,),
        tools=(),
    ),
    "tools_mcp_inputSchema_called": Shape(
        "openai", _each(lambda d: _full(d, [{"name": "walk", "description": "Walks.", "inputSchema": SCHEMA}]))
    ),
    "tools_mcp_inputSchema_offered_only": Shape(
        "openai", _each(lambda d: _full(d, [OPENAI_TOOL, {"name": "feed", "inputSchema": _OFFERED}])),
        tools=('"dog"', '"food"'),
    ),
    "tools_parameters_null_input_schema": Shape(
        "openai", _each(lambda d: _full(d, [{"name": "walk", "parameters": None, "input_schema": SCHEMA}]))
    ),
    "tools_required_beside_parameters": Shape(
        "openai",
        _each(
            lambda d: _full(
                d, [{"name": "walk", "parameters": {"type": "object", "properties": PROPERTIES}, "required": ["dog"]}]
            )
        ),
        tools=('"required": [ "dog" ]',),
    ),
    "tools_root_oneOf_offered_only": Shape(
        "openai", _each(lambda d: _full(d, [OPENAI_TOOL, {"name": "feed", "parameters": _OR}])),
        tools=('"dog"', '"food"', '"treat"'),
    ),
}  # fmt: skip
