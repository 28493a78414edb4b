"""What the kernel and the dynamic loader would read of an ELF file (elf(5)).  Nothing is executed.

The only door to pyelftools.  It names machines, and reads what is rarely asked for: symbols and notes.  What is read of
every file, header, segments and dynamic entries, is read with `struct`: pyelftools takes 4 ms per file for them, this
takes 0.3 ms, and of a file of 100 MB only a few kilobytes.

Segments only, never sections: a stripped section table does not stop the loader, so it must not stop us.
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.segments import NoteSegment

from tasks.initrd.loader.elfdynamic import (
    DT_AUXILIARY,
    DT_FILTER,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    Dynamic,
    ReadAt,
    dynamic_of,
)
from tasks.initrd.loader.elfheader import MAX_NAME, BrokenElfError, Header, Identity, Segment, refuse, text

__all__ = ["MAGIC", "BrokenElfError", "Elf", "Identity", "imports", "notes", "parse", "parse_at"]

MAGIC = b"\x7fELF"
KINDS = {0: "ET_NONE", 1: "ET_REL", 2: "ET_EXEC", 3: "ET_DYN", 4: "ET_CORE"}
MACHINES = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}
HEADERS = {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}
SEGMENTS = {32: "IIIIIIII", 64: "IIQQQQQQ"}
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DF_1_NODEFLIB, DF_1_PIE = 0x800, 0x8000000
# Bounds on what a file may make us do; the largest real values are a tenth of them.
MAX_SEGMENTS = 65536  # bytes, as in fs/binfmt_elf.c: load_elf_phdrs()
WEAK = 2  # STB_WEAK: the runtime of C++ asks so whether there are threads at all
MAX_SYMBOLS = 1 << 18
MAX_PLACES = 64
MAX_NOTES = 1 << 20  # bytes

# The symbols, and what linkers put behind them: nothing says how many symbols there are.
TABLES = (
    "DT_SYMTAB",
    "DT_STRTAB",
    "DT_HASH",
    "DT_GNU_HASH",
    "DT_VERSYM",
    "DT_VERNEED",
    "DT_RELA",
    "DT_REL",
    "DT_JMPREL",
)
BLOCK = 4096  # bytes
MAX_NOTE_SEGMENTS = 16
NOTE_OWNER = b"FDO\0"
TOO_SHORT = "file too short"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Elf(Identity):
    """The loader's view: what is needed from where (ld.so(8)).

    `rpath` is empty and `runpath` None where the tag is not there.  `filters` are needed (DT_FILTER), `auxiliaries`
    taken where they are (DT_AUXILIARY).  `dynamic` and `loadable` say whether there are such segments; `program`
    that it is none to be loaded as a library; `notes` whether there may be notes that list dlopened libraries.
    `versions` are the (library, symbol version) without which it does not start, `versioned` says that it has versions
    of its own.  `strings` is the dynamic string table.
    """

    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    auxiliaries: tuple[str, ...] = ()
    soname: str | None = None
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] | None = None
    no_default: bool = False
    dynamic: bool = False
    loadable: bool = True
    program: bool = False
    notes: bool = False
    versions: tuple[tuple[str, str], ...] = ()
    versioned: bool = False
    strings: bytes = field(default=b"", repr=False)


def parse(data: bytes) -> Elf:
    """Return the loader's view of an ELF file's bytes; `ValueError` says why it is none."""
    return parse_at(lambda offset, size: data[offset : offset + size], len(data))


def parse_at(read: ReadAt, size: int) -> Elf:
    """Return the loader's view of an ELF file that is read in slices, a few kilobytes in all.

    `read(offset, length)` gives at most that many bytes; `size` is the file's.  Damage is `ValueError`, in ld.so's
    words where it has some.  A body that ends before its segments do is damage: the loader would crash on it.
    """
    head = read(0, BLOCK)
    header = header_of(head)

    def near(offset: int, length: int) -> bytes:
        return head[offset : offset + length] if offset + length <= len(head) else read(offset, length)

    try:
        return view(header, segments_of(header, near), near, size)
    except BrokenElfError as error:
        error.header = header
        raise


def view(header: Header, segments: list[Segment], read: ReadAt, size: int) -> Elf:
    """Put together what the segments say."""
    loads = [each for each in segments if each.kind == PT_LOAD]
    if any(each.offset + each.size > size for each in loads):
        refuse(f"{TOO_SHORT}: its segments end behind it")
    found = next((each for each in segments if each.kind == PT_DYNAMIC), None)
    dynamic = dynamic_of(header, found, loads, read, size) if found else Dynamic()
    notes = [each for each in segments if each.kind == PT_NOTE][:MAX_NOTE_SEGMENTS]
    return Elf(
        machine=header.machine,
        bits=header.bits,
        little_endian=header.little_endian,
        kind=header.kind,
        ident=header.ident,
        code=header.code,
        flags=header.flags,
        interpreter=interpreter_of(segments, read),
        needed=dynamic.names(DT_NEEDED),
        filters=dynamic.names(DT_FILTER),
        auxiliaries=dynamic.names(DT_AUXILIARY),
        soname=next(iter(dynamic.names(DT_SONAME)), None),
        rpath=dynamic.path(DT_RPATH) or (),
        runpath=dynamic.path(DT_RUNPATH),
        no_default=bool(dynamic.flags & DF_1_NODEFLIB),
        dynamic=found is not None,
        loadable=bool(loads),
        program=header.kind == "ET_EXEC" or bool(dynamic.flags & DF_1_PIE),
        notes=any(NOTE_OWNER in read(each.offset, min(each.size, BLOCK)) for each in notes),
        strings=dynamic.strings,
        versions=dynamic.versions,
        versioned=dynamic.versioned,
    )


def header_of(head: bytes) -> Header:
    """Return the ELF header; refuse what fs/binfmt_elf.c and elf/dl-load.c (open_verify) refuse, in that order."""
    if len(head) < 16:
        refuse(TOO_SHORT)
    if head[:4] != MAGIC:
        refuse("invalid ELF header")
    bits, order = {1: 32, 2: 64}.get(head[4]), {1: "<", 2: ">"}.get(head[5])
    if bits is None or order is None:
        refuse("broken ELF file: neither 32 nor 64 bits, or no byte order")
    code = order + HEADERS[bits]
    if len(head) < 16 + struct.calcsize(code):
        refuse(TOO_SHORT)
    kind, machine, version, _, table, _, flags, _, entry, count, *_ = struct.unpack_from(code, head, 16)
    if version not in {1, 1 << 24}:  # the latter where the byte order was patched: that is told later
        refuse("ELF file version does not match current one")
    return Header(
        machine=MACHINES.get(machine, f"EM_{machine}"),
        bits=bits,
        little_endian=order == "<",
        kind=KINDS.get(kind, f"ET_{kind:#x}"),
        ident=head[:16],
        code=head[18:20],
        flags=flags,
        order=order,
        table=table,
        count=count,
        entry=entry,
    )


def segments_of(header: Header, read: ReadAt) -> list[Segment]:
    """Return the program headers."""
    code = header.order + SEGMENTS[header.bits]
    if header.count and header.entry != struct.calcsize(code):
        refuse("ELF file's phentsize not the expected size")
    length = struct.calcsize(code) * header.count
    if length > MAX_SEGMENTS:
        refuse("too many program headers")
    raw = read(header.table, length)
    if len(raw) != length:
        refuse(f"{TOO_SHORT}: its program headers lie behind its end")
    rows = struct.iter_unpack(code, raw)
    if header.bits == 64:
        return [Segment(kind=row[0], offset=row[2], address=row[3], size=row[5]) for row in rows]
    return [Segment(kind=row[0], offset=row[1], address=row[2], size=row[4]) for row in rows]


def interpreter_of(segments: list[Segment], read: ReadAt) -> str | None:
    """Return what PT_INTERP says, as the kernel reads it: the first one, at most 4096 bytes, a NUL at its end."""
    found = next((each for each in segments if each.kind == PT_INTERP), None)
    if found is None:
        return None
    raw = read(found.offset, found.size) if 2 <= found.size <= MAX_NAME + 1 else b""
    if len(raw) != found.size or not raw.endswith(b"\0"):
        refuse("no interpreter's name where one should be")
    return text(raw.partition(b"\0")[0])


def imports(data: bytes, view: Elf, names: Iterable[str]) -> list[str]:
    """Return those of the symbol names that the file imports: named in .dynsym, defined elsewhere, not weakly.

    A name's place in the string table leads to its symbol, so that not every symbol is looked at; linkers let a name
    share the tail of a longer one, so what precedes it does not matter.
    """
    places = {name: places_of(view.strings, name.encode() + b"\0") for name in names}
    wanted = {place: name for name, found in places.items() for place in found}
    return guarded(lambda: sorted(set(undefined(data, wanted)))) if wanted else []


def places_of(table: bytes, name: bytes) -> list[int]:
    """Return where a string begins in a table, a few places at most."""
    found: list[int] = []
    place = table.find(name)
    while place >= 0 and len(found) < MAX_PLACES:
        found.append(place)
        place = table.find(name, place + 1)
    return found


def undefined(data: bytes, wanted: dict[int, str]) -> Iterator[str]:
    """Yield the names whose places in the string table a symbol has that is defined nowhere in the file."""
    file = ELFFile(io.BytesIO(data))
    order = "<" if file.little_endian else ">"
    code = f"{order}IBBHQQ" if file.elfclass == 64 else f"{order}IIIBBH"
    info, section = (1, 3) if file.elfclass == 64 else (3, 5)
    for segment in file.iter_segments():
        if isinstance(segment, DynamicSegment):
            tables = [segment.get_table_offset(tag)[1] or 0 for tag in TABLES]
            start = tables[0]
            end = min((each for each in tables if each > start), default=len(data))
            table = data[start : min(end, start + MAX_SYMBOLS * struct.calcsize(code))]
            rows = struct.iter_unpack(code, table[: len(table) - len(table) % struct.calcsize(code)])
            yield from (
                wanted[row[0]] for row in rows if row[0] in wanted and not row[section] and row[info] >> 4 != WEAK
            )


def notes(data: bytes, owner: str, kind: int) -> list[bytes]:
    """Return the descriptions of a file's notes of one owner and type (elf(5), PT_NOTE)."""

    def found() -> Iterator[bytes]:
        for segment in ELFFile(io.BytesIO(data)).iter_segments():
            if isinstance(segment, NoteSegment) and segment["p_filesz"] <= MAX_NOTES:
                notes = [
                    note for note in segment.iter_notes() if (note["n_name"], str(note["n_type"])) == (owner, str(kind))
                ]
                yield from (note["n_descdata"] for note in notes)

    return guarded(lambda: list(found()))


def guarded(ask: Callable[[], list[T]]) -> list[T]:
    """Return what pyelftools says, nothing where a damaged file makes it stumble: it does so with any exception."""
    try:
        return ask()
    except Exception:
        return []
