"""How often BFCL's memory_vector finds what was stored: its real encoder behind a scripted player.

    python benchmarks/bfcl/bfcl_memory.py

In the first conversation of a scenario the player stores the sentences of its questions (at most the 50 that
the memory holds); asked a question, it looks the question up and answers with what came back. The answer is
right where the sentence with the true answer was among the nearest `--top` ones. Then once more with another
text looked up in place of the question, which is right only by chance. Needs the extra `memory`
(launch/bfcl_memory.sh).
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from evaluate.bfcl.bfcl_playing import play, start

CATEGORY = "memory_vector"


def stored_sentences() -> dict[str, str]:
    """Each question's sentence in the conversations, by the question's id there."""
    spec = find_spec("bfcl_eval")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / "data" / "possible_answer" / "BFCL_v4_memory.json"
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {row["id"].removeprefix("memory_"): row["source"] for row in rows}


def player(host: Any, sentences: dict[str, str], top: int, blind: bool) -> Any:
    """Answers for `play`: stores, looks up, repeats."""
    asked = [name for name in host.hello["entries"][CATEGORY] if "_prereq" not in name]
    first = {name: host.hello["needs"][name][0] for name in asked}
    kept: dict[str, list[str]] = {}
    for name in asked:
        kept.setdefault(first[name], []).append(sentences[name.removeprefix(f"{CATEGORY}_")])
    others = random.Random(0).sample(asked, len(asked))

    def answer(prompt: str, name: str) -> str:
        _, found, results = prompt.rpartition("<tool_response>")
        if name in kept and not found:
            calls = [f"archival_memory_add(text={text!r})" for text in dict.fromkeys(kept[name])]
            return _completed(f"[{', '.join(calls[:50])}]")
        if "_prereq" in name:
            return _completed("Noted.")
        if not found:
            query = others[asked.index(name)] if blind else prompt.rpartition("<|im_start|>user\n")[2]
            return _completed(
                f"[archival_memory_retrieve(query={query.partition('<|im_end|>')[0]!r}, top_k={top})]"
            )
        return _completed(str({"answer": _texts(results), "context": "what came back"}))

    return answer


def _texts(results: str) -> str:
    """The texts of a retrieval's answer, as one."""
    for value in ast.literal_eval(results.partition("</tool_response>")[0].strip()):
        return " ".join(item["text"] for item in json.loads(value)["result"])
    return ""


def _completed(answer: str) -> str:
    return f"\nhm\n</think>\n\n{answer}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--top", type=int, default=1, help="how many stored sentences a lookup returns")
    arguments = parser.parse_args()
    sentences = stored_sentences()
    for blind in (False, True):
        with (
            tempfile.TemporaryDirectory() as folder,
            start(Path(folder), [CATEGORY]) as host,
        ):
            if reason := host.hello["not_run"].get(CATEGORY):
                print(f"Error: {CATEGORY} {reason}.", file=sys.stderr)
                return 2
            answer = player(host, sentences, arguments.top, blind)
            rows, _ = play(host, host.hello["entries"][CATEGORY], answer)
        asked = [row for name, row in rows.items() if "_prereq" not in name]
        right = sum(row["right"] for row in asked)
        kind = "another text looked up" if blind else "the question looked up"
        print(f"{kind}, top {arguments.top}: {right} of {len(asked)} right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
