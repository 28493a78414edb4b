"""Not on the road, beside it: the inventory's nodes as virtual machines behind the generated files.

    build/etc, build/tftpboot, build/install
              │ (mounted at their real paths)
              ▼
    head node: dhcpd named tftpd nginx ═══ switch ═══ n01 n05 … (QEMU) ◀─ power ─ simulated BMCs
              ▲                                                                       ▲
              └─ `doit rnetboot n01` runs here ─────────────── IPMI ──────────────────┘

Everything lives in namespaces of its own and dies with one process; the host sees build/lab/ and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.actions import TaskDict, command

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def lab(cluster: Cluster) -> TaskDict:
    """Declare `doit lab up|down|status|boot|ssh|console|exec`; it builds nothing: `up` runs what is staged."""
    return command("tasks.lab.verbs:lab", args=(cluster,))
