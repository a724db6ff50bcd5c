"""Which python holds which bfcl-eval: the main environment, or one of its own for an older version."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from ...errors import UserError
from .encoder import installed

VERSIONS = ("2026.3.23", "2025.8.25")
"""The one locked with the frameworks, and the one whose data the paper was scored on."""

FOLDER = "FUNREASON_BFCL_ENVS"
"""The variable that names the folder for other versions' environments."""

_SCRIPT = Path(__file__).resolve().parents[3] / "launch" / "bfcl_env.sh"


def check_version(version: str) -> None:
    """Whether there is such a version at all.

    Raises:
        UserError: there is not.
    """
    if version not in VERSIONS:
        raise UserError(f"there is no bfcl-eval {version} here", fix=f"Use one of {', '.join(VERSIONS)}")


def python_of(version: str) -> str:
    """The interpreter of the environment that holds a version; makes that environment if need be.

    Raises:
        UserError: there is no such version, or it cannot be installed.
    """
    check_version(version)
    try:
        if importlib.metadata.version("bfcl-eval") == version:
            return sys.executable
    except importlib.metadata.PackageNotFoundError:
        pass
    if version == VERSIONS[0]:
        raise UserError(
            f"bfcl-eval {version} is not installed in this environment",
            where=sys.prefix,
            fix="Install the locked environment with launch/bootstrap.sh",
        )
    # Whoever has what memory_vector needs here has it there as well, by a lock of its own.
    kind = f"{version}-memory" if installed() else version
    folder = environments_folder() / f"bfcl-{kind}"
    if not _SCRIPT.is_file():
        raise UserError(
            f"bfcl-eval {version} needs an environment of its own, which a checkout of the repository makes",
            where=str(_SCRIPT),
            fix="Run the evaluation from a checkout",
        )
    made = subprocess.run(["bash", str(_SCRIPT), kind, str(folder)], stdout=subprocess.PIPE, text=True)
    if made.returncode:
        raise UserError(
            f"the environment of bfcl-eval {version} could not be made (the message is above)",
            where=str(folder),
            fix=f"Fix that and run this again, or name another folder with {FOLDER}",
        )
    return made.stdout.strip().splitlines()[-1]


def environments_folder() -> Path:
    """Where other versions' environments lie: beside ours, or in the user's cache if that is not our own."""
    if named := os.environ.get(FOLDER):
        return Path(named).expanduser().absolute()
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / ".bfcl"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "funreason-train"
