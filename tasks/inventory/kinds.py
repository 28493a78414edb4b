"""The words of the inventory: what an attribute can be where it is one of a few.  `model` hands them on."""

from dataclasses import dataclass
from enum import StrEnum

# Our names of architectures (the kernel's) → Debian's.
DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}


class Kind(StrEnum):
    """A word out of few.

    Pickled by its value: Python up to 3.11.3 (Debian 12 has 3.11.2) would name `getattr`, and `store.Unpickler` makes
    values of ours and nothing that could act.
    """

    def __reduce_ex__(self, _protocol: object) -> tuple[type["Kind"], tuple[str]]:
        return type(self), (self.value,)


class BootState(Kind):
    """What a node does at its next boot."""

    NETBOOT = "netboot"
    INSTALL = "install"
    LOCAL = "local"
    DISCOVER = "discover"
    SHELL = "shell"
    OFFLINE = "offline"


class Firmware(Kind):
    """How a machine starts: the DHCP client architecture follows from it (RFC 4578 option 93)."""

    BIOS = "bios"
    UEFI = "uefi"


class Netboot(Kind):
    """Which boot program a node is given: PXELINUX or GRUB by its firmware, or iPXE where asked."""

    PXE = "pxe"
    GRUB = "grub"
    IPXE = "ipxe"


class Compression(Kind):
    """How an initrd is packed; the kernel must be able to unpack it (CONFIG_RD_*)."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    LZ4 = "lz4"


class SecretKind(Kind):
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


class Management(Kind):
    """Who switches a machine: its BMC, or the hypervisor that runs it (xCAT's nodehm.mgt)."""

    IPMI = "ipmi"
    KVM = "kvm"
    XEN = "xen"
    NONE = "none"


class SnmpVersion(Kind):
    """SNMP as a switch speaks it."""

    V1 = "1"
    V2C = "2c"
    V3 = "3"


class RecordType(Kind):
    """What a site may add to its zone by hand."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    SRV = "SRV"
    TXT = "TXT"
