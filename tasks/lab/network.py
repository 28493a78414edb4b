"""The wires: a bridge as the switch, a tap per virtual machine, and a namespace for the head node.

    switch namespace                                   head namespace
    br0  <switch and BMC addresses, /32 each>
     ├─ tap0, tap1, …   virtual machines
     └─ uplink ═════════════ veth ═══════════════════▶ eth0  <head node's address/prefix>

The lines are ip-batch commands (ip(8), -batch): one process for a thousand taps.
"""

from pathlib import Path

from tasks import run
from tasks.inventory.model import Cluster

HEAD = "head"
HEAD_NETNS = Path("/run/netns") / HEAD
BRIDGE = "br0"
IPV6 = Path("/proc/sys/net/ipv6/conf")


def tap_name(index: int) -> str:
    """Return the tap of the node with this index.  Not the node's name: interface names end at 15 bytes (IFNAMSIZ)."""
    return f"tap{index}"


def switch_lines(cluster: Cluster) -> list[str]:
    """Return what makes the switch: the bridge, its addresses, the uplink and the taps.

    Addresses are /32 with a route per network, so that the head node's own prefix never competes with them.
    """
    own = {*(switch.ip for switch in cluster.switches), *(node.bmc.address for node in cluster.nodes if node.bmc)}
    return [
        f"link add name {BRIDGE} type bridge forward_delay 0 mcast_snooping 0",
        f"link set {BRIDGE} up",
        "link set lo up",
        *(f"address add {ip}/32 dev {BRIDGE}" for ip in sorted(own)),
        *(f"route add {network.subnet} dev {BRIDGE}" for network in cluster.networks),
        f"link add name uplink type veth peer name eth0 netns {HEAD}",
        f"link set uplink master {BRIDGE}",
        "link set uplink up",
        *tap_lines(cluster),
    ]


def tap_lines(cluster: Cluster) -> list[str]:
    """Return what makes a port of the switch for each node that can be a virtual machine."""
    lines: list[str] = []
    for index, node in enumerate(cluster.nodes):
        if node.mac and node.name != cluster.site.master:
            name = tap_name(index)
            lines += [f"tuntap add dev {name} mode tap", f"link set {name} master {BRIDGE}", f"link set {name} up"]
    return lines


def head_lines(cluster: Cluster) -> list[str]:
    """Return what makes the head node's interface: its address, and the other networks reachable on the same wire."""
    master = cluster.node(cluster.site.master)
    home = cluster.network_of(master.ip)
    others = [network.subnet for network in cluster.networks if network != home]
    return [
        "link set lo up",
        *([f"link set eth0 address {master.mac}"] if master.mac else []),
        f"address add {master.ip}/{home.subnet.prefixlen} broadcast {home.subnet.broadcast_address} dev eth0",
        "link set eth0 up",
        *(f"route add {subnet} dev eth0" for subnet in others),
    ]


def build(cluster: Cluster) -> None:
    """Make both namespaces.  Runs in the supervisor's own, private namespaces; they vanish with it."""
    for scope in ("all", "default"):
        accept_dad = IPV6 / scope / "accept_dad"
        if accept_dad.exists():  # a tentative link-local address cannot send router advertisements (EADDRNOTAVAIL)
            accept_dad.write_text("0\n")
    run.run(["mount", "--types", "tmpfs", "--options", "mode=755", "tmpfs", "/run"])
    run.run(["ip", "netns", "add", HEAD])
    run.run(["ip", "-batch", "-"], stdin="\n".join(switch_lines(cluster)) + "\n")
    run.run(["ip", "-netns", HEAD, "-batch", "-"], stdin="\n".join(head_lines(cluster)) + "\n")
