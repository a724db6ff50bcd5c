"""APIGen-MT-5k (Salesforce/APIGen-MT-5k): multi-turn retail and airline conversations without thoughts.

Row (ShareGPT): `conversations`, a list of `{"from": human, gpt, function_call or observation, "value": str}`,
`system` (the domain's policy) and `tools` (JSON text of a list). The value of a `function_call` is JSON text
of `{"name", "arguments"}` or of a list of these; other converters' names of the same roles are read as well,
and so is a last response that stands beside the list, as `chosen` does in preference data.
Source: the data set's card, CC-BY-NC-4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dialogue.messages import Trajectory
from ..conversation.messages import read_chat
from .dialects import answers
from .dialects.dialect import flagged


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `tools_missing` (infer: the tools are what the gold calls
            show; reject).

    Raises:
        RowError: the row cannot be used.
    """
    if not answers.speaks(row):
        return read_chat(row, options, "apigen_mt")
    whole, flags = answers.translated(row)
    return flagged(read_chat(whole, options, "apigen_mt"), flags)
