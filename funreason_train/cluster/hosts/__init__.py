"""Several hosts on one machine, for a rehearsal of what a cluster does.

- `host`: what a host is, and how its processes are ended
- `namespaces`: hosts with a network, processes, shared memory and a name of their own (Linux, root or user
  namespaces)
- `loopback`: where that is not permitted, hosts that only have an address of their own, 127.77.0.N
"""

from .host import Host, HostsError
from .loopback import LoopbackHosts
from .namespaces import NamespaceHosts, enter_rack, why_not

__all__ = ["Host", "HostsError", "LoopbackHosts", "NamespaceHosts", "enter_rack", "why_not"]
