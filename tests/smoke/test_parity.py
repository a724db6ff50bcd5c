"""Training rows, verl's prompts and the protocol agree token by token; if not, we are told where.

Covers verl#7807, verl#3477 and LF#10773: templates that differ between stages, or add think blocks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from smoke.llamafactory_rows import llamafactory_encoder
from smoke.prepared import prepare, settings

from funreason_train.calls import render_calls
from funreason_train.calls.markers import THINK_OPEN
from funreason_train.dialogue import StepEncoder, render_prompt, render_target
from funreason_train.dialogue.sharegpt import sft_messages
from funreason_train.environments import Task, make_environment, play
from funreason_train.errors import UserError
from funreason_train.models.tokenizers import load_tokenizer
from funreason_train.parity import gate
from funreason_train.parity.tokens import ParityRow, sample_rows, token_parity
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve
from funreason_train.sft.llamafactory import arguments
from funreason_train.sft.tokens import dataset

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Any]:
    """The data stage with its gate on the real rows, and the tiny model's tokenizer that it made."""
    run = RunDir.at(tmp_path_factory.mktemp("run"))
    prepare(run)
    return run, load_tokenizer(str(run.base_model))


def test_real_rows_agree_in_all_three(prepared: tuple[RunDir, Any]) -> None:
    run, tokenizer = prepared
    rows = sample_rows(run.data, 100, 0)
    assert len(rows) == 23 and all(row.prompt for row in rows)
    assert token_parity(rows, tokenizer) is None


def test_verl_reads_the_same_prompts(prepared: tuple[RunDir, Any]) -> None:
    """Through verl's own data set and the agent loop that makes the rollouts."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from funreason_train.rl.rollout.tokens import prompt_ids

    run, tokenizer = prepared
    options = OmegaConf.create({"max_prompt_length": 100_000, "cache_dir": str(run.root / "cache")})
    dataset = RLHFDataset([str(run.data / "rl" / "train.parquet")], tokenizer, options)
    rows = {row.id: row for row in sample_rows(run.data, 100, 0)}
    assert len(dataset) == len(rows)
    for number in range(len(dataset)):
        item = dataset[number]
        messages, _ = sft_messages(rows[item["extra_info"]["id"]].sft)
        ids = tokenizer(render_prompt(messages, tokenizer, merged=True), add_special_tokens=False)[
            "input_ids"
        ]
        assert prompt_ids(item["raw_prompt"], tokenizer) == ids
        assert len(ids) == item["extra_info"]["prompt_tokens"]


def test_verl_reads_the_state_that_a_task_starts_from(
    tmp_path: Path, synthesise: Callable[..., Path]
) -> None:
    """Tasks through verl's own data set: the state is whole, the gold calls solve it, the prompt is one."""
    import pyarrow.parquet as pq
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from funreason_train.rl.rollout.tokens import prompt_ids

    run = RunDir.at(tmp_path / "run")
    made = synthesise("maker=embedded", "trajectories=30", "heldout_tasks=4", "tuning_tasks=4")
    words = ("data.datasets=[synth]", f"data.synth.path={made}/conversations.jsonl")
    prepare(run, *words, "data.parity=off", "data.val_share=0.2")
    tokenizer = load_tokenizer(str(run.base_model))
    options = OmegaConf.create({"max_prompt_length": 100_000, "cache_dir": str(run.root / "cache")})
    for side in ("train", "val"):
        file = run.data / "rl" / f"env_{side}.parquet"
        written = [json.loads(info["task"]) for info in pq.read_table(file).column("extra_info").to_pylist()]
        read = RLHFDataset([str(file)], tokenizer, options)
        assert len(read) == len(written) > 0
        for number, one in enumerate(written):
            item = read[number]
            info = item["extra_info"]
            task = Task.from_json(json.loads(info["task"]))
            assert task.to_json() == one and task.config
            live = make_environment(task.environment)
            live.reset(task.config)
            assert live.snapshot() == _loaded(one)
            gold = iter([a for turn in task.turns for a in (*map(render_calls, turn.steps), turn.text)])
            prompts: list[list[int]] = []

            def answer(messages: Any, gold: Any = gold, prompts: Any = prompts) -> str:
                prompts.append(prompt_ids(messages, tokenizer))
                return render_target("", next(gold))

            assert play(task, answer).right
            assert prompt_ids(item["raw_prompt"], tokenizer) == prompts[0]
            assert info["prompt_tokens"] == max(map(len, prompts))  # the longest of the gold conversation
    shown = gate.task_rows(run.data / "rl" / "env_train.parquet", 8, 0, "bfcl")
    assert len(shown) == 8 and token_parity(shown, tokenizer) is None
    other = token_parity(gate.task_rows(run.data / "rl" / "env_train.parquet", 8, 0, "compact"), tokenizer)
    assert other is not None and "the task " in other and "verl's parquet" in other


def _loaded(written: dict[str, Any]) -> Any:
    """The state that an environment starts from, by the task as it was written."""
    live = make_environment(written["environment"])
    live.reset(written["config"])
    return live.snapshot()


def test_the_training_rows_are_those_that_llamafactory_would_make(prepared: tuple[RunDir, Any]) -> None:
    """For models of Qwen's family, with the one setting of its templates that gives their tokens."""
    run, tokenizer = prepared
    theirs, ours = llamafactory_encoder(tokenizer, "qwen3_nothink"), StepEncoder(tokenizer)
    for row in sample_rows(run.data, 100, 0):
        step = ours.encode(*sft_messages(row.sft))
        labels = [-100] * step.learned + step.ids[step.learned :]
        assert theirs(row.sft) == (step.ids, labels), row.id


def test_an_answer_that_is_read_back_as_another_text_is_found_out(prepared: tuple[RunDir, Any]) -> None:
    """verl#1724: a tokenizer whose decoding loses a tag."""
    run, _ = prepared
    tokenizer = load_tokenizer(str(run.base_model))
    decode = tokenizer.decode
    tokenizer.decode = lambda *words, **more: decode(*words, **more).replace("</think>", "")
    difference = token_parity(sample_rows(run.data, 1, 0), tokenizer)
    assert difference is not None and "read back as another text" in difference and "</think>" in difference


def test_a_prompt_that_differs_between_the_exports_is_shown(prepared: tuple[RunDir, Any]) -> None:
    run, tokenizer = prepared
    row = next(row for row in sample_rows(run.data, 100, 0) if row.prompt)
    assert row.prompt is not None
    messages: Any = [*row.prompt[:-1], {**row.prompt[-1], "content": row.prompt[-1]["content"] + " please"}]
    difference = token_parity([ParityRow(row.id, row.sft, messages)], tokenizer)
    assert difference is not None and "verl's parquet" in difference and row.id in difference


def test_training_goes_by_the_proof_and_finds_a_useless_template_out(
    prepared: tuple[RunDir, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl#3477: a chat template that was changed after the data stage; compared in a real process."""
    run, _ = prepared
    config = settings(run)
    model = shutil.copytree(run.base_model, tmp_path / "model")
    file = model / "chat_template.jinja"
    closing = "{%- if add_generation_prompt %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    file.write_text(file.read_text() + closing)
    with pytest.raises(UserError, match="closes an empty thought"):
        gate.ensure(run.data, str(model), config)

    monkeypatch.setattr(gate, "call_in_process", lambda *_, **__: pytest.fail("compared again"))
    gate.ensure(run.data, str(run.base_model), config)


def test_llamafactory_is_given_both_sides_token_by_token(tmp_path: Path) -> None:
    """What it takes as `tokenized_path` holds every row of train and val as the protocol renders it."""
    from datasets import load_from_disk

    run = RunDir.at(tmp_path / "run")
    prepare(run, "data.val_share=0.3", "data.parity=off")
    words = [f"run_dir={run.root}", f"model={run.base_model}", "eval_steps=1"]
    config = resolve(compose("sft", words), "sft")
    paths = arguments.Paths.of(config, run)
    rows = dataset.prepare(arguments.compose(config, paths), paths.tokenized)
    read, tokenizer = load_from_disk(str(rows.folder)), load_tokenizer(str(run.base_model))
    for side, theirs in (("train", "train"), ("val", "validation")):
        exported = json.loads((run.data / "sft" / f"{side}.json").read_text())
        assert exported, side
        texts = []
        for row in exported:
            messages, target = sft_messages(row)
            texts.append(render_prompt(messages, tokenizer, merged=True) + target.removeprefix(THINK_OPEN))
        ours = tokenizer([text + "<|im_end|>\n" for text in texts], add_special_tokens=False)["input_ids"]
        assert [row["input_ids"] for row in read[theirs]] == ours
