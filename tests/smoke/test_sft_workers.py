"""LLaMA-Factory in real Ray Train workers, on a model small enough for a minute.

ZeRO-3 with two processes compiles DeepSpeed's C++ on first use (two minutes), so it only runs when asked for:

    FUNREASON_SLOW=1 python -m pytest tests/smoke/test_sft_workers.py -k zero3
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from sft_processes import prepared, train

from funreason_train.dialogue import QWEN_CHAT_TEMPLATE
from funreason_train.environments import write_tasks
from funreason_train.errors import UserError
from funreason_train.models.folder import model_problems
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve
from funreason_train.sft import stage
from funreason_train.sft.llamafactory.arguments import Paths
from funreason_train.sft.train.checkpoints import latest_complete
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

pytestmark = pytest.mark.smoke
ROWS = 48
TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip


def row(number: int) -> dict[str, Any]:
    rng = random.Random(number)
    turns = [
        {"from": "human", "value": f"Add {rng.randrange(99)} and {rng.randrange(99)}."},
        {"from": "gpt", "value": "[add(a=1, b=2)]"},
        {"from": "observation", "value": "['3']"},
    ]
    kept = turns[:1] if rng.random() < 0.5 else turns
    target = {"from": "gpt", "value": f"<think>\nI add them.\n</think>\n\n[add(a={number}, b=2)]"}
    return {"id": str(number), "conversations": [*kept, target], "system": "You call functions."}


def write_data(folder: Path, rows: list[dict[str, Any]]) -> None:
    entry = {
        "file_name": "train.json", "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"}, "tags": TAGS,
    }  # fmt: skip
    write_json(folder / "dataset_info.json", {"train": entry})
    write_json(folder / "train.json", rows)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of one layer with a byte tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    path = tmp_path_factory.mktemp("model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=QWEN_CHAT_TEMPLATE,
    )
    fast.save_pretrained(path)
    config = Qwen3Config(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1,
        head_dim=32, max_position_embeddings=8192, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(path)
    return path


def setting(root: Path, model: Path, *words: str) -> tuple[DictConfig, RunDir]:
    run = RunDir.at(root)
    words = (
        f"run_dir={root}",
        f"model={model}",
        f"cluster.temp_dir={os.environ.get('FUNREASON_RAY_TEMP', 'null')}",
        "global_batch=8",
        "per_device_batch=8",
        "learning_rate=0.01",
        "logging_steps=1",
        "save_steps=2",
        "max_failures=0",
        *words,
    )
    return resolve(compose("sft", list(words)), "sft"), run


def test_train_stop_and_continue(tmp_path: Path, model: Path) -> None:
    """Three steps, then a half-written checkpoint as a kill leaves it, then six steps from step 2 on.

    At the sixth, tasks are played by vLLM while the training waits, and the best model becomes the stage's.
    """
    config, run = setting(tmp_path, model, "max_steps=3")
    write_data(run.data / "sft", [row(number) for number in range(ROWS)])
    first = stage.run(config, run)
    assert (first["steps"], first["rows"]) == (3, ROWS)
    assert [line["step"] for line in metrics(run)] == [1, 2, 3]
    before = (run.sft_model / "model.safetensors").read_bytes()

    checkpoints = run.sft / "checkpoints"
    (checkpoints / "checkpoint-3" / "optimizer.pt").write_bytes(b"cut off")
    with (run.sft / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    write_tasks(tmp_path / "tasks.jsonl", tasks("tuning", 4, 3, dict.fromkeys(CATEGORIES, 1.0)))
    words = ("every=6", "pause=true", "keep=best", "limit=2", f"tasks={tmp_path / 'tasks.jsonl'}")
    played = (*(f"evaluate.{word}" for word in words), "eval.max_tokens=8", "eval.kv_cache_gib=0.25")
    config, _ = setting(tmp_path, model, "max_steps=6", *played)
    second = stage.run(config, run)

    assert second["steps"] == 6
    assert [line["step"] for line in metrics(run)] == [1, 2, 3, 4, 5, 6]
    assert metrics(run)[-1]["loss"] < metrics(run)[0]["loss"]
    assert (run.sft_model / "model.safetensors").read_bytes() != before
    (line,) = map(json.loads, (run.sft / "held_out.jsonl").read_text().splitlines())
    assert (line["step"], line["tasks"]) == (6, 2), line
    best = Path(second["held_out"]["best"]["model"])
    assert second["held_out"]["kept"] == "best" and second["held_out"]["failed"] == {}
    assert (run.sft_model / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()
    assert "chat_template.jinja" in os.listdir(run.sft_model)
    assert stage.run(config, run) == second, "a finished stage does nothing"


def test_asked_to_stop_two_ranks_save_the_same_step_and_the_run_goes_on(tmp_path: Path, model: Path) -> None:
    words = ("max_steps=40", "save_steps=1000", "cluster.sft.workers=2", "per_device_batch=4")
    config, run = setting(tmp_path, model, *words)
    write_data(run.data / "sft", [row(number) for number in range(ROWS)])
    run.stop("sft").parent.mkdir(parents=True)

    def ask() -> None:
        while not (run.sft / "metrics.jsonl").is_file() or len(metrics(run)) < 2:
            time.sleep(0.1)
        run.stop("sft").touch()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    stopped = stage.run(config, run)["stopped"]
    assert 2 <= stopped < 40
    assert (run.sft / "checkpoints" / f"checkpoint-{stopped}").is_dir() and not run.sft_model.exists()
    run.stop("sft").unlink()
    config, _ = setting(tmp_path, model, *words, f"max_steps={stopped + 2}")
    assert stage.run(config, run)["steps"] == stopped + 2
    assert [line["step"] for line in metrics(run)] == list(range(1, stopped + 3))


def metrics(run: RunDir) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.sft / "metrics.jsonl").read_text().splitlines()]


def test_killed_and_resumed_in_the_second_epoch_a_run_ends_with_the_same_weights(
    tmp_path: Path, model: Path
) -> None:
    """transformers would give the resumed epoch the first one's order: rows repeated and left out.

    LoRA is like full tuning: the same weights bit for bit, and its result is a plain model.
    """
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    words = ("epochs=3", "save_steps=9", "save_total_limit=9")
    # On one core, as the others: on some processors two threads add up in another order.
    lora = (*words, "finetuning_type=lora", "lora.rank=4", "lora.dropout=0.1", "cluster.cpus_per_worker=1")
    rows = [row(number) for number in range(ROWS)]
    runs: dict[str, RunDir] = {}
    jobs = []
    for name in ("full", "full killed", "lora", "lora killed"):  # the last one goes through the whole stage
        config, run = setting(tmp_path / name.replace(" ", "_"), model, *(lora if "lora" in name else words))
        write_data(run.data / "sft", rows)
        runs[name] = run
        job, _ = prepared(config, run, tmp_path / "tokens")
        if "killed" in name:  # as a kill in step 10 of 18, in the middle of the second epoch, leaves it
            checkpoint = Path("sft", "checkpoints", "checkpoint-9")
            job["copy"] = [str(one.root / checkpoint) for one in (runs[name.split()[0]], run)]
        jobs.append(job)
    *jobs, _ = jobs
    train(jobs, tmp_path)
    for name, steps in (("full", range(1, 19)), ("full killed", range(10, 19)), ("lora", range(1, 19))):
        assert [line["step"] for line in metrics(runs[name])] == list(steps)
    weights = [runs[name].sft / "checkpoints" / "model.safetensors" for name in ("full", "full killed")]
    assert weights[0].read_bytes() == weights[1].read_bytes()

    whole, run = runs["lora"], runs["lora killed"]
    shutil.copytree(whole.sft / "checkpoints" / "checkpoint-9", run.sft / "checkpoints" / "checkpoint-9")
    result = stage.run(config, run)  # which merges what it trained
    assert [line["step"] for line in metrics(run)] == list(range(10, 19))
    adapters = [whole.sft / "checkpoints", run.sft / "adapter"]
    adapted = [(folder / "adapter_model.safetensors").read_bytes() for folder in adapters]
    assert adapted[0] == adapted[1]
    assert metrics(whole)[-1]["loss"] < metrics(whole)[0]["loss"]
    assert model_problems(str(run.sft_model)) == []
    before, after = (load_file(folder / "model.safetensors") for folder in (model, run.sft_model))
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if "_proj" in name}, "the linear layers and nothing else"
    loaded = AutoModelForCausalLM.from_pretrained(run.sft_model)
    assert result["parameters"] == sum(value.numel() for value in loaded.parameters())
    assert stage.run(config, run)["steps"] == 18, "a finished stage does nothing"


def test_packed_rows_train_alike_with_a_mask_and_with_boundaries(tmp_path: Path, model: Path) -> None:
    """torch's variable-length attention, here in its form for CPUs, against the dense mask."""
    words = ("max_steps=3", "packing=true", "cutoff_len=384", "per_device_batch=2", "global_batch=2")
    runs, jobs = [], []
    for attention in ("varlen", "sdpa"):
        config, run = setting(tmp_path / attention, model, *words, f"attention={attention}")
        write_data(run.data / "sft", [row(number) for number in range(ROWS)])
        job, tokens = prepared(config, run, tmp_path / "tokens")
        assert tokens.rows == ROWS
        runs.append(run)
        jobs.append(job)
    train(jobs, tmp_path)
    losses = [[line["loss"] for line in metrics(run)] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_rows_that_do_not_alternate_stop_the_stage(tmp_path: Path, model: Path) -> None:
    """pitfall LF#9107: two questions in a row are dropped with only a warning."""
    config, run = setting(tmp_path, model, "max_steps=1")
    bad = row(0)
    bad["conversations"].insert(0, {"from": "human", "value": "Hello."})
    bad["id"] = "the bad one"
    write_data(run.data / "sft", [*(row(number) for number in range(8)), bad])
    with pytest.raises(UserError, match=r"the row 'the bad one' .* have to alternate"):
        stage.run(config, run)
    assert not (run.sft / "ray").exists(), "no worker was ever started"


def test_rows_are_never_cut(tmp_path: Path, model: Path) -> None:
    """pitfall LF#3995: cutoff_len trims without a word."""
    config, run = setting(tmp_path, model, "max_steps=1", "cutoff_len=64")
    write_data(run.data / "sft", [row(number) for number in range(8)])
    with pytest.raises(UserError, match=r"longest row has \d+ tokens") as caught:
        stage.run(config, run)
    assert "Set sft.cutoff_len to at least" in str(caught.value)


@pytest.mark.skipif(not os.environ.get("FUNREASON_SLOW"), reason="compiles C++; set FUNREASON_SLOW=1")
def test_zero3_with_two_processes(tmp_path: Path, model: Path) -> None:
    """The cluster's own recipe, ZeRO-3 over several processes, gives the loss of one process without it."""
    losses = {}
    for name, words in {
        "plain": (),
        "zero3": ("cluster.sft.workers=2", "per_device_batch=4", "deepspeed=zero3"),
    }.items():
        config, run = setting(tmp_path / name, model, "max_steps=3", "group_by_length=false", *words)
        write_data(run.data / "sft", [row(number) for number in range(ROWS)])
        stage.run(config, run)
        losses[name] = [line["loss"] for line in metrics(run)]
    assert losses["zero3"] == pytest.approx(losses["plain"], rel=1e-3)
    latest = latest_complete(tmp_path / "zero3" / "sft" / "checkpoints", workers=2)
    assert latest is not None, "what DeepSpeed writes counts as whole"
    assert latest.name == "checkpoint-3"


def test_rows_tokenised_before_machines_are_booked_are_what_training_finds(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from funreason_train.commands.cli import main

    config, run = setting(tmp_path, model, "max_steps=2")
    write_data(run.data / "sft", [row(number) for number in range(ROWS)])
    words = ["cluster=h20x32", f"run_dir={tmp_path}", f"model={model}", "max_steps=2", "tokenise_only=true"]
    assert main(["sft", *words]) == 0  # on a machine without a GPU
    assert f"Tokenised: {ROWS} rows" in " ".join(capsys.readouterr().out.split())
    assert not (run.sft / "checkpoints").exists()
    (made,) = Paths.of(config, run).tokenized.iterdir()

    def again(*_: Any) -> None:
        raise AssertionError("tokenised once more")

    monkeypatch.setattr("funreason_train.sft.tokens.dataset.call_in_process", again)
    stage.run(config, run)
    assert [one.name for one in Paths.of(config, run).tokenized.iterdir()] == [made.name]


def test_rows_that_could_not_be_trained_on_are_told_then_and_not_when_the_nodes_wait(
    tmp_path: Path, model: Path
) -> None:
    _, run = setting(tmp_path, model)
    write_data(run.data / "sft", [row(0)])
    words = ["cluster=h20x32", f"run_dir={tmp_path}", f"model={model}", "cutoff_len=8", "tokenise_only=true"]
    line = [sys.executable, "-m", "funreason_train", "sft", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "cutoff_len=8: the longest row has" in done.stderr, done.stderr
