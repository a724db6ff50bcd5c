"""The data stage's work as a plain `datasets.map` pipeline, for `data_speed.py` to compare with.

python benchmarks/naive_data.py APIGEN.jsonl FUNREASON_MT.jsonl OUT PROCESSES

It calls the project's own converters, checks and renderers, with whatever they remember between rows: the
rows are the same, and only the way in which they travel differs. Each step is a `map` over the whole data
set, whose result `datasets` writes to disk; the exports are `to_json` and `to_parquet`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from funreason_train.data.checks import content_digest, passes
from funreason_train.data.export import FROM
from funreason_train.data.rows import RowError
from funreason_train.data.sources import source_module
from funreason_train.data.split import opening_key
from funreason_train.data.spool import from_json, to_json
from funreason_train.data.steps import cut
from funreason_train.dialogue import render_target

OPTIONS = {"error_tool_response": "keep", "tools_missing": "infer"}
PROTOCOL = {"system": "bfcl", "answer": "bare"}


def read(row: dict[str, Any], source: str) -> dict[str, Any]:
    """Parses, converts and checks one line."""
    try:
        trajectory = source_module(source).convert(json.loads(row["text"]), OPTIONS)
        for check in passes():
            trajectory = check(trajectory) or trajectory
    except (RowError, ValueError):
        return {"conversation": "", "digest": "", "key": ""}
    digest = content_digest(trajectory).hex()
    return {
        "conversation": json.dumps(to_json(trajectory), ensure_ascii=False),
        "digest": digest,
        "key": opening_key(trajectory),
    }


def steps(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Cuts conversations into rows that hold both exports' columns."""
    rows: list[dict[str, Any]] = []
    for text in batch["conversation"]:
        for one in cut(from_json(json.loads(text)), PROTOCOL):
            step = one.gold
            target = "<think>" + render_target(step.thought, step.answer)
            said = [{"from": FROM[m["role"]], "value": str(m["content"])} for m in step.messages[1:]]
            gold = {"calls": [call.to_json() for call in step.calls], "tools": list(step.tools)}
            rows.append(
                {
                    "id": step.id,
                    "system": step.messages[0]["content"],
                    "conversations": [*said, {"from": "gpt", "value": target}],
                    "data_source": step.source,
                    "prompt": [{"role": m["role"], "content": str(m["content"])} for m in step.messages],
                    "ability": "function_calling",
                    "reward_model": {
                        "style": "rule",
                        "ground_truth": json.dumps(gold, ensure_ascii=False),
                    },
                    "extra_info": {
                        "id": step.id,
                        "answer": step.answer,
                        "meta": json.dumps(dict(step.meta), ensure_ascii=False, sort_keys=True),
                    },
                }
            )
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def main(apigen: str, funreason: str, out: str, processes: int) -> None:
    """Runs the pipeline."""
    import datasets

    datasets.disable_progress_bars()
    cache = str(Path(out) / "cache")
    parts = []
    for source, file in (("apigen", apigen), ("funreason_mt", funreason)):
        lines = datasets.load_dataset("text", data_files=file, cache_dir=cache, split="train")
        parts.append(
            lines.map(read, fn_kwargs={"source": source}, num_proc=processes, remove_columns=["text"])
        )
    whole = datasets.concatenate_datasets(parts)
    seen: set[str] = set()

    def fresh(digest: str) -> bool:
        new = bool(digest) and digest not in seen
        seen.add(digest)
        return new

    whole = whole.filter(fresh, input_columns="digest").shuffle(seed=0)
    sides = whole.train_test_split(test_size=0.02, seed=0)
    for side, some in (("train", sides["train"]), ("val", sides["test"])):
        rows = some.map(
            steps, batched=True, batch_size=64, num_proc=processes, remove_columns=some.column_names
        )
        names = ["id", "system", "conversations"]
        rows.select_columns(names).to_json(f"{out}/{side}.jsonl", force_ascii=False, num_proc=processes)
        rows.remove_columns(names).to_parquet(f"{out}/{side}.parquet")
        print(f"naive: {len(rows)} {side} rows")


if __name__ == "__main__":
    main(*sys.argv[1:4], processes=int(sys.argv[4]))
