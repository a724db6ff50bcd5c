"""A model that follows a script, and tasks for it to play."""

from typing import Any

from funreason_train.calls import render_calls
from funreason_train.dialogue import render_target
from funreason_train.evaluate.serve.generate import Generated, Sampling
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

TASKS = list(tasks("heldout", 40, 3, dict.fromkeys(CATEGORIES, 1.0)))
SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=64, max_model_tokens=4096, seed=0)


def gold(task: Any) -> Any:
    """The gold completions of a task, in order."""
    return [
        render_target("I think.", answer)
        for turn in task.turns
        for answer in (*map(render_calls, turn.steps), turn.text)
    ]


class Scripted:
    """A `Generator` that finishes in an order of its own and looks its answers up.

    Args:
        answers: Task id to its completions.
        fail_after: Raise after so many completions, as an engine that crashes.
    """

    def __init__(self, answers: Any, fail_after: Any = None) -> None:
        self.answers, self.fail_after = answers, fail_after
        self.waiting: list[Any] = []
        self.served, self.most = 0, 0
        self.prompts: dict[str, Any] = {}

    def submit(self, key: Any, prompt: Any, sampling: Any) -> None:
        assert sampling.room(len(prompt)) >= 1
        self.waiting.append(key)
        self.prompts[key] = prompt
        self.most = max(self.most, len(self.waiting))

    def collect(self) -> list[Any]:
        if self.fail_after is not None and self.served >= self.fail_after:
            raise RuntimeError("the engine died")
        self.served += 1
        key = self.waiting.pop(self.served % len(self.waiting))
        task, number = key.rsplit("/", 1)
        text = self.answers[task][int(number) - 1]
        return [Generated(key, text, len(text.split()), "stop")]


def render(messages: Any) -> Any:
    return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<think>"


def encode(text: Any) -> Any:
    return [ord(letter) for letter in text][:2000]
