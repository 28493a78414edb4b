"""Which boot program a client is given, by its DHCP client architecture (option 93): one table.

Architecture numbers are IANA's "Processor Architecture Types", which began with RFC 4578 2.1 and were continued by
RFC 5970 3.3.  RFC 4578 calls 7 "EFI BC" and 9 "EFI x86-64", its erratum and the registry the other way round: 64-bit
UEFI machines send 7 or 9, so both mean the same here.  An architecture that is not in the table is given an address
and no file: it has no boot program yet, and a wrong one would only hang it.

An iPXE that is already running says so in its user class (option 77).  It may be the ROM of a NIC (QEMU's are), so it
must not be sent round in circles: on a BIOS it chains PXELINUX like any other ROM, on UEFI it takes the script that
looks for the node's own; only nodes with ``netboot: ipxe`` are given the iPXE program and go straight to their script.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address


class ClientArch(IntEnum):
    """Client architectures for which there is a boot program."""

    BIOS = 0x0000
    UEFI_X86_64 = 0x0007
    UEFI_X86_64_TOO = 0x0009


@dataclass(frozen=True, kw_only=True)
class Programs:
    """A row of the table; names are below the TFTP root."""

    archs: tuple[ClientArch, ...]
    firmware: str  # for the PXE of the firmware
    running_ipxe: str  # for an iPXE that is running already; a name that ends in .ipxe is fetched over HTTP
    ipxe: str  # the iPXE program itself, for nodes with netboot: ipxe


POLICY = (
    Programs(
        archs=(ClientArch.BIOS,),
        firmware="pxelinux.0",
        running_ipxe="pxelinux.0",
        ipxe="ipxe/undionly.kpxe",
    ),
    Programs(
        archs=(ClientArch.UEFI_X86_64, ClientArch.UEFI_X86_64_TOO),
        firmware="grub/grubx64.efi",
        running_ipxe="ipxe/boot.ipxe",
        ipxe="ipxe/snponly.efi",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A client that matches is given this file.  No `arch`: any.  `ipxe`: only an iPXE that is running already."""

    arch: ClientArch | None
    ipxe: bool
    file: str


def for_network(next_server: IPv4Address) -> tuple[Choice, ...]:
    """Return the choices for every client of a network; the first that matches counts."""
    own = [row for row in POLICY if row.running_ipxe != row.firmware]
    return (
        *(choice for row in own for choice in choices(row, location(row.running_ipxe, next_server), ipxe=True)),
        *(choice for row in POLICY for choice in choices(row, row.firmware)),
    )


def for_ipxe_node(next_server: IPv4Address, script: str) -> tuple[Choice, ...]:
    """Return the choices for a node with ``netboot: ipxe``; `script` is its own, below the TFTP root."""
    return (
        Choice(arch=None, ipxe=True, file=location(script, next_server)),
        *(choice for row in POLICY for choice in choices(row, row.ipxe)),
    )


def choices(row: Programs, file: str, *, ipxe: bool = False) -> tuple[Choice, ...]:
    """Return a choice for each architecture of a row."""
    return tuple(Choice(arch=arch, ipxe=ipxe, file=file) for arch in row.archs)


def location(name: str, next_server: IPv4Address) -> str:
    """Return what DHCP's ``filename`` says: iPXE scripts by URL, programs by their name on the TFTP server."""
    return f"http://{next_server}/tftpboot/{name}" if name.endswith(".ipxe") else name
