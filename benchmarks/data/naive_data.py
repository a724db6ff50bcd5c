"""The data stage's work as a plain `datasets.map` pipeline, for `data_speed.py` to compare with.

python benchmarks/data/naive_data.py APIGEN.jsonl FUNREASON_MT.jsonl OUT PROCESSES

It calls the project's own converters, checks, signatures and renderers, with whatever they remember between
rows: the rows are the same, and only the way in which they travel differs. Each step is a `map` over the
whole data set, whose result `datasets` writes to disk; exact duplicates are filtered by digest and
near-duplicates by datasketch's own index; the exports are `to_json` and `to_parquet`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from funreason_train.calls import Call
from funreason_train.data.check.checks import Pass, content_digest, passes
from funreason_train.data.check.decontaminate import Decontaminate
from funreason_train.data.check.near import signature
from funreason_train.data.export.split import opening_key
from funreason_train.data.read.formats import source_module
from funreason_train.data.read.rows import RowError
from funreason_train.data.steps import cut
from funreason_train.dialogue import AssistantStep, Trajectory, Turn, render_target
from funreason_train.dialogue.sharegpt import FROM
from funreason_train.environments.bfcl.documents import bfcl_folder

OPTIONS = {"error_tool_response": "keep", "tools_missing": "infer"}
PROTOCOL = {"system": "bfcl", "answer": "bare"}
PERMUTATIONS, BANDS, ROWS = 60, 12, 5  # as funreason_train.data.check.near has them
ALIKE = 0.85


def to_json(trajectory: Trajectory) -> str:
    """A conversation as text, the only thing that travels well through Arrow."""
    return json.dumps(asdict(trajectory), ensure_ascii=False)


def from_json(text: str) -> Trajectory:
    """The conversation that `to_json` wrote."""
    value = json.loads(text)
    turns = []
    for turn in value.pop("turns"):
        steps = [
            AssistantStep(
                step["thought"],
                tuple(Call(**call) for call in step["calls"]),
                step["text"],
                tuple(step["results"]),
            )
            for step in turn["steps"]
        ]
        turns.append(Turn(turn["user"], tuple(steps)))
    return Trajectory(**{**value, "tools": tuple(value["tools"])}, turns=tuple(turns))


def read(row: dict[str, Any], source: str) -> dict[str, Any]:
    """Parses, converts and checks one line."""
    folder = bfcl_folder()
    checks: list[Pass] = [*passes(), *([Decontaminate(folder, 8, 0.5)] if folder else [])]
    try:
        trajectory = source_module(source).convert(json.loads(row["text"]), OPTIONS)
        for check in checks:
            trajectory = check(trajectory) or trajectory
    except (RowError, ValueError):
        return {"conversation": "", "digest": "", "key": "", "signature": b""}
    return {
        "conversation": to_json(trajectory),
        "digest": content_digest(trajectory).hex(),
        "key": opening_key(trajectory),
        "signature": signature(trajectory),
    }


def near_duplicates(signatures: Iterable[bytes]) -> set[int]:
    """Numbers of the conversations that are much like one before them, by datasketch's index."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    kept: dict[int, MinHash] = {}
    found: set[int] = set()
    for number, one in enumerate(signatures):
        values = np.frombuffer(one, "<u4")
        hashed = MinHash(num_perm=PERMUTATIONS, hashvalues=values, scheme="affine32")
        if any(kept[other].jaccard(hashed) >= ALIKE for other in index.query(hashed)):
            found.add(number)
        else:
            index.insert(number, hashed)
            kept[number] = hashed
    return found


def steps(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Cuts conversations into rows that hold both exports' columns."""
    rows: list[dict[str, Any]] = []
    for text in batch["conversation"]:
        for one in cut(from_json(text), PROTOCOL):
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
    datasets.utils.logging.set_verbosity_error()
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

    whole = whole.filter(fresh, input_columns="digest")
    alike = near_duplicates(whole["signature"])
    whole = whole.select([number for number in range(len(whole)) if number not in alike]).shuffle(seed=0)
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
    main(sys.argv[1], sys.argv[2], sys.argv[3], processes=int(sys.argv[4]))
