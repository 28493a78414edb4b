"""What a kernel module says of itself: its `.modinfo` section, by a plain reader of section headers.

pyelftools needs 19 s for a kernel's 4,000 modules, this 0.2 s: of each file it reads the header, the section table, the
section names and the one section.  Layout: elf(5); the keys: include/linux/moduleinfo.h, modinfo(8).
No number in the file is believed: each is bounded, and what is cut off is a `ValueError`.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from tasks.initrd.kernel.unpack import packing, unpack
from tasks.initrd.loader.sysroot import Sysroot

Piece = Callable[[int, int], bytes]  # (offset, size) → so many bytes, fewer at the end of the file

LARGEST_MODULE = 256 << 20  # bytes, unpacked; amdgpu.ko with debug information has 0.4 of it
LARGEST_SECTION = 4 << 20  # of names or of .modinfo
AROUND = 4096
MOST_SECTIONS = 1 << 16
SECTIONS = re.compile(rb"(\.modinfo|__versions)\0")
RELOCATABLE = 1  # ET_REL
EXTENDED_INDEX = 0xFFFF  # SHN_XINDEX: the real number stands in section 0
# Class and byte order → (header from e_type on, section header).
HEADERS = {
    (size, order): (struct.Struct(sign + header), struct.Struct(sign + section))
    for order, sign in ((1, "<"), (2, ">"))
    for size, header, section in ((1, "HHIIIIIHHHHHH", "10I"), (2, "HHIQQQIHHHHHH", "IIQQQQIIQQ"))
}


@dataclass(frozen=True)
class Modinfo:
    """The keys of a module, each with its values in their order; `machine` is ELF's e_machine.

    `versioned`: the module carries a checksum of each symbol that it uses (section __versions).
    """

    values: Mapping[str, tuple[str, ...]]
    machine: int = 0
    versioned: bool = False

    def all(self, key: str) -> tuple[str, ...]:
        """Return all values of a key."""
        return self.values.get(key, ())

    def one(self, key: str) -> str:
        """Return a key's value, the first where there are several, empty where there is none."""
        return next(iter(self.all(key)), "")

    @cached_property
    def depends(self) -> tuple[str, ...]:
        """Return the modules whose symbols this one uses, by name."""
        return tuple(name for name in self.one("depends").split(",") if name)

    @property
    def firmware(self) -> tuple[str, ...]:
        """Return the names of the firmware files that the driver may ask for; some are patterns."""
        return tuple(sorted(set(self.all("firmware"))))

    @property
    def weakdeps(self) -> tuple[str, ...]:
        """Return the modules that this one may ask for later."""
        return tuple(word for text in self.all("weakdep") for word in text.replace("-", "_").split())

    @property
    def vermagic(self) -> str:
        """Return for which kernel the module was built: its version, then words of its configuration."""
        return self.one("vermagic").strip()


def read(tree: Sysroot, path: str) -> Modinfo:
    """Return what a module file of a tree says, packed or not; `path` is real.  `ValueError` where it is no module."""
    piece = windowed(tree, path)
    if packing(piece(0, 6)) == "none":
        return look(piece)
    return parse(unpack(tree.read_at(path, 0, LARGEST_MODULE), LARGEST_MODULE))


def parse(data: bytes) -> Modinfo:
    """Return what a module says that lies in memory, unpacked."""
    return look(lambda offset, size: data[offset : offset + size])


def windowed(tree: Sysroot, path: str) -> Piece:
    """Return a reader that takes some more around each piece: section names lie just before the section table."""
    start, window = 0, b""

    def piece(offset: int, size: int) -> bytes:
        nonlocal start, window
        if not start <= offset <= offset + size <= start + len(window):
            start = max(offset - AROUND, 0)
            window = tree.read_at(path, start, offset - start + size + AROUND)
        return window[offset - start : offset - start + size]

    return piece


def look(piece: Piece) -> Modinfo:
    """Find .modinfo by the section table and read its keys."""
    head = piece(0, 64)
    layout = HEADERS.get((head[4], head[5])) if head[:4] == b"\x7fELF" and len(head) >= 16 else None
    if layout is None or len(head) < 16 + layout[0].size:
        message = "no ELF file"
        raise ValueError(message)
    header, section = layout
    kind, machine, *_, table, _, _, _, _, size, count, names = header.unpack(head[16 : 16 + header.size])
    if kind != RELOCATABLE or size != section.size:
        message = "no kernel module (not relocatable, or a section table of another size)"
        raise ValueError(message)
    found = sections(piece, section, table, count, names)
    if b".modinfo" not in found:
        message = "no kernel module (no section .modinfo)"
        raise ValueError(message)
    return Modinfo(keys(body(piece, found[b".modinfo"])), machine=machine, versioned=b"__versions" in found)


def sections(piece: Piece, layout: struct.Struct, table: int, count: int, names: int) -> dict[bytes, tuple[int, int]]:
    """Return {section name: (offset, size)} of the sections that matter here."""
    if not count or names == EXTENDED_INDEX:
        first = layout.unpack(exactly(piece, table, layout.size))
        count, names = count or first[5], first[6] if names == EXTENDED_INDEX else names
    if not names < count <= MOST_SECTIONS:
        message = f"a section table of {count} entries with its names in entry {names}"
        raise ValueError(message)
    rows = list(layout.iter_unpack(exactly(piece, table, count * layout.size)))
    texts = body(piece, (rows[names][4], rows[names][5]))
    wanted = {found.start(): found[1] for found in SECTIONS.finditer(texts)}
    return {wanted[row[0]]: (row[4], row[5]) for row in rows if row[0] in wanted}


def body(piece: Piece, where: tuple[int, int]) -> bytes:
    """Return a section's bytes."""
    offset, size = where
    if size > LARGEST_SECTION:
        message = f"a section of {size} bytes"
        raise ValueError(message)
    return exactly(piece, offset, size)


def exactly(piece: Piece, offset: int, size: int) -> bytes:
    """Return just so many bytes, never fewer."""
    data = piece(offset, size) if offset <= LARGEST_MODULE else b""
    if len(data) != size:
        message = "cut off"
        raise ValueError(message)
    return data


def keys(section: bytes) -> dict[str, tuple[str, ...]]:
    """Return {key: values} of NUL-separated ``key=value`` texts."""
    found: dict[str, list[str]] = {}
    for text in section.decode(errors="replace").split("\0"):
        key, equals, value = text.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
