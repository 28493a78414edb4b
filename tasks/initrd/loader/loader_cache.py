"""ld.so.cache: which file the loader opens for a library's name (glibc elf/cache.c, sysdeps/generic/dl-cache.h).

The loader reads this file and never /etc/ld.so.conf; only ldconfig(8) reads that.  A cache that is damaged, or was
written for another byte order, is to the loader as if it were not there.
"""

import struct
from dataclasses import dataclass, field

OLD_MAGIC = b"ld.so-1.7.0"
OLD_HEADER, OLD_ENTRY = 16, 12  # bytes
NEW_MAGIC = b"glibc-ld.so.cache1.1"
NEW_HEADER, NEW_ENTRY = 48, 24  # bytes
ORDERS = {0: "<>", 2: "<", 3: ">"}  # the flags' byte: not said (before glibc 2.33), little, big
EXTENSION_MAGIC = 0xEAA42174  # -358342284
TAG_HWCAPS = 1
MAX_SECTIONS = 64
HWCAP_EXTENSION = 1 << 62
MAX_ENTRIES = 1 << 17
MAX_CHOICES = 64
MAX_NAME, MAX_PATH = 255, 4095  # bytes
# _DL_CACHE_DEFAULT_ID of each machine (ldconfig.h): entries with other flags are another machine's.
FLAGS = {
    ("EM_X86_64", 64): {0x303},
    ("EM_X86_64", 32): {0x803},
    ("EM_386", 32): {1, 3},
    ("EM_AARCH64", 64): {0xA03},
    ("EM_ARM", 32): {0x903, 0xB03, 1, 3},
    ("EM_PPC64", 64): {0x503},
    ("EM_S390", 64): {0x403},
    ("EM_RISCV", 64): {0x1003, 0xF03},
}


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """A file for a name: its absolute path; `level` is the glibc-hwcaps level that it needs, None for any CPU."""

    path: str
    level: str | None


@dataclass(frozen=True, kw_only=True)
class LoaderCache:
    """All entries by name, as (flags, where its path stands, level)."""

    data: bytes = field(default=b"", repr=False)
    rows: dict[str, list[tuple[int, int, str | None]]] = field(default_factory=dict)

    def find(self, name: str, machine: str, bits: int) -> list[CacheEntry]:
        """Return the entries for a name that are meant for a machine (`EM_…`, 32 or 64)."""
        wanted = FLAGS.get((machine, bits))
        fitting = [row for row in self.rows.get(name, ()) if wanted is None or row[0] in wanted][:MAX_CHOICES]
        paths = [(string(self.data, place, MAX_PATH), level) for _, place, level in fitting]
        return [CacheEntry(path=path, level=level) for path, level in paths if path]


def parse_cache(data: bytes, *, little_endian: bool) -> LoaderCache:
    """Return what a loader of that byte order finds in the file; nothing where it would take it for none."""
    start = new_format(data, "<" if little_endian else ">")
    header = data[start : start + NEW_HEADER]
    if start < 0 or len(header) < NEW_HEADER:
        return LoaderCache()
    order = "<" if little_endian else ">"
    count, _, flags, extension = struct.unpack_from(f"{order}IIB3xI", header, 20)
    if order not in ORDERS.get(flags & 3, "") or count > min(
        MAX_ENTRIES, (len(data) - start - NEW_HEADER) // NEW_ENTRY
    ):
        return LoaderCache()
    levels = hwcaps_levels(data, start, extension, order)
    rows: dict[str, list[tuple[int, int, str | None]]] = {}
    table = data[start + NEW_HEADER : start + NEW_HEADER + count * NEW_ENTRY]
    for kind, key, value, _, hwcap in struct.iter_unpack(f"{order}iIIIQ", table):
        name = string(data, start + key, MAX_NAME)
        level = levels.get(hwcap & 0xFFFFFFFF) if hwcap & HWCAP_EXTENSION else None
        if name and (level or not hwcap):
            rows.setdefault(name, []).append((kind, start + value, level))
    return LoaderCache(data=data, rows=rows)


def new_format(data: bytes, order: str) -> int:
    """Return where the new format begins, at once or behind an old table; -1 where it does not."""
    if data.startswith(NEW_MAGIC):
        return 0
    if data.startswith(OLD_MAGIC) and len(data) >= OLD_HEADER:
        end = OLD_HEADER + OLD_ENTRY * int(struct.unpack_from(f"{order}I", data, 12)[0])
        aligned = (end + -end % 8, end + -end % 4)  # as the machine aligns 64-bit numbers
        return next((start for start in aligned if data.startswith(NEW_MAGIC, start)), -1)
    return -1


def hwcaps_levels(data: bytes, start: int, extension: int, order: str) -> dict[int, str]:
    """Return {index: level} of the extension that names the glibc-hwcaps folders."""
    head = data[extension : extension + 8]
    if not extension or len(head) < 8:
        return {}
    magic, count = struct.unpack(f"{order}II", head)
    if magic != EXTENSION_MAGIC:
        return {}
    table = data[extension + 8 : extension + 8 + 16 * min(count, MAX_SECTIONS)]
    sections = struct.iter_unpack(f"{order}IIII", table[: len(table) - len(table) % 16])
    for tag, _, offset, size in sections:
        if tag == TAG_HWCAPS:
            raw = data[offset : offset + min(size, 4 * MAX_SECTIONS)]
            offsets = struct.iter_unpack(f"{order}I", raw[: len(raw) - len(raw) % 4])
            return {number: string(data, start + place, MAX_NAME) or "" for number, (place,) in enumerate(offsets)}
    return {}


def string(data: bytes, place: int, longest: int) -> str | None:
    """Return the string at a place, None where none is."""
    end = data.find(b"\0", place, place + longest + 1)
    return data[place:end].decode(errors="surrogateescape") if 0 <= place <= end else None
