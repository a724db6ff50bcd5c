"""One module a format.

A format module either has `convert(row, options) -> Trajectory`, a pure function of one row of a file or hub
data set that raises `RowError` (and `OPTIONS`, its own configuration keys with the values they take), or
`read(config, seed) -> Iterator[Trajectory]`, which makes the conversations itself. `missing()`, if there is
one, says what a format needs and this environment lacks.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ....errors import UserError

#: `format:` in configs/dataset/*.yaml -> the module of this package that reads it.
FORMATS = ("apigen", "funreason_mt", "apigen_mt", "openai", "tasks", "embedded", "bfcl_world")

#: Where those that make conversations live.
_MAKERS = {
    "embedded": "funreason_train.synth.embedded.generate",
    "bfcl_world": "funreason_train.synth.bfcl_world",
}


def source_module(format: str) -> ModuleType:
    """The module that reads `format`.

    Raises:
        UserError: if there is none.
    """
    if format not in FORMATS:
        raise UserError(f"there is no data format '{format}'", mend=f"Formats are {', '.join(FORMATS)}")
    return importlib.import_module(_MAKERS.get(format, f"{__name__}.{format}"))
