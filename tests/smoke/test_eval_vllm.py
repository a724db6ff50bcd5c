"""The evaluation with the real vLLM: several models in one process, each answering as transformers does."""

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.environments import write_tasks
from funreason_train.evaluate import stage
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

pytestmark = pytest.mark.smoke
TASKS = list(tasks("tuning", 12, 3, dict.fromkeys(CATEGORIES, 1.0)))
TOKENS = 8


def build_model(folder: Any, seed: Any) -> Any:
    from funreason_train.models.tiny import build

    config = compose(None, [f"seed={seed}", "model.vocab_size=600", "model.layers=2"])
    build(folder, [turn.user for task in TASKS for turn in task.turns], config)
    return folder


def greedy(folder: Any, prompts: Any) -> Any:
    """What transformers completes."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)
        found.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    return found


def whole(text: Any) -> Any:
    return text.rstrip("\N{REPLACEMENT CHARACTER}")


def test_models_in_one_process_answer_as_transformers_does_and_twice_the_same(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path / "run")
    run.tasks("heldout").parent.mkdir(parents=True)
    write_tasks(run.tasks("heldout"), TASKS)
    folders = {"one": build_model(tmp_path / "one", 1), "two": build_model(tmp_path / "two", 2)}
    named = ", ".join(f"{name}: {folder}" for name, folder in [*folders.items(), ("again", folders["one"])])
    words = [f"run_dir={run.root}", f"models={{{named}}}", "protocol.system=compact", "replicas=1"]
    config = compose("eval", [*words, f"max_tokens={TOKENS}", "kv_cache_gib=0.25"])
    result = stage.run(config, run)
    assert {name: found["tasks"] for name, found in result["models"].items()} == dict.fromkeys(
        ("one", "two", "again"), len(TASKS)
    )
    played = {
        name: [json.loads(line) for line in (run.eval(name) / "episodes.jsonl").read_text().splitlines()]
        for name in result["models"]
    }
    assert played["again"] == played["one"] != played["two"]
    for name, folder in folders.items():
        responses = [row["turns"][0]["responses"][0] for row in played[name]]
        expected = greedy(folder, [response["prompt"] for response in responses])
        # Bytes at the end that are no whole character yet are left out by vLLM and marked by transformers.
        assert [whole(response["completion"]) for response in responses] == list(map(whole, expected))
        assert all(response["tokens"] <= TOKENS for response in responses)
