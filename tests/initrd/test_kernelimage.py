"""Kernel images are recognised by what they are, in every form; no field in them is believed."""

import bz2
import gzip
import struct
from collections.abc import Callable

import pytest

from tasks.compression import compress
from tasks.initrd.kernel import kernelimage, unpack
from tasks.initrd.kernel.kernelimage import KernelImage, Kind
from tasks.inventory.model import Compression
from tests.initrd import kernels

VMLINUX = kernels.elf({".text": b"Linux version 6.1.0-1-any (x@y) #1"}, kind=2)
CONFIG = "CONFIG_RD_ZSTD=y\n"
OLD = {0x300: b"2.6.18-398.el5 (x@y) #1\0", 0x20E: struct.pack("<H", 0x100)}
LONG_MODE = {0x600: b"Your CPU does not support long mode. Use a 32bit distribution."}


def vmlinux(machine: int, *, order: str = "<", bits: int = 64) -> bytes:
    """Return an ELF kernel."""
    body = {".rodata": b"\0Linux version %s (%s)\0Linux version 6.1.0-1-any (x@y) #1 SMP\0"}
    return kernels.elf(body, machine=machine, order=order, bits=bits, kind=2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (kernels.bzimage(), (Kind.BZIMAGE, "x86_64", 64, kernels.VERSION)),
        (kernels.bzimage(flags=2), (Kind.BZIMAGE, "i386", 32, kernels.VERSION)),
        (kernels.bzimage(protocol=0x20B, patches=kernels.pe(0x8664)), (Kind.BZIMAGE, "x86_64", 64, kernels.VERSION)),
        (kernels.bzimage(protocol=0x20B, patches=kernels.pe(0x14C)), (Kind.BZIMAGE, "i386", 32, kernels.VERSION)),
        (
            kernels.bzimage(protocol=0x20A, payload=gzip.compress(vmlinux(62))),
            (Kind.BZIMAGE, "x86_64", 64, kernels.VERSION),
        ),
        (
            kernels.bzimage(protocol=0x20A, payload=gzip.compress(vmlinux(3, bits=32))),
            (Kind.BZIMAGE, "i386", 32, kernels.VERSION),
        ),
        (kernels.bzimage(protocol=0x20A, payload=b"damaged"), (Kind.BZIMAGE, "", 0, kernels.VERSION)),
        (
            kernels.bzimage(protocol=0x204, patches={**OLD, **LONG_MODE}),
            (Kind.BZIMAGE, "x86_64", 64, "2.6.18-398.el5"),
        ),
        (kernels.bzimage(protocol=0x204, patches=OLD), (Kind.BZIMAGE, "i386", 32, "2.6.18-398.el5")),
        (kernels.arm64("6.1.0-1-arm64"), (Kind.IMAGE, "aarch64", 64, "6.1.0-1-arm64")),
        (gzip.compress(kernels.arm64("6.1.0-1-arm64")), (Kind.IMAGE_GZ, "aarch64", 64, "6.1.0-1-arm64")),
        (kernels.zboot(kernels.arm64("6.1.0-1-arm64")), (Kind.ZBOOT, "aarch64", 64, "6.1.0-1-arm64")),
        (kernels.zboot(kernels.arm64("6.1.0-1-arm64"), ".zst"), (Kind.ZBOOT, "aarch64", 64, "6.1.0-1-arm64")),
        (kernels.zboot(b"damaged"), (Kind.ZBOOT, "aarch64", 64, "")),
        (vmlinux(21), (Kind.VMLINUX, "ppc64le", 64, "6.1.0-1-any")),
        (vmlinux(21, order=">"), (Kind.VMLINUX, "ppc64", 64, "6.1.0-1-any")),
        (vmlinux(3, bits=32), (Kind.VMLINUX, "i386", 32, "6.1.0-1-any")),
        (vmlinux(0xBAD), (Kind.VMLINUX, "", 0, "6.1.0-1-any")),
        (kernels.patched(bytes(64), {0x24: b"\x18\x28\x6f\x01"}), (Kind.ZIMAGE, "armhf", 32, "")),
        (b"", (Kind.UNKNOWN, "", 0, "")),
        (b"MZ" + bytes(4096), (Kind.UNKNOWN, "", 0, "")),
        (gzip.compress(b"no kernel"), (Kind.UNKNOWN, "", 0, "")),
        (gzip.compress(gzip.compress(kernels.arm64())), (Kind.UNKNOWN, "", 0, "")),
        (gzip.compress(kernels.arm64())[:-20], (Kind.UNKNOWN, "", 0, "")),
    ],
    ids=[
        *(
            "x86_64",
            "i386",
            "EFI 64",
            "EFI 32",
            "payload 64",
            "payload 32",
            "payload damaged",
            "2.6.18 64",
            "2.6.18 32",
        ),
        *("arm64", "arm64 gz", "zboot gz", "zboot zst", "zboot damaged", "ppc64le", "ppc64", "vmlinux 32", "machine"),
        *("zImage", "empty", "DOS", "gz of text", "gz of gz", "gz cut off"),
    ],
)
def test_kernels_are_recognised(data: bytes, expected: tuple[Kind, str, int, str]) -> None:
    """Kind, architecture, bits, version."""
    found = kernelimage.parse(data)
    assert (found.kind, found.arch, found.bits, found.version) == expected


@pytest.mark.parametrize(
    ("data", "stub"),
    [
        (kernels.bzimage(patches=kernels.pe(0x8664)), True),
        (kernels.bzimage(), False),
        (kernels.arm64(), True),
        (kernels.arm64(efi=False), False),
        (kernels.zboot(kernels.arm64()), True),
        (gzip.compress(kernels.arm64()), False),
        (vmlinux(21), False),
    ],
)
def test_whether_uefi_can_start_it(data: bytes, stub: bool) -> None:
    """An EFI stub is a PE header of a known machine; packed as a whole, UEFI does not see it."""
    assert kernelimage.parse(data).efi_stub is stub


@pytest.mark.parametrize(
    ("protocol", "flags", "most", "above"),
    [
        (0x20F, 3, 0x7FFFFFFF, True),
        (0x20F, 1, 0x7FFFFFFF, False),
        (0x203, 3, 0x7FFFFFFF, False),
        (0x202, 3, 0x37FFFFFF, False),
    ],
)
def test_where_an_initrd_may_lie(protocol: int, flags: int, most: int, above: bool) -> None:
    """What the boot protocol says of addresses, by its version."""
    found = kernelimage.parse(kernels.bzimage(protocol=protocol, flags=flags))
    assert (found.initrd_max, found.above_4g) == (most, above)


def lz4(data: bytes) -> bytes:
    """Pack as `lz4 -l` does."""
    return b"".join(compress([data], Compression.LZ4))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lz4, *kernels.PACKERS.values()])
def test_the_configuration_inside_is_found(pack: Callable[[bytes], bytes]) -> None:
    """However the kernel is packed; asked for only when it is wanted."""
    inner = kernels.elf({".rodata": kernels.ikconfig(CONFIG)}, kind=2)
    config = kernelimage.parse(kernels.bzimage(payload=pack(inner) + b"\0\0\0\1")).config
    assert config
    assert config.builtin("CONFIG_RD_ZSTD")


@pytest.mark.parametrize(
    "data",
    [kernels.arm64(extra=kernels.ikconfig(CONFIG)), kernels.zboot(kernels.arm64(extra=kernels.ikconfig(CONFIG)))],
    ids=["Image", "zboot"],
)
def test_so_it_is_in_other_forms(data: bytes) -> None:
    """An Image is searched as it lies, a zboot's is unpacked."""
    config = kernelimage.parse(data).config
    assert config
    assert config.builtin("CONFIG_RD_ZSTD")


@pytest.mark.parametrize(
    "data",
    [b"", kernels.bzimage(), kernels.bzimage(payload=b"x" * 99), kernels.bzimage(protocol=0x204), kernels.arm64()],
)
def test_most_kernels_carry_none(data: bytes) -> None:
    """No configuration, whatever is wrong."""
    assert kernelimage.parse(data).config is None


def test_a_bomb_for_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to more than any kernel is given up."""
    monkeypatch.setattr(kernelimage, "LARGEST", 1 << 20)
    bomb = gzip.compress(bytes(8 << 20))
    assert kernelimage.parse(bomb).kind is Kind.UNKNOWN
    assert kernelimage.parse(kernels.bzimage(payload=bomb)).config is None
    assert kernelimage.parse(kernels.zboot(bytes(8 << 20))).version == ""


@pytest.mark.parametrize(
    "data",
    [kernels.bzimage(patches=kernels.pe(0x8664)), kernels.arm64()[:0x900], kernels.zboot(kernels.arm64()), VMLINUX],
    ids=["bzImage", "Image", "zboot", "vmlinux"],
)
def test_no_damage_ends_otherwise(data: bytes) -> None:
    """Cut off anywhere, any of the header's bytes changed: an answer, never an exception."""
    spoilt = [data[:size] for size in range(0, min(len(data), 0x900), 3)]
    spoilt += [kernels.patched(data, {at: bytes([byte])}) for at in range(0x280) for byte in (0, 0x7F, 0xFF)]
    assert all(isinstance(kernelimage.parse(each), KernelImage) for each in spoilt)


def test_versions_are_plain_words() -> None:
    """Bytes that no version has make it unknown: it becomes part of paths."""
    assert kernelimage.parse(kernels.bzimage("6.1\n../x")).version == ""
    assert kernelimage.parse(kernels.bzimage(patches={0x20E: b"\xff\xff"})).version == ""
    assert kernelimage.parse(kernels.bzimage(patches={0x20E: b"\0\0"})).version == ""


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x1f\x8b\x08\0\0\0", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd\0\0", "zstd"),
        (b"BZh91A", "bzip2"),
        (b"\x5d\0\0\0\4\0", "lzma"),
        (b"\x89LZO\0\r", "lzop"),
        (b"\x02\x21\x4c\x18\0\0", "lz4"),
        (b"\x7fELF\2\1", "none"),
    ],
)
def test_how_a_file_is_packed(head: bytes, kind: str) -> None:
    """Told by its first bytes."""
    assert unpack.packing(head) == kind


def test_what_cannot_be_unpacked_is_told() -> None:
    """lzop has no library."""
    with pytest.raises(ValueError, match="packed as lzop"):
        unpack.unpack(b"\x89LZO\0\r\n", 100)
