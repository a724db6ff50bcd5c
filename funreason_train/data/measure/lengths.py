"""How many tokens each prompt and each target has, counted with the model's own tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...dialogue import Step, render_prompt, render_target, turn_close

TURN_OPEN, TURN_CLOSE = "<|im_start|>", "<|im_end|>"
_CHECKED = 16

#: The roles of a conversation's last prompt, and the number of messages before each response.
_Shape = tuple[tuple[str, ...], tuple[int, ...]]


class Unlike(Exception):
    """Conversations with the same roles are rendered in different ways: roles tell nothing."""


class _Plan(NamedTuple):
    """How the earlier prompts of a conversation lie in its last one.

    Attributes:
        turns: How often the last prompt opens a turn.
        parts: For each earlier prompt, the number of turns that both begin with, and its text behind them;
            None where it is no such beginning.
    """

    turns: int
    parts: list[tuple[int, str] | None]


class Lengths:
    """Counts the tokens of prompts and targets, and shares the work between the steps of a conversation.

    An earlier prompt of a conversation is, with most chat templates, the beginning of its last one and a tail
    that opens the response. What a template makes of roles it makes of them in every conversation, for texts
    cannot steer it: their markers are escaped. So of the conversations with the same roles, the first and
    then one in `_CHECKED` has every prompt rendered, and the others only the last.

    Args:
        tokenizer: A Hugging Face fast tokenizer with a chat template.
        by_roles: False renders every prompt.
    """

    def __init__(self, tokenizer: Any, by_roles: bool = True) -> None:
        self._tokenizer, self._by_roles = tokenizer, by_roles
        self._known: dict[_Shape, _Plan] = {}
        self._met: Counter[_Shape] = Counter()
        self._close = turn_close(tokenizer).strip()
        marker = tokenizer.convert_tokens_to_ids(TURN_OPEN)
        self._marker = None if marker == tokenizer.unk_token_id else marker

    def count(self, conversations: Sequence[Sequence[Step]]) -> list[list[tuple[int, int]]]:
        """The lengths of every step.

        Args:
            conversations: The steps of each, in order.

        Returns:
            For each step the tokens of the prompt, `<think>` included, and of the target, the token that
            ends it included.

        Raises:
            Unlike: what was taken for granted by the roles is wrong; another `Lengths` must do without.
        """
        steps = [step for some in conversations for step in some]
        targets = [render_target(step.thought, step.answer) + self._close for step in steps]
        prompts = iter([length for some in self._prompts(conversations) for length in some])
        answers = map(len, self._encode(targets))
        return [[(next(prompts), next(answers)) for _ in some] for some in conversations]

    def _prompts(self, conversations: Sequence[Sequence[Step]]) -> list[list[int]]:
        wholes = [self._render(some[-1]) for some in conversations]
        plans = [self._plan(some, whole) for some, whole in zip(conversations, wholes, strict=True)]
        encoded = self._encode(wholes)
        tails = self._sizes({part[1] for plan in plans for part in plan.parts if part})
        alone: list[str] = []
        counts: list[list[int | None]] = []
        for some, plan, whole in zip(conversations, plans, encoded, strict=True):
            # The marker is one token wherever it stands: a prompt cut there has the tokens of its parts.
            ids = whole.ids if plan.parts else ()
            places = [place for place, token in enumerate(ids) if token == self._marker]
            alike = len(places) == plan.turns
            earlier = [places[part[0]] + tails[part[1]] if part and alike else None for part in plan.parts]
            alone += [self._render(one) for one, count in zip(some, earlier, strict=False) if count is None]
            counts.append([*earlier, len(whole)])
        rest = iter(map(len, self._encode(alone)))
        return [[next(rest) if count is None else count for count in some] for some in counts]

    def _plan(self, steps: Sequence[Step], whole: str) -> _Plan:
        """The plan of a conversation with this last prompt."""
        if len(steps) == 1:
            return _Plan(0, [])
        roles = tuple(message["role"] for message in steps[-1].messages)
        shape = roles, tuple(len(step.messages) for step in steps)
        known = self._known.get(shape) if self._by_roles else None
        self._met[shape] += 1
        if known is not None and self._met[shape] % _CHECKED:
            return known
        plan = _Plan(whole.count(TURN_OPEN), [_part(self._render(step), whole) for step in steps[:-1]])
        if known is not None and known != plan:
            raise Unlike
        self._known[shape] = plan
        return plan

    def _render(self, step: Step) -> str:
        return render_prompt(step.messages, self._tokenizer, merged=True)

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        """What `tokenizer(texts, add_special_tokens=False)` does, without a Python object for each token."""
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = self._tokenizer.split_special_tokens
        encoded: list[Any] = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return encoded

    def _sizes(self, texts: Iterable[str]) -> dict[str, int]:
        listed = list(texts)
        return dict(zip(listed, map(len, self._encode(listed)), strict=True))


def _part(prompt: str, whole: str) -> tuple[int, str] | None:
    """One of `_Plan.parts`."""
    cut = prompt.rfind(TURN_OPEN)
    begins = cut >= 0 and whole.startswith(prompt[:cut]) and whole.startswith(TURN_OPEN, cut)
    return (whole.count(TURN_OPEN, 0, cut), prompt[cut:]) if begins else None


def chosen_tokenizer(config: Mapping[str, Any]) -> str | None:
    """Where the measuring tokenizer comes from: a folder or hub id, "off", or None for the tiny model's.

    Args:
        config: The whole configuration.
    """
    chosen = config["data"]["tokenizer"]
    return chosen or config["model"].get("tokenizer") or config["model"]["path"]


def tokenizer_problems(config: Mapping[str, Any]) -> list[str]:
    """Whether a local tokenizer folder lacks its files; a hub id is only tried when it is loaded."""
    path = chosen_tokenizer(config)
    if path is None or path == "off":
        return []
    folder = Path(path).expanduser()
    if not folder.is_dir():
        local = path.startswith((".", "/", "~"))
        return [f"{path}: there is no such folder; give a HF model folder or a hub id"] if local else []
    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json")
    ):
        return [f"{path}: the folder holds no tokenizer; copy the model's tokenizer.json there"]
    return []
