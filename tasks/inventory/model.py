"""The cluster as the other steps see it: frozen, validated, resolved.  Values only; no step is imported from here.

Every repr is canonical (tuples and enums, no sets, no dicts): `actions.digest()` relies on it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Protocol

from tasks.inventory.kinds import (
    DEBIAN_ARCH,
    BootState,
    Compression,
    Firmware,
    Management,
    Netboot,
    RecordType,
    SecretKind,
    SecretRef,
    SnmpVersion,
)
from tasks.inventory.lookup import NetworkFinder, natural_key

# The model is imported from here, wherever a piece of it is written.
__all__ = [
    "DEBIAN_ARCH",
    "BootState",
    "Compression",
    "Firmware",
    "Management",
    "Netboot",
    "NetworkFinder",
    "RecordType",
    "SecretKind",
    "SecretRef",
    "SnmpVersion",
    "natural_key",
]


@dataclass(frozen=True, kw_only=True)
class DnsRecord:
    """A record that the site adds to its forward zone: ``_ntp._udp SRV 0 0 123 mgt``; names are relative to it."""

    name: str
    type: RecordType
    value: str


@dataclass(frozen=True, kw_only=True)
class Export:
    """A folder that the head node exports over NFS, to whom (noderange-free: subnets), with exports(5)'s options."""

    path: str
    networks: tuple[str, ...]  # names in networks.yaml; none: all
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Password:
    """A row of xCAT's passwd table: what a key (ipmi, system, switch) logs in with."""

    key: str
    user: str
    password: SecretRef


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group: those it is in itself, and which nodes join it by what they are.  `where`: attribute → value."""

    name: str
    groups: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    vars: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Site:
    """Values that hold for the whole cluster (xCAT's site table)."""

    domain: str
    master: str
    destdir: str
    nameservers: tuple[IPv4Address | IPv6Address, ...]
    forwarders: tuple[IPv4Address | IPv6Address, ...]
    ssh_key: str
    dns_contact: str
    search: tuple[str, ...] = ()  # DNS search list, the cluster's domain first
    ntp_servers: tuple[str, ...] = ()  # addresses or names; none: the head node is asked
    log_servers: tuple[IPv4Address, ...] = ()
    secondaries: tuple[IPv4Address | IPv6Address, ...] = ()  # name servers that may transfer our zones and are notified
    serial_floor: int = 1  # no zone's serial is ever below
    records: tuple[DnsRecord, ...] = ()
    exports: tuple[Export, ...] = ()
    short_names_first: bool = False  # in the hosts file
    passwords: tuple[Password, ...] = ()
    dhcp_server: str | None = None  # isc, kea or dnsmasq: which one the head node runs
    boot_programs: tuple[str, ...] = ()  # below the TFTP root, put there by the site itself

    def only(self, *names: str) -> "Site":
        """Return the site with all but `destdir` and the named values blank: the slice that one artefact depends on."""
        return replace(self, **blanks(self, {"destdir", *names}))


@dataclass(frozen=True, kw_only=True)
class Network:
    """A subnet, its gateway and the addresses for unknown machines."""

    name: str
    subnet: IPv4Network
    gateway: IPv4Address | None
    dynamic_range: tuple[IPv4Address, IPv4Address] | None
    next_server: IPv4Address
    subnet6: IPv6Network | None = None
    gateway6: IPv6Address | None = None
    dynamic_range6: tuple[IPv6Address, IPv6Address] | None = None
    next_server6: IPv6Address | None = None
    vlan: int | None = None
    mtu: int | None = None
    domain: str | None = None  # of the names in it; none: the site's
    nameservers: tuple[IPv4Address | IPv6Address, ...] = ()  # none: the site's
    ntp_servers: tuple[str, ...] = ()
    link: str = ""  # networks of the same link share one wire (ISC's shared-network); by default a network has its own
    interface: str | None = None  # the head node's NIC on it
    relay: IPv4Address | None = None  # a remote network: its relay agent's address, by which DHCP knows it
    dhcp: bool = True  # whether our DHCP server serves it
    delegation: bool = False  # a network longer than /24 gets its own zone (RFC 2317), the /24 around it delegates

    @property
    def subnets(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the subnets of both address families."""
        return (self.subnet,) if self.subnet6 is None else (self.subnet, self.subnet6)


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A managed switch that knows which MAC is behind which port."""

    name: str
    ip: IPv4Address
    mac: str | None = None
    ports: int
    model: str = "generic"
    snmp: SnmpVersion = SnmpVersion.V2C
    community: SecretRef | None = None  # versions 1 and 2c
    user: str | None = None  # version 3
    auth: str | None = None  # md5, sha, sha256, sha512
    auth_password: SecretRef | None = None
    privacy: str | None = None  # des, aes, aes256
    privacy_password: SecretRef | None = None


@dataclass(frozen=True, kw_only=True)
class Bmc:
    """A node's management controller."""

    name: str
    address: IPv4Address
    mac: str | None = None
    port: int = 623
    user: str
    password: SecretRef | None
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class Nic:
    """A further network interface of a node; `names` are its host names, the first is the canonical one."""

    name: str
    names: tuple[str, ...]
    ip: IPv4Address | None = None
    ip6: IPv6Address | None = None
    mac: str | None = None
    vlan: int | None = None
    mtu: int | None = None


@dataclass(frozen=True, kw_only=True)
class Vm:
    """A virtual machine: where it runs and what it is given."""

    host: str
    cpus: int = 1
    disk: str | None = None  # size (20G), or a path or volume of the host
    bridge: str | None = None


@dataclass(frozen=True, kw_only=True)
class SwitchPort:
    """Where a node is plugged in."""

    switch: str
    port: str


@dataclass(frozen=True, kw_only=True)
class Console:
    """The serial console: port number (0 = ttyS0), speed in bit/s, hardware flow control."""

    port: int
    speed: int
    flow: bool = False


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine: who it is on the network, how it boots, how it is switched."""

    name: str
    groups: tuple[str, ...]
    aliases: tuple[str, ...]
    ip: IPv4Address
    mac: str | None
    model: str
    firmware: Firmware
    netboot: Netboot
    osimage: str | None
    state: BootState
    console: Console | None
    kernel_args: tuple[str, ...]
    bmc: Bmc | None
    port: SwitchPort | None
    memory: int
    nic: str
    driver: str | None = None  # of the NIC that boots: the proof wants it in the initrd
    ip6: IPv6Address | None = None
    interface: str | None = None  # name of the NIC that boots, where something must name it
    nics: tuple[Nic, ...] = ()
    management: Management = Management.NONE
    service_node: str | None = None  # the node that serves it instead of the head node
    vm: Vm | None = None
    vars: tuple[tuple[str, str], ...] = ()  # what a site wants to know of a node; handed to exports as it is


@dataclass(frozen=True, kw_only=True)
class Media:
    """An install medium: an ISO that the site has, or one that is made from the machine's package sources."""

    name: str
    os: str
    arch: str
    iso: str | None
    suite: str | None


@dataclass(frozen=True, kw_only=True)
class FstabEntry:
    """One line of fstab(5)."""

    device: str
    mountpoint: str
    type: str
    options: str
    dump: int
    check: int

    def __str__(self) -> str:
        """Return the line as fstab(5) wants it: six fields, no blank inside one."""
        return f"{self.device} {self.mountpoint} {self.type} {self.options} {self.dump} {self.check}"


@dataclass(frozen=True, kw_only=True)
class OsImage:
    """A recipe for what nodes run: packages, drivers, exclusions, fstab lines."""

    name: str
    os: str
    arch: str
    method: str
    profile: str
    media: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    drivers: tuple[str, ...]
    kernel: str | None
    kernel_args: tuple[str, ...]
    fstab: tuple[FstabEntry, ...]
    services_off: tuple[str, ...]
    compression: Compression | None = None  # of the initrd; none: the quickest that its kernel can unpack
    waive: tuple[str, ...] = ()  # rules of the boot proof (E13) whose errors do not keep it from being staged

    def only(self, *names: str) -> "OsImage":
        """Return the osimage with all but its identity and the named values blank.

        A function that is given the slice cannot use what its artefact is not rebuilt for.
        """
        return replace(self, **blanks(self, {"name", "os", "arch", "method", "profile", "media", *names}))


def blanks(row: "Site | OsImage", keep: set[str]) -> dict[str, Any]:
    """Return the fields that are not kept, emptied."""
    unknown = keep - {field.name for field in fields(row)}
    if unknown:
        raise AttributeError(sorted(unknown))
    return {
        field.name: () if isinstance(getattr(row, field.name), tuple) else None
        for field in fields(row)
        if field.name not in keep
    }


class Shard(Protocol):
    """Some of the nodes, in the inventory's order: what is compiled, and rendered, at once."""

    @property
    def digest(self) -> str:
        """Return what changes when one of the nodes does."""

    def nodes(self) -> Sequence[Node]:
        """Return the nodes."""


@dataclass(frozen=True)
class Whole:
    """All nodes in one shard, in memory."""

    all: tuple[Node, ...]

    @cached_property
    def digest(self) -> str:
        """Return the digest of the nodes' canonical representation."""
        return hashlib.sha256(repr(self.all).encode()).hexdigest()

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes."""
        return self.all


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Everything in inventory/, checked."""

    site: Site
    networks: tuple[Network, ...]
    switches: tuple[Switch, ...]
    osimages: tuple[OsImage, ...]
    media: tuple[Media, ...]
    shards: tuple[Shard, ...]
    groups: tuple[Group, ...] = ()
    service_nodes: tuple[tuple[str, IPv4Address], ...] = ()  # those that some node names as its `service_node`, by name

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes in natural order."""
        found = [node for shard in self.shards for node in shard.nodes()]
        return tuple(sorted(found, key=lambda node: natural_key(node.name)))

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Return the nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def finder(self) -> NetworkFinder[Network]:
        """Return what finds an address's network."""
        return NetworkFinder(self.networks)

    def node(self, name: str) -> Node:
        """Return a node by its name; `KeyError` where there is none."""
        return self.by_name[name]

    def network_of(self, address: IPv4Address | IPv6Address) -> Network:
        """Return the network that an address belongs to; `KeyError` where there is none (the check ensures one)."""
        network = self.finder.find(address)
        if network is None:
            raise KeyError(str(address))
        return network

    def served_addresses(self) -> tuple[IPv4Address, ...]:
        """Return the head node's addresses that nodes fetch from, sorted, each once."""
        return tuple(sorted({network.next_server for network in self.networks}))

    def stateless(self) -> tuple[OsImage, ...]:
        """Return the osimages whose root is in memory: method netboot."""
        return tuple(image for image in self.osimages if image.method == "netboot")

    def discoverers(self) -> tuple[OsImage, ...]:
        """Return the osimages whose kernel and tree the discovery images are made of: the first one of each arch."""
        return tuple({image.arch: image for image in reversed(self.stateless())}.values())[::-1]

    def medium(self, image: OsImage) -> Media:
        """Return the medium that an osimage is built from."""
        return next(medium for medium in self.media if medium.name == image.media)

    def booting(self) -> tuple[Node, ...]:
        """Return the nodes that boot over the network: those with a MAC and an osimage."""
        return tuple(node for node in self.nodes if node.mac and node.osimage)
