"""Rows of a data set on the hub."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ....errors import UserError
from ....models.hub import refusal
from .json_files import Record


def hub_rows(name: str, split: str, file: str | None) -> Iterator[Record]:
    """Every row of a split.

    Args:
        name: OWNER/NAME.
        split: The split.
        file: The file there that can be downloaded by hand, for the sentence that says so.

    Raises:
        UserError: the data set cannot be read.
    """
    import datasets

    number = 0
    try:
        for row in datasets.load_dataset(name, split=split, streaming=True):
            yield f"{name}[{number}]", row
            number += 1
    except Exception as error:  # the hub client has a dozen kinds of failure, all of which mean the same here
        if known := refusal(name, error, "data set"):
            raise known from None
        beyond = f" beyond row {number}" if number else ""
        unset = "" if os.environ.get("HF_TOKEN") else " (not set now)"
        raise UserError(
            f"the data set cannot be read from the hub{beyond} ({type(error).__name__})",
            where=name,
            fix="There is no local file or folder of that name. "
            * (not number)
            + f"If it is gated, accept its terms on https://huggingface.co/datasets/{name} and put a token"
            f" into the environment variable HF_TOKEN{unset}; without a network, download"
            f" {file or 'its file of .json, .jsonl or .parquet'} from there on another machine and give the"
            " local file as path",
        ) from error
