"""A model's own tokenizer, loaded for measuring and comparing."""

from __future__ import annotations

from typing import Any

from ..errors import UserError


def load_tokenizer(path: str) -> Any:
    """The tokenizer at a folder or hub id.

    Raises:
        UserError: if it cannot be loaded, is not a fast one, or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # the hub client and the readers of old formats fail in many ways
        raise UserError(
            f"the tokenizer cannot be loaded ({type(error).__name__})",
            where=path,
            fix="Give a local HF folder, or set data.tokenizer=off to leave lengths unmeasured",
        ) from error
    if not tokenizer.is_fast:
        said = "lengths can only be measured with a fast tokenizer"
        raise UserError(said, where=path, fix="Add its tokenizer.json")
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer has no chat template",
            where=path,
            fix="Put one into its folder as chat_template.jinja, such as the instruct model's",
        )
    return tokenizer
