"""Not on the road, beside it: the inventory's nodes as virtual machines behind the generated files.

    build/etc, build/tftpboot, build/install
              │ (mounted at their real paths)
              ▼
    head node: dhcpd named tftpd nginx ═══ switch ═══ n01 n05 … (QEMU) ◀─ power ─ simulated BMCs
              ▲                                                                       ▲
              └─ `doit rnetboot n01` runs here ─────────────── IPMI ──────────────────┘

Everything lives in namespaces of its own and dies with one process; the host sees build/lab/ and nothing else.
"""

from tasks.actions import TaskDict, command
from tasks.inventory.model import Cluster
from tasks.lab import verbs


def lab(cluster: Cluster) -> TaskDict:
    """Declare `doit lab up|down|status|boot|ssh|console|exec`; it builds nothing: `up` runs what is staged."""
    return command(verbs.lab, args=(cluster,))
