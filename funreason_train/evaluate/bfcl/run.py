"""Answering BFCL's entries with one or several models, and checking the answers.

For each model `OUT/CATEGORY.jsonl` holds one line an entry, in BFCL's order:

    {"id", "category", "right": bool, "reasons": [str], "prompt": the last prompt's text,
     "completions": [str], "gold": BFCL's ground truth or null, "question": BFCL's messages by turn,
     "tokens": generated tokens, "unclosed": completions without </think>}

and `OUT/info.json` `{"bfcl_version", "categories": […], "not_run": {category: reason}, "entries": {category:
count}, …}`; it is written last, so a folder without it is unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...dialogue import PromptStyle
from ..engine import EngineOptions
from ..generate import Sampling

VERSIONS = ("2026.3.23", "2025.8.25")


@dataclass(frozen=True)
class BfclModel:
    """One model to evaluate.

    Attributes:
        name: As in tables and folders.
        path: Its HF folder, whose tokenizer and chat template render the prompts.
        out: Where its results go: `RUN_DIR/eval/NAME/bfcl`.
        fingerprint: See `evaluate.job.model_fingerprint`.
        max_model_tokens: What its context holds, at most the configured number.
    """

    name: str
    path: str
    out: Path
    fingerprint: str
    max_model_tokens: int


@dataclass(frozen=True)
class BfclOptions:
    """What is evaluated and how.

    Attributes:
        version: Of bfcl-eval, one of `VERSIONS`.
        categories: Names from `categories.CATEGORIES`.
        sampling: How completions are drawn.
        engine: How vLLM is set up; unused with an endpoint.
        style: Of the system prompt.
        limit: Only this many entries of each category, spread evenly; None: all.
        concurrency: Most entries at a time in one replica.
        endpoint: An OpenAI completions server to use instead of vLLM in this machine's processes.
        served_name: What the endpoint calls the model.
        replicas: The environment variables of each replica process.
        patience: Give up when nothing was finished for so many seconds.
        call_seconds: Processor time that one call, or checking one entry, may take.
        memory_mib: Memory that the calls of one entry may add.
    """

    version: str
    categories: tuple[str, ...]
    sampling: Sampling
    engine: EngineOptions
    style: PromptStyle = "bfcl"
    limit: int | None = None
    concurrency: int = 64
    endpoint: str | None = None
    served_name: str | None = None
    replicas: Sequence[Mapping[str, str]] = field(default_factory=lambda: ({},))
    patience: float = 1800.0
    call_seconds: float = 5.0
    memory_mib: int = 1024


def run_bfcl(models: Sequence[BfclModel], options: BfclOptions, logs: Path) -> dict[str, dict[str, Any]]:
    """Answers and checks everything that is left to do; finished entries are kept.

    Progress is reported through `funreason_train.progress`.

    Args:
        models: One after another.
        options: What is evaluated and how.
        logs: Folder of the replicas' logs.

    Returns:
        Model name to its `info.json`.

    Raises:
        UserError: the version cannot be installed, or nothing that was asked for can run here.
        ReplicaFailed: a replica crashed or stopped moving.
    """
    raise NotImplementedError
