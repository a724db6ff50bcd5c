"""The real verl with vLLM rollouts on the smallest model: two GRPO steps, one of EGPO, the export."""

import json
import math

import pytest

from funreason_train.dialogue.protocol import render_prompt, system_prompt
from funreason_train.export import stage as export
from funreason_train.run.compose import compose
from funreason_train.run.paths import RunDir

pytestmark = pytest.mark.smoke
TOOLS = [
    {
        "name": name,
        "description": "Sets the lamp.",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    }
    for name in ("lamp", "light")
]
WORDS = [
    "protocol.system=compact",
    "rl.prompts_per_step=8",
    "rl.samples_per_prompt=4",
    "rl.max_response_tokens=16",
    "rl.learning_rate=1e-3",
    "rl.save_every=1",
    "rl.keep_checkpoints=2",
]


def rows():
    for index in range(24):
        messages = [
            {"role": "system", "content": system_prompt(TOOLS, "compact")},
            {"role": "user", "content": f"Lamp {index} on."},
        ]
        gold = {"calls": [{"name": "lamp", "arguments": {"on": True}}], "tools": TOOLS}
        yield {
            "data_source": "embedded",
            "prompt": messages,
            "ability": "tools",
            "reward_model": {"style": "rule", "ground_truth": json.dumps(gold)},
            "extra_info": {"index": index, "prompt_tokens": 0, "id": str(index)},
        }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run directory with data and a model that starts RL."""
    import pyarrow
    import pyarrow.parquet
    from transformers import AutoTokenizer

    from funreason_train.tiny import build

    run = RunDir.at(tmp_path_factory.mktemp("run"))
    config = compose(None, ["model.vocab_size=600", "model.layers=2"])
    data = list(rows())
    build(run.sft_model, [message["content"] for row in data for message in row["prompt"]], config)
    tokenizer = AutoTokenizer.from_pretrained(run.sft_model)
    for row in data:
        text = render_prompt(row["prompt"], tokenizer, merged=True)
        row["extra_info"]["prompt_tokens"] = len(tokenizer(text)["input_ids"])
    (run.data / "rl").mkdir(parents=True)
    for name, part in (("train", data), ("val", data[:4])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), run.data / "rl" / f"{name}.parquet")
    return run, data, tokenizer


def train(run, steps, *words):
    """The stage in a process of its own, as the command line runs it."""
    import subprocess
    import sys

    from omegaconf import OmegaConf

    config = compose(
        "rl", [f"run_dir={run.root}", f"rl.model={run.sft_model}", f"rl.steps={steps}", *WORDS, *words]
    )
    OmegaConf.save(config, run.root / "config.yaml", resolve=True)
    result = run.root / "result.json"
    command = [
        sys.executable,
        "-m",
        "funreason_train.run.worker",
        "rl",
        str(run.root / "config.yaml"),
        str(result),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(result.read_text())["ok"]


def metrics(run):
    return [json.loads(line) for line in (run.rl / "metrics.jsonl").read_text().splitlines()]


def test_train_resume_and_export(prepared):
    run, data, tokenizer = prepared
    assert train(run, 2)["resumed_from"] == 0
    result = train(run, 3, "algorithm=egpo")
    assert (result["steps"], result["resumed_from"]) == (3, 2)
    lines = metrics(run)
    assert [line["step"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert 0.0 <= line["health/groups_without_signal"] <= 1.0
        assert 0.0 <= line["reward/unclosed"] <= 1.0
        assert line["timing_s/gen"] > 0 and line["timing_s/update_actor"] > 0
        # The rollout engine and the trained model are the same model: the shared-prompt rows change nothing.
        assert line["training/rollout_probs_diff_max"] < 1e-4
    assert sorted(path.name for path in run.rl_checkpoints.glob("global_step_*")) == [
        "global_step_2",
        "global_step_3",
    ]
    assert "health/thought_entropy" not in lines[1]
    assert 0.0 < lines[2]["health/thought_entropy"] < math.log(600)
    samples = [json.loads(line) for line in (run.rl / "rollouts" / "3.jsonl").read_text().splitlines()]
    assert len(samples) == 8 * 4
    wanted = {render_prompt(row["prompt"], tokenizer, merged=True) for row in data}
    assert {sample["prompt"] for sample in samples} <= wanted
    assert all(json.loads(sample["gold"])["calls"] for sample in samples)
    exported = export.run(compose("export", [f"run_dir={run.root}", f"rl.model={run.sft_model}"]), run)
    assert exported["step"] == 3
    assert exported["changed_tensors"] > 0
    assert (run.export / "chat_template.jinja").is_file()
