"""The reward under atheris: coverage leads the fuzzer to new paths of the lexer, the reader and the matcher.

    python benchmarks/reward/reward_atheris.py [CORPUS] [-max_total_time=600] [-max_len=2000] [OPTION …]

It stops at the first answer that raises, scores beyond 0 to 1, is called the reward's own error, is read
otherwise by the quick and the full reader, or that Python would read as another value.
"""

from __future__ import annotations

import ast
import json
import math
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["funreason_train"]):
    from funreason_train.calls import Call, CallSyntaxError, parse_calls, render_calls
    from funreason_train.calls.parse import _Reader
    from funreason_train.calls.plain_form import plain_calls
    from funreason_train.reward import VARIANTS, compute_score

GOLD = [Call("f", {"a": 1, "b": "x", "c": [1, {"k": None}]}), Call("g", {})]
TOOL = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}
TRUTHS = [json.dumps({"calls": [call.to_json() for call in calls], "tools": [TOOL]}) for calls in (GOLD, [])]
ACCEPTED = json.dumps({"calls": [{"name": "f", "accepted": {"a": [1, ""]}}], "tools": [TOOL]})
SEED = f"t</think>\n\n{render_calls(GOLD)}"


def one_answer(data: bytes) -> None:
    """Scores one completion in every way and reads its answer twice."""
    provider = atheris.FuzzedDataProvider(data)
    text = provider.ConsumeUnicode(sys.maxsize)
    for completion in (text, f"t</think>{text}", f"t</think>[f(a={text})]"):
        for variant in VARIANTS:
            for truth in TRUTHS if variant != "bfcl" else (*TRUTHS, ACCEPTED):
                result = compute_score("fuzz", completion, truth, None, variant=variant)
                if (
                    result["error"]
                    or not 0 <= result["score"] <= 1
                    or not all(map(math.isfinite, result.values()))
                ):
                    raise RuntimeError(f"{variant}: {result}")
    _readers_agree(f"[f(a={text})]")


def _readers_agree(answer: str) -> None:
    quick = plain_calls(answer)
    try:
        full = _Reader(answer).call_list()
        read = parse_calls(answer)
    except CallSyntaxError:
        if quick is not None:
            raise RuntimeError("the quick reader accepts what the full one refuses") from None
        return
    if repr(full) != repr(read) or (quick is not None and repr(quick) != repr(full)):
        raise RuntimeError("the quick and the full reader differ")
    for call in full:
        for value in call.arguments.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if repr(ast.literal_eval(render_calls([Call("f", {"a": value})])[len("[f(a=") : -2])) != repr(
                    value
                ):
                    raise RuntimeError("Python reads the rendered value otherwise")


def main() -> None:
    """Runs libFuzzer."""
    atheris.Setup(sys.argv, one_answer)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
