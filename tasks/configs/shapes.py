"""What the menus tell of a node, apart from its name and its MAC: many nodes have the same shape, and one rendering."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import NamedTuple

from tasks.inventory.model import BootState, Cluster, Console, NetworkFinder, Node, OsImage

NAME, MAC = "@name-of-the-node@", "@mac-of-the-node@"  # where a node's own go; no kernel argument holds such a word
DISCOVERY = "@discovery@"  # stands for the discovery images where osimages are listed; no osimage has such a name
# States in which a node loads a kernel of an osimage.
BOOTS_IMAGE = frozenset({BootState.NETBOOT, BootState.SHELL})


class Shape(NamedTuple):
    """What nodes that boot alike have in common; `osimage` is None where the boot state needs none.

    `arch` is that of a node whose boot state is discover: its osimage's, empty where it has none; otherwise None.
    """

    state: BootState
    osimage: str | None
    arch: str | None
    kernel_args: tuple[str, ...]
    console: Console | None
    next_server: IPv4Address


class MenuRow(NamedTuple):
    """A node that has menus."""

    name: str
    mac: str
    shape: Shape


class Served(NamedTuple):
    """Subnets, and where the nodes in them fetch from."""

    subnets: tuple[IPv4Network | IPv6Network, ...]
    next_server: IPv4Address


@dataclass(frozen=True, kw_only=True)
class MenuFrame:
    """Who serves a node its files: by its network, or by itself."""

    networks: tuple[Served, ...]
    service_nodes: tuple[tuple[str, IPv4Address], ...]

    @cached_property
    def finder(self) -> NetworkFinder[Served]:
        """Return what finds an address's network."""
        return NetworkFinder(self.networks)

    @cached_property
    def service(self) -> dict[str, IPv4Address]:
        """Return the service nodes' addresses by their names."""
        return dict(self.service_nodes)

    def next_server(self, node: Node) -> IPv4Address:
        """Return where a node fetches from."""
        if node.service_node in self.service:
            return self.service[node.service_node]
        network = self.finder.find(node.ip)
        if network is None:
            raise KeyError(str(node.ip))
        return network.next_server


def menu_frame(cluster: Cluster) -> MenuFrame:
    """Return what is the same for all nodes."""
    ordered = sorted(cluster.networks, key=lambda network: network.subnet)
    served = tuple(Served(network.subnets, network.next_server) for network in ordered)
    return MenuFrame(networks=served, service_nodes=cluster.service_nodes)


def menu_rows(frame: MenuFrame, nodes: Sequence[Node]) -> tuple[MenuRow, ...]:
    """Return the rows of the nodes that have a MAC."""
    return tuple(MenuRow(node.name, node.mac, shape(frame, node)) for node in nodes if node.mac)


def shape(frame: MenuFrame, node: Node) -> Shape:
    """Return what a node's menus say beside its name and its MAC."""
    boots = node.state in BOOTS_IMAGE
    discovers = node.state is BootState.DISCOVER
    return Shape(
        state=node.state,
        osimage=node.osimage if boots else None,
        arch=arch_of(node) if discovers else None,
        kernel_args=node.kernel_args if boots or discovers else (),
        console=node.console,
        next_server=frame.next_server(node),
    )


def arch_of(node: Node) -> str:
    """Return the architecture that a node's osimage says it has (<os>-<arch>-…), empty where it has none."""
    return node.osimage.split("-")[1] if node.osimage else ""


def images_of(nodes: Sequence[Node]) -> list[str]:
    """Return the osimages that some of these nodes is to load, sorted; then `DISCOVERY` where one is to discover."""
    used = {node.osimage for node in nodes if node.mac and node.osimage and node.state in BOOTS_IMAGE}
    discovers = any(node.mac and node.state is BootState.DISCOVER for node in nodes)
    return [*sorted(name for name in used if name), *([DISCOVERY] if discovers else [])]


def unknown_discover(cluster: Cluster) -> bool:
    """Return whether machines that nobody knows are given an address, and with it the discovery image."""
    return any(network.dhcp and network.dynamic_range for network in cluster.networks)


def used_images(cluster: Cluster, names: set[str]) -> tuple[OsImage, ...]:
    """Return the slices of those netboot osimages that are to be loaded."""
    images = [image for image in cluster.osimages if image.name in names and image.method == "netboot"]
    return tuple(image.only("kernel_args") for image in sorted(images, key=lambda image: image.name))
