"""What a kernel image says of itself: its kind, architecture, version, EFI stub, configuration.

Sources: x86: Documentation/arch/x86/boot.rst; arm64: Documentation/arch/arm64/booting.rst; riscv:
Documentation/arch/riscv/boot-image-header.rst; EFI zboot: drivers/firmware/efi/libstub/zboot-header.S; ELF: elf(5).
No offset and no length in the image is believed: each read is bounded by the image, each unpacking by `LARGEST`.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from tasks.initrd.kernel.kconfig import Kconfig, embedded
from tasks.initrd.kernel.unpack import packing, unpack

LARGEST = 256 << 20  # bytes that a kernel unpacks to, at most; Debian's amd64 has 50 MB
BANNER = re.compile(rb"Linux version (\d[\x21-\x7e]{2,127}) \(")  # init/version.c: linux_banner
LONG_MODE = b"Your CPU does not support long mode"  # arch/x86/kernel/verify_cpu_64.S, of kernels before 2.6.25

# e_machine of elf(5) → architecture by byte order; PE's machine (UEFI 2.10, appendix Q) → architecture.
ELF_MACHINES = {
    3: ("i386", "i386"),
    20: ("powerpc", "powerpc"),
    21: ("ppc64le", "ppc64"),
    22: ("s390x", "s390x"),
    40: ("armhf", "armhf"),
    62: ("x86_64", "x86_64"),
    183: ("aarch64", "aarch64"),
    243: ("riscv64", "riscv64"),
    258: ("loongarch64", "loongarch64"),
}
PE_MACHINES = {
    0x14C: "i386",
    0x1C2: "armhf",
    0x5064: "riscv64",
    0x6264: "loongarch64",
    0x8664: "x86_64",
    0xAA64: "aarch64",
}
NARROW = {"i386", "armhf", "powerpc"}


class Kind(StrEnum):
    """In which form a kernel comes."""

    BZIMAGE = "bzImage"
    IMAGE = "Image"  # arm64 or riscv, as the loader puts it into memory
    IMAGE_GZ = "Image.gz"  # the same, packed; most loaders unpack it, UEFI does not
    ZBOOT = "zboot"  # an EFI program that unpacks the Image in it
    ZIMAGE = "zImage"  # 32-bit ARM
    VMLINUX = "vmlinux"  # ELF
    UNKNOWN = ""


@dataclass(frozen=True, kw_only=True)
class KernelImage:
    """A kernel as the loader gets it.

    `kind`: its form, empty where it is none that we know.  `arch`: as osimages name it (x86_64, i386, aarch64 …), empty
    where unknown.  `bits`: 32, 64, or 0 where unknown.  `version`: what `uname -r` will say, empty where the image does
    not tell.  `efi_stub`: UEFI can start it without a loader.  `initrd_max`: the highest address of an initrd's last
    byte, 0 where there is no limit (x86 only; 64-bit loaders may go above it if `above_4g`).  `cut_off`: the file ends
    before what its header says that it unpacks (x86 only).
    """

    kind: Kind
    arch: str
    bits: int
    version: str
    efi_stub: bool = False
    initrd_max: int = 0
    above_4g: bool = False
    cut_off: bool = False
    plain: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)

    @cached_property
    def config(self) -> Kconfig | None:
        """Return the configuration that the kernel carries in itself (CONFIG_IKCONFIG=y), None where it has none.

        The kernel is unpacked for this, which takes a second: ask where /boot/config-VERSION is not there.
        """
        try:
            return embedded(self.plain())
        except ValueError:
            return None


def parse(data: bytes) -> KernelImage:
    """Recognise a kernel image; what cannot be recognised has an empty kind.  Never raises for hostile bytes."""
    if data[0x202:0x206] == b"HdrS":
        return bzimage(data)
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return zboot(data)
    if data[0x38:0x3C] in {b"ARM\x64", b"RSC\x05"}:
        return image(data)
    if data[:4] == b"\x7fELF":
        return vmlinux(data)
    if data[0x24:0x28] == b"\x18\x28\x6f\x01":  # Documentation/arch/arm/booting.rst; its version is inside
        return KernelImage(kind=Kind.ZIMAGE, arch="armhf", bits=32, version="")
    if data[:2] == b"\x1f\x8b":
        return packed_image(data)
    return KernelImage(kind=Kind.UNKNOWN, arch="", bits=0, version="")


# -- x86 -------------------------------------------------------------------------------------------------------------


def bzimage(data: bytes) -> KernelImage:
    """Read the header of the x86 boot protocol: what a field's version of the protocol has not is zero."""
    protocol = number(data, 0x206, "<H")
    loadflags = number(data, 0x236, "<H") if protocol >= 0x20C else 0  # xloadflags
    arch = x86_arch(data, protocol, loadflags)
    return KernelImage(
        kind=Kind.BZIMAGE,
        arch=arch,
        bits=64 if arch == "x86_64" else 32 if arch else 0,
        version=x86_version(data),
        efi_stub=bool(pe_machine(data)),
        initrd_max=number(data, 0x22C, "<I") if protocol >= 0x203 else 0x37FFFFFF,
        above_4g=bool(loadflags & 2),  # XLF_CAN_BE_LOADED_ABOVE_4G
        cut_off=protocol >= 0x208 and payload_bounds(data)[1] > len(data),
        plain=lambda: payload(data),
    )


def x86_version(data: bytes) -> str:
    """Return the first word of the text that kernel_version points to, relative to 0x200."""
    pointer = number(data, 0x20E, "<H")
    text = data[pointer + 0x200 : pointer + 0x200 + 256].partition(b"\0")[0] if pointer else b""
    return printable(text.partition(b" ")[0])


def x86_arch(data: bytes, protocol: int, loadflags: int) -> str:
    """Return whether a bzImage is of 32 or 64 bits.

    Since protocol 2.12 (v3.8) it says so itself (XLF_KERNEL_64); an EFI stub (v3.3) is of the kernel's own size.
    Before, the ELF file in it tells (2.08, v2.6.26), and for still older ones a sentence of 64-bit kernels only.
    """
    if protocol >= 0x20C:
        return "x86_64" if loadflags & 1 else "i386"
    if pe_machine(data) in {"i386", "x86_64"}:
        return pe_machine(data)
    if protocol >= 0x208:
        try:
            return elf_arch(payload(data))
        except ValueError:
            return ""
    return "x86_64" if LONG_MODE in data else "i386"


def payload(data: bytes) -> bytes:
    """Return the vmlinux in a bzImage, unpacked (payload_offset, payload_length); `ValueError` where that fails."""
    if number(data, 0x206, "<H") < 0x208:
        message = "a boot protocol that does not say where the kernel lies"
        raise ValueError(message)
    start, end = payload_bounds(data)
    return inner(data[start:end])


def payload_bounds(data: bytes) -> tuple[int, int]:
    """Return where a bzImage says that its packed vmlinux begins and ends."""
    start = ((data[0x1F1] or 4) + 1) * 512 + number(data, 0x248, "<I")
    return start, start + number(data, 0x24C, "<I")


# -- others ----------------------------------------------------------------------------------------------------------


def image(data: bytes) -> KernelImage:
    """Read an arm64 or riscv Image: it lies in the file as it will in memory."""
    arch = "aarch64" if data[0x38:0x3C] == b"ARM\x64" else "riscv64"
    stub = pe_machine(data) == arch
    return KernelImage(kind=Kind.IMAGE, arch=arch, bits=64, version=banner(data), efi_stub=stub, plain=lambda: data)


def vmlinux(data: bytes) -> KernelImage:
    """Read an ELF kernel."""
    arch = elf_arch(data)
    bits = 32 if arch in NARROW else 64 if arch else 0
    return KernelImage(kind=Kind.VMLINUX, arch=arch, bits=bits, version=banner(data), plain=lambda: data)


def packed_image(data: bytes) -> KernelImage:
    """Look into a gzip-packed kernel."""
    try:
        content = unpack(data, LARGEST)
    except ValueError:
        return KernelImage(kind=Kind.UNKNOWN, arch="", bits=0, version="")
    kind = Kind.IMAGE_GZ if content[:2] != b"\x1f\x8b" else Kind.UNKNOWN  # no boxes in boxes
    found = parse(content) if kind else KernelImage(kind=kind, arch="", bits=0, version="")
    return KernelImage(
        kind=kind if found.kind else Kind.UNKNOWN,
        arch=found.arch,
        bits=found.bits,
        version=found.version,
        plain=found.plain,
    )


def zboot(data: bytes) -> KernelImage:
    """Read an EFI program that carries a packed Image: where that lies stands in its DOS header."""
    start, length = number(data, 8, "<I"), number(data, 12, "<I")
    arch = pe_machine(data)
    content = Lazy(lambda: inner(data[start : start + length]))
    return KernelImage(
        kind=Kind.ZBOOT,
        arch=arch,
        bits=32 if arch in NARROW else 64 if arch else 0,
        version=content.banner(),
        efi_stub=bool(arch),
        plain=content,
    )


class Lazy:
    """Content that is unpacked when it is asked for, once."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        """Take the way to it."""
        self.make = make

    def __call__(self) -> bytes:
        """Return the content; `ValueError` where it cannot be had."""
        return self.content

    @cached_property
    def content(self) -> bytes:
        """Unpack."""
        return self.make()

    def banner(self) -> str:
        """Return the version in it, empty where it cannot be had."""
        try:
            return banner(self.content)
        except ValueError:
            return ""


def inner(data: bytes) -> bytes:
    """Return an unpacked kernel; behind lz4's blocks lies its size, which is none of them (scripts/Makefile.lib)."""
    kind = packing(data[:6])
    if kind == "none" and data[:4] == b"\x7fELF":
        return data
    return unpack(data[:-4] if kind == "lz4" else data, LARGEST)


# -- fields ----------------------------------------------------------------------------------------------------------


def number(data: bytes, offset: int, layout: str) -> int:
    """Return a number of the image, 0 where the image ends before it."""
    size = struct.calcsize(layout)
    piece = data[offset : offset + size]
    return int(struct.unpack(layout, piece)[0]) if len(piece) == size else 0


def pe_machine(data: bytes) -> str:
    """Return the architecture of a PE header, empty where there is none: the image has no EFI stub."""
    where = number(data, 0x3C, "<I")
    if data[:2] != b"MZ" or data[where : where + 4] != b"PE\0\0":
        return ""
    return PE_MACHINES.get(number(data, where + 4, "<H"), "")


def elf_arch(data: bytes) -> str:
    """Return the architecture of an ELF file, empty where unknown."""
    big = data[5:6] == b"\2"
    machine = number(data, 18, ">H" if big else "<H") if data[:4] == b"\x7fELF" else 0
    return ELF_MACHINES.get(machine, ("", ""))[big]


def banner(data: bytes) -> str:
    """Return the version of the first `Linux version …` in an image that is not packed."""
    return next((printable(found[1]) for found in BANNER.finditer(data)), "")


def printable(word: bytes) -> str:
    """Return a word as text, empty where it has bytes that no version has."""
    return word.decode("ascii", errors="replace") if re.fullmatch(rb"[\x21-\x7e]{1,128}", word) else ""
