"""The cluster as the other steps see it: frozen, validated, resolved.  Values only; no step is imported from here.

Every repr is canonical (tuples and enums, no sets, no dicts): `actions.digest()` relies on it.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

# Our names of architectures (the kernel's) → Debian's.
DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}


class BootState(StrEnum):
    """What a node does at its next boot."""

    NETBOOT = "netboot"
    INSTALL = "install"
    LOCAL = "local"
    DISCOVER = "discover"
    SHELL = "shell"
    OFFLINE = "offline"


class Firmware(StrEnum):
    """How a machine starts: the DHCP client architecture follows from it (RFC 4578 option 93)."""

    BIOS = "bios"
    UEFI = "uefi"


class Netboot(StrEnum):
    """Which boot program a node is given: PXELINUX or GRUB by its firmware, or iPXE where asked."""

    PXE = "pxe"
    GRUB = "grub"
    IPXE = "ipxe"


class SecretKind(StrEnum):
    """Where a secret lives: in the environment or in a file of its own."""

    ENV = "env"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class SecretRef:
    """A reference to a secret (``!secret env:NAME``); the secret itself is read at its use and never stored."""

    kind: SecretKind
    where: str

    def __str__(self) -> str:
        """Return the reference as the inventory writes it."""
        return f"{self.kind}:{self.where}"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Values that hold for the whole cluster (xCAT's site table)."""

    domain: str
    master: str
    destdir: str
    nameservers: tuple[IPv4Address, ...]
    forwarders: tuple[IPv4Address, ...]
    ssh_key: str
    dns_contact: str

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


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A managed switch that knows which MAC is behind which port."""

    name: str
    ip: IPv4Address
    ports: int
    community: SecretRef | None


@dataclass(frozen=True, kw_only=True)
class Bmc:
    """A node's management controller."""

    name: str
    address: IPv4Address
    user: str
    password: SecretRef | None


@dataclass(frozen=True, kw_only=True)
class SwitchPort:
    """Where a node is plugged in."""

    switch: str
    port: str


@dataclass(frozen=True, kw_only=True)
class Console:
    """The serial console: port number (0 = ttyS0) and speed in bit/s."""

    port: int
    speed: int


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


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Everything in inventory/, checked."""

    site: Site
    networks: tuple[Network, ...]
    switches: tuple[Switch, ...]
    nodes: tuple[Node, ...]
    osimages: tuple[OsImage, ...]
    media: tuple[Media, ...]

    def node(self, name: str) -> Node:
        """Return a node by its name; `KeyError` where there is none."""
        return next(node for node in self.nodes if node.name == name)

    def network_of(self, address: IPv4Address) -> Network:
        """Return the network that an address belongs to (the check has made sure that there is one)."""
        return next(network for network in self.networks if address in network.subnet)

    def served_addresses(self) -> tuple[IPv4Address, ...]:
        """Return the head node's addresses that nodes fetch from, sorted, each once."""
        return tuple(sorted({network.next_server for network in self.networks}))

    def stateless(self) -> tuple[OsImage, ...]:
        """Return the osimages whose root is in memory: method netboot."""
        return tuple(image for image in self.osimages if image.method == "netboot")

    def medium(self, image: OsImage) -> Media:
        """Return the medium that an osimage is built from."""
        return next(medium for medium in self.media if medium.name == image.media)

    def booting(self) -> tuple[Node, ...]:
        """Return the nodes that boot over the network: those with a MAC and an osimage."""
        return tuple(node for node in self.nodes if node.mac and node.osimage)
