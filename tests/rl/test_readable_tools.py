"""`protocol.escape=false`: data, SFT's tokens, RL's prompts and evaluation show the same tool list."""

from typing import Any

import pytest
from episode_script import RULES, TOKENIZER, flat, gold, run

from funreason_train.calls import Call
from funreason_train.data.steps import cut
from funreason_train.dialogue import StepEncoder, prompt_style, render_prompt, render_target
from funreason_train.environments import TableWorld, Task, TaskTurn, play, register_environment, tool
from funreason_train.environments.gold import gold_conversation
from funreason_train.environments.play import Limits
from funreason_train.evaluate.heldout import EpisodeGame, Rules


@register_environment
class Harbour(TableWorld):
    """Tides, described in Chinese."""

    name = "harbour_in_chinese"
    tables = ("tides",)

    @tool
    def tide(self, where: str) -> Any:
        """查询潮汐时间。"""
        return {"high": "六点"}


TASK = Task(
    "t1",
    "own",
    "harbour_in_chinese",
    {},
    ("tide",),
    (TaskTurn("赫尔几点涨潮?", ((Call("tide", {"where": "赫尔"}),),), "六点。"),),
)


@pytest.mark.parametrize("escape", [True, False])
def test_all_show_the_same_tool_list(escape: bool) -> None:
    protocol = {"system": "bfcl", "escape": escape, "answer": "bare"}
    style = prompt_style(protocol)
    steps = [one.shown for one in cut(gold_conversation(TASK), protocol)]
    exported = steps[0].messages[0]["content"]
    assert ("查询潮汐时间" in exported, "\\u67e5" in exported) == (not escape, escape)

    encoder = StepEncoder(TOKENIZER)
    rows = [encoder.encode(step.messages, render_target(step.thought, step.answer)) for step in steps]
    learned = [TOKENIZER.decode(row.ids[: row.prompt]) for row in rows]
    assert all(exported in text for text in learned)

    rules = RULES.__class__(**{**vars(RULES), "style": style})
    _, asked = run(TASK, flat(gold(TASK)), rules)
    assert [TOKENIZER.decode(prompt) for prompt in asked] == learned, "the prompts of rollouts"

    shown: list[str] = []

    def answer(messages: Any) -> str:
        shown.append(render_prompt(messages, TOKENIZER, merged=True))
        return render_target("I think.", steps[len(shown) - 1].answer)

    assert play(TASK, answer, style=style).right
    assert shown == learned, "episodes"
    game = EpisodeGame(TASK, Rules(style, Limits()))
    assert render_prompt(game.messages(), TOKENIZER, merged=True) == learned[0], "evaluation"
