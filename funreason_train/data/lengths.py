"""How many tokens each prompt and each target has, counted with the model's own tokenizer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..dialogue import Step, render_prompt, render_target
from ..errors import UserError

TURN_OPEN, TURN_CLOSE = "<|im_start|>", "<|im_end|>"


def measure(steps: Sequence[Step], tokenizer: Any) -> list[tuple[int, int]]:
    """Counts tokens; steps of one conversation that follow each other share the work on their common history.

    Args:
        steps: Steps of any number of conversations.
        tokenizer: A Hugging Face fast tokenizer with a chat template.

    Returns:
        For each step the tokens of the prompt, `<think>` included, and of the target, `<|im_end|>` included.
    """
    prompts = [render_prompt(step.messages, tokenizer, merged=True) for step in steps]
    targets = [render_target(step.thought, step.answer) + TURN_CLOSE for step in steps]
    encoded = tokenizer(targets, add_special_tokens=False)["input_ids"]
    return list(zip(_prompt_lengths(steps, prompts, tokenizer), map(len, encoded), strict=True))


def _prompt_lengths(steps: Sequence[Step], prompts: list[str], tokenizer: Any) -> list[int]:
    # The marker is one token wherever it stands: cut before it, a prompt has the tokens of its two parts.
    marker = tokenizer.convert_tokens_to_ids(TURN_OPEN)
    if marker is None or marker == tokenizer.unk_token_id:
        return [len(ids) for ids in tokenizer(prompts, add_special_tokens=False)["input_ids"]]
    groups = [
        list(members)
        for _, members in groupby(range(len(steps)), key=lambda number: steps[number].id.rpartition("/")[0])
    ]
    longest = [members[-1] for members in groups]
    encoded = tokenizer(
        [prompts[number] for number in longest], add_special_tokens=False, return_offsets_mapping=True
    )
    counts = [0] * len(prompts)
    rest: list[int] = []
    for members, ids, offsets in zip(groups, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        whole = prompts[members[-1]]
        counts[members[-1]] = len(ids)
        starts = [start for start, _ in offsets]
        tails: dict[str, int] = {}
        for number in members[:-1]:
            cut = prompts[number].rfind(TURN_OPEN)
            at = bisect_left(starts, cut)
            if not whole.startswith(prompts[number][:cut]) or at >= len(ids) or ids[at] != marker:
                rest.append(number)
                continue
            tail = prompts[number][cut:]
            if tail not in tails:
                tails[tail] = len(tokenizer(tail, add_special_tokens=False)["input_ids"])
            counts[number] = at + tails[tail]
    if rest:
        encoded_rest = tokenizer([prompts[number] for number in rest], add_special_tokens=False)["input_ids"]
        for number, ids in zip(rest, encoded_rest, strict=True):
            counts[number] = len(ids)
    return counts


def chosen_tokenizer(config: Mapping[str, Any]) -> str | None:
    """Where the measuring tokenizer comes from: a folder or hub id, "off", or None for the tiny model's.

    Args:
        config: The whole configuration.
    """
    chosen = config["data"]["tokenizer"]
    if chosen is False:
        return "off"
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


def load_tokenizer(path: str) -> Any:
    """The tokenizer at a folder or hub id.

    Raises:
        UserError: if it cannot be loaded, is not a fast one, or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # the hub client and the readers of old formats fail in many ways
        raise UserError(
            f"the tokenizer cannot be loaded ({type(error).__name__})",
            where=path,
            mend="Give a local HF folder, or set data.tokenizer=off to leave lengths unmeasured",
        ) from error
    if not tokenizer.is_fast:
        raise UserError(
            "only fast tokenizers can be measured with", where=path, mend="Add its tokenizer.json"
        )
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer has no chat template",
            where=path,
            mend="Put one into its folder as chat_template.jinja, such as the instruct model's",
        )
    return tokenizer
