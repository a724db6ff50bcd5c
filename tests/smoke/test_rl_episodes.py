"""Rollouts in environments with the real verl and vLLM: two steps, every prompt that of the evaluation.

A third of the tasks are played in one of BFCL's environments. The model is made by hand: its next token
depends on the last one alone, and most of its answers are one word or one call.
"""

import json
import math
import subprocess
import sys
from collections import defaultdict
from itertools import islice
from typing import Any

import pytest

from funreason_train.dialogue import render_prompt, system_prompt
from funreason_train.environments import Episode, Limits
from funreason_train.reward import compute_score
from funreason_train.rl import checkpoints
from funreason_train.rl.train import records
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.synth import bfcl_world
from funreason_train.synth.embedded import generate as embedded

pytestmark = pytest.mark.smoke
PROMPTS, SAMPLES, STEPS = 12, 8, 2
# Turns in which asking back or refusing in words is right: the score has something to tell apart.
CATEGORIES = {"missing": 0.7, "no_tool": 0.3}
WORDS = [
    "protocol.system=compact",
    "rl.rollout_mode=environment",
    "reward=progress",
    f"rl.steps={STEPS}",
    f"rl.prompts_per_step={PROMPTS}",
    f"rl.samples_per_prompt={SAMPLES}",
    "rl.max_response_tokens=12",
    "rl.learning_rate=1e-3",
    "rl.save_every=2",
    # Passes of a fixed count; the other runs have dynamic ones.
    "rl.dynamic_batches=false",
    "rl.samples_per_pass=16",
]


CALL = "[logout()]"
# The last token to the next one, by likelihood; after any other it is as after an answer.
CHAIN = {
    "answer": {"<|im_end|>": 0.8, "Done": 0.2},
    "<think>": {"</think>": 0.8, "Done": 0.2},
    "</think>": {CALL: 0.6, "Done": 0.4},
}


def make_model(folder: Any, texts: Any) -> Any:
    """A model that follows `CHAIN`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from funreason_train.models.tiny import build

    config = compose(None, ["model.vocab_size=600", "model.layers=1", "model.tie_embeddings=false"])
    build(folder, texts, config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer.add_tokens(["Done", CALL])
    tokenizer.save_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    with torch.no_grad():
        entered, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        entered[:, : len(CHAIN)] = 0.0
        head.zero_()
        head[:, : len(CHAIN)] = -2.0
        entered[:, 0] = 1000.0  # after the norm: the root of the hidden size
        for axis, (last, following) in enumerate(CHAIN.items()):
            if axis:
                number = tokenizer.convert_tokens_to_ids(last)
                entered[number, 0], entered[number, axis] = 0.0, 1000.0
            for token, weight in following.items():
                size = config.model.hidden_size**0.5
                head[tokenizer.convert_tokens_to_ids(token), axis] = math.log(weight) / size
    model.save_pretrained(folder)
    return tokenizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run, its tokenizer and its tasks by the text of their first prompt."""
    import pyarrow
    import pyarrow.parquet

    run = RunDir.at(tmp_path_factory.mktemp("run"))
    desk = bfcl_world.tasks("train", 120, 5, {"single": 0.5, "follow_up": 0.2, "missing": 0.3})
    chosen = [
        *embedded.tasks("train", 26, 5, CATEGORIES),
        *islice((task for task in desk if task.environment == "bfcl/TicketAPI"), 14),
    ]
    rows: list[dict[str, Any]] = []
    for index, task in enumerate(chosen):
        messages = [
            {"role": "system", "content": system_prompt(task.tool_docs(), "compact")},
            {"role": "user", "content": task.turns[0].user},
        ]
        gold = {"calls": [], "tools": task.tool_docs()}
        info = {"index": index, "id": task.id, "prompt_tokens": 0, "task": json.dumps(task.to_json())}
        rows.append(
            {
                "data_source": "embedded",
                "prompt": messages,
                "ability": "function_calling",
                "reward_model": {"style": "rule", "ground_truth": json.dumps(gold)},
                "extra_info": info,
            }
        )
    tokenizer = make_model(run.sft_model, [one["content"] for row in rows for one in row["prompt"]])
    by_prompt = {}
    for row, task in zip(rows, chosen, strict=True):
        text = render_prompt(row["prompt"], tokenizer)
        by_prompt[text] = task
        row["extra_info"]["prompt_tokens"] = len(tokenizer(text)["input_ids"])
    (run.data / "rl").mkdir(parents=True)
    for name, part in (("env_train", rows), ("env_val", rows[:4])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), run.data / "rl" / f"{name}.parquet")
    command = [sys.executable, "-m", "funreason_train", "rl", f"run_dir={run.root}"]
    done = subprocess.run(
        [*command, f"rl.model={run.sft_model}", *WORDS], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return run, tokenizer, by_prompt


def rollouts(run: Any, step: Any) -> Any:
    return list(records.read(run.rl / "rollouts" / f"{step}.jsonl"))


def episodes(run: Any) -> Any:
    """Every episode's lines, in order."""
    found = defaultdict(list)
    for step in range(1, STEPS + 1):
        for line in rollouts(run, step):
            found[step, line["group"], line["sample"]].append(line)
    return list(found.values())


def test_every_prompt_is_the_one_that_evaluation_would_show(trained: Any) -> None:
    run, tokenizer, by_prompt = trained
    found = episodes(run)
    assert len(found) == STEPS * PROMPTS * SAMPLES
    assert max(map(len, found)) > 1, "no episode had a second response"
    for lines in found:
        task = by_prompt[lines[0]["prompt"]]
        episode = Episode(task, Limits(responses=6, stop_when_wrong=False), "compact")
        for line in lines:
            assert line["prompt"] == render_prompt(episode.prompt_messages(), tokenizer)
            assert line["turn"] == episode.turn
            episode.receive(line["answer"])
        assert episode.done or lines[-1]["cut"]


def test_calls_run_in_bfcls_environments_and_each_episode_has_its_own_state(trained: Any) -> None:
    run, _, by_prompt = trained
    logouts = []
    for lines in episodes(run):
        results = [result for line in lines for result in line["results"]]
        if by_prompt[lines[0]["prompt"]].environment == "bfcl/TicketAPI":
            logouts.append(len(results))
            # Whoever is logged out cannot be logged out again, and every episode begins logged in.
            assert results == ['{"success": true}', *['{"success": false}'] * len(results)][: len(results)]
        else:
            assert set(results) <= {'{"error": "unknown_tool: logout"}'}
    assert sum(map(bool, logouts)) > 5 and max(logouts) > 1


def test_scores_are_those_of_the_whole_episode(trained: Any) -> None:
    run, _, by_prompt = trained
    scores = set()
    for lines in episodes(run):
        task = by_prompt[lines[0]["prompt"]]
        episode = Episode(task, Limits(responses=6, stop_when_wrong=False), "compact")
        for line in lines:
            if line["cut"]:
                episode.stop("over_long: cut")
            else:
                episode.receive(line["answer"])
        score = compute_score(
            "embedded",
            lines[-1]["answer"],
            '{"calls": [], "tools": []}',
            {"turns": episode.turn_outcomes()},
            variant="progress",
        )["score"]
        assert [line["score"] for line in lines] == pytest.approx([score] * len(lines))
        assert (lines[0]["reason"] == "right") == (score == 1.0)
        scores.add(score)
    assert len(scores) > 1, "all episodes scored the same"


def test_every_step_has_its_figures(trained: Any) -> None:
    run, _, _ = trained
    lines = [json.loads(line) for line in (run.rl / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    for step, line in enumerate(lines, start=1):
        kept = rollouts(run, step)
        first = {(one["group"], one["sample"]): one["score"] for one in kept}
        assert line["health/score"] == pytest.approx(sum(first.values()) / len(first), abs=1e-5)
        assert line["health/responses"] == pytest.approx(len(kept) / (PROMPTS * SAMPLES), abs=1e-5)
        for name in ("unclosed", "cut"):
            assert line[f"reward/{name}"] == pytest.approx(
                sum(one[name] for one in kept) / len(kept), abs=1e-5
            )
        groups = defaultdict(set)
        for (group, _), score in first.items():
            groups[group].add(score)
        alike = sum(len(scores) == 1 for scores in groups.values()) / PROMPTS
        assert line["health/groups_without_signal"] == pytest.approx(alike, abs=1e-5)
        assert line["reward/error"] == 0.0
        assert line["health/entropy"] > 0
        # The rollout engine and the trained model are the same model.
        assert line["health/rollout_difference"] < 1e-4


def test_a_step_is_one_update_however_many_responses_it_has(trained: Any) -> None:
    import torch

    run, _, _ = trained
    folder = checkpoints.path_of(run.rl_checkpoints, STEPS) / "actor"
    state = torch.load(folder / "optim_world_size_1_rank_0.pt", weights_only=False)["state"]
    assert {int(entry["step"]) for entry in state.values()} == {STEPS}
