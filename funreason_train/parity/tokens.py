"""The token parity gate: LLaMA-Factory, verl and the prompt protocol must see the same token ids.

Templates that differ between training and inference are the silent damage of this field (verl#7807, LF#9092):
what a model has learned is then not what it is asked. The rows compared are read back from the exports.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calls.markers import THINK_OPEN
from ..data.export.sharegpt import dataset_info, sft_messages
from ..data.measure.lengths import TURN_CLOSE
from ..dialogue import Message, render_prompt

_IGNORED = -100  # LLaMA-Factory's and torch's label for "no loss here"
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
    sizes = [len(line) for line in _lines(folder, side)]
    chosen = set(random.Random(seed).sample(range(len(sizes)), min(count, len(sizes))))
    if sizes:
        chosen.add(max(range(len(sizes)), key=sizes.__getitem__))
    rows = [json.loads(line) for number, line in enumerate(_lines(folder, side)) if number in chosen]
    prompts = _prompts(folder / "rl" / f"{side}.parquet", {row["id"] for row in rows})
    return [ParityRow(row["id"], row, _same(row, prompts.get(row["id"], []))) for row in rows]


def _same(row: dict[str, Any], prompts: Sequence[list[Message]]) -> list[Message] | None:
    """The prompt of a row among those of its id, which is unique within a source alone."""
    messages, _ = sft_messages(row)
    return next((one for one in prompts if one == messages), prompts[0] if prompts else None)


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


def token_parity(rows: Sequence[ParityRow], tokenizer: Any, template: str = "qwen3_nothink") -> str | None:
    """Compares the ids of prompt and target, and which of them bear loss.

    Args:
        rows: What to compare.
        tokenizer: The model's tokenizer.
        template: LLaMA-Factory's template, as the SFT stage uses it.

    Returns:
        None if all agree; otherwise the first differing token with its context, as a sentence.
    """
    encode = llamafactory_encoder(tokenizer, template)
    for row in rows:
        messages, target = sft_messages(row.sft)
        prompt = render_prompt(messages, tokenizer, merged=True)
        prompt_ids = _ids(tokenizer, prompt)
        wanted = _ids(tokenizer, prompt + target.removeprefix(THINK_OPEN) + TURN_CLOSE + "\n")
        learned = len(_ids(tokenizer, prompt.removesuffix(THINK_OPEN)))
        ids, labels = encode(row.sft)
        labelled = [_IGNORED] * learned + wanted[learned:]
        comparisons = [
            (
                "the prompt and its continuation",
                prompt_ids,
                "protocol",
                wanted[: len(prompt_ids)],
                "whole text",
            ),
            ("the ids", wanted, "protocol", ids, "LLaMA-Factory"),
            ("the labels", labelled, "protocol", labels, "LLaMA-Factory"),
        ]
        if row.prompt is not None:
            verl = _ids(tokenizer, render_prompt(row.prompt, tokenizer, merged=True))
            comparisons.append(("the prompt ids", prompt_ids, "protocol", verl, "verl's parquet"))
        for what, left, left_name, right, right_name in comparisons:
            if left != right:
                return f"{row.id}: {what} differ: " + difference(
                    left, left_name, right, right_name, tokenizer
                )
    return None


def difference(left: list[int], left_name: str, right: list[int], right_name: str, tokenizer: Any) -> str:
    """The first place where two lists of ids differ, in words, with the text on both sides of it."""
    pairs = zip(left, right, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))

    def around(ids: list[int]) -> str:
        window = ids[max(0, at - _CONTEXT) : at + _CONTEXT]
        text = tokenizer.convert_ids_to_tokens([max(one, 0) for one in window])
        return " ".join(
            "·" if one == _IGNORED else repr(token) for one, token in zip(window, text, strict=True)
        )

    return (
        f"at token {at} of {len(left)} ({left_name}) and {len(right)} ({right_name}); "
        f"{left_name}: {around(left)}; {right_name}: {around(right)}"
    )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def llamafactory_encoder(
    tokenizer: Any, template: str
) -> Callable[[dict[str, Any]], tuple[list[int], list[int]]]:
    """LLaMA-Factory's own way from an exported row to ids and labels (converter, template and processor)."""
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    arguments = DataArguments(template=template, mask_history=True, cutoff_len=1 << 30)
    own = copy.deepcopy(tokenizer)  # the template adds what the tokenizer lacks
    attributes = DatasetAttr("file", dataset_name="train.json")
    attributes.join(dataset_info()["train"])
    convert = get_dataset_converter(attributes.formatting, attributes, arguments)
    processor = SupervisedDatasetProcessor(
        template=get_template_and_fix_tokenizer(own, arguments),
        tokenizer=own,
        processor=None,
        data_args=arguments,
    )

    def encode(row: dict[str, Any]) -> tuple[list[int], list[int]]:
        example = convert(row)
        ids, labels = processor._encode_data_example(
            prompt=example["_prompt"],
            response=example["_response"],
            system=example["_system"],
            tools=example["_tools"],
            images=[],
            videos=[],
            audios=[],
        )
        return list(ids), list(labels)

    return encode
