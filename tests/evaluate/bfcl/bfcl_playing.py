"""Playing BFCL's entries against a host with scripted answers: no server, no tokenizer, no model."""

import json
import os
import queue
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from evaluate.bfcl import bfcl_mock

from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, render_prompt
from funreason_train.environments.sandbox.limits import CallLimits
from funreason_train.evaluate.bfcl.client import HostClient
from funreason_train.evaluate.bfcl.entries import EntryOptions
from funreason_train.evaluate.bfcl.game import BfclGame
from funreason_train.evaluate.play import play as play_games
from funreason_train.evaluate.serve.generate import Generated, Sampling

SAMPLING = Sampling(temperature=0.0, top_p=0.7, max_tokens=20_000, max_model_tokens=1_500_000, seed=0)
OFFLINE = (
    *("simple_python", "simple_java", "simple_javascript", "multiple", "parallel", "parallel_multiple"),
    *("irrelevance", "live_simple", "live_parallel", "live_irrelevance", "live_relevance"),
    *("multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context"),
    *("memory_kv", "memory_rec_sum"),
)


def gold_script(folder: Path, categories: Any) -> bfcl_mock.Script:
    """The ground truths of whole categories as answers, made in a process of its own."""
    file = folder / "answers.json"
    root = Path(__file__).parents[3]
    variables = {**os.environ, "PYTHONPATH": str(root), "BFCL_PROJECT_ROOT": str(folder / "root")}
    (folder / "root").mkdir(exist_ok=True)
    command = [sys.executable, str(bfcl_mock.__file__), "answers", str(file), *categories]
    subprocess.run(command, check=True, env=variables)
    found = json.loads(file.read_text())
    return bfcl_mock.Script({f"{c}/{k}": v for c, part in found.items() for k, v in part.items()})


LIMITS = CallLimits(seconds=5.0, wall=60.0, memory=1024)


class Answers:
    """Answers at once, by `answer(prompt's text, entry's id)`; a prompt's bytes are its token ids."""

    def __init__(self, answer: Any, events: Any) -> None:
        self.answer, self.inbox = answer, events
        self.prompts: dict[str, list[str]] = {}

    def submit(self, key: Any, prompt: Any, sampling: Any) -> None:
        text, name = bytes(prompt).decode(), key.rpartition("/")[0]
        self.prompts.setdefault(name, []).append(text)
        self.inbox.put(Generated(key, self.answer(text, name), 7, "stop"))

    def collect(self) -> Any:
        found = [self.inbox.get()]
        while not self.inbox.empty():
            found.append(self.inbox.get())
        return found


def start(
    folder: Any, categories: Any, unclosed: Literal["failed", "card"] = "failed", **limits: Any
) -> HostClient:
    """A host in this environment."""
    options = EntryOptions(tuple(categories), str(folder / "memory"), unclosed=unclosed)
    return HostClient(sys.executable, options, replace(LIMITS, **limits), queue.SimpleQueue())


def play(host: Any, names: Any, answer: Any, sampling: Any = SAMPLING, concurrency: int = 16) -> Any:
    """The rows by id, and the prompts by id."""
    model = Answers(answer, host.messages)
    rows = play_games(
        [BfclGame(name, host) for name in names],
        model,
        lambda messages: render_prompt(messages, QWEN_CHAT_TEMPLATE),
        lambda text: list(text.encode()),
        sampling,
        concurrency,
        host.messages,
        host.hello["needs"],
    )
    return {row["id"]: row for row in rows}, model.prompts


def spread(host: Any, number: Any) -> Any:
    """`number` ids of each category, evenly over it, with the prerequisites that they need."""
    names = []
    for ids in host.hello["entries"].values():
        asked = [name for name in ids if "_prereq" not in name]
        for place in range(number):
            name = asked[place * len(asked) // number]
            names += [*host.hello["needs"].get(name, ()), name]
    return list(dict.fromkeys(names))
