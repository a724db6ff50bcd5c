"""Loaded by verl in every process of a CPU run (`VERL_USE_EXTERNAL_MODULES=…,funreason_train.rl.cpu.plugin`).

Does nothing unless `VERL_PLATFORM=cpu`, so that it cannot touch a GPU run.
"""

from __future__ import annotations

import os

if os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu":
    from ..verl.process import set_group_defaults
    from . import platform  # noqa: F401 - registers the platform

    # verl names the backend "cpu:gloo,<device>:<backend>"; with cpu as the device torch refuses it twice.
    set_group_defaults("gloo")
