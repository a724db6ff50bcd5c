"""The token parity gate before training: the rows at hand, with the tokenizer of the model to be trained.

The data stage compares its own rows (see `parity`) and leaves a proof in its manifest. A training stage whose
tokenizer and chat template are those of the proof starts at once; otherwise the rows are compared again, in a
process of its own, so that the driver stays light.

Rollouts in environments render their prompts from the tasks and not from the rows, so there the first prompts
of tasks are compared as well: what the episode shows and what the parquet holds.
"""

from __future__ import annotations

import hashlib
import json
import random
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..calls.markers import THINK_OPEN
from ..dialogue import prompt_style, render_target
from ..errors import UserError
from ..run.process import call_in_process
from ..run.progress import report

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .tokens import ParityRow

FIX = (
    "SFT would learn other tokens than rollouts and evaluation show: check the tokenizer and its chat"
    " template, or prepare the data again (data.parity=off goes on regardless)"
)


#: What tokenizer.json remembers of the latest call; each call sets it anew, so it decides nothing.
_PASSING = ("truncation", "padding")
#: What tokenizer_config.json decides. Saving a tokenizer again adds other keys and spells out defaults.
_DECIDING = (
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "bos_token",
    "eos_token",
    "tokenizer_class",
)
_NO_DEVICE = {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}  # only the tokenizer is used
_PACKAGES = ("transformers", "tokenizers")


def proof(model: str) -> str | None:
    """A hash of what decides the tokens: tokenizer, chat template and the packages.

    Contents count, not bytes: a tokenizer that a trainer saved beside its model is the one that it loaded.

    Args:
        model: A HF folder; for a hub id, whose files may change, there is no proof.
    """
    folder = Path(model).expanduser()
    try:
        words = json.loads((folder / "tokenizer.json").read_bytes())
        settings = json.loads((folder / "tokenizer_config.json").read_bytes())
        file = folder / "chat_template.jinja"
        chat = file.read_text(encoding="utf-8") if file.is_file() else settings["chat_template"]
        deciding = {
            "words": {key: value for key, value in words.items() if key not in _PASSING},
            "settings": {key: _text(settings.get(key)) or None for key in _DECIDING},
            "chat": chat,
            "versions": {name: version(name) for name in _PACKAGES},
        }
    except (OSError, ValueError, KeyError, AttributeError, PackageNotFoundError):
        return None
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _text(value: Any) -> Any:
    """A special token's text, which is written alone or with its properties."""
    return value.get("content") if isinstance(value, dict) else value


def ensure(data: Path, model: str, config: DictConfig, tasks: Path | None = None) -> None:
    """Makes sure that training on a data folder teaches the tokens that inference shows.

    A proof counts for rows that are no younger than it. Rows that the data stage did not make (no manifest
    beside them) are left alone, with a line in the log.

    Args:
        data: The data folder, with `sft/`, `rl/` and `manifest.json`.
        model: The model about to be trained: a HF folder or hub id.
        config: The whole configuration; `data.parity: off` passes everything.
        tasks: The parquet file whose tasks are played, for rollouts in environments; no proof covers these.

    Raises:
        UserError: the first differing token with its context, or a tokenizer that cannot be used.
    """
    if config.data.parity in (False, "off"):
        return
    try:
        made = json.loads((data / "manifest.json").read_bytes())
    except (OSError, ValueError):
        made = None
    if not isinstance(made, dict) or not (data / "sft" / "train.json").is_file():
        print(f"{data}: no data stage made these rows; their tokens are not compared", flush=True)
        return
    shown = proof(model)
    proved = shown is not None and made.get("parity") == shown and not _touched(data)
    if proved and tasks is None:
        return
    report(0, None, "comparing the frameworks' tokens")
    job: dict[str, Any] = {
        "data": str(data),
        "model": model,
        "count": int(config.data.parity_rows),
        "seed": int(config.seed),
        "steps": not proved,
    }
    if tasks is not None:
        job["tasks"] = str(tasks)
        job["style"] = prompt_style(config.protocol)
        job["modules"] = list(config.environment_modules)
    call_in_process(compare, job, _NO_DEVICE)


def _touched(data: Path) -> bool:
    """Whether somebody wrote rows after the manifest."""
    made = (data / "manifest.json").stat().st_mtime_ns
    files = (data / "sft" / "train.json", data / "rl" / "train.parquet")
    return any(file.stat().st_mtime_ns > made for file in files if file.is_file())


def compare(job: dict[str, Any]) -> None:
    """Compares the tokens of rows in this process.

    Args:
        job: See `ensure`.

    Raises:
        UserError: the first difference, or a tokenizer that cannot be used.
    """
    from ..models.tokenizers import load_tokenizer
    from .tokens import sample_rows, token_parity

    rows = sample_rows(Path(job["data"]), job["count"], job["seed"]) if job["steps"] else []
    if "tasks" in job:
        from ..environments import load_environments

        load_environments(job["modules"])
        rows += task_rows(Path(job["tasks"]), job["count"], job["seed"], job["style"])
    difference = token_parity(rows, load_tokenizer(job["model"]))
    if difference:
        raise UserError(difference, where=job["model"], fix=FIX)


def task_rows(file: Path, count: int, seed: int, style: Any) -> list[ParityRow]:
    """Tasks drawn from an environment file, as rows to compare.

    Args:
        file: `rl/env_train.parquet`.
        count: How many tasks at most.
        seed: Of the draw.
        style: The system prompt that episodes show (`protocol.system`).

    Returns:
        For each task the first prompt that its episode shows, as SFT would be given it, and the row's own
        prompt beside it.
    """
    import pyarrow.parquet as pq

    from ..dialogue.sharegpt import FROM
    from ..environments import Episode, Task
    from .tokens import ParityRow

    table = pq.read_table(file, columns=["prompt", "extra_info"], use_threads=False)
    chosen = sorted(random.Random(seed).sample(range(len(table)), min(count, len(table))))
    found = []
    for row in table.take(chosen).to_pylist():
        task = Task.from_json(json.loads(row["extra_info"]["task"]))
        system, *said = Episode(task, style=style).prompt_messages()
        shown = [{"from": FROM[one["role"]], "value": one["content"]} for one in said]
        target = {"from": "gpt", "value": THINK_OPEN + render_target("", "")}
        sft = {"id": task.id, "system": system["content"], "conversations": [*shown, target]}
        found.append(ParityRow(f"the task {task.id}", sft, row["prompt"]))
    return found
