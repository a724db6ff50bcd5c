"""How many tokens each prompt and each target has, counted with the model's own tokenizer."""

from __future__ import annotations

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
    encoded = _encode(targets, tokenizer)
    return list(zip(_prompt_lengths(steps, prompts, tokenizer), map(len, encoded), strict=True))


def _encode(texts: Sequence[str], tokenizer: Any) -> list[Any]:
    """Texts as the encodings of `tokenizers`, whose lengths cost nothing to ask for.

    What `tokenizer(texts, add_special_tokens=False)` does, without turning every token into Python's objects.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    found: list[Any] = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    return found


def _prompt_lengths(steps: Sequence[Step], prompts: list[str], tokenizer: Any) -> list[int]:
    # The marker is one token wherever it stands: cut before it, a prompt has the tokens of its two parts.
    marker = tokenizer.convert_tokens_to_ids(TURN_OPEN)
    if marker is None or marker == tokenizer.unk_token_id:
        return [len(one) for one in _encode(prompts, tokenizer)]
    groups = [
        list(members)
        for _, members in groupby(range(len(steps)), key=lambda number: steps[number].id.rpartition("/")[0])
    ]
    encoded = _encode([prompts[members[-1]] for members in groups], tokenizer)
    counts = [0] * len(prompts)
    shared: list[tuple[int, int, str]] = []  # a prompt, the tokens it shares with its group's last, its tail
    alone: list[int] = []
    for members, one in zip(groups, encoded, strict=True):
        last = members[-1]
        counts[last], whole = len(one), prompts[last]
        if len(members) == 1:
            continue
        places = [place for place, token in enumerate(one.ids) if token == marker]
        if len(places) != whole.count(TURN_OPEN):
            alone += members[:-1]
            continue
        for number in members[:-1]:
            cut = prompts[number].rfind(TURN_OPEN)
            if whole.startswith(prompts[number][:cut]) and whole.startswith(TURN_OPEN, cut):
                shared.append((number, places[whole.count(TURN_OPEN, 0, cut)], prompts[number][cut:]))
            else:
                alone.append(number)
    tails = list({tail for _, _, tail in shared})
    sizes = dict(zip(tails, map(len, _encode(tails, tokenizer)), strict=True))
    for number, before, tail in shared:
        counts[number] = before + sizes[tail]
    for number, one in zip(alone, _encode([prompts[number] for number in alone], tokenizer), strict=True):
        counts[number] = len(one)
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
