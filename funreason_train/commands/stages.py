"""The stages in the order of a run. Each is imported when it is asked for: help and settings need none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import UserError
from ..run.stage import Stage


def _synth() -> Stage:
    from ..synth.stage import STAGE

    return STAGE


def _data() -> Stage:
    from ..data.stage import STAGE

    return STAGE


def _sft() -> Stage:
    from ..sft.stage import STAGE

    return STAGE


def _rl() -> Stage:
    from ..rl.stage import STAGE

    return STAGE


def _export() -> Stage:
    from ..export.stage import STAGE

    return STAGE


def _eval() -> Stage:
    from ..evaluate.stage import STAGE

    return STAGE


STAGES: Mapping[str, Callable[[], Stage]] = {
    "synth": _synth,
    "data": _data,
    "sft": _sft,
    "rl": _rl,
    "export": _export,
    "eval": _eval,
}


def stage_of(name: str, where: str | None = None) -> Stage:
    """The stage called `name`.

    Raises:
        UserError: if there is none; `where` is the setting that named it.
    """
    if name not in STAGES:
        raise UserError(f"there is no stage '{name}'", where=where, fix=f"The stages are {', '.join(STAGES)}")
    return STAGES[name]()
