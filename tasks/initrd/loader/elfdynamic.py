"""The dynamic section of an ELF file: which libraries it needs, and where it looks for them (ld.so(8), elf(5))."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from tasks.initrd.loader.elfheader import MAX_NAME, Header, Segment, refuse, text

WORDS = {32: "iI", 64: "qQ"}
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29
DT_FLAGS_1, DT_AUXILIARY, DT_FILTER = 0x6FFFFFFB, 0x7FFFFFFD, 0x7FFFFFFF
DT_VERDEF, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFE, 0x6FFFFFFF
VER_FLG_WEAK = 2
STRING_TAGS = {DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FILTER, DT_AUXILIARY}
# Bounds on what a file may make us do; the largest real values are a tenth of them.
MAX_DYNAMIC = 1 << 20  # bytes
MAX_STRINGS = 64 << 20  # bytes
MAX_NEEDED = 4096  # entries
MAX_SEARCH_PATH = 1 << 16  # bytes
MAX_VERSIONS = 1 << 14  # bytes of the table of needed versions
MAX_ROWS = 100

ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """The dynamic section: string offsets by tag, the string table, DT_FLAGS_1.

    `versions` are the (library, version) that must be there at the start; `versioned` says that there are own ones.
    """

    offsets: dict[int, list[int]] = field(default_factory=dict)
    strings: bytes = b""
    flags: int = 0
    versions: tuple[tuple[str, str], ...] = ()
    versioned: bool = False

    def names(self, tag: int) -> tuple[str, ...]:
        """Return the names that stand under a tag, in order, each once."""
        offsets = list(dict.fromkeys(self.offsets.get(tag, ())))
        if len(offsets) > MAX_NEEDED:
            refuse("it needs more libraries than there are")
        return tuple(dict.fromkeys(text(self.string(offset, MAX_NAME)) for offset in offsets))

    def path(self, tag: int) -> tuple[str, ...] | None:
        """Return a search path's elements, None where the tag is not there; an empty path has none."""
        offsets = self.offsets.get(tag)
        if not offsets:
            return None
        found = text(self.string(offsets[-1], MAX_SEARCH_PATH))
        return tuple(dict.fromkeys(found.split(":"))) if found else ()

    def string(self, offset: int, longest: int) -> bytes:
        """Return a string of the table."""
        end = self.strings.find(b"\0", offset, offset + longest + 1) if offset < len(self.strings) else -1
        if end < 0:
            refuse("a name lies outside the string table, or has no end")
        return self.strings[offset:end]


def dynamic_of(header: Header, segment: Segment, loads: list[Segment], read: ReadAt, size: int) -> Dynamic:
    """Return the dynamic section; it and its strings are found by address, as the loader finds them."""
    offsets: dict[int, list[int]] = {}
    numbers = dict.fromkeys((DT_STRTAB, DT_STRSZ, DT_FLAGS_1, DT_VERDEF, DT_VERNEED, DT_VERNEEDNUM), 0)
    for tag, value in dynamic_entries(header, segment, loads, read):
        if tag in STRING_TAGS:
            offsets.setdefault(tag, []).append(value)
        elif tag in numbers:
            numbers[tag] = value
    start = offset_of(numbers[DT_STRTAB], loads)
    if offsets and start is None:
        refuse("its string table is nowhere")
    length = min(numbers[DT_STRSZ], max(0, size - (start or 0)), MAX_STRINGS)
    strings = read(start, length) if start is not None else b""
    found = Dynamic(offsets=offsets, strings=strings, flags=numbers[DT_FLAGS_1], versioned=bool(numbers[DT_VERDEF]))
    table = offset_of(numbers[DT_VERNEED], loads) if numbers[DT_VERNEEDNUM] else None
    if table is None:
        return found
    rows = version_rows(read(table, MAX_VERSIONS), header.order)
    return replace(found, versions=tuple((name(found, file), name(found, version)) for file, version in rows))


def version_rows(raw: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Yield where the names of the needed versions stand, as (library, version); weak ones may be absent."""
    for place, (_, count, library, first, _) in chain(raw, 0, f"{order}HHIII"):
        for _, (_, flags, _, version, _) in islice(chain(raw, place + first, f"{order}IHHII"), count):
            if not flags & VER_FLG_WEAK:
                yield library, version


def chain(raw: bytes, place: int, code: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (place, fields) of rows of 16 bytes whose last field leads to the next one, a hundred at most."""
    for _ in range(MAX_ROWS):
        if place + 16 > len(raw):
            return
        row = struct.unpack_from(code, raw, place)
        yield place, row
        if not row[-1]:
            return
        place += row[-1]


def name(dynamic: Dynamic, offset: int) -> str:
    """Return a name of the string table."""
    return text(dynamic.string(offset, MAX_NAME))


def dynamic_entries(header: Header, segment: Segment, loads: list[Segment], read: ReadAt) -> Iterator[tuple[int, int]]:
    """Yield (tag, value) up to DT_NULL."""
    start = offset_of(segment.address, loads)
    if segment.size > MAX_DYNAMIC:
        refuse("its dynamic section is too large")
    code = header.order + WORDS[header.bits]
    raw = read(segment.offset if start is None else start, segment.size)
    for tag, value in struct.iter_unpack(code, raw[: len(raw) - len(raw) % struct.calcsize(code)]):
        if tag == DT_NULL:
            return
        yield tag, value


def offset_of(address: int, loads: list[Segment]) -> int | None:
    """Return where in the file an address of the process lies, None where nothing of the file is mapped to it."""
    found = (each for each in loads if each.address <= address < each.address + each.size)
    return next((each.offset + address - each.address for each in found), None)
