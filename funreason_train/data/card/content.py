"""What a data card says, gathered from a finished run; how it looks is the writers' matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...calls.markers import THINK_OPEN
from ...dialogue import QWEN_CHAT_TEMPLATE, Trajectory, render_prompt, render_target
from ...pages.histogram import Histogram, histogram
from ..measure.lengths import TURN_CLOSE, TURN_OPEN
from ..read.rows import REASONS, flag_meaning
from ..rejected import Rejected
from ..spool import Kept
from ..steps import cut

_EXAMPLES = 10
_SETTINGS = (
    *("dedup", "near_threshold", "decontaminate", "decontaminate_ngram", "decontaminate_share", "val_share"),
    *("max_prompt_tokens", "max_target_tokens", "overlong", "max_dropped_share", "parity"),
    *("wrong_types", "max_rejected_share"),
)

#: What else a ledger counts, by its field, and what that means.
_COUNTED = {
    ("absorbed", "absorbed"): "rows that are beginnings of others, whose steps are trained on there",
    (
        "steps_dropped",
        "untrained",
    ): "responses that are history alone (weight 0, or never a target)",
    ("steps_dropped", "shared"): "responses that another row with the same beginning trains on",
    ("augmented", "irrelevance"): "conversations added whose question no offered tool answers",
    ("augmented", "irrelevance_tools_left_out"): "tools left out of these, as they might have answered",
    ("augmented", "irrelevance_skipped"): "conversations not added, as no other tool was left",
    ("augmented", "distractors"): "conversations that offer tools of others as well",
    ("augmented", "mask_names"): "conversations whose names say nothing",
    ("augmented", "shuffle_tools"): "conversations whose tools are in random order",
    ("rows_missing", "train"): "training conversations fewer than the source's rows asks for",
    ("rows_missing", "val"): "validation conversations fewer than the source's rows asks for",
}


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: In the configuration.
        format: How it is read.
        origin: The path or hub id it was read from; `generated` for what this project makes.
        licence: As the configuration states it.
        account: Its account in `ledger.json`.
    """

    name: str
    format: str
    origin: str
    licence: str
    account: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """The origin without the folders of this machine."""
        return Path(self.origin).name if self.origin.startswith((".", "/", "~")) else self.origin


@dataclass(frozen=True)
class Example:
    """One training example as the model sees it.

    Attributes:
        id: The step's id.
        source: The data set's name.
        prompt: (role, text) of each message of the rendered prompt, without the chat template's markers.
        supervised: What the loss covers, from `<think>` to the end of the turn, token by token; one piece for
            all of it where no tokenizer is there.
        prompt_tokens: Tokens without loss; None where no tokenizer is there.
        tools: How many are offered.
    """

    id: str
    source: str
    prompt: tuple[tuple[str, str], ...]
    supervised: tuple[str, ...]
    prompt_tokens: int | None
    tools: int


@dataclass(frozen=True)
class Card:
    """Everything that stands on a card.

    Attributes:
        title: Its heading.
        figures: (name, value) of what matters most.
        sources: The data sets.
        rejected: (reason, its meaning, source -> rows).
        noted: (flag, its meaning, source -> rows kept), then what else the ledger counts.
        histograms: Lengths, calls and turns.
        settings: (key, value) of what decided about rows.
        examples: Ten training examples.
        tokenizer: What counted the tokens; None if nothing did.
        refused: Rejected rows to look at, some of every reason.
    """

    title: str
    figures: tuple[tuple[str, str], ...]
    sources: tuple[Source, ...]
    rejected: tuple[tuple[str, str, Mapping[str, int]], ...]
    noted: tuple[tuple[str, str, Mapping[str, int]], ...]
    histograms: tuple[Histogram, ...]
    settings: tuple[tuple[str, str], ...]
    examples: tuple[Example, ...]
    tokenizer: str | None
    refused: tuple[Rejected, ...] = ()


def collect(
    config: Mapping[str, Any],
    ledger: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, int]],
    exported: Mapping[str, Sequence[Kept]],
    shown: Sequence[Example],
    tokenizer: str | None,
    refused: Sequence[Rejected] = (),
) -> Card:
    """Gathers a card.

    Args:
        config: The whole configuration.
        ledger: As in `ledger.json`.
        rows: Export (`sft`, `rl`) -> side -> rows.
        exported: Side -> its conversations, each as often as it stands there.
        shown: See `examples`.
        tokenizer: Where the tokenizer came from; None if lengths were not measured.
        refused: Rejected rows to look at.
    """
    data = config["data"]
    sources = tuple(_source(name, data[name], ledger[name]) for name in data["datasets"])
    reasons = {("rejected", reason): meaning for reason, meaning in REASONS.items()}
    flags = {("flags", flag): flag_meaning(flag) for flag in _named(sources, "flags")}
    repairs = {
        ("repairs", kind): "arguments converted to the declared type" for kind in _named(sources, "repairs")
    }
    names = [one.name for one in sources]
    by_source: dict[str, list[Kept]] = {name: [] for name in names}
    for one in (*exported["train"], *exported["val"]):
        by_source[one.source].append(one)
    steps = {
        name: [one.lengths[number] for one in some if one.lengths for number in one.trained]
        for name, some in by_source.items()
    }
    made = (
        histogram("Prompt length", "tokens", {name: [prompt for prompt, _ in steps[name]] for name in names}),
        histogram("Target length", "tokens", {name: [target for _, target in steps[name]] for name in names}),
        histogram(
            "Calls per turn", "calls", {n: [sum(t) for one in by_source[n] for t in one.calls] for n in names}
        ),
        histogram(
            "Turns per conversation", "turns", {n: [len(one.calls) for one in by_source[n]] for n in names}
        ),
    )
    train, val = (
        sum(one.lengths[number][1] for one in exported[side] if one.lengths for number in one.trained)
        for side in ("train", "val")
    )
    figures = [
        ("conversations", f"{len(exported['train']):,} + {len(exported['val']):,} val"),
        ("rejected", f"{sum(sum(one.account['rejected'].values()) for one in sources):,}"),
        ("SFT rows", f"{rows['sft']['train']:,} + {rows['sft']['val']:,} val"),
        ("RL prompts", f"{rows['rl']['train']:,} + {rows['rl']['val']:,} val"),
    ]
    if tokenizer is not None:
        figures.append(("supervised tokens", f"{train:,} + {val:,} val"))
    chosen = {key: data[key] for key in _SETTINGS if key in data}
    settings = {
        **chosen,
        "seed": config["seed"],
        **{f"protocol.{k}": v for k, v in config["protocol"].items()},
    }
    return Card(
        "Data card: " + ", ".join(names),
        tuple(figures),
        sources,
        _counts(sources, reasons),
        _counts(sources, flags | repairs | _COUNTED),
        tuple(one for one in made if one is not None),
        tuple((key, str(value)) for key, value in settings.items()),
        tuple(shown),
        tokenizer,
        tuple(refused),
    )


def _counts(
    sources: Sequence[Source], meanings: Mapping[tuple[str, str], str]
) -> tuple[tuple[str, str, Mapping[str, int]], ...]:
    """(what, its meaning, source -> count) of what any source has, by field of the ledger and key there."""
    found = []
    for (place, key), meaning in meanings.items():
        counts = {one.name: _count(one.account[place], key) for one in sources}
        if any(counts.values()):
            found.append((f"{place}.{key}" if place == "rows_missing" else key, meaning, counts))
    return tuple(found)


def _count(counted: int | Mapping[str, int], key: str) -> int:
    return counted if isinstance(counted, int) else counted.get(key, 0)


def _named(sources: Sequence[Source], place: str) -> list[str]:
    """What the accounts name in a field of theirs."""
    return sorted({key for one in sources for key in one.account[place]})


def _source(name: str, node: Mapping[str, Any], account: Mapping[str, Any]) -> Source:
    origin = str(node.get("path") or "generated")
    return Source(name, str(node["format"]), origin, str(node.get("licence") or "not stated"), account)


def choose(kept: Sequence[Kept], seed: int) -> list[Kept]:
    """Conversations to show: ten, from each source in turn, drawn by hash.

    Args:
        kept: Conversations of the training side; one may stand there more than once.
        seed: Another seed draws others.
    """
    queues: dict[str, list[Kept]] = {}
    for one in kept:
        queues.setdefault(one.source, []).append(one)

    def rank(one: Kept) -> bytes:
        return blake2b(f"{seed}\0card\0{one.source}\0{one.key}\0{one.id}".encode(), digest_size=8).digest()

    ranked = [
        sorted({id(one): one for one in some}.values(), key=rank)[:_EXAMPLES] for some in queues.values()
    ]
    turns = [some[number] for number in range(_EXAMPLES) for some in ranked if number < len(some)]
    return turns[:_EXAMPLES]


def examples(
    chosen: Sequence[tuple[Kept, Trajectory]], protocol: Mapping[str, Any], tokenizer: Any | None, seed: int
) -> list[Example]:
    """Renders one step of each conversation as SFT trains on it.

    Args:
        chosen: Conversations, as `choose` draws them, read from the spool.
        protocol: The node `protocol` of the configuration.
        tokenizer: A loaded tokenizer; None shows the prompt in the project's own template, without tokens.
        seed: Decides which step is shown.
    """
    found = []
    for kept, trajectory in chosen:
        cuts = cut(trajectory, protocol)
        draw = blake2b(f"{seed}\0step\0{kept.source}\0{kept.id}".encode(), digest_size=8).digest()
        step = cuts[kept.trained[int.from_bytes(draw, "big") % len(kept.trained)]].shown
        template = QWEN_CHAT_TEMPLATE if tokenizer is None else tokenizer
        prompt = render_prompt(step.messages, template, merged=True).removesuffix(THINK_OPEN)
        target = f"{THINK_OPEN}{render_target(step.thought, step.answer)}{TURN_CLOSE}\n"
        pieces: tuple[str, ...] = (target,)
        before = None
        if tokenizer is not None:
            pieces = _pieces(target, tokenizer)
            before = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        found.append(Example(step.id, step.source, _messages(prompt), pieces, before, len(trajectory.tools)))
    return found


def _pieces(text: str, tokenizer: Any) -> tuple[str, ...]:
    """A text token by token; a token that ends within a character is shown with the next one."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    ends = sorted({end for _, end in offsets if end} | {len(text)})
    starts = [0, *ends[:-1]]
    return tuple(text[start:end] for start, end in zip(starts, ends, strict=True))


def _messages(prompt: str) -> tuple[tuple[str, str], ...]:
    """The messages of a rendered prompt; all of it in one if it is not in Qwen's form."""
    if not prompt.startswith(TURN_OPEN):
        return (("prompt", prompt),)
    found = []
    for part in prompt.split(TURN_OPEN)[1:]:
        role, _, text = part.partition("\n")
        if text:  # the last one is the generation prompt
            found.append((role, text.removesuffix("\n").removesuffix(TURN_CLOSE)))
    return tuple(found)
