"""Everything that touches bfcl-eval: importing it without its vendors' SDKs, its entries, our handler in it.

Source: bfcl-eval 2026.3.23 and 2025.8.25, which agree in all that is used here. The generation flow
(`model_handler/base_handler.py`), the checkers and their glue (`eval_checker/eval_runner.py`) are
bfcl-eval's own; replaced are its two decoders and the function that executes calls, which evaluate text.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import types
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, NoReturn

from ...calls import Call
from ...dialogue import PromptStyle, history_answer, system_prompt
from ...environments.bfcl.execute import one_line
from .decode import Answer, listed, pack, read_answer
from .encoder import load_encoder

Unclosed = Literal["failed", "card"]
"""How a single-turn answer without `</think>` counts: as wrong, or as the model card's handler has it."""

NAME = "funreason"  # of the handler in bfcl-eval's registry, which allows no underscore
UNCLOSED = "response outputs too long or no slash think in response."
"""What stands for a completion without `</think>` in the history: the model card's own words."""


def load_bfcl() -> str:
    """Imports bfcl-eval and takes `eval` from it; returns its version. BFCL_PROJECT_ROOT must be set."""
    # What only writes leaderboard tables, with pandas: a second and 60 MB in every process.
    helper = types.ModuleType("bfcl_eval.eval_checker.eval_runner_helper")
    sys.modules[helper.__name__] = helper
    stub: Any = types.ModuleType("bfcl_eval.constants.model_config")
    # The real module imports every vendor's SDK; the checkers ask it for this one flag.
    stub.MODEL_CONFIG_MAPPING = {NAME: types.SimpleNamespace(underscore_to_dot=False)}
    sys.modules[stub.__name__] = stub
    for name in (
        "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils",
        "bfcl_eval.model_handler.utils",
    ):
        importlib.import_module(name).eval = _no_eval  # type: ignore[attr-defined]
    importlib.import_module("bfcl_eval.eval_checker.eval_runner")
    return importlib.metadata.version("bfcl-eval")


def _no_eval(*_: Any) -> NoReturn:
    raise RuntimeError("bfcl-eval tried to evaluate text")


def use_executor(execute: Callable[..., Any]) -> None:
    """Makes bfcl-eval's flow and checkers execute calls through `execute`."""
    for name in (
        "bfcl_eval.model_handler.base_handler",
        "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker",
        "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils",
    ):
        importlib.import_module(name).execute_multi_turn_func_call = execute  # type: ignore[attr-defined]


def not_runnable(category: str) -> str:
    """Why a category cannot run here, as a sentence; empty if it can."""
    if category == "memory_vector":
        return load_encoder()
    if category.startswith("web_search") and not os.environ.get("SERPAPI_API_KEY"):
        return "needs the open web and a key in SERPAPI_API_KEY"
    return ""


def load_entries(category: str, memory: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A category's entries in bfcl-eval's order, a memory category's prerequisites before their questions.

    Args:
        category: Its name.
        memory: Folder for the snapshots that prerequisites leave.

    Returns:
        The entries as the generation flow takes them, and each entry's ground truth by id.
    """
    from bfcl_eval import utils

    entries = utils.load_dataset_entry(category)
    entries = utils.populate_initial_settings_for_memory_test_cases(entries, memory)
    entries = utils.populate_initial_settings_for_web_search_test_cases(entries)
    if utils.is_relevance_or_irrelevance(category):
        return entries, {}
    asked = [entry["id"] for entry in entries if not utils.is_memory_prereq(entry["id"])]
    truths = utils.load_ground_truth_entry(category)
    # Aligned by position: some ids differ between the two files.
    return entries, {name: truth["ground_truth"] for name, truth in zip(asked, truths, strict=True)}


def functions_to_check(category: str) -> dict[str, Any]:
    """The functions as the checker of a single-turn category needs them (without hints), by entry's id."""
    from bfcl_eval.utils import load_dataset_entry

    entries = load_dataset_entry(category, include_prereq=False, include_language_specific_hint=False)
    return {entry["id"]: entry["function"] for entry in entries}


def handler(style: PromptStyle, ask: Callable[[list[dict[str, Any]]], str]) -> Any:
    """Our handler, as an object of bfcl-eval's `BaseHandler`.

    Args:
        style: Of the system prompt.
        ask: Messages to the completion that follows the prompt's `<think>`.
    """
    from bfcl_eval.constants.enums import ModelStyle, ReturnFormat
    from bfcl_eval.model_handler.base_handler import BaseHandler
    from bfcl_eval.model_handler.parser.java_parser import parse_java_function_call
    from bfcl_eval.model_handler.parser.js_parser import parse_javascript_function_call

    foreign = {
        ReturnFormat.JAVA: parse_java_function_call,
        ReturnFormat.JAVASCRIPT: parse_javascript_function_call,
    }

    class Handler(BaseHandler):  # type: ignore[misc]
        """FunReason-MT's handler (model card), rendering by our protocol and decoding by our reader."""

        def __init__(self) -> None:  # not BaseHandler's, whose parameters differ between versions
            self.model_name = self.registry_name = self.model_name_underline_replaced = NAME
            self.is_fc_model = False
            self.model_style = ModelStyle.OSSMODEL
            self.unclosed = 0
            self.refused: list[str] = []

        def _pre_query_processing_prompting(self, test_entry: dict[str, Any]) -> dict[str, Any]:
            first = test_entry["question"][0]
            own = first.pop(0)["content"] if first and first[0]["role"] == "system" else None
            text = system_prompt(test_entry["function"], style, own)
            first.insert(0, {"role": "system", "content": text})
            return {"message": []}

        def add_first_turn_message_prompting(self, data: Any, messages: list[dict[str, Any]]) -> Any:
            data["message"].extend(messages)
            return data

        _add_next_turn_user_message_prompting = add_first_turn_message_prompting

        def _query_prompting(self, data: Any) -> tuple[str, float]:
            return ask(data["message"]), 0.0

        def _parse_query_response_prompting(self, completion: str) -> dict[str, Any]:
            answer = history_answer(completion)
            if answer is None:
                self.unclosed += 1
                answer = UNCLOSED
            return {"model_responses": answer, "input_token": 0, "output_token": 0}

        def _add_assistant_message_prompting(self, data: Any, response: dict[str, Any]) -> Any:
            data["message"].append({"role": "assistant", "content": response["model_responses"]})
            return data

        def _add_execution_results_prompting(self, data: Any, results: list[str], response: Any) -> Any:
            data["message"].extend({"role": "tool", "content": result} for result in results)
            return data

        def read(self, text: str) -> Answer:
            answer = read_answer(text)
            if answer.refused:
                self.refused.append(answer.refused)
            return answer

        def decode_execute(self, result: str, has_tool_call_tag: bool) -> list[str]:
            answer = self.read(result)
            if answer.is_text:
                raise ValueError("plain text")
            return pack(answer)

        def decode_ast(self, result: str, language: Any, has_tool_call_tag: bool) -> Any:
            if language in foreign:
                if self.read(result).refused == "too_long":
                    raise ValueError("too_long")
                return foreign[language](listed(result)[1:-1])
            answer = self.read(result)
            if answer.refused or answer.is_text:
                raise ValueError(answer.refused or "plain text")
            return [_ast_form(call) for call in answer.calls or ()]

    return Handler()


def _ast_form(call: Call) -> dict[str, Any]:
    return {call.name: dict(call.arguments)}


def judge(
    handler: Any,
    entry: dict[str, Any],
    category: str,
    result: Any,
    truth: Any,
    functions: Any,
    unclosed: Unclosed = "failed",
) -> list[str]:
    """bfcl-eval's verdict on an entry's answers; empty if right, else what is wrong.

    Args:
        handler: From `handler`; what it has counted so far concerns this entry.
        entry: As loaded, untouched by the generation flow.
        category: The entry's.
        result: What the generation flow returned.
        truth: The ground truth; None for relevance and irrelevance.
        functions: See `functions_to_check`; None for multi-turn and agentic entries.
        unclosed: How an answer without `</think>` counts.
    """
    from bfcl_eval import utils
    from bfcl_eval.constants.enums import Language, ReturnFormat
    from bfcl_eval.eval_checker import eval_runner as runner

    if utils.is_agentic(category):
        found = runner._evaluate_single_agentic_entry(
            handler, entry["id"], result, truth, entry, NAME, category
        )
        return _reasons(found)
    if utils.is_multi_turn(category):
        found = runner._evaluate_single_multi_turn_entry(
            handler, entry["id"], result, truth, entry, NAME, category
        )
        return _reasons(found)
    if handler.unclosed and unclosed == "failed":
        return ["unclosed: the completion has no </think>"]
    if utils.is_java(category):
        language, form = Language.JAVA, ReturnFormat.JAVA
    elif utils.is_js(category):
        language, form = Language.JAVASCRIPT, ReturnFormat.JAVASCRIPT
    else:
        language, form = Language.PYTHON, ReturnFormat.PYTHON
        # bfcl-eval would take what its decoder cannot read for an answer without calls, which is the right
        # one in an irrelevance entry.
        if refused := read_answer(result).refused:
            return [f"refused: {refused}"]
    entry["function"] = functions
    if utils.is_relevance_or_irrelevance(category):
        found = runner._evaluate_single_relevance_entry(handler, entry["id"], result, entry, NAME, category)
    else:
        found = runner._evaluate_single_ast_entry(
            handler, entry["id"], result, truth, entry, NAME, category, language, form
        )
    return _reasons(found)


def _reasons(found: dict[str, Any]) -> list[str]:
    if found["valid"]:
        return []
    error = found.get("error")
    details: Any = None
    if isinstance(error, dict):
        kind, message = error.get("error_type"), error.get("error_message")
        details = (error.get("details") or {}).get("differences") or (error.get("details") or {}).get(
            "missing_items"
        )
    else:
        kind, message = found.get("error_type"), error
    if isinstance(message, list):
        message = "; ".join(map(str, message))
    reasons = [f"{kind}: {one_line(message)}"]
    return [*reasons, f"details: {one_line(details)}"] if details else reasons


def restore_memory(entry: dict[str, Any], before: Iterable[str], memory: Path) -> None:
    """Sets a scenario's memory to what the latest finished prerequisite before this one left.

    An evaluation that was killed between writing a snapshot and recording the entry answers it again; it
    must not find its own traces.
    """
    from bfcl_eval.utils import get_directory_structure_by_id

    folder = memory / get_directory_structure_by_id(entry["id"]) / "memory_snapshot"
    latest, checkpoints = folder / f"{entry['scenario']}_final.json", folder / "prereq_checkpoints"
    (checkpoints / f"{entry['id']}.json").unlink(missing_ok=True)
    for name in reversed(list(before)):
        with contextlib.suppress(FileNotFoundError):
            latest.write_bytes((checkpoints / f"{name}.json").read_bytes())
            return
    latest.unlink(missing_ok=True)


def untouched(entry: dict[str, Any]) -> dict[str, Any]:
    """A copy of an entry for the checker, without its functions."""
    return {
        key: deepcopy(value) for key, value in entry.items() if key not in ("function", "missed_function")
    }
