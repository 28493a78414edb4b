"""What every DHCP server is told: the networks that are served, and the machines that are known by their MAC.

A node is a client by its booting NIC, by each further NIC that has a MAC, and by its BMC; so is a switch with a MAC.
Only the booting NIC is given a boot file: menus are by its MAC.  Every client stays one in any boot state: a node that
boots from its disk still asks for its address, and `nodeset` changes menus alone, so no DHCP server need be restarted.

A client is served in the network of its address and nowhere else.  Networks of one link share a wire; a network behind
a relay agent is known by the agent's address, which all servers look for in the link's subnets (RFC 2131 4.3.1).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from tasks import paths
from tasks.configs import bootpolicy, walls
from tasks.configs.bootpolicy import Offer
from tasks.configs.names import OCTETS
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Firmware, Netboot, Network, NetworkFinder, Node, Site, Switch

KNOWN_LEASE = 43200  # seconds; a node that is up renews every six hours
LONGEST_LEASE = 86400
UNKNOWN_LEASE = 600  # for machines that are not known yet: the range is small
BOOT, IPXE, PLAIN = "boot", "ipxe", "plain"  # kinds of clients: the last is given no boot file


class Client(NamedTuple):
    """A machine that is known by its MAC.  What it has not is empty."""

    name: str  # one in the cluster: its host name, or <node>.<NIC> (names of NICs may be shared)
    told: str  # the host name that it is told: a further NIC is told none, for the names of one machine would fight
    mac: str
    ip: str
    home: str  # the network of that address
    ip6: str
    home6: str
    kind: str
    server: str  # its service node's address, where it has one


# The last wall before a configuration file: nothing in here ends a string or a statement of any of the daemons.
WALL = re.compile(
    r"(?:[a-z0-9][A-Za-z0-9._-]{0,79} [a-z0-9-]{0,63} [0-9a-f]{2}(?::[0-9a-f]{2}){5} [0-9.]{0,15} [a-z0-9-]{0,63} "
    r"[0-9a-f:]{0,39} [a-z0-9-]{0,63} [a-z]+ [0-9.]{0,15}\n)*"
)
PLAIN_TEXT = re.compile(r"[A-Za-z0-9_.:/-]+")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A network as DHCP tells it; without `dhcp` it is only known not to be ours."""

    name: str
    link: str
    dhcp: bool
    interface: str | None
    relay: IPv4Address | None
    subnet: IPv4Network
    subnet6: IPv6Network | None
    range: tuple[IPv4Address, IPv4Address] | None
    range6: tuple[IPv6Address, IPv6Address] | None
    gateway: IPv4Address | None
    next_server: IPv4Address
    next_server6: IPv6Address | None
    mtu: int | None
    search: tuple[str, ...]  # its own domain first
    nameservers: tuple[IPv4Address, ...]
    nameservers6: tuple[IPv6Address, ...]
    ntp_servers: tuple[IPv4Address, ...]
    ntp_servers6: tuple[IPv6Address, ...]
    log_servers: tuple[IPv4Address, ...]

    @property
    def subnets(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the subnets of both address families."""
        return (self.subnet,) if self.subnet6 is None else (self.subnet, self.subnet6)

    def addresses(self) -> Iterator[object]:
        """Yield every address and subnet that a DHCP server is told of it."""
        yield from self.subnets
        single = (self.relay, self.gateway, self.next_server, self.next_server6)
        yield from (one for one in single if one is not None)
        several = (self.nameservers, self.nameservers6, self.ntp_servers, self.ntp_servers6, self.log_servers)
        yield from (one for some in (self.range or (), self.range6 or (), *several) for one in some)


@dataclass(frozen=True, kw_only=True)
class Link:
    """Networks that share a wire, and the relay agents whose addresses are in none of their subnets."""

    name: str
    networks: tuple[Served, ...]
    relays: tuple[IPv4Address, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What all DHCP servers depend on beside the nodes."""

    site: Site
    networks: tuple[Served, ...]
    switches: tuple[Client, ...]
    service_nodes: tuple[tuple[str, str], ...]

    @cached_property
    def finder(self) -> NetworkFinder[Served]:
        """Return what finds an address's network."""
        return NetworkFinder(self.networks)

    @cached_property
    def by_name(self) -> dict[str, Served]:
        """Return the networks by name."""
        return {network.name: network for network in self.networks}

    @cached_property
    def service(self) -> dict[str, str]:
        """Return the service nodes' addresses by their names."""
        return dict(self.service_nodes)

    @cached_property
    def servers(self) -> tuple[str, ...]:
        """Return the addresses of the service nodes, each once."""
        return tuple(sorted(set(self.service.values()), key=ip_address))

    @cached_property
    def programs(self) -> frozenset[str]:
        """Return the boot programs that are under the TFTP root: ours and the site's."""
        return frozenset({*paths.BOOT_PROGRAMS, *self.site.boot_programs})

    def offers(self, *, ipxe_node: bool) -> tuple[Offer, ...]:
        """Return what booting clients are offered over IPv4."""
        return bootpolicy.offers(self.programs, ipxe_node=ipxe_node)

    def offers6(self, *, ipxe_node: bool) -> tuple[Offer, ...]:
        """Return what booting clients are offered over IPv6."""
        return bootpolicy.offers6(self.programs, ipxe_node=ipxe_node)


# -- the frame -------------------------------------------------------------------------------------------------------


def frame(cluster: Cluster) -> Frame:
    """Return what is the same for all nodes."""
    ordered = sorted(cluster.networks, key=lambda network: network.subnet)
    unknown = sorted(set(cluster.site.boot_programs) - bootpolicy.KNOWN)
    if unknown:
        message = f"boot_programs in site.yaml: no client is ever offered {', '.join(unknown)}"
        raise BootmillError(message, hint=f"it is one of {', '.join(sorted(bootpolicy.KNOWN))}")
    found = Frame(
        site=cluster.site.only("domain", "boot_programs"),
        networks=tuple(served(network, cluster.site) for network in ordered),
        switches=(),
        service_nodes=tuple((name, str(address)) for name, address in cluster.service_nodes),
    )
    switches = of_switches(found, cluster.switches)
    return Frame(site=found.site, networks=found.networks, switches=switches, service_nodes=found.service_nodes)


def served(network: Network, site: Site) -> Served:
    """Return a network with what it does not say for itself taken from the site."""
    nameservers = network.nameservers or site.nameservers
    times = network.ntp_servers or site.ntp_servers or (str(network.next_server),)
    found = Served(
        name=network.name,
        link=network.link,
        dhcp=network.dhcp,
        interface=network.interface,
        relay=network.relay,
        subnet=network.subnet,
        subnet6=network.subnet6,
        range=network.dynamic_range,
        range6=network.dynamic_range6,
        gateway=network.gateway,
        next_server=network.next_server,
        next_server6=network.next_server6,
        mtu=network.mtu,
        search=tuple(dict.fromkeys([network.domain or site.domain, site.domain, *site.search])),
        nameservers=tuple(one for one in nameservers if isinstance(one, IPv4Address)),
        nameservers6=tuple(one for one in nameservers if isinstance(one, IPv6Address)),
        ntp_servers=tuple(one for one in addresses(times) if isinstance(one, IPv4Address)),
        ntp_servers6=tuple(one for one in addresses(times) if isinstance(one, IPv6Address)),
        log_servers=site.log_servers,
    )
    walls.addresses(found.addresses())
    return found


def addresses(texts: Iterable[str]) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the texts that are addresses: DHCP's time servers have no names (RFC 2132 8.3, RFC 4075)."""
    for text in texts:
        try:
            yield ip_address(text)
        except ValueError:
            continue


def links(frame: Frame) -> tuple[Link, ...]:
    """Return the links that are served, in the order of their first subnet."""
    by_name: dict[str, list[Served]] = {}
    for network in frame.networks:
        by_name.setdefault(network.link, []).append(network)
    return tuple(
        Link(name=name, networks=tuple(networks), relays=strays(frame, networks))
        for name, networks in by_name.items()
        if any(network.dhcp for network in networks)
    )


def strays(frame: Frame, networks: Sequence[Served]) -> tuple[IPv4Address, ...]:
    """Return the relay agents of a link that are in none of its subnets; one in another link's would mislead."""
    found: dict[IPv4Address, None] = {}
    for network in networks:
        if network.relay is None:
            continue
        home = frame.finder.find(network.relay)
        if home is None:
            found[network.relay] = None
        elif home.link != network.link:
            message = f"networks.yaml: {network.name}: its relay {network.relay} lies in {home.name}, on another wire"
            raise BootmillError(message, hint=f"if they share a wire: link: {home.link}; else name the agent's address")
    return tuple(found)


# -- machines --------------------------------------------------------------------------------------------------------


def rows(frame: Frame, nodes: Sequence[Node]) -> tuple[Client, ...]:
    """Return the clients among these nodes' interfaces; `BootmillError` names every node that no boot program fits."""
    lost = [node.name for node in nodes if node.netboot is Netboot.GRUB and node.firmware is Firmware.BIOS and node.mac]
    if lost:
        message = f"{', '.join(lost)}: there is no GRUB for BIOS machines to boot over the network"
        raise BootmillError(message, hint="write netboot: pxe or netboot: ipxe, or firmware: uefi if they have it")
    found: list[Client] = []
    homes, service = Homes(frame), frame.service
    for node in nodes:
        if node.mac:
            server = service.get(node.service_node, "") if node.service_node else ""
            kind = IPXE if node.netboot is Netboot.IPXE else BOOT
            found += homes.client(node.name, node.name, node.mac, node.ip, node.ip6, kind, server)
        for nic in node.nics:
            if nic.mac:
                found += homes.client(f"{node.name}.{nic.name}", "", nic.mac, nic.ip, nic.ip6)
        bmc = node.bmc
        if bmc is not None and bmc.mac:
            found += homes.client(bmc.name, bmc.name, bmc.mac, bmc.address, None)
    return tuple(found)


def of_switches(frame: Frame, switches: Iterable[Switch]) -> tuple[Client, ...]:
    """Return the switches that have a MAC."""
    homes = Homes(frame)
    return tuple(
        client
        for switch in switches
        if switch.mac
        for client in homes.client(switch.name, switch.name, switch.mac, switch.ip, None)
    )


class Homes(dict[int, tuple[str, str]]):
    """The upper 24 bits of an address → their text with the dot, and the network's name: looked for once for each.

    Where a network is smaller than that, every address is looked for.
    """

    def __init__(self, frame: Frame) -> None:
        """Look at how small the networks are."""
        super().__init__()
        self.finder = frame.finder
        self.fine = any(network.subnet.prefixlen > 24 for network in frame.networks)

    def __missing__(self, block: int) -> tuple[str, str]:
        address = IPv4Address(block << 8)
        self[block] = str(address).removesuffix("0"), self.name_of(address)
        return self[block]

    def name_of(self, address: IPv4Address | IPv6Address) -> str:
        """Return the name of an address's network, empty where our DHCP server does not serve it."""
        network = self.finder.find(address)
        return network.name if network is not None and network.dhcp else ""

    def client(
        self,
        name: str,
        told: str,
        mac: str,
        ip: IPv4Address | None,
        ip6: IPv6Address | None,
        kind: str = PLAIN,
        server: str = "",
    ) -> tuple[Client, ...]:
        """Return a client with those of its addresses that lie in a served network; nothing where none does."""
        own = home = own6 = home6 = ""
        if ip is not None:
            number = int(ip)
            octets, home = self[number >> 8]
            if self.fine:
                home = self.name_of(ip)
            own = octets + OCTETS[number & 255] if home else ""
        if ip6 is not None:
            home6 = self.name_of(ip6)
            own6 = str(ip6) if home6 else ""
        return (Client(name, told, mac, own, home, own6, home6, kind, server),) if own or own6 else ()


# -- walls -----------------------------------------------------------------------------------------------------------


def walled(clients: Sequence[Sequence[str]]) -> Sequence[Client]:
    """Return clients of whom no value means anything to a daemon's parser; else `BootmillError` names the first."""
    if not WALL.fullmatch("".join([" ".join(client) + "\n" for client in clients])):
        bad = next(client for client in clients if not WALL.fullmatch(" ".join(client) + "\n"))
        message = f"{bad[0]!r} cannot be written into a DHCP server's configuration: {tuple(bad)!r}"
        raise BootmillError(
            message, hint="only small letters, digits and hyphens are in names, and addresses are plain"
        )
    return clients  # type: ignore[return-value]  # rows that were kept come back as plain tuples


def quoted(text: str) -> str:
    """Return a text between quotes, as all three daemons read it.  The border lets through nothing that ends it."""
    if not PLAIN_TEXT.fullmatch(text):
        message = f"{text!r} cannot be written into a DHCP server's configuration"
        raise BootmillError(message, hint="only letters, digits and _ . : / - are in such a text")
    return f'"{text}"'
