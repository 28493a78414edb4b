"""The slices of the model that the files of this step depend on.

A renderer sees its slice and nothing else, and is run again only when the slice changes: an edited MAC is in `Client`
and `MenuNode`, not in `Record`, so it rebuilds dhcpd.conf and that node's menus but neither the hosts file nor a zone.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from tasks import paths
from tasks.inventory.model import BootState, Cluster, Console, Firmware, Netboot, Node, OsImage

# States in which a node loads a kernel of an osimage.
BOOTS_IMAGE = frozenset({BootState.NETBOOT, BootState.SHELL})


@dataclass(frozen=True, kw_only=True)
class Record:
    """A machine that has a name and an address: what hosts(5) and the zones tell about it."""

    name: str
    aliases: tuple[str, ...]
    ip: IPv4Address


@dataclass(frozen=True, kw_only=True)
class Client:
    """A machine that dhcpd knows by its MAC."""

    name: str
    mac: str
    ip: IPv4Address
    firmware: Firmware
    netboot: Netboot
    next_server: IPv4Address
    ipxe_script: str  # below the TFTP root


@dataclass(frozen=True, kw_only=True)
class MenuNode:
    """A machine that has menus.  `osimage` is None where the boot state needs none or the inventory names none."""

    name: str
    mac: str
    state: BootState
    osimage: str | None
    kernel_args: tuple[str, ...]
    console: Console | None
    next_server: IPv4Address
    pxelinux: str  # the names of its menus below the TFTP root
    grub: str
    ipxe: str


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts n2 before n10; equal numbers with different padding stay apart."""
    return tuple((int(part), part) if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name))


def records(cluster: Cluster) -> tuple[Record, ...]:
    """Return every name of the cluster: nodes, then their BMCs, then switches, each in natural order."""
    nodes = [Record(name=node.name, aliases=node.aliases, ip=node.ip) for node in cluster.nodes]
    bmcs = [Record(name=node.bmc.name, aliases=(), ip=node.bmc.address) for node in cluster.nodes if node.bmc]
    switches = [Record(name=switch.name, aliases=(), ip=switch.ip) for switch in cluster.switches]
    return tuple(record for group in (nodes, bmcs, switches) for record in sorted(group, key=lambda r: natural(r.name)))


def subnets(cluster: Cluster) -> tuple[IPv4Network, ...]:
    """Return the subnets in the order of their addresses."""
    return tuple(sorted(network.subnet for network in cluster.networks))


def client(cluster: Cluster, node: Node) -> Client:
    """Return what dhcpd must know of a node that has a MAC."""
    assert node.mac is not None
    return Client(
        name=node.name,
        mac=node.mac,
        ip=node.ip,
        firmware=node.firmware,
        netboot=node.netboot,
        next_server=cluster.network_of(node.ip).next_server,
        ipxe_script=paths.menu_names(node)["ipxe"],
    )


def menu_node(cluster: Cluster, node: Node) -> MenuNode:
    """Return what the menus must know of a node that has a MAC."""
    assert node.mac is not None
    boots = node.state in BOOTS_IMAGE
    names = paths.menu_names(node)
    return MenuNode(
        name=node.name,
        mac=node.mac,
        state=node.state,
        osimage=node.osimage if boots else None,
        kernel_args=node.kernel_args if boots else (),
        console=node.console,
        next_server=cluster.network_of(node.ip).next_server,
        pxelinux=names["pxelinux"],
        grub=names["grub"],
        ipxe=names["ipxe"],
    )


def used_images(cluster: Cluster) -> tuple[OsImage, ...]:
    """Return the slices of those netboot osimages that some node is to load."""
    used = {node.osimage for node in cluster.booting() if node.state in BOOTS_IMAGE}
    images = [image for image in cluster.osimages if image.name in used and image.method == "netboot"]
    return tuple(image.only("kernel_args") for image in sorted(images, key=lambda image: image.name))
