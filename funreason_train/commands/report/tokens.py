"""The tokens of a step's samples for the browser, in as few bytes as their figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...pages.embed import pack
from ...run.files import MISSHAPEN
from .sample import Sample

#: Groups that are packed to see how many fit.
_MEASURED = 3
_COLUMNS = ("rollout", "old", "new", "entropy", "advantage")


def packed_tokens(
    file: Path, samples: Sequence[Sample], size: float | None
) -> tuple[str, list[dict[str, Any]]]:
    """A block with the tokens of a step's samples.

    Args:
        file: `rollouts/STEP.npz`; a missing or damaged one gives no tokens.
        samples: The step's.
        size: Bytes that the block may take; None for no limit. Whole groups, the first ones, are kept.

    Returns:
        The block, empty if there is none, and for each sample what the list shows of its tokens.
    """
    seen: list[dict[str, Any]] = [{"tokens": None, "advantage": None, "tokens_kept": False} for _ in samples]
    found = _read(file, [place for one in samples for place in one.places])
    if not found:
        return "", seen
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(samples):
        if all(place in found for place in one.places):
            responses = [found[place] for place in one.places]
            seen[at] |= {
                "tokens": sum(len(tokens.pieces) for tokens in responses),
                "advantage": _advantage(responses[-1]),
            }
            groups.setdefault(one.group, []).append(at)
    kept = list(groups.values())
    if size is not None and len(kept) > _MEASURED:  # how many will fit is told by the first ones
        first = len(_block([at for group in kept[:_MEASURED] for at in group], samples, found))
        kept = kept[: max(_MEASURED, int(_MEASURED * size / first))]
    while kept:
        chosen = [at for group in kept for at in group]
        block = _block(chosen, samples, found)
        if size is None or len(block) <= size:
            for at in chosen:
                seen[at]["tokens_kept"] = True
            return block, seen
        kept = kept[: int(len(kept) * min(0.95, size / len(block)))]
    return "", seen


def _block(chosen: Sequence[int], samples: Sequence[Sample], found: Mapping[int, Any]) -> str:
    words: dict[str, int] = {}
    held = {str(at): [_packed(found[place], words) for place in samples[at].places] for at in chosen}
    return pack({"pieces": list(words), "samples": held})


def _read(file: Path, lines: Sequence[int]) -> dict[int, Any]:
    if not file.is_file():
        return {}
    from ...rl.train import token_records

    try:
        return dict(token_records.read(file, lines))
    except MISSHAPEN:
        return {}


def _advantage(tokens: Any) -> float | None:
    """The advantage of a response: that of its first trained token."""
    mask, values = tokens.columns.get("mask", ()), tokens.columns.get("advantage", ())
    trained = (value for value, written in zip(values, mask, strict=False) if written)
    value = next(trained, None)
    return None if value is None else round(value, 4)


def _packed(tokens: Any, words: dict[str, int]) -> dict[str, Any]:
    """One response: its columns in thousandths, one number where all are alike."""
    pieces = [words.setdefault(piece, len(words)) for piece in tokens.pieces]
    found: dict[str, Any] = {"pieces": pieces, "ids": [int(one) for one in tokens.columns["ids"]]}
    mask = [int(one) for one in tokens.columns.get("mask", ())]
    found["mask"] = 1 if all(mask) else mask
    for name in _COLUMNS:
        if name in tokens.columns:
            values = _thousandths(tokens.columns[name])
            found[name] = values[0] if len(set(values)) == 1 else values
    return found


def _thousandths(values: Sequence[float]) -> list[int]:
    """Values in thousandths; large ones, of which nobody reads the thousandths, in tenths."""
    import numpy as np

    whole = np.rint(1000 * np.asarray(values, np.float64))
    rounded: list[int] = np.where(abs(whole) < 10_000, whole, 100 * np.rint(whole / 100)).astype(int).tolist()
    return rounded
