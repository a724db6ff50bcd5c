"""The token parity gate: training rows, verl's prompts and what a model writes must be the same token ids.

Templates that differ between training and inference are the silent damage of this field (verl#7807, LF#9092):
what a model has learned is then not what it is asked. The prompt protocol makes the tokens of training rows
(dialogue/encode.py) and of prompts alike; what is compared here are the exports, read back, and whether an
answer survives the way to ids and back with this tokenizer, as rollouts and evaluation read it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls.markers import THINK_OPEN
from ..dialogue import EncodedStep, Message, StepEncoder, end_tokens, render_prompt
from ..dialogue.sharegpt import sft_messages

_CONTEXT = 6  # tokens shown on each side of a difference


@dataclass(frozen=True)
class ParityRow:
    """One step as it stands in both exports.

    Attributes:
        id: The step's id.
        sft: Its row in `sft/SIDE.json`.
        prompt: Its `prompt` in `rl/SIDE.parquet`; None where RL leaves the step out.
    """

    id: str
    sft: dict[str, Any]
    prompt: list[Message] | None


def sample_rows(folder: Path, count: int, seed: int, side: str = "train") -> list[ParityRow]:
    """Rows drawn from the exports, the longest of them included.

    Args:
        folder: The data folder, with `sft/` and `rl/`.
        count: How many rows at most.
        seed: Of the draw.
        side: `train` or `val`.
    """
    sizes, alike = [], Counter[str]()
    for line in _lines(folder, side):
        sizes.append(len(line))
        alike[_identity(line)] += 1
    chosen = set(random.Random(seed).sample(range(len(sizes)), min(count, len(sizes))))
    if sizes:
        chosen.add(max(range(len(sizes)), key=sizes.__getitem__))
    drawn = [line for number, line in enumerate(_lines(folder, side)) if number in chosen]
    rows = [json.loads(line) for line in drawn]
    prompts = _prompts(folder / "rl" / f"{side}.parquet", {row["id"] for row in rows})
    return [
        ParityRow(row["id"], row, _same(row, prompts.get(row["id"], []), alike[_identity(line)]))
        for row, line in zip(rows, drawn, strict=True)
    ]


def _same(row: dict[str, Any], prompts: Sequence[list[Message]], rows: int) -> list[Message] | None:
    """The prompt of a row among those of its id, which is unique within a source alone.

    Where none is the row's own and there are fewer prompts than rows of this id, RL may have left the row
    out, and what there is belongs to other sources.
    """
    messages, _ = sft_messages(row)
    other = prompts[0] if prompts and len(prompts) >= rows else None
    return next((one for one in prompts if one == messages), other)


def _identity(line: str) -> str:
    """What a line of the export begins with, its id; other rows of the same id begin alike."""
    return line.partition(', "system": ')[0]


def _lines(folder: Path, side: str) -> Iterator[str]:
    with (folder / "sft" / f"{side}.json").open(encoding="utf-8") as file:
        for line in file:
            line = line.strip().removesuffix(",")
            if line not in ("[", "]", "[]"):
                yield line


def _prompts(file: Path, wanted: set[str]) -> dict[str, list[list[Message]]]:
    import pyarrow.parquet as pq

    found: dict[str, list[list[Message]]] = {}
    if not file.is_file():  # rows for SFT alone
        return found
    with pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            ids = parquet.read_row_group(group, columns=["extra_info.id"]).column("extra_info").to_pylist()
            hits = [number for number, info in enumerate(ids) if info["id"] in wanted]
            if hits:
                prompts = parquet.read_row_group(group, columns=["prompt"]).column("prompt")
                for number in hits:
                    found.setdefault(ids[number]["id"], []).append(prompts[number].as_py())
    return found


def token_parity(rows: Sequence[ParityRow], tokenizer: Any) -> str | None:
    """Compares the prompt of each training row with verl's, and each answer with what is read back of it.

    Args:
        rows: What to compare.
        tokenizer: The model's tokenizer.

    Returns:
        None if all agree; otherwise the first differing token with its context, as a sentence.

    Raises:
        UserError: if the tokenizer's chat template cannot be used.
    """
    encoder, ends = StepEncoder(tokenizer), end_tokens(tokenizer)
    for row in rows:
        messages, target = sft_messages(row.sft)
        step = encoder.encode(messages, target)
        prompt = step.ids[: step.prompt]
        shown = _ids(tokenizer, render_prompt(messages, tokenizer, merged=True))
        comparisons = [("the training row and the prompt", prompt, "SFT", shown, "rollouts")]
        if row.prompt is not None:
            verl = _ids(tokenizer, render_prompt(row.prompt, tokenizer, merged=True))
            comparisons.append(("the prompt ids", shown, "SFT", verl, "verl's parquet"))
        for what, left, left_name, right, right_name in comparisons:
            if left != right:
                text = difference(left, left_name, right, right_name, tokenizer)
                return f"{row.id}: {what} differ: {text}"
        wanted, read = target.removeprefix(THINK_OPEN), read_back(step, ends, tokenizer)
        if read != wanted:
            at = _first_difference(read, wanted)
            return (
                f"{row.id}: the answer is read back as another text from its tokens: "
                f"{wanted[max(0, at - 20) : at + 20]!r} became {read[max(0, at - 20) : at + 20]!r}"
            )
    return None


def read_back(step: EncodedStep, ends: Collection[int], tokenizer: Any) -> str:
    """A row's answer as a rollout that wrote its very tokens is read: up to the token that ends it."""
    answer = step.ids[step.prompt :]
    end = next((n for n, one in enumerate(answer) if one in ends), len(answer))
    return str(tokenizer.decode(answer[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False))


def difference(left: list[int], left_name: str, right: list[int], right_name: str, tokenizer: Any) -> str:
    """The first place where two lists of ids differ, in words, with the text on both sides of it."""
    at = _first_difference(left, right)

    def around(ids: list[int]) -> str:
        window = ids[max(0, at - _CONTEXT) : at + _CONTEXT]
        return " ".join(map(repr, tokenizer.convert_ids_to_tokens(window)))

    return (
        f"at token {at} of {len(left)} ({left_name}) and {len(right)} ({right_name}); "
        f"{left_name}: {around(left)}; {right_name}: {around(right)}"
    )


def _first_difference(left: Sequence[Any], right: Sequence[Any]) -> int:
    pairs = zip(left, right, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
