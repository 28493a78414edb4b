"""The checks that compare rows: references, duplicates, addresses.  Pure; yields every mistake with its place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from tasks.inventory.load import Mark
from tasks.inventory.mistakes import unknown
from tasks.inventory.model import DEBIAN_ARCH, BootState, Media, Network, Node, OsImage, SecretKind, SecretRef, Switch

Marks = dict[tuple[str, str, str], Mark]  # (table, row, attribute or "") → where it was written
Mistake = tuple[Mark, str, str]  # place, whom it concerns, sentence
LABEL_LENGTH = 63  # RFC 1035 2.3.4


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The rows that are valid by themselves, and the names of all that were written (None: the file is unreadable)."""

    networks: tuple[Network, ...]
    switches: tuple[Switch, ...]
    nodes: tuple[Node, ...]
    osimages: tuple[OsImage, ...]
    media: tuple[Media, ...]
    written: Mapping[str, frozenset[str] | None]


def tables(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield every mistake that only shows when rows are compared."""
    yield from references(tables, marks)
    yield from secrets(tables, marks)
    yield from addresses(tables, marks)
    yield from networks(tables, marks)
    yield from duplicates(tables, marks)


def place(marks: Marks, table: str, row: str, attribute: str = "") -> Mark:
    """Return where an attribute was written, or the compound around it, or its row, or its table."""
    return (
        marks.get((table, row, attribute))
        or marks.get((table, row, attribute.partition(".")[0]))
        or marks.get((table, row, ""))
        or Mark(file=f"inventory/{table}.yaml", line=1, column=1)
    )


NEEDS_OSIMAGE = frozenset({BootState.NETBOOT, BootState.INSTALL, BootState.SHELL})


def references(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Names that must lead somewhere: media of osimages, osimages and switch ports of nodes."""
    media, images = tables.written["media"], tables.written["osimages"]
    for image in tables.osimages:
        if media is not None and image.media not in media:
            yield place(marks, "osimages", image.name, "media"), image.name, unknown("medium", image.media, media)
        elif image.media != f"{image.os}-{image.arch}" and media is not None:
            text = f"its medium {image.media} is not for {image.os}-{image.arch}"
            yield place(marks, "osimages", image.name, "media"), image.name, text
        if image.arch not in DEBIAN_ARCH:
            text = f"architecture {image.arch!r} is not known: one of {', '.join(DEBIAN_ARCH)}"
            yield place(marks, "osimages", image.name), image.name, text
    for node in tables.nodes:
        if node.osimage and images is not None and node.osimage not in images:
            yield place(marks, "nodes", node.name, "osimage"), node.name, unknown("osimage", node.osimage, images)
        if node.osimage is None and node.state in NEEDS_OSIMAGE:
            yield place(marks, "nodes", node.name, "state"), node.name, f"state {node.state} needs an osimage"
    yield from ports(tables, marks)


def ports(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the nodes that are plugged into a switch or a port that is not there."""
    known = tables.written["switches"]
    switches = {switch.name: switch for switch in tables.switches}
    for node in tables.nodes:
        if node.port is None:
            continue
        switch = switches.get(node.port.switch)
        if known is not None and node.port.switch not in known:
            yield place(marks, "nodes", node.name, "port.switch"), node.name, unknown("switch", node.port.switch, known)
        elif switch and node.port.port.isdigit() and not 1 <= int(node.port.port) <= switch.ports:
            text = f"{switch.name} has {switch.ports} ports, no port {node.port.port}"
            yield place(marks, "nodes", node.name, "port.port"), node.name, text


def secrets(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield the secrets whose file is sought outside of inventory/."""
    for switch in tables.switches:
        if outside(switch.community):
            mark = place(marks, "switches", switch.name, "community")
            yield mark, switch.name, "a secret's file lies below inventory/, without '..'"
    for node in tables.nodes:
        if node.bmc and outside(node.bmc.password):
            mark = place(marks, "nodes", node.name, "bmc.password")
            yield mark, node.name, "a secret's file lies below inventory/, without '..'"


def outside(secret: SecretRef | None) -> bool:
    """Return whether a secret's file may lie outside of inventory/."""
    return secret is not None and secret.kind is SecretKind.FILE and ".." in secret.where.split("/")


def addresses(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Each address in a known network, apart from its ends and from the dynamic range."""
    for node in tables.nodes:
        yield from address(tables, place(marks, "nodes", node.name, "ip"), node.name, node.ip)
        if node.bmc:
            mark = place(marks, "nodes", node.name, "bmc.address")
            yield from address(tables, mark, node.bmc.name, node.bmc.address)
    for switch in tables.switches:
        yield from address(tables, place(marks, "switches", switch.name, "ip"), switch.name, switch.ip)


def address(tables: Tables, mark: Mark, name: str, ip: IPv4Address) -> Iterator[Mistake]:
    """Yield what is wrong with one address; a network that is itself wrong may hold any."""
    home = next((network for network in tables.networks if ip in network.subnet), None)
    if home is None:
        written = tables.written["networks"]
        if written is not None and len(written) == len(tables.networks):
            known = ", ".join(f"{network.name} {network.subnet}" for network in tables.networks[:8])
            yield mark, name, f"{ip} is in no network (known: {known or 'none'})"
        return
    if is_end(home, ip):
        yield mark, name, f"{ip} is the network or broadcast address of {home.name}"
    if home.dynamic_range and home.dynamic_range[0] <= ip <= home.dynamic_range[1]:
        first, last = home.dynamic_range
        text = f"{ip} lies in the dynamic range {first}-{last} of {home.name}, which is for unknown machines"
        yield mark, name, text


def is_end(network: Network, ip: IPv4Address) -> bool:
    """Return whether an address is a network's own or its broadcast; a /31 and a /32 have none (RFC 3021)."""
    subnet = network.subnet
    return subnet.prefixlen < 31 and ip in {subnet.network_address, subnet.broadcast_address}


def networks(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Ranges and gateways inside their subnet; subnets apart from each other."""
    for index, network in enumerate(tables.networks):
        yield from inside(network, marks)
        for other in tables.networks[:index]:
            if network.subnet.overlaps(other.subnet):
                mark = place(marks, "networks", network.name, "subnet")
                yield mark, network.name, f"{network.subnet} overlaps {other.name} {other.subnet}"


def inside(network: Network, marks: Marks) -> Iterator[Mistake]:
    """Yield what is no host address of a network although it names it."""
    subnet = network.subnet
    if network.gateway and (network.gateway not in subnet or is_end(network, network.gateway)):
        mark = place(marks, "networks", network.name, "gateway")
        yield mark, network.name, f"gateway {network.gateway} is no host address of {subnet}"
    for end in network.dynamic_range or ():
        if end not in subnet or is_end(network, end):
            mark = place(marks, "networks", network.name, "dynamic_range")
            yield mark, network.name, f"the dynamic range's {end} is no host address of {subnet}"


def duplicates(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """What only one machine may have: MACs, addresses, host names, switch ports."""
    names: dict[str, tuple[str, Mark]] = {}
    ips: dict[str, tuple[str, Mark]] = {}
    for switch in tables.switches:
        yield from claim(names, "host name", switch.name, switch.name, place(marks, "switches", switch.name))
        yield from claim(ips, "address", str(switch.ip), switch.name, place(marks, "switches", switch.name, "ip"))
    for node in tables.nodes:
        mark = place(marks, "nodes", node.name)
        yield from claim(names, "host name", node.name, node.name, mark)
        for alias in node.aliases:
            yield from claim(names, "host name", alias, node.name, place(marks, "nodes", node.name, "aliases"))
        yield from claim(ips, "address", str(node.ip), node.name, place(marks, "nodes", node.name, "ip"))
        if node.bmc:
            yield from claim(names, "host name", node.bmc.name, node.name, mark)
            bmc_mark = place(marks, "nodes", node.name, "bmc.address")
            yield from claim(ips, "address", str(node.bmc.address), node.bmc.name, bmc_mark)
            if len(node.bmc.name) > LABEL_LENGTH:
                yield mark, node.name, f"its BMC's name {node.bmc.name} has more than {LABEL_LENGTH} characters"
    yield from unique(tables, marks, "mac", lambda node: node.mac)
    yield from unique(tables, marks, "port", plugged)


def plugged(node: Node) -> str | None:
    """Return a node's switch port in words."""
    return f"{node.port.port} of {node.port.switch}" if node.port else None


def unique(tables: Tables, marks: Marks, attribute: str, value: Callable[[Node], str | None]) -> Iterator[Mistake]:
    """Yield the nodes that share what only one may have."""
    owners: dict[str, tuple[str, Mark]] = {}
    for node in tables.nodes:
        own = value(node)
        if own is not None:
            detail = "port.port" if attribute == "port" else attribute
            yield from claim(owners, attribute, own, node.name, place(marks, "nodes", node.name, detail))


def claim(owners: dict[str, tuple[str, Mark]], what: str, value: str, name: str, mark: Mark) -> Iterator[Mistake]:
    """Let `name` own a value, or yield who owns it already."""
    if value in owners:
        owner, first = owners[value]
        where = f"line {first.line}" if first.file == mark.file else f"{first.file}:{first.line}"
        yield mark, name, f"{what} {value} belongs to {owner} already ({where})"
    else:
        owners[value] = (name, mark)
