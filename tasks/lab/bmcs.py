"""Which simulated BMC stands for which node: the faults of its model, and the machine behind its power switch."""

from tasks.inventory.model import Bmc, Node
from tasks.lab import bmc
from tasks.lab.bmc import BmcServer, BootDevice, Faults
from tasks.lab.machine import Machine

# How real models deviate, so that the laboratory asks of Bootmill what the machine room asks.
FAULTS = {
    "PE 860": Faults(ipmi20=False, authtype_none_replies=True, ignores_boot_device=True),
}


async def start(node: Node, controller: Bmc, *, driver: Machine, password: str) -> BmcServer:
    """Answer for a node's BMC on its own address; the machine asks it at each power-on what to boot from."""
    server = BmcServer(
        name=controller.name,
        address=controller.address,
        user=controller.user,
        password=password,
        driver=driver,
        faults=FAULTS.get(node.model, Faults()),
    )
    driver.network_first = lambda: server.take_boot_device() is BootDevice.NET
    await bmc.serve(server)
    return server
