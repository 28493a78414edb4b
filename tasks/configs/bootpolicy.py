"""Which boot program a client is given, by its DHCP client architecture: one table for every DHCP server.

Architecture numbers are IANA's "Processor Architecture Types" (registry "DHCPv6 Parameters"), which began with RFC 4578
2.1 (DHCP, option 93) and were continued by RFC 5970 3.3 (DHCPv6, option 61).  RFC 4578 calls 7 "EFI BC" and 9 "EFI
x86-64", its erratum 4624 and the registry the other way round: 64-bit UEFI machines send 7 or 9, so both mean the same
here, and so do 0x10 and 0x11, their siblings that boot from HTTP.

A program is offered only where it is published (`paths.BOOT_PROGRAMS`) or where the site says that it puts it there
itself (``boot_programs``): a client that asks for a file that is not there hangs, one without a file tries its next
boot device.  An architecture that is not in the table is given an address and no file.

An iPXE that is already running says so in its user class (option 77; 15 in DHCPv6).  It may be the ROM of a NIC (QEMU's
are), so it must not be sent round in circles: on a BIOS it chains PXELINUX like any other ROM, elsewhere it takes the
script that looks for the node's own, whatever its architecture.  A node with ``netboot: ipxe`` is given the iPXE
program where there is one, and the script once that runs.  GRUB asks for nothing: it keeps the address and the server
of the firmware that loaded it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

SCRIPT = "ipxe/boot.ipxe"  # chains to <MAC>.ipxe beside it, of a known node
HTTP_CLIENT = "HTTPClient"  # vendor class of UEFI's HTTP boot, in the request and in the reply (UEFI 2.10, 24.7.3.1)
ENTERPRISE = 343  # the number in the DHCPv6 vendor class: Intel's, as EDK II sends it; it looks at the text behind it


class ClientArch(IntEnum):
    """Client architectures for which there is a boot program."""

    BIOS = 0x00
    IA32 = 0x06
    X64 = 0x07
    X64_TOO = 0x09
    ARM32 = 0x0A
    ARM64 = 0x0B
    OPEN_FIRMWARE = 0x0C
    OPAL = 0x0E
    IA32_HTTP = 0x0F
    X64_HTTP = 0x10
    X64_TOO_HTTP = 0x11
    ARM32_HTTP = 0x12
    ARM64_HTTP = 0x13
    RISCV64 = 0x1B
    RISCV64_HTTP = 0x1C
    LOONGARCH64 = 0x27
    LOONGARCH64_HTTP = 0x28


class By(StrEnum):
    """How a reply names the file."""

    NAME = "name"  # on the TFTP server; DHCPv6, which has no next-server, names it by its tftp URL
    URL = "url"  # by its HTTP URL
    HTTP_CLIENT = "http client"  # the same, and the reply says HTTPClient: without it UEFI's HTTP boot drops the offer
    PREFIX = "prefix"  # no file, but the URL of its folder (option 210, RFC 5071 5): petitboot reads pxelinux.cfg there


@dataclass(frozen=True, kw_only=True)
class Programs:
    """A row of the table; names are below the TFTP root, an empty one is none."""

    archs: tuple[ClientArch, ...]
    firmware: str  # for the PXE of the firmware
    ipxe: str = ""  # the iPXE program itself, for nodes with netboot: ipxe
    running_ipxe: str = ""  # for an iPXE that is running already, instead of the script
    by: By = By.NAME


Arch = ClientArch
POLICY = (
    Programs(archs=(Arch.BIOS,), firmware="pxelinux.0", ipxe="ipxe/undionly.kpxe", running_ipxe="pxelinux.0"),
    Programs(archs=(Arch.IA32,), firmware="grub/grubia32.efi", ipxe="ipxe/snponly-ia32.efi"),
    Programs(archs=(Arch.X64, Arch.X64_TOO), firmware="grub/grubx64.efi", ipxe="ipxe/snponly.efi"),
    Programs(archs=(Arch.ARM32,), firmware="grub/grubarm.efi", ipxe="ipxe/snponly-arm32.efi"),
    Programs(archs=(Arch.ARM64,), firmware="grub/grubaa64.efi", ipxe="ipxe/snponly-arm64.efi"),
    Programs(archs=(Arch.RISCV64,), firmware="grub/grubriscv64.efi", ipxe="ipxe/snponly-riscv64.efi"),
    Programs(archs=(Arch.LOONGARCH64,), firmware="grub/grubloongarch64.efi", ipxe="ipxe/snponly-loongarch64.efi"),
    Programs(archs=(Arch.OPEN_FIRMWARE,), firmware="grub/grubppc.elf"),
    Programs(archs=(Arch.OPAL,), firmware="pxelinux.cfg/", by=By.PREFIX),
    # From HTTP: iPXE.  GRUB 2.06 that was loaded over HTTP has no prefix and ends at its prompt.
    Programs(archs=(Arch.IA32_HTTP,), firmware="ipxe/snponly-ia32.efi", by=By.HTTP_CLIENT),
    Programs(archs=(Arch.X64_HTTP, Arch.X64_TOO_HTTP), firmware="ipxe/snponly.efi", by=By.HTTP_CLIENT),
    Programs(archs=(Arch.ARM32_HTTP,), firmware="ipxe/snponly-arm32.efi", by=By.HTTP_CLIENT),
    Programs(archs=(Arch.ARM64_HTTP,), firmware="ipxe/snponly-arm64.efi", by=By.HTTP_CLIENT),
    Programs(archs=(Arch.RISCV64_HTTP,), firmware="ipxe/snponly-riscv64.efi", by=By.HTTP_CLIENT),
    Programs(archs=(Arch.LOONGARCH64_HTTP,), firmware="ipxe/snponly-loongarch64.efi", by=By.HTTP_CLIENT),
)
ONLY_IPV4 = frozenset({Arch.BIOS, Arch.OPEN_FIRMWARE, Arch.OPAL})  # nor does PXELINUX speak IPv6, whoever loads it
OURS = frozenset({SCRIPT, "pxelinux.cfg/"})  # menus: always published
KNOWN = frozenset(name for row in POLICY for name in (row.firmware, row.ipxe) if name) - OURS


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Clients of these architectures, with an iPXE running or not, are given this file."""

    archs: tuple[ClientArch, ...]  # none: any, known or not
    besides: tuple[ClientArch, ...] = ()  # of any, these are not meant
    running: bool
    file: str
    by: By

    def meets(self, arch: int, *, running: bool) -> bool:
        """Return whether a client is meant."""
        return running is self.running and (arch in self.archs if self.archs else arch not in self.besides)

    def url(self, server: str) -> str:
        """Return where the file (or, of a prefix, the folder) is fetched from, by HTTP; `server` as URLs have it."""
        return f"http://{server}/tftpboot/{'' if self.by is By.PREFIX else self.file}"

    def url6(self, server: str) -> str:
        """Return what DHCPv6 says: a URL always (RFC 5970 3.1)."""
        return f"tftp://[{server}]/{self.file}" if self.by is By.NAME else self.url(f"[{server}]")


def offers(programs: Collection[str], *, ipxe_node: bool) -> tuple[Offer, ...]:
    """Return what clients are offered over IPv4 where these programs are there: at most one offer meets a client."""
    return of_rows(POLICY, programs, ipxe_node=ipxe_node)


def offers6(programs: Collection[str], *, ipxe_node: bool) -> tuple[Offer, ...]:
    """Return what clients are offered over IPv6."""
    return of_rows([row for row in POLICY if not ONLY_IPV4 & set(row.archs)], programs, ipxe_node=ipxe_node)


def of_rows(rows: Iterable[Programs], programs: Collection[str], *, ipxe_node: bool) -> tuple[Offer, ...]:
    """Return the offers of some rows; those of the same file are one."""
    exceptions: tuple[ClientArch, ...] = ()
    found: dict[tuple[bool, str, By], tuple[ClientArch, ...]] = {}
    for row in rows:
        if row.running_ipxe in programs and not ipxe_node:
            found[True, row.running_ipxe, By.NAME] = row.archs
            exceptions += row.archs
        file = row.ipxe if ipxe_node and row.ipxe in programs else row.firmware
        if file in programs or file in OURS:
            found[False, file, row.by] = found.get((False, file, row.by), ()) + row.archs
    script = Offer(archs=(), besides=exceptions, running=True, file=SCRIPT, by=By.URL)
    others = [Offer(archs=archs, running=run, file=file, by=by) for (run, file, by), archs in found.items()]
    return (script, *others)
