"""LLaMA-Factory's own way from an exported row to tokens, to compare the project's with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from funreason_train.dialogue.sharegpt import dataset_info


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
