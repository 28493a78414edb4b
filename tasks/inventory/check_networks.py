"""Networks beside each other, and what they name inside of themselves.  Pure."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tasks.inventory.check_addresses import ends
from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.model import Network

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


def networks(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is wrong with networks: ranges and gateways outside, overlaps, two VLANs on one wire."""
    for network in tables.networks:
        yield from inside(network, marks, "", network.subnet, network.gateway, network.dynamic_range)
        if network.subnet6:
            yield from inside(network, marks, "6", network.subnet6, network.gateway6, network.dynamic_range6)
        else:
            for attribute in ("gateway6", "dynamic_range6", "next_server6"):
                if getattr(network, attribute) is not None:
                    mark = marks.place("networks", network.name, attribute)
                    yield mark, network.name, f"{attribute} without subnet6: which addresses has it?"
        yield from relay(network, tables, marks)
    yield from overlaps(tables, marks)
    yield from wires(tables, marks)


def inside(
    network: Network,
    marks: Marks,
    family: str,
    subnet: Subnet,
    gateway: Address | None,
    dynamic: tuple[Address, Address] | None,
) -> Iterator[Mistake]:
    """Yield what is no host address of a network although it names it."""
    usual6 = gateway is not None and gateway.version == 6 and gateway.is_link_local  # what most routers announce
    if gateway is not None and not usual6 and (gateway not in subnet or gateway in ends(subnet)):
        mark = marks.place("networks", network.name, f"gateway{family}")
        yield mark, network.name, f"gateway{family} {gateway} is no host address of {subnet}"
    mark = marks.place("networks", network.name, f"dynamic_range{family}")
    for end in dynamic or ():
        if end not in subnet or end in ends(subnet):
            yield mark, network.name, f"the dynamic range's {end} is no host address of {subnet}"
    if dynamic and gateway is not None and int(dynamic[0]) <= int(gateway) <= int(dynamic[1]):
        text = f"the dynamic range {dynamic[0]}-{dynamic[1]} holds the gateway {gateway}, which has its owner"
        yield mark, network.name, text


def relay(network: Network, tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield a relay agent that is on no wire of its network: DHCP tells by its address where a request is from."""
    if network.relay is None:
        return
    mark = marks.place("networks", network.name, "relay")
    on_link = [other.subnet for other in tables.networks if other.link == network.link]
    if not any(network.relay in subnet for subnet in on_link):
        text = f"the relay {network.relay} lies outside of {network.subnet}, the network that it serves"
        yield mark, network.name, f"{text}: write the relay agent's address on that side"
    elif network.dynamic_range and network.dynamic_range[0] <= network.relay <= network.dynamic_range[1]:
        yield mark, network.name, f"the relay {network.relay} lies in the network's own dynamic range"


def overlaps(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the subnets that share addresses; sorted by their first address, the widest before has them."""
    rank = {network.name: number for number, network in enumerate(tables.networks)}
    pairs = [(subnet, network) for network in tables.networks for subnet in network.subnets]
    pairs.sort(key=lambda pair: (pair[0].version, int(pair[0].network_address), pair[0].prefixlen))
    widest: tuple[Subnet, Network] | None = None
    for subnet, network in pairs:
        if widest and widest[0].version == subnet.version and widest[0].broadcast_address >= subnet.network_address:  # type: ignore[operator]  # one version
            (first, one), (second, other) = sorted((widest, (subnet, network)), key=lambda pair: rank[pair[1].name])
            mark = marks.place("networks", other.name, "subnet" if second.version == 4 else "subnet6")
            yield mark, other.name, f"{second} overlaps {one.name} {first}"
            if widest[0].broadcast_address >= subnet.broadcast_address:  # type: ignore[operator]
                continue
        widest = (subnet, network)


def wires(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield two VLANs on one link, and one VLAN of the same NIC under two links."""
    links: dict[str, Network] = {}
    tags: dict[tuple[str, int], Network] = {}
    for network in tables.networks:
        if network.vlan is None:
            continue
        first = links.setdefault(network.link, network)
        if first.vlan != network.vlan:
            text = f"VLAN {network.vlan}, but {first.name} on the same link {network.link} is VLAN {first.vlan}"
            yield marks.place("networks", network.name, "vlan"), network.name, f"{text}: one link is one wire"
        if network.interface is None:
            continue
        other = tags.setdefault((network.interface, network.vlan), network)
        if other.link != network.link:
            what = f"VLAN {network.vlan} of {network.interface} carries {other.name} already"
            text = f"{what}: networks of one wire have the same 'link'"
            yield marks.place("networks", network.name, "vlan"), network.name, text
