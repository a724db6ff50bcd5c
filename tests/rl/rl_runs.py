"""Small RL runs for tests: a configuration, a parquet file and a model folder without weights."""

import json
import struct
from typing import Any

from funreason_train.commands.line.loading import every_problem
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

TOOL = {
    "name": "book_room",
    "description": "Books a room.",
    "parameters": {"type": "object", "properties": {"nights": {"type": "integer"}}, "required": ["nights"]},
}


def row(index: Any, tokens: int = 40, gold: Any = None) -> dict[str, Any]:
    """One prompt as the data stage writes it."""
    truth = {"calls": [{"name": "book_room", "arguments": {"nights": 2}}], "tools": [TOOL]}
    return {
        "data_source": "embedded",
        "prompt": [
            {"role": "system", "content": "Tools: " + json.dumps([TOOL])},
            {"role": "user", "content": f"Book room {index} for 2 nights."},
        ],
        "ability": "tools",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth) if gold is None else gold},
        "extra_info": {"index": index, "prompt_tokens": tokens, "id": str(index)},
    }


def write_rows(file: Any, rows: Any) -> None:
    import pyarrow
    import pyarrow.parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)


def model_folder(folder: Any, positions: int = 1024) -> Any:
    """What the checks read of a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"max_position_embeddings": positions, "num_attention_heads": 4})
    )
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")  # no tensor, but whole
    return folder


def small_run(root: Any, *words: Any, rows: int = 64, tokens: int = 40) -> Any:
    """A run directory with data and a model, and the configuration of an RL run in it."""
    run = RunDir.at(root)
    data = [row(index, tokens) for index in range(rows)]
    write_rows(run.data / "rl" / "train.parquet", data)
    write_rows(run.data / "rl" / "val.parquet", data[:4])
    model_folder(run.sft_model)
    config = compose("rl", [f"run_dir={run.root}", f"rl.model={run.sft_model}", *words])
    return config, run


def told(config: Any) -> Any:
    """Every sentence that the command line would say of a configuration before anything starts."""
    return [str(problem) for problem in every_problem(config, "rl")]


def without_gold(number: Any) -> Any:
    """A row whose ground truth is null."""
    entry = row(number)
    entry["reward_model"]["ground_truth"] = None
    return entry
