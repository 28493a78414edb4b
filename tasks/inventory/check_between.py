"""What only one machine of a site may have, and machines that need each other.  Pure.

`claims` and `needs` tell it of one node, so that a site of a hundred thousand nodes can keep what they said, and only
ask those that changed.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

from tasks.inventory import check_addresses, grouping
from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.mistakes import unknown
from tasks.inventory.model import Node

KINDS = ("host name", "address", "mac", "port")
NEEDS = ("served by", "run by")


class Claim(NamedTuple):
    """Something that only one may have: IPv4 addresses are numbers here, all else is text."""

    kind: str
    value: str | int
    owner: str
    path: tuple[str, ...]


class Need(NamedTuple):
    """A node that another one needs: as its service node, or as its host."""

    kind: str
    other: str
    path: tuple[str, ...]


def claims(node: Node) -> Iterator[Claim]:
    """Yield what a node claims."""
    name = node.name
    yield Claim("host name", name, name, ())
    for alias in node.aliases:
        yield Claim("host name", alias, name, ("aliases",))
    for held in check_addresses.of_node(node):
        value = int(held.address) if held.address.version == 4 else str(held.address)
        yield Claim("address", value, held.owner, held.path)
    if node.mac:
        yield Claim("mac", node.mac, name, ("mac",))
    if node.bmc:
        yield Claim("host name", node.bmc.name, name, ())
        if node.bmc.mac:
            yield Claim("mac", node.bmc.mac, node.bmc.name, ("bmc", "mac"))
    if node.port:
        number = node.port.port
        plain = number.lstrip("0") or "0" if number.isdigit() else number  # port 07 is port 7
        yield Claim("port", f"{plain} of {node.port.switch}", name, ("port", "port"))
    if node.nics:
        yield from nics(node)


def nics(node: Node) -> Iterator[Claim]:
    """Yield what a node's further NICs claim; a VLAN interface has the MAC of the NIC that it rides on."""
    macs = {node.mac}
    for nic in node.nics:
        for name in nic.names:
            yield Claim("host name", name, node.name, ("nics", nic.name, "names"))
        if nic.mac and not (nic.vlan and nic.mac in macs):
            yield Claim("mac", nic.mac, nic.names[0], ("nics", nic.name, "mac"))
        macs.add(nic.mac)


def standing(tables: Tables) -> Iterator[tuple[str, str, Claim]]:
    """Yield what is claimed by others than nodes: table, row, claim."""
    for switch in tables.switches:
        yield "switches", switch.name, Claim("host name", switch.name, switch.name, ())
        yield "switches", switch.name, Claim("address", int(switch.ip), switch.name, ("ip",))
        if switch.mac:
            yield "switches", switch.name, Claim("mac", switch.mac, switch.name, ("mac",))
    for number, record in enumerate(tables.site.records if tables.site else ()):
        if record.type == "CNAME":  # RFC 1034 3.6.2: nothing else may have this name
            yield "site", "", Claim("host name", record.name, "the CNAME record", ("records", str(number), "name"))


def duplicates(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what two have although only one may."""
    owners: dict[str, dict[str | int, tuple[str, str, Claim]]] = {kind: {} for kind in KINDS}
    for table, row, claim in standing(tables):
        first = owners[claim.kind].setdefault(claim.value, (table, row, claim))
        if first[2] is not claim:
            yield taken(first, (table, row, claim), marks)
    for node in tables.nodes:
        for claim in claims(node):
            mine = ("nodes", node.name, claim)
            first = owners[claim.kind].setdefault(claim.value, mine)
            if first is not mine:
                yield taken(first, mine, marks)


def taken(first: tuple[str, str, Claim], second: tuple[str, str, Claim], marks: Marks) -> Mistake:
    """Return the mistake that a second one claims what a first one has."""
    mark = marks.place(second[0], second[1], *second[2].path)
    there = marks.place(first[0], first[1], *first[2].path)
    claim = second[2]
    value = IPv4Address(claim.value) if isinstance(claim.value, int) else claim.value
    where = f"line {there.line}" if there.file == mark.file else f"{there.file}:{there.line}"
    return mark, claim.owner, f"{claim.kind} {value} belongs to {first[2].owner} already ({where})"


def needs(node: Node) -> Iterator[Need]:
    """Yield the nodes that a node needs."""
    if node.service_node:
        yield Need("served by", node.service_node, ("service_node",))
    if node.vm:
        yield Need("run by", node.vm.host, ("vm", "host"))


def bonds(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield needed nodes that are not there, and nodes that in the end need themselves."""
    known = tables.written.get("nodes")
    told: dict[str, str] = {}
    ways: dict[str, dict[str, tuple[str, ...]]] = {}
    paths: dict[tuple[str, str], tuple[str, ...]] = {}
    for node in tables.nodes:
        for need in needs(node):
            if known is not None and need.other not in known:
                text = told.get(need.other) or told.setdefault(need.other, unknown("node", need.other, known))
                yield marks.place("nodes", node.name, *need.path), node.name, text
            ways.setdefault(need.kind, {})[node.name] = (need.other,)
            paths[need.kind, node.name] = need.path
    for kind, way in ways.items():
        for circle in grouping.circles(way):
            text = f"is {kind} {f', which is {kind} '.join(circle[1:])}: somebody must come first"
            yield marks.place("nodes", circle[0], *paths[kind, circle[0]]), circle[0], text
