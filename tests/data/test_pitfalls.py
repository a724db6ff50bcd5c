"""What users of LLaMA-Factory and transformers report of data sets, with what the data stage writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet as pq

from funreason_train.calls import Call
from funreason_train.dialogue import read_completion

Prepare = Callable[..., tuple[Path, dict[str, Any]]]


def loaded(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", ["data.out", "data/with space", "d\u00e4ten"])
def test_llamafactory_finds_every_set_that_dataset_info_names(
    prepare: Prepare, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LF#2529, #5341, #7703: read by LLaMA-Factory's own parser, from another working directory."""
    parser = pytest.importorskip("llamafactory.data.parser")
    out, _ = prepare(f"data.out='{tmp_path / name}'", "data.val_share=0.3")
    monkeypatch.chdir("/")
    train, val = parser.get_dataset_list(["train", "val"], str(out / "sft"))
    for one, side in ((train, "train"), (val, "val")):
        assert one.load_from == "file" and one.formatting == "sharegpt"
        rows = loaded(out / "sft" / one.dataset_name)
        assert rows and all({one.messages, one.system} <= row.keys() for row in rows), side
        roles = {turn[one.role_tag] for row in rows for turn in row[one.messages]}
        assert roles <= {one.user_tag, one.assistant_tag, one.observation_tag, one.function_tag}


@pytest.mark.parametrize("times", [0, 1, 2])
def test_arguments_end_up_encoded_once_however_often_they_were(
    prepare: Prepare, tmp_path: Path, times: int
) -> None:
    """transformers#45419: arguments that are text of text reach target and reward as they were meant."""
    arguments: Any = {"what": 'a "quoted" thing', "n": 3}
    for _ in range(times):
        arguments = json.dumps(arguments)
    tool = {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string"}, "n": {"type": "integer"}},
        },
    }
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": arguments}}
    row = {
        "messages": [
            {"role": "user", "content": "Look it up."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ],
        "tools": [{"type": "function", "function": tool}],
    }
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n")
    out, _ = prepare(
        "data.datasets=[openai]",
        f"data.openai.path={file}",
        f"data.out={tmp_path / 'out'}",
        "data.val_share=0",
    )
    (target,) = [one["conversations"][-1]["value"] for one in loaded(out / "sft" / "train.json")]
    assert read_completion(target).calls == [Call("look_up", {"what": 'a "quoted" thing', "n": 3})]
    (gold,) = [
        json.loads(one["reward_model"]["ground_truth"])
        for one in pq.read_table(out / "rl" / "train.parquet").to_pylist()
    ]
    assert gold["calls"] == [{"name": "look_up", "arguments": {"what": 'a "quoted" thing', "n": 3}}]
