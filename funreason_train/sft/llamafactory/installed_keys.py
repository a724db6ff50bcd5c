"""Every training argument that the installed LLaMA-Factory takes, read from its source without importing it.

LLaMA-Factory parses one flat mapping into five dataclasses (hparams/parser.py, `_TRAIN_ARGS`), the largest of
which inherits from transformers' TrainingArguments. Importing them costs ten seconds, reading their source a
tenth of one.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ...errors import UserError

#: Files below each package, found by the names of `_TRAIN_ARGS` and their bases.
_SOURCES = {
    "llamafactory": (
        "hparams/model_args.py",
        "hparams/data_args.py",
        "hparams/training_args.py",
        "hparams/finetuning_args.py",
        "hparams/generating_args.py",
    ),
    "transformers": ("training_args.py", "training_args_seq2seq.py"),
}
_ROOTS = (
    "ModelArguments",
    "DataArguments",
    "TrainingArguments",
    "FinetuningArguments",
    "GeneratingArguments",
)


@cache
def known_keys() -> frozenset[str]:
    """The names of all training arguments.

    Raises:
        UserError: if LLaMA-Factory or transformers is not installed.
    """
    classes: dict[str, tuple[list[str], set[str]]] = {}
    for package, names in _SOURCES.items():
        folder = _folder(package)
        for name in names:
            for found, bases, fields in _dataclasses((folder / name).read_text(encoding="utf-8")):
                # Both have a TrainingArguments; LLaMA-Factory's inherits from the other by an alias.
                key = f"transformers.{found}" if package == "transformers" else found
                classes[key] = (bases, fields)
    keys: set[str] = set()
    waiting = [*_ROOTS, "transformers.TrainingArguments", "transformers.Seq2SeqTrainingArguments"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in classes and name not in seen:
            seen.add(name)
            bases, fields = classes[name]
            keys |= fields
            waiting += bases
    return frozenset(keys)


def unknown_keys(arguments: Iterable[str], known: Iterable[str] | None = None) -> list[str]:
    """A sentence for each name that is not a training argument, with the nearest one that is.

    Args:
        arguments: The names to look up.
        known: Where to look; None: the installed LLaMA-Factory.
    """
    names = sorted(known_keys() if known is None else known)
    problems = []
    for key in sorted({str(one) for one in arguments} - set(names)):
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        problems.append(f"sft.llamafactory.{key}: the installed LLaMA-Factory has no such argument{hint}")
    return problems


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"{package} is not installed",
            fix="Install the lock of this machine's device: bash launch/bootstrap.sh",
        )
    return Path(spec.origin).parent


def _dataclasses(source: str) -> Iterable[tuple[str, list[str], set[str]]]:
    """Name, base names and field names of every dataclass in `source`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and any(
            _named(decorator, "dataclass") for decorator in node.decorator_list
        ):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            yield node.name, bases, {field for statement in node.body for field in _field(statement)}


def _field(statement: ast.stmt) -> Iterable[str]:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        return
    if isinstance(statement.value, ast.Call):
        keywords: Mapping[str | None, ast.expr] = {word.arg: word.value for word in statement.value.keywords}
        flag = keywords.get("init")
        if isinstance(flag, ast.Constant) and flag.value is False:
            return
    yield statement.target.id


def _named(decorator: ast.expr, name: str) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Name) and target.id == name
