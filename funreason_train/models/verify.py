"""Whether a Hugging Face folder is the model it should be.

A merge that left something out looks fine until it is served (verl#2252, #2262, #903, #4553), so the folder
is read back and compared with what was to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .weights import Stored, stored_tensors

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 3  # names shown in a message


def key_problems(found: Mapping[str, Stored], wanted: Mapping[str, Stored]) -> list[str]:
    """Differences of names, shapes and types between a folder's tensors and those it should hold."""
    problems = []
    for what, names in (("missing", wanted.keys() - found.keys()), ("unknown", found.keys() - wanted.keys())):
        if names:
            problems.append(f"{len(names)} tensors are {what}: {_some(names)}")
    both = sorted(found.keys() & wanted.keys())
    shapes = [name for name in both if found[name].shape != wanted[name].shape]
    if shapes:
        first = shapes[0]
        problems.append(
            f"{len(shapes)} tensors have another shape: {first} is {found[first].shape}, "
            f"not {wanted[first].shape}"
        )
    types = [name for name in both if found[name].dtype != wanted[name].dtype]
    if types:
        first = types[0]
        problems.append(
            f"{len(types)} tensors have another type: {first} is {found[first].dtype}, "
            f"not {wanted[first].dtype}"
        )
    return problems


def _some(names: Any) -> str:
    shown = sorted(names)
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")


def value_problems(folder: Path, state: Mapping[str, Tensor]) -> list[str]:
    """Reads every stored tensor back: it must be finite and equal, bit for bit, to what was to be written."""
    import torch

    problems, unequal, infinite = [], [], []
    for name, tensor in _read(folder):
        if not bool(torch.isfinite(tensor).all()):
            infinite.append(name)
        if name in state and not torch.equal(tensor, state[name].to(tensor.dtype)):
            unequal.append(name)
    if infinite:
        problems.append(f"{len(infinite)} tensors hold NaN or infinity: {_some(infinite)}")
    if unequal:
        problems.append(f"{len(unequal)} tensors differ from the checkpoint: {_some(unequal)}")
    return problems


def changed(folder: Path, other: Path) -> tuple[int, int]:
    """How many of the tensors that both folders hold differ, and how many there are."""
    import torch

    before = stored_tensors(other)
    differing = total = 0
    for name, tensor in _read(folder):
        if name not in before:
            continue
        total += 1
        from safetensors import safe_open

        with safe_open(before[name].file, framework="pt") as opened:
            differing += not torch.equal(tensor, opened.get_tensor(name).to(tensor.dtype))
    return differing, total


def _read(folder: Path) -> Any:
    """Every tensor of a folder, one at a time."""
    from safetensors import safe_open

    for name, stored in stored_tensors(folder).items():
        with safe_open(stored.file, framework="pt") as opened:
            yield name, opened.get_tensor(name)


def forward_problems(folder: Path, text: str) -> list[str]:
    """Loads the folder as any user would and runs `text` through it once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    problems = []
    if not bool(torch.isfinite(logits).all()):
        problems.append("a forward pass gives NaN or infinity")
    if logits.shape[-1] < len(tokenizer):
        problems.append(f"the model knows {logits.shape[-1]} tokens, its tokenizer {len(tokenizer)}")
    return problems
