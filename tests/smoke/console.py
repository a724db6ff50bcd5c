"""The environment in which launch scripts find this checkout's command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def console_environment(tmp_path: Path) -> dict[str, str]:
    """This process's environment with a `funreason-train` that runs this checkout, whatever is installed."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    console = tools / "funreason-train"
    console.write_text(f'#!/bin/sh\nexec {sys.executable} -m funreason_train "$@"\n')
    console.chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "FUNREASON_BOOTSTRAP": "skip"}
