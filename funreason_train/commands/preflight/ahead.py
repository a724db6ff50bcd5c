"""What can be done before machines are booked: `funreason-train sft tokenise_only=true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import refuse
from ...run.lock import locked
from ...run.paths import RunDir
from ..stages import stage_of
from .hub import settle_models

if TYPE_CHECKING:
    from omegaconf import DictConfig


def tokenise(config: DictConfig, run: RunDir) -> str:
    """Fetches the model where it is a hub id and tokenises the rows of SFT, on this machine.

    Returns:
        What was made, in a sentence.

    Raises:
        UserError: for data and settings that could not be trained on.
    """
    from ...sft.stage import tokenise

    with locked(run):
        refuse(stage_of("sft").problems(config, run))  # before gigabytes are fetched
        settle_models(config, run, ["sft"])
        return f"Tokenised: {tokenise(config, run)}. `sft` with the same settings goes on from there."
