"""Each address in a known network, apart from its ends and from the dynamic range.  Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.model import Network, NetworkFinder, Node

Address = IPv4Address | IPv6Address
SHOWN = 8  # networks that a complaint names


class Held(NamedTuple):
    """An address, who has it, and where that is written."""

    address: Address
    owner: str
    path: tuple[str, ...]


class Bounds(NamedTuple):
    """What no machine may have of a subnet, as numbers: its ends, and from where to where the dynamic range goes."""

    ends: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All networks, ready to be asked a hundred thousand times."""

    finder: NetworkFinder[Network]
    bounds: Mapping[tuple[int, str], Bounds]

    def wrong(self, address: Address) -> bool:
        """Return whether anything may be wrong with an address."""
        network = self.finder.find(address)
        if network is None:
            return True
        ends, low, high = self.bounds[address.version, network.name]
        number = int(address)
        return low <= number <= high or number in ends


def plan(tables: Tables) -> Plan:
    """Return the networks, ready to be asked."""
    bounds = {(4, network.name): bound(network.subnet, network.dynamic_range) for network in tables.networks}
    bounds |= {
        (6, network.name): bound(network.subnet6, network.dynamic_range6)
        for network in tables.networks
        if network.subnet6
    }
    return Plan(finder=tables.finder, bounds=bounds)


def bound(subnet: IPv4Network | IPv6Network, dynamic: tuple[Address, Address] | None) -> Bounds:
    """Return a subnet's bounds."""
    low, high = (int(end) for end in dynamic) if dynamic else (1, 0)
    return Bounds(tuple(map(int, ends(subnet))), low, high)


def ends(subnet: IPv4Network | IPv6Network) -> tuple[Address, ...]:
    """Return the addresses of a subnet that no machine has.

    Its own and its broadcast; a /31 and a /32 have neither (RFC 3021).  IPv6 knows no broadcast, and a subnet's own
    address means its routers (RFC 4291 2.6.1), but for a link of two (RFC 6164).
    """
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return ()
    if isinstance(subnet, IPv6Network):
        return (subnet.network_address,)
    return (subnet.network_address, subnet.broadcast_address)


def of_node(node: Node) -> Iterator[Held]:
    """Yield all addresses of a node: its own, its BMC's, those of its other NICs."""
    yield Held(node.ip, node.name, ("ip",))
    if node.bmc:
        yield Held(node.bmc.address, node.bmc.name, ("bmc", "address"))
    if node.ip6:
        yield Held(node.ip6, node.name, ("ip6",))
    for nic in node.nics:
        if nic.ip:
            yield Held(nic.ip, nic.names[0], ("nics", nic.name, "ip"))
        if nic.ip6:
            yield Held(nic.ip6, nic.names[0], ("nics", nic.name, "ip6"))


def addresses(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the addresses that their owners cannot have, NICs on another VLAN than their network, and MACs twice."""
    networks = plan(tables)
    for node in tables.nodes:
        for held in of_node(node):
            if networks.wrong(held.address):
                for text in wrong(tables, held.address):
                    yield marks.place("nodes", node.name, *held.path), held.owner, text
        if node.nics:
            yield from vlans(tables, node, marks)
            yield from shared(tables, node, marks)
    for switch in tables.switches:
        if networks.wrong(switch.ip):
            for text in wrong(tables, switch.ip):
                yield marks.place("switches", switch.name, "ip"), switch.name, text


def wrong(tables: Tables, address: Address) -> Iterator[str]:
    """Yield what is wrong with one address; a network that is itself wrong may hold any."""
    home = tables.finder.find(address)
    if home is None:
        if tables.all_networks:
            named = [(network.name, subnet) for network in tables.networks for subnet in network.subnets]
            known = [f"{name} {subnet}" for name, subnet in named if subnet.version == address.version]
            yield f"{address} is in no network (known: {', '.join(known[:SHOWN]) or 'none'})"
        return
    subnet = home.subnet if address.version == 4 else home.subnet6
    dynamic = home.dynamic_range if address.version == 4 else home.dynamic_range6
    if subnet and address in ends(subnet):
        what = "the network or broadcast address" if address.version == 4 else "the address of all routers"
        yield f"{address} is {what} of {home.name}"
    if dynamic and int(dynamic[0]) <= int(address) <= int(dynamic[1]):
        where = f"{dynamic[0]}-{dynamic[1]} of {home.name}"
        yield f"{address} lies in the dynamic range {where}, which is for unknown machines"


def vlans(tables: Tables, node: Node, marks: Marks) -> Iterator[Mistake]:
    """Yield the NICs that are on another VLAN than the network of their address."""
    for nic in node.nics:
        for address in (nic.ip, nic.ip6):
            home = tables.finder.find(address) if address else None
            if home and home.vlan and nic.vlan and home.vlan != nic.vlan:
                text = f"{nic.name} is on VLAN {nic.vlan}, but {address} is in {home.name}, which is VLAN {home.vlan}"
                yield marks.place("nodes", node.name, "nics", nic.name, "vlan"), node.name, text


def shared(tables: Tables, node: Node, marks: Marks) -> Iterator[Mistake]:
    """Yield the addresses that a MAC has beside another one in the same network.

    A VLAN interface has the MAC of the NIC that it rides on (`check_between.nics`), but DHCP tells two of one wire
    apart by nothing else.
    """
    macs = [mac for mac in (node.mac, *(nic.mac for nic in node.nics)) if mac]
    if len(set(macs)) == len(macs):
        return
    first: dict[tuple[str, int, str], tuple[str, Address]] = {}
    booting = (node.interface or "the booting NIC", node.mac, (node.ip, node.ip6), ())
    others = ((nic.name, nic.mac, (nic.ip, nic.ip6), ("nics", nic.name)) for nic in node.nics)
    for name, mac, both, path in (booting, *others):
        for address in both:
            home = tables.finder.find(address) if address and mac else None
            if home is None or address is None or mac is None:
                continue
            other, there = first.setdefault((mac, address.version, home.name), (name, address))
            if there != address:
                text = f"{name} has {other}'s MAC {mac} and {address} in {home.name}, where {other} has {there} by it"
                mark = marks.place("nodes", node.name, *path, "ip" if address.version == 4 else "ip6")
                yield mark, node.name, f"{text}: DHCP cannot tell them apart"
