"""The real verl with vLLM rollouts on the smallest model: EGPO with a group filter, killed twice; the export.

The run is killed with SIGKILL in the middle of a save and at the end of an epoch, and asked to stop once. The
same command has to end where a run that nobody disturbed ends: same samples, same weights.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funreason_train.dialogue.protocol import render_prompt, system_prompt
from funreason_train.export import stage as export
from funreason_train.rl import best, checkpoints
from funreason_train.rl.settings import limits
from funreason_train.rl.train import records, token_records
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose

pytestmark = pytest.mark.smoke
TOOLS = [
    {
        "name": name,
        "description": "Sets the lamp.",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    }
    for name in ("lamp", "light")
]
ROWS, PROMPTS, SAMPLES, STEPS = 12, 4, 4, 6
EPOCH = ROWS // PROMPTS
# An untrained model is never right, so nothing would be learnt: this reward is 1 for every second answer.
REWARD = "def score(solution_str, **_):\n    return {'score': float(sum(solution_str.encode()) % 2)}\n"
WORDS = [
    "protocol.system=compact",
    f"rl.steps={STEPS}",
    f"rl.prompts_per_step={PROMPTS}",
    f"rl.samples_per_prompt={SAMPLES}",
    "rl.max_response_tokens=24",
    # Less than a batch's prompts: seeded requests must not be split over two of the engine's steps.
    "rl.rollout.tokens_per_step=256",
    "rl.learning_rate=1e-3",
    "rl.save_every=1",
    "rl.new_log_probs_every=3",
    "rl.keep_checkpoints=2",
    "algorithm=egpo",
    "rl.algorithm.filter_groups=true",
    "rl.algorithm.clip_high=0.28",
]


def rows() -> Iterator[Any]:
    for index in range(ROWS):
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


def end_early(file: Any, end: Any) -> None:
    """Makes the end of the turn a frequent token of the untrained model; answers cut off score 0."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    tensors["model.embed_tokens.weight"][end] *= 8
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Data, a model that starts RL, and a reward, in a folder that runs can share."""
    import pyarrow
    import pyarrow.parquet
    from transformers import AutoTokenizer

    from funreason_train.models.tiny import build

    root = tmp_path_factory.mktemp("prepared")
    config = compose(None, ["model.vocab_size=600", "model.layers=2"])
    data = list(rows())
    build(root / "model", [message["content"] for row in data for message in row["prompt"]], config)
    tokenizer = AutoTokenizer.from_pretrained(root / "model")
    end_early(root / "model" / "model.safetensors", tokenizer.eos_token_id)
    for row in data:
        text = render_prompt(row["prompt"], tokenizer, merged=True)
        row["extra_info"]["prompt_tokens"] = len(tokenizer(text)["input_ids"])
    for name, part in (("train", data), ("val", data[:4])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), root / f"{name}.parquet")
    (root / "reward.py").write_text(REWARD)
    return root, data, tokenizer


def start(root: Path, run: RunDir, log: Path, *more: str) -> subprocess.Popen:
    """The command as a user gives it."""
    words = [
        f"run_dir={run.root}",
        f"rl.model={root / 'model'}",
        f"rl.train_file={root / 'train.parquet'}",
        f"rl.val_file={root / 'val.parquet'}",
        f"reward={root / 'reward.py'}:score",
    ]
    command = [sys.executable, "-m", "funreason_train", "rl", *words, *WORDS, *more]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def finish(root: Any, run: Any, log: Any, *more: str) -> None:
    process = start(root, run, log, *more)
    assert process.wait(600) == 0, log.read_text()[-3000:]


def driver_of(process: subprocess.Popen) -> int:
    """The process of the stage, the only child of the command."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def await_that(condition: Any, process: Any, log: Any) -> None:
    until = time.monotonic() + 600
    while not condition():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < until
        time.sleep(0.002)


def metrics(run: Any) -> Any:
    file = run.rl / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def rollouts(run: Any, step: Any) -> Any:
    return list(records.read(run.rl / "rollouts" / f"{step}.jsonl"))


def tokens(run: Any, step: Any) -> dict[int, token_records.Tokens]:
    return dict(token_records.read(run.rl / "rollouts" / f"{step}.npz"))


def look_at_tokens(sample: Any, one: token_records.Tokens, tokenizer: Any, updated: bool) -> None:
    """The record of a response is what was trained: its tokens, and their figures."""
    from funreason_train.rl.rollout.tokens import completion_text

    columns = one.columns
    assert completion_text([int(name) for name in columns["ids"]], tokenizer) == sample["answer"]
    assert set(columns["mask"]) == {1} and len(one.pieces) == len(columns["ids"])
    assert {len(values) for values in columns.values()} == {len(one.pieces)}
    assert all(value <= 0 for value in columns["old"]) and all(value >= 0 for value in columns["entropy"])
    assert max(abs(a - b) for a, b in zip(columns["rollout"], columns["old"], strict=True)) < 0.02
    assert len(set(columns["advantage"])) == 1
    assert ("new" in columns) is updated
    if updated:
        assert columns["new"] != columns["old"], "the update changed the model"


def weights(run: Any, step: Any) -> Any:
    import torch

    file = checkpoints.path_of(run.rl_checkpoints, step) / "actor" / "model_world_size_1_rank_0.pt"
    state = torch.load(file, weights_only=False)
    return {name: getattr(value, "full_tensor", lambda value=value: value)() for name, value in state.items()}


FALLING = """
from pathlib import Path

def score(solution_str, **_):
    saved = len(list(Path(__file__).with_name("falling").glob("rl/checkpoints/global_step_*/data.pt")))
    return {"score": 1.0 / (1 + saved) + 0.001 * (sum(solution_str.encode()) % 2)}
"""


@pytest.mark.skipif(not os.environ.get("FUNREASON_SLOW"), reason="a minute; FUNREASON_SLOW=1 runs it")
def test_a_run_ends_when_its_validation_score_falls(prepared: Any, tmp_path: Path) -> None:
    root, _, _ = prepared
    run, log = RunDir.at(tmp_path / "falling"), tmp_path / "log"
    (tmp_path / "falling.py").write_text(FALLING)
    words = [
        "rl.steps=9",
        "rl.validate_every=1",
        "rl.stop_below_best=1",
        f"reward={tmp_path / 'falling.py'}:score",
        # At temperature 0 the untrained model ends no answer, and one that is cut off scores 0.
        "rl.verl.actor_rollout_ref.rollout.val_kwargs.do_sample=true",
        "rl.verl.actor_rollout_ref.rollout.val_kwargs.temperature=1.0",
    ]
    finish(root, run, log, *words)
    held = best.scores(run.rl_checkpoints)
    assert list(held) == [1, 2] and held[2] < held[1]
    assert checkpoints.latest(run.rl_checkpoints) == 2 and checkpoints.best(run.rl_checkpoints) == (
        1,
        held[1],
    )
    finish(root, run, log, *words)
    assert [line["step"] for line in metrics(run)] == [1, 2], "the same command again trains no further"


def test_a_killed_run_ends_where_an_unkilled_one_ends(prepared: Any, tmp_path: Path) -> None:
    import torch

    root, data, tokenizer = prepared
    killed, whole = RunDir.at(tmp_path / "killed"), RunDir.at(tmp_path / "whole")
    log = tmp_path / "log"

    # In the middle of the second save: the driver alone.
    process = start(root, killed, log)
    second = checkpoints.path_of(killed.rl_checkpoints, 2)
    await_that((second / "actor").exists, process, log)
    os.kill(driver_of(process), signal.SIGKILL)
    assert process.wait(300) == 1
    assert checkpoints.flaws(second), "the save was over before the kill"
    assert checkpoints.latest(killed.rl_checkpoints) == 1

    if os.environ.get("FUNREASON_SLOW"):
        # Between steps, at the end of an epoch (verl#7401): the command, and its driver with it.
        process = start(root, killed, log)
        await_that(lambda: checkpoints.latest(killed.rl_checkpoints) == EPOCH, process, log)
        process.kill()
        process.wait(300)
        assert checkpoints.latest(killed.rl_checkpoints) == EPOCH

    # A signal to the command, which saves the step and ends with the code for "go on with the same command".
    process = start(root, killed, log, "rl.save_every=1000")
    # Lines, not what they hold: a step's line is written once more, longer, and may be read in between.
    file = killed.rl / "metrics.jsonl"
    await_that(lambda: file.exists() and file.read_text().count("\n") > EPOCH, process, log)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(600) == 75, log.read_text()[-3000:]
    reached = checkpoints.latest(killed.rl_checkpoints)
    assert EPOCH < reached < STEPS and f"saved at step {reached} and stopped" in log.read_text()
    assert [line["step"] for line in metrics(killed)] == list(range(1, reached + 1))

    finish(root, killed, log)
    # Held-out prompts in between, at temperature 0, which change nothing.
    finish(root, whole, log, "rl.validate_every=1", "rl.loggers=[]")

    held = best.scores(whole.rl_checkpoints)
    assert list(held) == [*range(1, STEPS + 1)] and set(held.values()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    top = checkpoints.best(whole.rl_checkpoints)
    assert top is not None and top.score == max(held.values())
    assert not best.scores(killed.rl_checkpoints)
    for run, kept in ((killed, {STEPS - 1, STEPS}), (whole, {STEPS - 1, STEPS, top.step})):
        lines = metrics(run)
        assert [line["step"] for line in lines] == [*range(1, STEPS + 1)]
        assert set(checkpoints.steps(run.rl_checkpoints)) == kept
        assert checkpoints.latest(run.rl_checkpoints) == STEPS
        for line in lines:
            # Every group has a signal: the others were replaced.
            assert line["health/groups_without_signal"] == 0.0
            assert line["actor/grad_norm"] > 0
            # Every figure that may have a limit is there, the errors of a reward of your own included; only
            # environments have faults.
            limited = {name: one.metric for name, one in limits.FIGURES.items()}
            assert limited.pop("environment_faults") not in line
            assert {*limited.values()} <= line.keys()
            assert 0.0 < line["health/thought_entropy"] < math.log(600)
            # Rollout engine and trained model are the same model: the shared-prompt rows change nothing.
            assert line["training/rollout_probs_diff_max"] < 1e-4
    # What is known only after the save is missing where the run was killed after it.
    timed = ["timing_s/gen" in line for line in metrics(killed)]
    assert timed[0] and timed[-1] and all("timing_s/gen" in line for line in metrics(whole))
    assert sum(line.get("training/filter_groups/evicted_samples", 0) for line in metrics(whole)) > 0
    wanted = {render_prompt(row["prompt"], tokenizer, merged=True) for row in data}
    for step in range(1, STEPS + 1):
        samples = rollouts(whole, step)
        assert len(samples) == PROMPTS * SAMPLES
        assert {sample["prompt"] for sample in samples} <= wanted
        assert all(json.loads(sample["gold"])["calls"] for sample in samples)
        assert samples == rollouts(killed, step)
        trained = tokens(whole, step)
        assert sorted(trained) == list(range(len(samples)))
        for place, one in trained.items():
            look_at_tokens(samples[place], one, tokenizer, updated=step == 1 or step % 3 == 0)
        # The engine's own figures depend in their last bits on which requests it computed together.
        again = tokens(killed, step)
        assert again.keys() == trained.keys()
        for place, one in trained.items():
            ours, theirs = (dict(columns) for columns in (one.columns, again[place].columns))
            assert ours.pop("rollout") == pytest.approx(theirs.pop("rollout"), rel=2**-10)
            assert ours == theirs
    ended, reference = weights(killed, STEPS), weights(whole, STEPS)
    assert all(torch.equal(ended[name], reference[name]) for name in reference)

    exported = export.run(compose("export", [f"run_dir={killed.root}", f"rl.model={root / 'model'}"]), killed)
    assert exported["step"] == STEPS
    assert exported["changed_tensors"] > 0
    assert (killed.export / "chat_template.jinja").is_file()
