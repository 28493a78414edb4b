"""rnetboot: nodeset netboot, rsetboot net, rpower boot; each node stops at its first failure, the others go on."""

from collections.abc import Sequence

from tasks.inventory.model import BootState, Cluster
from tasks.nodes import bootdev, bootstate, plan, power
from tasks.nodes.apply import apply
from tasks.nodes.bmc import IPMI_PORT, Target, connect
from tasks.nodes.plan import Action


def rnetboot(cluster: Cluster, words: Sequence[str], *, port: int = IPMI_PORT) -> None:
    """Carry out ``rnetboot NODERANGE``: what they boot is staged before a node is switched."""
    order, actions = plan.rnetboot(words, cluster)
    bootstate.change(order, BootState.NETBOOT)
    apply(order, actions, perform, port=port)


def perform(action: Action, target: Target) -> str:
    """Point one node to the network and start it, in one session; returns its line: ``net, reset``."""
    assert action.choice is not None
    assert action.verb is not None
    with connect(target) as bmc:
        if target.quirks.ignores_bootdev:
            return f"{power.switch(bmc, action.verb)}; boot device {bootdev.by_hand(action, target)}"
        return f"{bootdev.choose(bmc, action.choice)}, {power.switch(bmc, action.verb)}"
