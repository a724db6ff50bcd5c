"""Where training runs: device profiles, Ray bring-up, and what each node has to be told.

Knows no data and no stage.
"""

from .connect import connect
from .environment import forwarded
from .profile import Profile, gpu_problem
from .topology import node_commands

__all__ = ["Profile", "connect", "forwarded", "gpu_problem", "node_commands"]
