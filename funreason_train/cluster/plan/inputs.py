"""What a plan has to know of a model and of data that may not be there yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError
from .families import Unplanned, shape_in
from .shape import Shape, known

if TYPE_CHECKING:
    from omegaconf import DictConfig


def shape_of(config: DictConfig, name: str) -> tuple[Shape | None, tuple[str, ...]]:
    """The sizes of a model and what was assumed; or None, and why the sizes are not known.

    Args:
        config: With `model`, whose sizes count where that has no path.
        name: A folder, a hub id, or a folder that an earlier stage has yet to make, which then has the sizes
            of the run's base model.
    """
    file = Path(name).expanduser() / "config.json"
    if file.is_file():
        try:
            return shape_in(json.loads(file.read_text(encoding="utf-8")))
        except Unplanned as error:
            return None, (f"{file} {error}",)
        except (OSError, ValueError, RecursionError) as error:
            return None, (f"{file} cannot be read ({error!s:.100})",)
    if found := known(name):
        return found, ()
    base = config.model.path
    if base:
        if str(base) == name:
            return None, (f"the sizes of {name} are not known before its config.json is here",)
        found, told = shape_of(config, str(base))
        assumed = f"the model to start from is not there yet: {base}'s sizes are taken"
        return found, told if found is None else (assumed, *told)
    model = config.model
    return (
        Shape(
            layers=int(model.layers),
            hidden=int(model.hidden_size),
            intermediate=int(model.intermediate_size),
            heads=int(model.heads),
            kv_heads=int(model.heads),
            head_dim=int(model.head_dim),
            vocab=int(model.vocab_size),
            tied=bool(model.tie_embeddings),
            qk_norm=True,
        ),
        (),
    )


def refuse_above(told: float | None, key: str, limit: int | None, setting: str) -> None:
    """Refuses a mean length that no data within the limits can have.

    Args:
        told: The mean; None if the user has told none.
        key: Of the section `plan`.
        limit: Most tokens; None without a limit.
        setting: Which says so.

    Raises:
        UserError: the mean is above the limit.
    """
    if told is not None and limit is not None and told > limit:
        raise UserError(
            f"a mean cannot be above the limit ({setting}={limit})",
            where=f"plan.{key}={told:g}",
            fix="Tell a smaller one, or raise the limit",
        )


@dataclass(frozen=True)
class Tokens:
    """Lengths that the data stage measured.

    Attributes:
        mean: Tokens of a row.
        longest: At most, since the longest prompt and the longest target may be of different rows.
        learned: Share of a row's tokens that something is learned from.
        prompt: Tokens of a prompt on average.
        target: Tokens of a target on average.
        longest_prompt: Tokens of the longest prompt.
    """

    mean: float
    longest: int
    learned: float
    prompt: float
    target: float
    longest_prompt: int


def token_statistics(ledger: Path) -> Tokens | None:
    """The lengths in a `ledger.json`, over all sources; None if there is none or it measured nothing."""
    try:
        sources = json.loads(ledger.read_text(encoding="utf-8"))
        parts = [(one["steps"], one["tokens"]) for one in sources.values() if one["steps"]]
        steps = sum(count for count, _ in parts)
        prompt = sum(count * tokens["prompt"]["mean"] for count, tokens in parts) / steps
        target = sum(count * tokens["target"]["mean"] for count, tokens in parts) / steps
        longest = max(tokens["prompt"]["max"] + tokens["target"]["max"] for _, tokens in parts)
        long_prompt = int(max(tokens["prompt"]["max"] for _, tokens in parts))
        return Tokens(prompt + target, int(longest), target / (prompt + target), prompt, target, long_prompt)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, AttributeError):
        return None
