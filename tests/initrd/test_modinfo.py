"""What a module says of itself is read in all its forms, and no hostile file gets further than a sentence."""

import lzma
import struct
import subprocess
from pathlib import Path

import pytest

from tasks.initrd.kernel import modinfo
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd import kernels

KEYS = ("license=GPL", "depends=mii,libphy", "alias=pci:v1*", "alias=pci:v2*", "firmware=b.bin", "firmware=a*.bin")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_every_class_and_byte_order_is_read(bits: int, order: str) -> None:
    """A module of any architecture is read on any other."""
    info = modinfo.parse(kernels.module(*KEYS, bits=bits, order=order, machine=21))
    assert info.machine == 21
    assert info.depends == ("mii", "libphy")
    assert info.all("alias") == ("pci:v1*", "pci:v2*")
    assert info.firmware == ("a*.bin", "b.bin")
    assert info.vermagic == kernels.VERMAGIC.strip()
    assert info.versioned


def test_a_module_without_checksums_and_keys() -> None:
    """What a module does not say is empty, never an error."""
    info = modinfo.parse(kernels.module(vermagic="", versions=False))
    assert (info.depends, info.firmware, info.vermagic, info.versioned) == ((), (), "", False)


@pytest.mark.parametrize("suffix", kernels.PACKERS)
def test_packed_modules_are_read(suffix: str, tmp_path: Path) -> None:
    """However modules are packed, and whatever their names say of it."""
    (tmp_path / "m.ko").write_bytes(kernels.PACKERS[suffix](kernels.module(*KEYS)))
    assert modinfo.read(DiskTree(tmp_path), "m.ko").depends == ("mii", "libphy")


@pytest.mark.integration
def test_modinfo_reads_the_same(tmp_path: Path) -> None:
    """The kernel's own tool agrees (modinfo(8) of kmod): on our made-up files, so that other tests may rely on them."""
    (tmp_path / "m.ko").write_bytes(kernels.module(*KEYS))
    said = subprocess.run(["modinfo", "--null", tmp_path / "m.ko"], capture_output=True, text=True, check=True).stdout
    pairs = [text.split("=", 1) for text in said.split("\0") if text and not text.startswith(("filename", "name="))]
    info = modinfo.read(DiskTree(tmp_path), "m.ko")
    assert sorted(map(tuple, pairs)) == sorted((key, value) for key, values in info.values.items() for value in values)


def test_of_a_large_file_only_parts_are_read(tmp_path: Path) -> None:
    """A module with a gigabyte of debug information in it costs as much as a small one."""

    class Counting(DiskTree):
        read_bytes = 0

        def read_at(self, path: str, offset: int, size: int) -> bytes:
            """Count."""
            piece = super().read_at(path, offset, size)
            Counting.read_bytes += len(piece)
            return piece

        def read(self, path: str) -> bytes:
            """Refuse."""
            raise AssertionError(path)

    (tmp_path / "m.ko").write_bytes(kernels.elf({".modinfo": b"depends=x\0", ".debug": bytes(4 << 20)}))
    assert modinfo.read(Counting(tmp_path), "m.ko").depends == ("x",)
    assert Counting.read_bytes < 64 << 10


def patched(at: int, layout: str, value: int) -> bytes:
    """Return a module with one number of its header changed."""
    return kernels.patched(kernels.module(*KEYS), {at: struct.pack(layout, value)})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no ELF file"),
        (b"\x7fELF", "no ELF file"),
        (b"\x7fELF\x03\x01" + bytes(64), "no ELF file"),
        (kernels.elf({".modinfo": b"a=b\0"}, kind=3), "no kernel module"),
        (kernels.elf({".text": b"a=b\0"}), "no section .modinfo"),
        (patched(0x3A, "<H", 8), "no kernel module"),
        (patched(0x3C, "<H", 0xFFFF), "cut off"),
        (patched(0x3E, "<H", 99), "its names in entry 99"),
        (patched(0x28, "<Q", 1 << 63), "cut off"),
        (patched(0x28, "<Q", 1 << 27), "cut off"),
        (kernels.module(*KEYS)[:-1], "cut off"),
    ],
    ids=[
        *("empty", "magic only", "class", "no module", "no modinfo", "entry size", "count", "names", "far", "behind"),
        "cut",
    ],
)
def test_what_is_no_module_is_a_sentence(data: bytes, sentence: str) -> None:
    """Each lie of a header is found out."""
    with pytest.raises(ValueError, match=sentence):
        modinfo.parse(data)


def test_numbers_beyond_16_bits_stand_in_the_first_section() -> None:
    """A file may have more sections than its header can count (elf(5): SHN_XINDEX)."""
    data = kernels.module(*KEYS)
    table = struct.unpack_from("<Q", data, 0x28)[0]
    count, names = struct.unpack_from("<HH", data, 0x3C)
    first = {table + 32: struct.pack("<Q", count), table + 40: struct.pack("<I", names)}
    assert modinfo.parse(kernels.patched(data, {0x3C: struct.pack("<HH", 0, 0xFFFF), **first})).depends
    hostile = {table + 32: struct.pack("<Q", 1 << 60), table + 40: struct.pack("<I", 1)}
    with pytest.raises(ValueError, match="a section table of"):
        modinfo.parse(kernels.patched(data, {0x3C: struct.pack("<HH", 0, 0xFFFF), **hostile}))


def test_a_huge_section_is_not_read() -> None:
    """The size of a section is no reason to take so much memory."""
    data = kernels.module(*KEYS)
    table = struct.unpack_from("<Q", data, 0x28)[0]
    with pytest.raises(ValueError, match="a section of 1099511627776 bytes"):
        modinfo.parse(kernels.patched(data, {table + 2 * 64 + 32: struct.pack("<Q", 1 << 40)}))


def test_no_damage_ends_otherwise() -> None:
    """Cut off anywhere, flipped anywhere: read, or a sentence; nothing else."""
    data = kernels.module(*KEYS)
    spoilt = [data[:size] for size in range(len(data))]
    spoilt += [
        kernels.patched(data, {at: bytes([data[at] ^ flip])}) for at in range(len(data)) for flip in (1, 0x80, 255)
    ]
    sentences = 0
    for each in spoilt:
        try:
            modinfo.parse(each)
        except ValueError:
            sentences += 1
    assert len(data) < sentences < len(spoilt)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_damaged_packing_is_a_sentence(suffix: str, tmp_path: Path) -> None:
    """So is a packed module that ends too early."""
    whole = kernels.PACKERS[suffix](kernels.module(*KEYS))
    for size in (6, len(whole) // 2, len(whole) - 9):
        (tmp_path / "m.ko").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"damaged|cut off"):
            modinfo.read(DiskTree(tmp_path), "m.ko")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows beyond all modules is given up at the limit."""
    monkeypatch.setattr(modinfo, "LARGEST_MODULE", 1 << 20)
    (tmp_path / "m.ko").write_bytes(lzma.compress(bytes(64 << 20)))
    with pytest.raises(ValueError, match="more than 1 MiB"):
        modinfo.read(DiskTree(tmp_path), "m.ko")
