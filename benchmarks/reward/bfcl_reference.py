"""BFCL's own reading and checking of single-turn Python answers, as a reference for the reward.

BFCL's decoder evaluates arithmetic that stands in an answer. Only answers that these benchmarks make go in,
and none that holds anything to evaluate: `verdict` refuses those.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from funreason_train.calls import AcceptedCall

CATEGORIES = (
    *("simple_python", "multiple", "parallel", "parallel_multiple"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
)
_NAME = "rule"


@dataclass(frozen=True)
class Entry:
    """One Python entry of BFCL.

    Attributes:
        id: As in BFCL.
        category: One of `CATEGORIES`.
        tools: The functions offered.
        possible: BFCL's possible answer, one `{name: {argument: [value, …]}}` a call.
    """

    id: str
    category: str
    tools: list[dict[str, Any]]
    possible: list[dict[str, Any]]

    @property
    def gold(self) -> list[AcceptedCall]:
        """The possible answer as this project's calls."""
        return [AcceptedCall(*next(iter(call.items()))) for call in self.possible]

    @property
    def ground_truth(self) -> str:
        """The possible answer as the reward reads it."""
        calls = [{"name": call.name, "accepted": call.arguments} for call in self.gold]
        return json.dumps({"calls": calls, "tools": self.tools})


def entries() -> Iterator[Entry]:
    """Every Python entry that has a possible answer."""
    import bfcl_eval

    folder = Path(bfcl_eval.__file__).parent / "data"
    for category in CATEGORIES:
        file = f"BFCL_v4_{category}.json"
        answers = {row["id"]: row["ground_truth"] for row in _rows(folder / "possible_answer" / file)}
        for row in _rows(folder / file):
            yield Entry(row["id"], category, row["function"], answers[row["id"]])


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


class Reference:
    """BFCL's decoder and checker, imported without any vendor's SDK.

    `ast_checker` asks the table of models for one flag only; a module with one made-up model stands in.
    """

    def __init__(self) -> None:
        os.environ.setdefault("BFCL_PROJECT_ROOT", tempfile.mkdtemp(prefix="bfcl-"))
        table = ModuleType("bfcl_eval.constants.model_config")
        table.MODEL_CONFIG_MAPPING = {_NAME: SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
        before = sys.modules.get(table.__name__)
        sys.modules[table.__name__] = table
        try:
            from bfcl_eval.constants.enums import Language
            from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
            from bfcl_eval.model_handler.utils import default_decode_ast_prompting
        finally:
            if before is None:
                del sys.modules[table.__name__]
            else:
                sys.modules[table.__name__] = before
        self._decode, self._check, self._python = default_decode_ast_prompting, ast_checker, Language.PYTHON

    def verdict(self, answer: str, entry: Entry) -> str:
        """`right`, or why not: `evaluates` (not tried), `undecodable`, `raises`, the checker's error type."""
        if evaluates(answer):
            return "evaluates"
        return self.judge(answer, entry)

    def judge(self, answer: str, entry: Entry) -> str:
        """As `verdict`, for an answer that is known to hold nothing to evaluate."""
        try:
            decoded = self._decode(answer)
        except Exception:
            return "undecodable"
        try:
            result = self._check(entry.tools, decoded, entry.possible, self._python, entry.category, _NAME)
        except Exception:
            return "raises"
        return "right" if result["valid"] else str(result["error_type"])


def evaluates(answer: str) -> bool:
    """Whether BFCL's decoder would call eval() on a part of the answer."""
    text = answer.strip("`\n ")
    text = ("" if text.startswith("[") else "[") + text + ("" if text.endswith("]") else "]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text.strip().strip("'"), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return any(isinstance(node, ast.BinOp | ast.Lambda) for node in ast.walk(tree))
