"""The process a stage runs in: `python -m funreason_train.commands.worker PACKAGE CONFIG RESULT`.

A process of its own, so that a framework's environment variables, memory and crashes stay with its stage.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from ..errors import UserError
from ..run.paths import RunDir, write_json
from ..run.process import end_with_parent


def main(arguments: list[str]) -> int:
    """Runs one stage and writes `{"ok": …}` or `{"error": …, "user": bool}` to RESULT."""
    from omegaconf import DictConfig, OmegaConf

    end_with_parent()
    package, config_path, result_path = arguments[0], Path(arguments[1]), Path(arguments[2])
    config = OmegaConf.load(config_path)
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    stage = importlib.import_module(f"funreason_train.{package}.stage")
    try:
        result = stage.run(config, RunDir.at(config.run_dir))
    except UserError as error:
        write_json(result_path, {"error": str(error), "user": True})
        return 2
    except Exception as error:
        traceback.print_exc()
        write_json(result_path, {"error": f"{type(error).__name__}: {error}", "user": False})
        return 1
    write_json(result_path, {"ok": result})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
