"""A reward function of your own, named by `reward=FILE.py:function`: checked before the start.

It takes what verl's custom reward functions take (`data_source`, `solution_str`, `ground_truth`,
`extra_info`) and returns a number, or a dictionary with `score`. verl is given `score` below, which calls it:
an exception in it scores 0 and counts as an error (rl.health.stop.reward_errors ends a run in which that is
common), where verl itself would end the run (verl#4417).
"""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError

ARGUMENTS = ("data_source", "solution_str", "ground_truth", "extra_info")
_FORM = "Write reward=FILE.py:function"


class OwnReward(NamedTuple):
    """Where the function is."""

    file: Path
    function: str

    @classmethod
    def of(cls, text: str) -> OwnReward:
        """From `FILE.py:function`.

        Raises:
            UserError: if it has another form.
        """
        file, _, function = str(text).rpartition(":")
        if not file.endswith(".py") or not function.isidentifier():
            raise UserError(f"'{text}' does not name a function", where="rl.reward_function", fix=_FORM)
        return cls(Path(file).expanduser().absolute(), function)

    def __str__(self) -> str:
        return f"{self.file}:{self.function}"


def problems(text: str) -> list[str]:
    """Why the function cannot be the reward, one sentence each; its file is read, not run."""
    try:
        own = OwnReward.of(text)
        tree = ast.parse(own.file.read_text(encoding="utf-8"), str(own.file))
    except UserError as error:
        return [str(error)]
    except OSError as error:
        return [f"rl.reward_function: {own.file} cannot be read ({error.strerror})"]
    except (SyntaxError, ValueError) as error:
        return [f"rl.reward_function: {own.file} is not Python ({error})"]
    named = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == own.function
    ]
    if not named:
        there = sorted(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
        return [
            f"rl.reward_function: {own.file} defines no function {own.function} at its top level"
            f" (there are: {', '.join(there) or 'none'})"
        ]
    if isinstance(named[-1], ast.AsyncFunctionDef):
        return [f"rl.reward_function: {own} is async; the agent loop calls a plain function"]
    return _signature_problems(own, named[-1].args)


def _signature_problems(own: OwnReward, arguments: ast.arguments) -> list[str]:
    listed = [*arguments.posonlyargs, *arguments.args]
    named = {one.arg for one in (*arguments.args, *arguments.kwonlyargs)}
    missing = [name for name in ARGUMENTS if name not in named]
    if missing and arguments.kwarg is None:
        return [
            f"rl.reward_function: {own} does not take {', '.join(missing)}; it is called with "
            f"{', '.join(f'{name}=…' for name in ARGUMENTS)}"
        ]
    optional = {one.arg for one in listed[len(listed) - len(arguments.defaults) :]}
    optional |= {
        one.arg
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    strange = [one.arg for one in (*listed, *arguments.kwonlyargs) if one.arg not in (*ARGUMENTS, *optional)]
    return (
        [f"rl.reward_function: {own} needs {', '.join(strange)}, which it will not be given"]
        if strange
        else []
    )


def try_out(job: Mapping[str, Any]) -> int:
    """Scores some rows, in a process of its own, before a cluster starts.

    Args:
        job: `function` (as in the setting) and `rows`: what it is called with.

    Returns:
        How many rows were scored.

    Raises:
        UserError: if it raises, or returns something else than a score.
    """
    for number, row in enumerate(job["rows"]):
        try:
            _result(_loaded(job["function"])(**row))
        except (Exception, SystemExit) as error:  # a script ends itself where it is not asked for its name
            raise UserError(
                f"the reward function fails on row {number} ({type(error).__name__}: {error})",
                where=str(job["function"]),
                fix="It returns a finite number, or a dictionary with a finite `score`",
            ) from None
    return len(job["rows"])


def loads(function: str) -> None:
    """Runs the function's file, as the first answer would.

    Args:
        function: `FILE.py:function`.

    Raises:
        UserError: if that fails, with which every answer would score 0.
    """
    try:
        _loaded(function)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the file of the reward function cannot be run ({type(error).__name__}: {error})",
            where=str(function),
            fix="What it does besides defining functions belongs under `if __name__ == '__main__':`",
        ) from None


def score(
    data_source: Any,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    function: str,
) -> dict[str, float]:
    """What verl calls: the score of the user's function, and whether it failed.

    Args:
        data_source: The row's source.
        solution_str: The completion after the prompt's `<think>`.
        ground_truth: The row's gold answer as JSON text.
        extra_info: What else the row holds.
        function: `FILE.py:function`.

    Returns:
        `score` and `error` (1 where the function failed, and the score is 0).
    """
    try:
        found = _loaded(function)(
            data_source=data_source,
            solution_str=solution_str,
            ground_truth=ground_truth,
            extra_info=extra_info,
        )
        return {"score": _result(found), "error": 0.0}
    except (Exception, SystemExit) as error:
        _say(f"{type(error).__name__}: {error}")
        return {"score": 0.0, "error": 1.0}


def _result(found: Any) -> float:
    value = found["score"] if isinstance(found, Mapping) else found
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"the score is {number}")
    return number


@lru_cache(maxsize=4)
def _loaded(text: str) -> Callable[..., Any]:
    own = OwnReward.of(text)
    spec = importlib.util.spec_from_file_location(f"own_reward_{own.file.stem}", own.file)
    assert spec is not None and spec.loader is not None  # for a file that ends in .py there is one
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., Any] = getattr(module, own.function)
    return found


@lru_cache(maxsize=20)
def _say(text: str) -> None:
    """Prints each distinct error once a process."""
    print(f"the reward function failed: {text}", flush=True)
