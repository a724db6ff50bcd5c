"""The kinds of failures by the place of the code that failed, where its words do not tell (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .kinds import CONFIGURATION, DATA, ENVIRONMENT, REWARD, Kind

#: Where the code of a traceback lies tells the kind of an error whose words do not; innermost frame first.
PLACES = (
    (
        REWARD,
        re.compile(r"/\w*reward\w*/|/[\w-]*reward[\w-]*\.py|in (?:compute_score|score\w*|\w*reward\w*)$"),
    ),
    (ENVIRONMENT, re.compile(r"/environments?/|/sandbox/|/mcp/|/[\w-]*(?:environment|sandbox|_env)\.py")),
    (DATA, re.compile(r"/data/|/datasets/|/tokens/|pyarrow|[\w-]*(?:dataset|collat|data_?load)[\w-]*\.py")),
    (CONFIGURATION, re.compile(r"/hydra/|/omegaconf/|/pydantic|/hparams/|(?:config|settings|arguments)\.py")),
)


def place_of(frames: Iterable[str]) -> Kind | None:
    """What kind of code an error came out of.

    Args:
        frames: Its traceback's `File "…", line N, in NAME`, innermost last.
    """
    for frame in reversed(list(frames)):
        for kind, pattern in PLACES:
            if pattern.search(_near(frame)):
                return kind
    return None


def _near(frame: str) -> str:
    """The last parts of the file's path, from a slash on, and the function: `/reward/score.py in compare`."""
    path, _, rest = frame.strip().removeprefix('File "').partition('"')
    return f"/{'/'.join(path.split('/')[-3:])} in {rest.rpartition(' in ')[2].strip()}"
