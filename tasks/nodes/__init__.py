"""Step 7: what changes the world.

    words ─ plan ─▶ actions ─ apply ─▶ one process a node ─ bmc ─▶ BMCs
               │      (secrets, quirks)    (fanout)
               └─ nodeset ─▶ inventory/bootstate.yaml ─▶ doit stage

The functions behind the commands are imported when they are called: pyghmi's 60 ms belong to those who switch nodes.
"""

from tasks.actions import TaskDict, command
from tasks.inventory.model import Cluster


def nodeset(cluster: Cluster) -> TaskDict:
    """Declare ``nodeset NODERANGE STATE``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.nodes.bootstate import nodeset

        nodeset(cluster, words)

    return command(run, args=(cluster,))


def rsetboot(cluster: Cluster) -> TaskDict:
    """Declare ``rsetboot NODERANGE DEVICE``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.nodes.bootdev import rsetboot

        rsetboot(cluster, words)

    return command(run, args=(cluster,))


def rpower(cluster: Cluster) -> TaskDict:
    """Declare ``rpower NODERANGE VERB``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.nodes.power import rpower

        rpower(cluster, words)

    return command(run, args=(cluster,))


def rnetboot(cluster: Cluster) -> TaskDict:
    """Declare ``rnetboot NODERANGE``."""

    def run(cluster: Cluster, words: list[str]) -> None:
        from tasks.nodes.netboot import rnetboot

        rnetboot(cluster, words)

    return command(run, args=(cluster,))
