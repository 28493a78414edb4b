"""Step 7: what changes the world.

words ─ plan ─▶ actions ─ apply ─▶ one process a node ─ bmc ─▶ BMCs
           │      (secrets, quirks)    (fanout)
           └─ nodeset ─▶ inventory/bootstate.yaml ─▶ doit stage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.actions import TaskDict, command

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def nodeset(cluster: Cluster) -> TaskDict:
    """Declare ``nodeset NODERANGE STATE``."""
    return command("tasks.nodes.bootstate:nodeset", args=(cluster,))


def rsetboot(cluster: Cluster) -> TaskDict:
    """Declare ``rsetboot NODERANGE DEVICE``."""
    return command("tasks.nodes.bootdev:rsetboot", args=(cluster,))


def rpower(cluster: Cluster) -> TaskDict:
    """Declare ``rpower NODERANGE VERB``."""
    return command("tasks.nodes.power:rpower", args=(cluster,))


def rnetboot(cluster: Cluster) -> TaskDict:
    """Declare ``rnetboot NODERANGE``."""
    return command("tasks.nodes.netboot:rnetboot", args=(cluster,))
