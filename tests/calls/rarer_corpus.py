"""Calls in rarer public notations, in texts of our own wording; see `notation_corpus`."""

# ruff: noqa: E501 (each text stands on one line)
from __future__ import annotations

from calls.notation_corpus import ARGUMENTS, LOM, OBJECT, OTHER, TIDES, VIK, Case

READ = [
    Case(
        "DeepSeek V3.2",
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="forecast">\n'
        '<｜DSML｜parameter name="town" string="true">Lom</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        [LOM],
    ),
    Case(
        "DeepSeek V3.2, two",
        '<｜DSML｜function_calls><｜DSML｜invoke name="forecast"><｜DSML｜parameter name="town" string="true">Vik'
        '</｜DSML｜parameter></｜DSML｜invoke><｜DSML｜invoke name="tides"></｜DSML｜invoke></｜DSML｜function_calls>',
        [VIK, TIDES],
    ),
    Case("NexusRaven", 'Call: forecast(town="Lom", days=3)<bot_end>', [LOM]),
    Case(
        "NexusRaven with a thought",
        "Call: forecast(town='Vik')<bot_end> \nThought: They asked for Vik.",
        [VIK],
        None,
        "Thought: They asked for Vik.",
    ),
    Case(
        "Hunyuan",
        f"<tool_calls>\n<tool_call>forecast\n```json\n{ARGUMENTS}\n```</tool_call>\n</tool_calls>",
        [LOM],
    ),
    Case(
        "Hermes inside a list's tags",
        f"<tool_calls>\n<tool_call>\n{OTHER}\n</tool_call>\n</tool_calls>",
        [VIK],
    ),
    Case("Mistral, closed", f"[TOOL_CALLS] [{OBJECT}] [/TOOL_CALLS]", [LOM]),
    Case("Phi-4 mini", f"<|tool_call|>[{OBJECT}]<|/tool_call|>", [LOM]),
    Case("Baichuan", f"<|function_calling|>{OBJECT}", [LOM]),
    Case(
        "ToolAlpaca",
        f"ASSISTANT Thought: Hm.\nASSISTANT Action: forecast\nASSISTANT Action Input: {ARGUMENTS}",
        [LOM],
        None,
        "ASSISTANT Thought: Hm.",
    ),
]
REJECTED = [
    Case("DeepSeek V3.2, not one value", '<｜DSML｜function_calls><｜DSML｜invoke name="forecast"><｜DSML｜parameter '
         'name="days" string="false">3 4</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>', None, "json"),
    Case("DeepSeek V3.2, cut off", '<｜DSML｜function_calls>\n<｜DSML｜invoke name="forecast">\n<｜DSML｜param', None, "call_tags"),
    Case("NexusRaven, nested", "Call: forecast(town=nearest(to='Lom'))", None, "nested_call"),
    Case("Functionary 2", f"<|from|>assistant\n<|recipient|>forecast\n<|content|>{ARGUMENTS}", None, "call_tags"),
    Case("Functionary 3", f">>>all\nI look.\n>>>forecast\n{ARGUMENTS}", None, "call_tags"),
    Case("Gorilla, API calls", "<<<domain>>>: Sky\n<<<api_call>>>: forecast(town='Lom')", None, "call_tags"),
    Case("action and arguments", f"[Action]forecast[Args]{ARGUMENTS}", None, "call_tags"),
    Case("ChatGLM3", "forecast\n```python\ntool_call(town='Lom', days=3)\n```", None, "call_tags"),
    Case("GLM-4", f"get_forecast\n{ARGUMENTS}", None, "call_tags"),
    Case("ReWOO", "Plan: Ask.\n#E1 = forecast[Lom]", None, "call_tags"),
    Case("LangChain's last answer", '```json\n{"action": "Final Answer", "action_input": "Cold."}\n```', None, "call_tags"),
    Case("a search", "<search>weather in Lom</search>", None, "call_tags"),
    Case("code that is run", "<execute>\nprint(3)\n</execute>", None, "call_tags"),
    Case("smolagents", "Code:\n```py\ntown = 'Lom'\n```<end_code>", None, "call_tags"),
    Case("JSON with a comment", f'{{"name": "forecast", // what\n "arguments": {ARGUMENTS}}}', None, "call_tags"),
    Case("a name of two words", '[Weather Forecast(town="Lom")]', None, "call_tags"),
    Case("an argument of two words", '[forecast(the town="Lom")]', None, "bare_name"),
]  # fmt: skip

#: Calls only to whom knows the tools.
NAMED = [
    "I will look.\n<forecast>\n<town>Lom</town>\n</forecast>",
    "It is [forecast(Lom) → 4] degrees.",
    '[tool_call]\nname = "forecast"\n[tool_call.arguments]\ntown = "Lom"',
]

PROSE = [
    "Call: 555-1234",
    "Call: Ann (aunt)",
    ">>> print(1)\n1",
    ">>>as you wrote\nThat is right.",
    "[Lom → Vik (2 h)]",
    "#E1 = evidence, #E2 = more of it",
    "<search> is an element of HTML.",
    "<details>\n<summary>More</summary>\nText\n</details>",
    '{"action": "sell", "price": 3}',
    "[Verse one (slow)]\nLa la la",
    "See [the forecast (today)](https://example.org).",
]
