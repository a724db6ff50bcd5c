"""Whether our decoders read every ground truth as bfcl-eval's own do; writes where they differ.

    python benchmarks/reward/bfcl_decoders.py [--out docs/bfcl_decoders.md]

Each ground truth is written as a model would answer it and goes through both decoders: the one of single-turn
checks (calls with their arguments) and the one of multi-turn execution. bfcl-eval's decoders evaluate
arithmetic, so nothing but its own ground truths is ever given to them. The document also shows, on answers
made up for it, what ours does where the other is known to go wrong; those are read by ours alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("BFCL_PROJECT_ROOT", tempfile.mkdtemp(prefix="bfcl-"))
import bfcl_spaces

REPOSITORY = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("bfcl_mock", REPOSITORY / "tests/evaluate/bfcl/bfcl_mock.py")
assert _spec is not None and _spec.loader is not None
bfcl_mock = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bfcl_mock)

SHOWN = (
    "[cd('src')]",
    "[f(a=+5)]",
    "[f(a=true)]",
    "[f(a=celsius)]",
    "[f(a=2 * 3)]",
    "[f(a=(1, 2))]",
    "[f(a=g(x=1))]",
    "[f(a={'b': {'c': 1}})]",
    "<tool_call>\n[f(a=1)]\n</tool_call>",
    "f(a=1)",
)
THEIRS = (  # read in bfcl-eval's source (model_handler/utils.py), not run
    "drops the argument: `cd()`",
    "-5",
    'the text "true"',
    'the text "celsius"',
    "evaluates it: 6",
    "a tuple",
    "a nested call, executed later",
    "as an argument of execution: the call `b(c=1)`",
    "no call: plain text",
    "the call",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=str(REPOSITORY / "docs" / "bfcl_decoders.md"))
    out = Path(parser.parse_args().out)
    from funreason_train.evaluate.bfcl.categories import GROUPS

    answers = bfcl_mock.gold_answers(name for name in GROUPS["offline"] if not name.startswith("memory"))
    counts, differences = compare(answers)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document(counts, differences), encoding="utf-8")
    total, equal = (sum(one[k] for one in counts.values()) for k in (0, 1))
    print(f"{equal} of {total} answers are read alike; {len(differences)} differ; {out}")
    return 0


def compare(answers):
    """Per category how many answers there are and how many are read alike; and the differences."""
    from bfcl_eval.constants.enums import ReturnFormat
    from bfcl_eval.model_handler import utils as own

    from funreason_train.evaluate.bfcl import bridge
    from funreason_train.evaluate.bfcl.decode import unpack

    del own.eval  # which ours has taken away; what follows are ground truths
    made = bridge.handler("bfcl", lambda messages: "")
    counts, differences = {}, []
    for category, entries in answers.items():
        form = {"simple_java": ReturnFormat.JAVA, "simple_javascript": ReturnFormat.JAVASCRIPT}.get(
            category, ReturnFormat.PYTHON
        )
        steps = [(e["id"], text) for e in entries.values() for turn in e["turns"] for text in turn]
        alike = 0
        for name, text in steps:
            theirs = tried(own.default_decode_ast_prompting, text, form, False)
            ours = tried(made.decode_ast, text, form, False)
            if category.startswith("multi_turn") and theirs is not None:
                executed = tried(own.default_decode_execute_prompting, text)
                theirs = [theirs, [plain(unpack(call)) for call in executed]]
                ours = [ours, [plain(unpack(call)) for call in made.decode_execute(text, False)]]
            if ours == theirs:
                alike += 1
            else:
                differences.append((category, name, text, theirs, ours))
        counts[category] = (len(steps), alike)
    return counts, differences


def plain(call):
    return [call.name, list(call.args), call.kwargs]


def tried(decode, *arguments):
    """What a decoder makes of an answer; None if it is not a call to it."""
    try:
        return decode(*arguments)
    except Exception:
        return None


def document(counts, differences) -> str:
    from funreason_train.evaluate.bfcl.decode import read_answer

    lines = [
        "# Our decoders and bfcl-eval's",
        "",
        "Made by `python benchmarks/reward/bfcl_decoders.py` from each ground truth of bfcl-eval 2026.3.23,",
        "put as a model would answer: how many are read to the same calls with equal arguments.",
        "",
        "| category | answers | read alike |",
        "| --- | ---: | ---: |",
        *(f"| {category} | {total} | {alike} |" for category, (total, alike) in counts.items()),
        "",
        "## Differences on ground truths",
        "",
    ]
    for category, name, text, theirs, ours in differences:
        lines += [
            f"- `{name}` ({category}): `{cut(text)}`",
            f"  - bfcl-eval: `{cut(theirs)}`",
            f"  - ours: `{cut(ours)}`",
        ]
    if not differences:
        lines.append("None.")
    lines += [
        "",
        "## Where they differ on other answers",
        "",
        "bfcl-eval's column is read in its source, since its decoder evaluates such text.",
        "",
        "| answer | bfcl-eval | ours |",
        "| --- | --- | --- |",
    ]
    for text, theirs in zip(SHOWN, THEIRS, strict=True):
        answer = read_answer(text)
        ours = (
            f"refused: {answer.refused}"
            if answer.refused
            else json.dumps([c.to_json() for c in answer.calls or ()])
        )
        lines.append(f"| `{text}` | {theirs} | {ours} |".replace("\n", " "))
    lines += [
        "",
        "A refused answer runs nothing: a single-turn entry is wrong, and in a multi-turn entry the model is",
        "told that its call cannot be read and may try again, as it would be told of a call that fails.",
    ]
    lines += ["", "## White space round the list", "", bfcl_spaces.table().rstrip()]
    return "\n".join(lines) + "\n"


def cut(value, most=300) -> str:
    text = str(value).replace("\n", " ").replace("`", "'")
    return text if len(text) <= most else text[:most] + "…"


if __name__ == "__main__":
    sys.exit(main())
