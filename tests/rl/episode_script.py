"""A tokenizer that needs no training, tasks, and a model that follows a script."""

import asyncio
from typing import Any

from funreason_train.calls import render_calls
from funreason_train.dialogue import QWEN_CHAT_TEMPLATE, render_target
from funreason_train.rl.rollout.episodes import EpisodeRules, Written, play_episode
from funreason_train.synth.embedded.generate import tasks
from funreason_train.synth.embedded.plans import CATEGORIES

TASKS = list(tasks("train", 140, 7, dict.fromkeys(CATEGORIES, 1.0)))
RULES = EpisodeRules(style="compact", responses=6, seconds=60.0, prompt_tokens=20_000, response_tokens=400)
END = "<|im_end|>"


class Letters:
    """A tokenizer: one token a character, and one for the end of a turn."""

    eos_token_id, pad_token_id = 0, 1

    def __call__(self, text: Any, add_special_tokens: bool = False) -> dict[str, Any]:
        pieces = text.split(END)
        ids = [ord(letter) + 2 for letter in pieces[0]]
        for piece in pieces[1:]:
            ids += [0, *(ord(letter) + 2 for letter in piece)]
        return {"input_ids": ids}

    def decode(
        self, ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> Any:
        assert not skip_special_tokens and not clean_up_tokenization_spaces
        return "".join(END if one == 0 else chr(one - 2) for one in ids)

    chat_template = QWEN_CHAT_TEMPLATE

    def apply_chat_template(self, messages: Any, tokenize: Any, add_generation_prompt: Any, **_: Any) -> Any:
        from jinja2 import Template

        template = Template(self.chat_template, trim_blocks=True, lstrip_blocks=True)
        return template.render(messages=messages, add_generation_prompt=add_generation_prompt)


TOKENIZER = Letters()


def task_of(category: Any) -> Any:
    return next(task for task in TASKS if task.category == category)


def gold(task: Any) -> Any:
    """The gold answers of a task, turn by turn: call lists, then the reply."""
    return [[*map(render_calls, turn.steps), turn.text] for turn in task.turns]


def completion(answer: Any, thought: str = "I think.") -> Any:
    return render_target(thought, answer) + END


def run(
    task: Any, completions: Any, rules: Any = RULES, clock: Any = None, tokenizer: Any = TOKENIZER
) -> Any:
    """Plays a task with completions in order; returns the episode and what was asked."""
    asked: list[Any] = []

    async def write(prompt: Any, number: Any) -> Any:
        assert number == len(asked)
        asked.append(prompt)
        ids = tokenizer(completions[number])["input_ids"]
        return Written(ids, [-0.5] * len(ids), {"min_global_steps": 3})

    more = {} if clock is None else {"clock": clock}
    return asyncio.run(play_episode(task, write, tokenizer, rules, **more)), asked


def flat(turns: Any, thought: str = "I think.") -> Any:
    return [completion(answer, thought) for turn in turns for answer in turn]
