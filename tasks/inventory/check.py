"""The checks that compare rows: references, duplicates, addresses.  Pure; yields every mistake with its place."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address

from tasks.inventory.load import Mark
from tasks.inventory.model import Cluster, Network, Node, SecretKind

Marks = dict[tuple[str, str, str], Mark]  # (table, row, attribute or "") → where it was written
Mistake = tuple[Mark, str]


def cluster(cluster: Cluster, marks: Marks) -> Iterator[Mistake]:
    """Yield every mistake that only shows when rows are compared."""
    yield from references(cluster, marks)
    yield from addresses(cluster, marks)
    yield from networks(cluster, marks)
    yield from duplicates(cluster, marks)


def place(marks: Marks, table: str, row: str, attribute: str = "") -> Mark:
    """Return where an attribute was written, or its row, or its table."""
    return marks.get((table, row, attribute)) or marks.get((table, row, "")) or Mark(file=f"inventory/{table}.yaml", line=1, column=1)


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that nothing bears, with the nearest names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=2)
    if close:
        return f"unknown {what} {word!r}: did you mean {' or '.join(close)}?"
    return f"unknown {what} {word!r}: known are {', '.join(names[:8]) or 'none'}"


def references(cluster: Cluster, marks: Marks) -> Iterator[Mistake]:
    """Names that must lead somewhere: osimages, media, switches, groups."""
    images = {image.name for image in cluster.osimages}
    switches = {switch.name: switch for switch in cluster.switches}
    media = {medium.name for medium in cluster.media}
    for image in cluster.osimages:
        if image.media not in media:
            yield place(marks, "osimages", image.name, "media"), f"{image.name}: {unknown('medium', image.media, media)}"
    for node in cluster.nodes:
        if node.osimage and node.osimage not in images:
            mark = place(marks, "nodes", node.name, "osimage")
            yield mark, f"{node.name}: {unknown('osimage', node.osimage, images)}"
        if node.port and node.port.switch not in switches:
            mark = place(marks, "nodes", node.name, "port.switch")
            yield mark, f"{node.name}: {unknown('switch', node.port.switch, switches)}"
        elif node.port and node.port.port.isdigit() and not 1 <= int(node.port.port) <= switches[node.port.switch].ports:
            mark = place(marks, "nodes", node.name, "port.port")
            yield mark, f"{node.name}: {node.port.switch} has no port {node.port.port}"
        if node.bmc and node.bmc.password and node.bmc.password.kind is SecretKind.FILE and ".." in node.bmc.password.where:
            yield place(marks, "nodes", node.name, "bmc.password"), f"{node.name}: a secret's file lies below inventory/"


def addresses(cluster: Cluster, marks: Marks) -> Iterator[Mistake]:
    """Each address in a known network, apart from its ends and from the dynamic range."""
    for node in cluster.nodes:
        yield from address(cluster, place(marks, "nodes", node.name, "ip"), node.name, node.ip)
        if node.bmc:
            yield from address(cluster, place(marks, "nodes", node.name, "bmc.address"), node.bmc.name, node.bmc.address)
    for switch in cluster.switches:
        yield from address(cluster, place(marks, "switches", switch.name, "ip"), switch.name, switch.ip)


def address(cluster: Cluster, mark: Mark, name: str, ip: IPv4Address) -> Iterator[Mistake]:
    """Yield what is wrong with one address."""
    homes = [network for network in cluster.networks if ip in network.subnet]
    if not homes:
        known = ", ".join(f"{network.name} {network.subnet}" for network in cluster.networks)
        yield mark, f"{name}: {ip} is in no network (known: {known})"
        return
    home = homes[0]
    if home.subnet.prefixlen < 31 and ip in {home.subnet.network_address, home.subnet.broadcast_address}:
        yield mark, f"{name}: {ip} is the network or broadcast address of {home.name}"
    if home.dynamic_range and home.dynamic_range[0] <= ip <= home.dynamic_range[1]:
        first, last = home.dynamic_range
        yield mark, f"{name}: {ip} lies in the dynamic range {first}-{last} of {home.name}, which is for unknown machines"


def networks(cluster: Cluster, marks: Marks) -> Iterator[Mistake]:
    """Ranges and gateways inside their subnet; subnets apart from each other."""
    for index, network in enumerate(cluster.networks):
        yield from inside(network, marks)
        for other in cluster.networks[:index]:
            if network.subnet.overlaps(other.subnet):
                mark = place(marks, "networks", network.name, "subnet")
                yield mark, f"{network.name}: {network.subnet} overlaps {other.name} {other.subnet}"


def inside(network: Network, marks: Marks) -> Iterator[Mistake]:
    """Yield what lies outside a network although it names it."""
    subnet = network.subnet
    if network.gateway and network.gateway not in subnet:
        yield place(marks, "networks", network.name, "gateway"), f"{network.name}: gateway {network.gateway} is not in {subnet}"
    for end in network.dynamic_range or ():
        if end not in subnet or end in {subnet.network_address, subnet.broadcast_address}:
            mark = place(marks, "networks", network.name, "dynamic_range")
            yield mark, f"{network.name}: the dynamic range's {end} is no host address of {subnet}"


def duplicates(cluster: Cluster, marks: Marks) -> Iterator[Mistake]:
    """What only one machine may have: MACs, addresses, host names, switch ports."""
    names: dict[str, tuple[str, Mark]] = {}
    ips: dict[str, tuple[str, Mark]] = {}
    for switch in cluster.switches:
        yield from claim(names, "host name", switch.name, switch.name, place(marks, "switches", switch.name))
        yield from claim(ips, "address", str(switch.ip), switch.name, place(marks, "switches", switch.name, "ip"))
    for node in cluster.nodes:
        mark = place(marks, "nodes", node.name)
        yield from claim(names, "host name", node.name, node.name, mark)
        for alias in node.aliases:
            yield from claim(names, "host name", alias, node.name, place(marks, "nodes", node.name, "aliases"))
        yield from claim(ips, "address", str(node.ip), node.name, place(marks, "nodes", node.name, "ip"))
        if node.bmc:
            yield from claim(names, "host name", node.bmc.name, node.name, mark)
            bmc_mark = place(marks, "nodes", node.name, "bmc.address")
            yield from claim(ips, "address", str(node.bmc.address), node.bmc.name, bmc_mark)
    yield from unique(cluster, marks, "mac", lambda node: node.mac)
    yield from unique(cluster, marks, "port", lambda node: f"{node.port.switch} port {node.port.port}" if node.port else None)


def unique(cluster: Cluster, marks: Marks, attribute: str, value: Callable[[Node], str | None]) -> Iterator[Mistake]:
    """Yield the nodes that share what only one may have."""
    owners: dict[str, tuple[str, Mark]] = {}
    for node in cluster.nodes:
        own = value(node)
        if own is not None:
            detail = "port.port" if attribute == "port" else attribute
            yield from claim(owners, attribute, own, node.name, place(marks, "nodes", node.name, detail))


def claim(owners: dict[str, tuple[str, Mark]], what: str, value: str, name: str, mark: Mark) -> Iterator[Mistake]:
    """Let `name` own a value, or yield who owns it already."""
    if value in owners:
        owner, first = owners[value]
        where = f"line {first.line}" if first.file == mark.file else f"{first.file}:{first.line}"
        yield mark, f"{name}: {what} {value} belongs to {owner} already ({where})"
    else:
        owners[value] = (name, mark)
