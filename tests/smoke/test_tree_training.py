"""LLaMA-Factory's own trainer on trees and with the balanced loss, against rows one by one.

One step of plain gradient descent with rate 1 leaves the gradient in the weights, so that whole trainings are
compared and not functions: padding or packing with trees, one process with two, passes accumulated or not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from sft_processes import prepared, train
from test_sft_workers import TAGS, metrics, model, write_data
from test_sft_workers import setting as workers_setting

from funreason_train.errors import UserError
from funreason_train.run.paths import RunDir
from funreason_train.sft import stage

pytestmark = pytest.mark.smoke
__all__ = ["model"]  # a fixture
TRAJECTORIES = 8
#: The whole data as one step of gradient descent.
DESCENT = (
    "max_steps=1", "max_grad_norm=0", "learning_rate=1", "warmup_ratio=0", "schedule=constant",
    "llamafactory={optim: sgd}", "save_steps=null", "group_by_length=false", "report_to=[]",
)  # fmt: skip


def trajectory(number: int) -> list[dict[str, Any]]:
    """The steps of a conversation: each repeats the history without thoughts."""
    rng = random.Random(number)
    history: list[dict[str, str]] = [{"from": "human", "value": f"Question {number}."}]
    rows = []
    for step in range(rng.randrange(1, 5)):
        thought = "so " * rng.randrange(1, 9)
        answer = f"[add(a={number}, b={step})]"
        target = {"from": "gpt", "value": f"<think>\n{thought}\n</think>\n\n{answer}"}
        rows.append(
            {
                "id": f"t{number}/0.{step}",
                "conversations": [*history, target],
                "system": "You call functions.",
            }
        )
        history += [
            {"from": "gpt", "value": answer},
            {"from": "observation", "value": f"['{rng.randrange(99)}']"},
        ]
    return rows


ROWS = [one for number in range(TRAJECTORIES) for one in trajectory(number)]


def setting(root: Path, model: Path, *words: str) -> tuple[DictConfig, RunDir]:
    config, run = workers_setting(root, model, *words)
    write_data(run.data / "sft", ROWS)
    return config, run


def gradient(run: RunDir, model: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    folder = run.sft / "checkpoints"
    if (folder / "adapter_model.safetensors").is_file():  # whose second halves began at zero
        after = {
            name: value
            for name, value in load_file(folder / "adapter_model.safetensors").items()
            if "lora_B" in name
        }
        before = {name: torch.zeros_like(value) for name, value in after.items()}
    else:
        after, before = load_file(folder / "model.safetensors"), load_file(model / "model.safetensors")
    return torch.cat([(before[name] - after[name]).double().flatten() for name in sorted(after)])


#: Name -> the words that make it one step over all rows (or trees), and its processes.
PLAIN = {
    "padded": (f"global_batch={len(ROWS)}", f"per_device_batch={len(ROWS)}"),
    "tree": ("tree=true", "global_batch=8", "per_device_batch=8"),
    "tree, accumulated": ("tree=true", "global_batch=8", "per_device_batch=2"),
    "tree, two processes": ("tree=true", "global_batch=8", "per_device_batch=2", "cluster.sft.workers=2"),
    "tree, recomputed": ("tree=true", "global_batch=8", "per_device_batch=8", "gradient_checkpointing=true"),
}


def test_the_gradient_of_trees_is_that_of_rows_one_by_one(tmp_path: Path, model: Path) -> None:
    compare(tmp_path, model, PLAIN)


LORA = ("finetuning_type=lora", "lora.rank=4", "lora.dropout=0")
ADAPTED = {
    "padded": (*LORA, *PLAIN["padded"]),
    "tree, two processes": (*LORA, *PLAIN["tree, two processes"]),
    "tree, recomputed": (*LORA, *PLAIN["tree, recomputed"]),
}


def test_adapters_learn_the_same_from_trees_as_from_rows(tmp_path: Path, model: Path) -> None:
    compare(tmp_path, model, ADAPTED)


SHARDED = {
    "padded": PLAIN["padded"],
    "tree, zero2": (*PLAIN["tree, two processes"], "deepspeed=zero2"),
    "tree, zero3": (*PLAIN["tree, two processes"], "deepspeed=zero3"),
    "tree, zero3, one pass": (
        *("tree=true", "global_batch=8", "per_device_batch=4", "cluster.sft.workers=2"),
        *("deepspeed=zero3", "gradient_checkpointing=true"),
    ),
}


@pytest.mark.skipif(not os.environ.get("FUNREASON_SLOW"), reason="compiles C++; set FUNREASON_SLOW=1")
def test_the_gradient_is_the_same_where_deepspeed_shares_out_states_and_weights(
    tmp_path: Path, model: Path
) -> None:
    compare(tmp_path, model, SHARDED)


BALANCE = ("loss=balance", "balance.alpha=0.6")
BALANCED = {
    "padded": (*BALANCE, *PLAIN["padded"]),
    "padded, accumulated": (*BALANCE, f"global_batch={len(ROWS)}", "per_device_batch=1"),
    "tree, two processes, accumulated": (*BALANCE, *PLAIN["tree, two processes"]),
}  # fmt: skip


def test_the_balanced_loss_is_the_same_in_any_form(tmp_path: Path, model: Path) -> None:
    runs = compare(tmp_path, model, BALANCED)
    thought, answer = by_hand(model)
    for run in runs.values():
        (line,) = metrics(run)
        assert line["thought_loss"] == pytest.approx(thought, rel=1e-5)
        assert line["answer_loss"] == pytest.approx(answer, rel=1e-5)
        assert line["loss"] == pytest.approx(0.6 * thought + 0.4 * answer, rel=1e-4)


SHARDED_BALANCE = {
    "padded": (*BALANCE, *PLAIN["padded"]),
    "padded, zero2": (*BALANCE, f"global_batch={len(ROWS)}", "per_device_batch=1", "deepspeed=zero2"),
    "tree, zero2": (*BALANCE, *SHARDED["tree, zero2"]),
    "tree, zero3": (*BALANCE, *SHARDED["tree, zero3"]),
}  # fmt: skip


@pytest.mark.skipif(not os.environ.get("FUNREASON_SLOW"), reason="compiles C++; set FUNREASON_SLOW=1")
def test_the_balanced_loss_is_the_same_where_deepspeed_shares_out_states_and_weights(
    tmp_path: Path, model: Path
) -> None:
    compare(tmp_path, model, SHARDED_BALANCE)


def compare(root: Path, model: Path, cases: dict[str, tuple[str, ...]]) -> dict[str, RunDir]:
    runs, jobs = {}, []
    for name, words in cases.items():
        config, run = setting(root / name.replace(" ", "_"), model, *DESCENT, *words)
        job, rows = prepared(config, run, root)
        assert rows.rows == len(ROWS)
        if "tree=true" in words:
            assert rows.sequences == TRAJECTORIES and rows.tokens < rows.split
        jobs.append(job)
        runs[name] = run
    train(jobs, root)
    first, *others = runs
    wanted = gradient(runs[first], model)
    assert wanted.norm() > 0
    for name in others:
        found = gradient(runs[name], model)
        assert (found - wanted).norm() <= 1e-5 * wanted.norm(), name
        # The log rounds the loss to four places.
        assert metrics(runs[name])[0]["loss"] == pytest.approx(metrics(runs[first])[0]["loss"], abs=2e-4)
    return runs


def by_hand(folder: Path) -> tuple[float, float]:
    """Both means, from the text of each row by itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from funreason_train.dialogue import render_prompt, turn_close

    subject = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    losses: dict[str, list[float]] = {"thought": [], "answer": []}
    roles = {tag: role for role, tag in (("user", "human"), ("assistant", "gpt"), ("tool", "observation"))}
    for row in ROWS:
        *history, target = row["conversations"]
        messages: list[Any] = [{"role": "system", "content": row["system"]}]
        messages += [{"role": roles[one["from"]], "content": one["value"]} for one in history]
        prompt = render_prompt(messages, tokenizer, merged=True).removesuffix("<think>")
        thought, answer = target["value"].split("</think>")
        parts = [prompt, thought + "</think>", answer + turn_close(tokenizer)]
        pieces = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in parts]
        ids = torch.tensor([[one for piece in pieces for one in piece]])
        with torch.no_grad():
            every = torch.nn.functional.cross_entropy(
                subject(ids).logits[0, :-1], ids[0, 1:], reduction="none"
            )
        at = len(pieces[0]) - 1
        losses["thought"] += every[at : at + len(pieces[1])].tolist()
        losses["answer"] += every[at + len(pieces[1]) :].tolist()
    first, second = (sum(values) / len(values) for values in losses.values())
    return first, second


def test_an_interrupted_training_on_packed_trees_ends_with_the_same_weights(
    tmp_path: Path, model: Path
) -> None:
    """A learned alpha, and a kill in the second epoch: bit for bit the same weights, alpha and counts."""
    words = (
        "tree=true", "packing=true", "tree_tokens=700", "epochs=3", "global_batch=1", "per_device_batch=1",
        "save_steps=2", "save_total_limit=99", "loss=balance", "balance.learned=true",
        "balance.learning_rate=0.01",
    )  # fmt: skip
    runs, jobs = [], []
    for name in ("whole", "killed"):
        config, run = setting(tmp_path / name, model, *words)
        job, rows = prepared(config, run, tmp_path)
        runs.append(run)
        jobs.append(job)
    whole, killed = runs
    assert rows.rows == len(ROWS) and 2 <= rows.sequences < TRAJECTORIES and rows.largest <= 700
    train(jobs[:1], tmp_path)
    lines = metrics(whole)
    steps = 3 * rows.sequences
    assert [line["step"] for line in lines] == list(range(1, steps + 1))
    assert lines[-1]["tokens"] == 3 * rows.split, "of the rows"
    assert 3 * rows.tokens <= lines[-1]["processed_tokens"] < lines[-1]["tokens"]
    assert lines[0]["alpha"] != lines[-1]["alpha"] and {"thought_loss", "answer_loss"} <= lines[0].keys()

    middle = 2 * (rows.sequences // 2 + 1)  # the first checkpoint of the second epoch
    name = f"checkpoint-{middle}"
    shutil.copytree(whole.sft / "checkpoints" / name, killed.sft / "checkpoints" / name)
    train(jobs[1:], tmp_path)
    again = metrics(killed)
    assert [line["step"] for line in again] == list(range(middle + 1, steps + 1))
    for key in ("alpha", "tokens", "processed_tokens", "thought_loss"):
        assert again[-1][key] == lines[-1][key], key
    weights = [(one.sft / "checkpoints" / "model.safetensors").read_bytes() for one in runs]
    assert weights[0] == weights[1]


def test_what_cannot_be_a_tree_is_one_sentence_before_the_cluster(tmp_path: Path, model: Path) -> None:
    def refused(name: str, rows: list[dict[str, Any]], *words: str, base: Path = model) -> str:
        config, run = setting(tmp_path / name, base, "max_steps=1", "tree=true", *words)
        write_data(run.data / "sft", rows)
        with pytest.raises(UserError) as caught:
            stage.run(config, run)
        assert not (run.sft / "ray").exists(), "no worker was ever started"
        return str(caught.value)

    rows = json.loads(json.dumps(next(some for some in map(trajectory, range(9)) if len(some) > 2)))
    assert "sft.tree_tokens=64: one step alone has" in refused("small", rows, "tree_tokens=64")

    rows[2]["conversations"][0]["value"] = "Something else was asked here."
    said = refused("torn", rows)
    assert f"the rows {rows[1]['id']!r} and {rows[2]['id']!r} of one trajectory disagree" in said

    rows = json.loads(json.dumps(next(some for some in map(trajectory, range(9)) if len(some) > 2)))
    result = rows[2]["conversations"][2]  # which is what the row before it ends with
    assert result["from"] == "observation" and rows[1]["conversations"][2] == result
    result["value"] = "['?']"
    said = refused("another result", rows)
    assert f"the rows {rows[1]['id']!r} and {rows[2]['id']!r} of one trajectory disagree" in said

    forgetful = tmp_path / "forgetful"
    shutil.copytree(model, forgetful)
    template = (model / "chat_template.jinja").read_text()
    counted = "{{ '<|im_start|>system\n' ~ messages | length ~ ' messages<|im_end|>\n' }}"
    (forgetful / "chat_template.jinja").write_text(counted + template)
    assert "the chat template rewrites earlier turns" in refused("written", trajectory(0), base=forgetful)

    mixed = tmp_path / "mixed"
    shutil.copytree(model, mixed)
    config = json.loads((mixed / "config.json").read_text())
    (mixed / "config.json").write_text(json.dumps({**config, "layer_types": ["linear_attention"]}))
    assert "1 of 1 layers of the kind linear_attention, which cannot be masked" in refused(
        "stateful", trajectory(0), base=mixed
    )
    assert TAGS
