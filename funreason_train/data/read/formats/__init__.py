"""One module a format.

A format module has `convert(row, options) -> Trajectory`, a pure function of one row of a file or hub data
set that raises `RowError`; `options` are the keys of the data set (data/read/settings.py).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ....errors import UserError

#: `format:` in configs/dataset/*.yaml -> the module of this package that reads it.
FORMATS = ("apigen", "funreason_mt", "apigen_mt", "openai", "tasks")


def source_module(format: str) -> ModuleType:
    """The module that reads `format`.

    Raises:
        UserError: if there is none.
    """
    if format not in FORMATS:
        raise UserError(f"there is no data format '{format}'", fix=f"Formats are {', '.join(FORMATS)}")
    return importlib.import_module(f"{__name__}.{format}")
