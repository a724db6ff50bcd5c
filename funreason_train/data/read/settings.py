"""The data sets under `data`: one model a format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le
from pydantic import BeforeValidator, Discriminator, Tag

from ...settings.section import Count, OneOf, Open, Path, Section, Text, wrong
from .formats import FORMATS

Weight = Annotated[float, Gt(0), Le(100)]
ToolsMissing = Literal["infer", "reject"]


class DataSet(Section):
    """What every data set has; configs/dataset/FORMAT.yaml explains each key."""

    format: Text
    path: Path | None
    split: Text
    hub_file: Path | None
    licence: Text | None
    rows: Count | None
    weight: Weight
    dedup: Literal["exact"] | None


class Plain(DataSet):
    """A format without keys of its own."""

    format: Literal["apigen", "tasks"]


class ApigenMt(DataSet):
    """APIGen-MT."""

    format: Literal["apigen_mt"]
    tools_missing: ToolsMissing


class FunreasonMt(DataSet):
    """FunReason-MT."""

    format: Literal["funreason_mt"]
    tools_missing: ToolsMissing
    error_tool_response: Literal["keep", "drop"]


class OpenAi(DataSet):
    """OpenAI's chat format."""

    format: Literal["openai"]
    tools_missing: ToolsMissing
    text_with_calls: Literal["thought", "drop", "reject"]


#: What others call rows that one of the formats reads.
_READ_BY = {
    **dict.fromkeys(("sharegpt", "hermes", "toolace"), "apigen_mt"),
    **dict.fromkeys(("xlam", "xlam60k"), "apigen"),
    **dict.fromkeys(("messages", "chat", "chatml", "anthropic", "gemini", "bedrock", "cohere"), "openai"),
    **dict.fromkeys(("langchain", "llamaindex", "vercel", "glaive", "responses"), "openai"),
}


def _called_otherwise(value: Any) -> Any:
    """Says which format reads rows of a name that is none."""
    if found := _READ_BY.get(str(value).lower().replace("-", "_")):
        raise wrong(f"'{value}' is no format; such rows are read by {found}", f"Set it to {found}")
    return value


class UnknownFormat(Open):
    """A data set whose format does not exist: nothing else of it can be looked at."""

    format: Annotated[str, OneOf(FORMATS), BeforeValidator(_called_otherwise)]


def _variant(node: Any) -> str:
    """Which model fits."""
    named = node.get("format") if isinstance(node, Mapping) else getattr(node, "format", None)
    if named not in FORMATS:
        return "<unknown>"
    return "<plain>" if named in ("apigen", "tasks") else f"<{named}>"


AnyDataSet = Annotated[
    Annotated[Plain, Tag("<plain>")]
    | Annotated[ApigenMt, Tag("<apigen_mt>")]
    | Annotated[FunreasonMt, Tag("<funreason_mt>")]
    | Annotated[OpenAi, Tag("<openai>")]
    | Annotated[UnknownFormat, Tag("<unknown>")],
    Discriminator(_variant),
]
