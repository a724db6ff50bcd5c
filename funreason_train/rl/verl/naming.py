"""Names of a run's own: its variables, and sockets in /tmp that no other run on the machine has.

Imports nothing of verl: the driver reads these names before it sets what verl looks at when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

#: What the names of a run's sockets hold, the same in all its processes.
TOKEN = "FUNREASON_SOCKETS"
#: Seconds that a collective may wait for the slowest process; from `rl.collective_timeout`.
TIMEOUT = "FUNREASON_COLLECTIVE_SECONDS"


def own(handle: str, environ: Mapping[str, str] = os.environ) -> str:
    """A socket's name with what this run alone has: `ipc:///tmp/NAME.sock` becomes `ipc:///tmp/NAME-TOKEN.sock`.

    Args:
        handle: As verl names it, after Ray's job: every Ray cluster calls its first job `01000000`, so two
            runs on one machine would meet at the same socket.
        environ: Where `TOKEN` is looked up; without it the name stays.
    """
    token = environ.get(TOKEN)
    head, dot, ending = handle.rpartition(".")
    return f"{head}-{token}{dot}{ending}" if token else handle
