"""Results in the form that `run_bfcl` writes, with verdicts of one's choice."""

import json
import random
from typing import Any

from funreason_train.evaluate.bfcl.categories import CATEGORIES
from funreason_train.evaluate.bfcl.columns import LIVE_ENTRIES

ENTRIES = {
    **{name: 200 for name in CATEGORIES if name.startswith("multi_turn")},
    **{"simple_python": 400, "simple_java": 100, "simple_javascript": 50},
    **{"multiple": 200, "parallel": 200, "parallel_multiple": 200, "irrelevance": 240},
    **LIVE_ENTRIES,
    **{"live_irrelevance": 884, "live_relevance": 16},
    **{name: 155 for name in CATEGORIES if name.startswith("memory")},
    **{"web_search_base": 100, "web_search_no_snippet": 100},
}
"""How many entries each category has in bfcl-eval 2026.3.23."""


def result(
    category: Any,
    number: Any,
    right: Any,
    reason: str = "multi_turn: state differs",
    answer: str = "[f(a=1)]",
) -> dict[str, Any]:
    return {
        "id": f"{category}_{number}",
        "category": category,
        "right": right,
        "reasons": [] if right else [reason],
        "prompt": f"<|im_start|>user\nquestion {number}<think>",
        "completions": [f"I think.\n</think>\n\n{answer}"],
        "gold": [["f(a=1)"]],
        "question": [[{"role": "user", "content": f"question {number} of {category}"}]],
        "tokens": 5,
        "unclosed": 0,
    }


def verdicts(category: Any, share: Any, seed: int = 0, count: Any = None) -> Any:
    """Entry number to verdict, about `share` of them right."""
    draw = random.Random(f"{category}{seed}")
    return [draw.random() < share for _ in range(count or ENTRIES[category])]


def write_results(folder: Any, rights: Any, version: str = "2026.3.23", not_run: Any = ()) -> Any:
    """Writes one attempt of one model.

    Args:
        folder: …/bfcl.
        rights: Category to its verdicts.
        version: Of bfcl-eval.
        not_run: Category to reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for category, parts in rights.items():
        lines = (json.dumps(result(category, number, right)) + "\n" for number, right in enumerate(parts))
        (folder / f"{category}.jsonl").write_text("".join(lines))
    info = {
        "bfcl_version": version,
        "categories": list(rights),
        "not_run": dict(not_run),
        "entries": {name: len(parts) for name, parts in rights.items()},
    }
    (folder / "info.json").write_text(json.dumps(info))
    return info
