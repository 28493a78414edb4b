"""Who is called what at which address: the slice that the hosts file and the zones tell.

    Node ─ named ─▶ Named: names and addresses of its interfaces and of its BMC
    Network ─ domains ─▶ Domains: the domain of an address

Addresses are numbers here: a large site has a hundred thousand, and nothing is made of one but text.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from socket import AF_INET6, inet_ntop
from typing import NamedTuple

from tasks.inventory.model import Cluster, Network, Node, Switch

OCTETS = tuple(map(str, range(256)))
BLOCK4, BLOCK6 = 8, 64  # the last bits of an address: those that differ in them only mostly lie in one network


class Interface(NamedTuple):
    """A network interface: its host names, the canonical one first, and its addresses."""

    names: tuple[str, ...]
    ip: int | None
    ip6: int | None


class Named(NamedTuple):
    """A node's names and addresses.  The first interface is the one that boots; a BMC is one more machine."""

    name: str
    aliases: tuple[str, ...]
    ip: int
    ip6: int | None
    nics: tuple[Interface, ...]
    bmc: tuple[str, int] | None


def named(nodes: Sequence[Node]) -> tuple[Named, ...]:
    """Return the nodes' names and addresses, in the order of the nodes."""
    return tuple(
        Named(
            node.name,
            node.aliases,
            int(node.ip),
            None if node.ip6 is None else int(node.ip6),
            interfaces(node) if node.nics else (),
            None if node.bmc is None else (node.bmc.name, int(node.bmc.address)),
        )
        for node in nodes
    )


def interfaces(node: Node) -> tuple[Interface, ...]:
    """Return a node's further interfaces, those that have an address."""
    return tuple(
        Interface(
            names=nic.names,
            ip=None if nic.ip is None else int(nic.ip),
            ip6=None if nic.ip6 is None else int(nic.ip6),
        )
        for nic in node.nics
        if nic.names and (nic.ip or nic.ip6)
    )


def of_switch(switch: Switch) -> Named:
    """Return a switch's name and address."""
    return Named(switch.name, (), int(switch.ip), None, (), None)


# -- domains ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Domains:
    """Which domain names have: that of the network that their address lies in, else the site's.

    `others` are the networks with a domain of their own: (4 or 6, first address, last address, domain).
    """

    default: str
    others: tuple[tuple[int, int, int, str], ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return all domains, the site's first."""
        return (self.default, *sorted({domain for *_, domain in self.others} - {self.default}))

    @cached_property
    def sorted_others(self) -> list[tuple[int, int, int, str]]:
        """Return the networks in the order of their addresses; those of a checked inventory do not overlap."""
        return sorted(self.others)

    def of(self, version: int, number: int) -> str:
        """Return the domain of the names at an address."""
        index = bisect_right(self.sorted_others, (version, number + 1)) - 1
        if index >= 0:
            family, _, last, domain = self.sorted_others[index]
            if family == version and number <= last:
                return domain
        return self.default

    def finest(self, version: int, bits: int) -> int:
        """Return how many last bits of an address never decide about its domain; `bits` at most."""
        sizes = [(last - first).bit_length() for family, first, last, _ in self.others if family == version]
        return min([bits, *sizes])


def domains(cluster: Cluster) -> Domains:
    """Return the domains of a cluster's networks."""
    default = cluster.site.domain
    others = [found for network in cluster.networks for found in own_domain(network) if found[-1] != default]
    return Domains(default=default, others=tuple(others))


def own_domain(network: Network) -> Iterator[tuple[int, int, int, str]]:
    """Yield where a network's own domain holds."""
    if network.domain is not None:
        for subnet in network.subnets:
            yield subnet.version, int(subnet.network_address), int(subnet.broadcast_address), network.domain


# -- text ------------------------------------------------------------------------------------------------------------


def dotted4(number: int) -> str:
    """Return an IPv4 address as text."""
    return str(IPv4Address(number))


def text6(number: int) -> str:
    """Return an IPv6 address as text (RFC 5952); the C library is ten times as fast as `ipaddress`."""
    return inet_ntop(AF_INET6, number.to_bytes(16))
