"""rsetboot: choose the boot device, read it back, and never claim what a model is known not to do."""

from collections.abc import Sequence

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.nodes import plan
from tasks.nodes.apply import apply
from tasks.nodes.bmc import IPMI_PORT, Connection, Target, connect
from tasks.nodes.plan import Action
from tasks.nodes.verbs import BootChoice


def rsetboot(cluster: Cluster, words: Sequence[str], *, port: int = IPMI_PORT) -> None:
    """Carry out ``rsetboot NODERANGE DEVICE``: a line a node; `BootmillError` names those that failed."""
    order, actions = plan.rsetboot(words, cluster)
    apply(order, actions, perform, port=port)


def perform(action: Action, target: Target) -> str:
    """Set or tell one node's boot device and return its line."""
    if action.choice is not None and target.quirks.ignores_bootdev:
        return by_hand(action, target)
    with connect(target) as bmc:
        return str(bmc.boot_choice()) if action.choice is None else choose(bmc, action.choice)


def by_hand(action: Action, target: Target) -> str:
    """Return the line for a model whose firmware never looks at the boot device."""
    return f"not set: {action.node.model} ignores its boot device; {target.quirks.note}"


def choose(bmc: Connection, choice: BootChoice) -> str:
    """Set a boot device and return it as the BMC tells it; `BootmillError` where it tells another.

    Whether it is for UEFI is not compared: BMCs drop the bit where the machine has but one kind of firmware.
    """
    bmc.set_boot_choice(choice)
    told = bmc.boot_choice()
    if (told.device, told.persistent) != (choice.device, choice.persistent):
        note = f" ({bmc.target.quirks.note})" if bmc.target.quirks.note else ""
        message = f"{bmc.target} accepted '{choice}', but reads back '{told}'{note}"
        raise BootmillError(message)
    return str(told)
