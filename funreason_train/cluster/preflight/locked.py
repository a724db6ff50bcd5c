"""The versions that a device's lock asks for."""

from __future__ import annotations

import re
from pathlib import Path

from .facts import PACKAGES

_LOCKS = Path(__file__).resolve().parents[3] / "requirements"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
#: Device -> its lock. The same device is called `cuda` in the configuration.
_FILES = {"cpu": "cpu.lock", "cuda": "gpu.lock"}


def locked_versions(device: str, folder: Path = _LOCKS) -> dict[str, str]:
    """The locked versions of the packages that have to be the same everywhere.

    Args:
        device: `cpu` or `cuda`.
        folder: Where the locks are.

    Returns:
        Name -> version; empty where there is no lock, as in an installation without the repository.
    """
    try:
        text = (folder / _FILES[device]).read_text(encoding="utf-8")
    except OSError:
        return {}
    return {name: version for name, version in _PIN.findall(text) if name in PACKAGES}
