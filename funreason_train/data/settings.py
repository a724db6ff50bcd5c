"""The section `data`, and what is wrong with its data sets, seen without reading a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import ConfigDict, Field

from ..errors import Problem, UserError
from ..settings.names import unknown
from ..settings.places import formats
from ..settings.section import Count, ModelName, Off, Section, Share, ShareAboveZero, ShareBelowOne, Text
from ..settings.section import Path as PathText
from .read.files import locate
from .read.settings import AnyDataSet


class Augment(Section):
    """Variants of the training conversations."""

    irrelevance: Share
    mask_names: Share
    distractors: Annotated[int, Ge(0), Le(100)]
    shuffle_tools: bool


class Data(Section):
    """configs/data.yaml explains each key; every other key is a data set (configs/dataset/FORMAT.yaml)."""

    EXTRA: ClassVar[Any] = AnyDataSet
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, AnyDataSet] = Field(init=False)

    datasets: Annotated[list[Text], MinLen(1)]
    out: PathText | None
    processes: Annotated[int, Ge(1), Le(1024)] | None
    names: Literal["alias", "reject"]
    dedup: Annotated[Literal["near", "exact", "off"], Off]
    near_threshold: ShareAboveZero
    decontaminate: Annotated[Literal["bfcl", "off"], Off]
    decontaminate_ngram: Annotated[int, Ge(1), Le(100)]
    decontaminate_share: ShareAboveZero
    val_share: ShareBelowOne
    tokenizer: Annotated[ModelName | None, Off]
    max_prompt_tokens: Count | None
    max_target_tokens: Count | None
    overlong: Literal["drop", "fail"]
    max_dropped_share: Share
    max_rejected_share: Share
    wrong_types: Literal["repair", "reject", "keep"]
    length_cache: Annotated[PathText | None, Off]
    parity: Annotated[Literal["sample", "off"], Off]
    parity_rows: Count
    rl_closing_share: Share
    rl_one_call_share: Share
    augment: Augment


def problems(data: Any, awaited: Path | None = None) -> list[Problem]:
    """What is wrong with the data sets in use, seen without reading a row.

    Args:
        data: The section, checked by its model.
        awaited: A file that another stage has yet to make, and which is not missed.
    """
    return list(_sources(data, awaited))


def passed_over(data: Any) -> list[str]:
    """Data sets of the user's own that are declared and not read."""
    return [
        str(name)
        for name, node in data.items()
        if hasattr(node, "keys") and "format" in node and name not in data.datasets and name not in formats()
    ]


def _sources(data: Any, awaited: Path | None) -> Iterator[Problem]:
    names = [str(name) for name in data.datasets]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield Problem(
                f"names {name} twice",
                "data.datasets",
                f"{name}.weight says how often its conversations count",
            )
        node = data.get(name)
        if not hasattr(node, "keys") or "format" not in node:
            known = [str(key) for key in data if hasattr(data.get(key), "keys") and "format" in data.get(key)]
            own = f"One of your own is declared with {name}.format=openai {name}.path=FILE"
            yield Problem(
                unknown("data set", name, known), "data.datasets", own if name.isidentifier() else None
            )
            continue
        yield from _node(f"data.{name}", node, awaited)


def _node(place: str, node: Any, awaited: Path | None) -> Iterator[Problem]:
    if not node.path:
        yield Problem("is not set", f"{place}.path", "Give a file, a folder or a hub id")
    elif awaited is None or Path(str(node.path)) != awaited:
        try:
            locate(str(node.path))
        except UserError as error:
            yield Problem(str(error), place)
