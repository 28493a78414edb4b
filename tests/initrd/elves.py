"""ELF files of any machine, class and byte order, small and made in no time, yet good enough for the real loaders.

One segment holds everything: strings, symbols, an empty hash table, the dynamic section.  glibc's ld.so and musl's map
such libraries and list them (LD_TRACE_LOADED_OBJECTS, ``--list``), and the kernel starts such programs.
"""

import struct
from dataclasses import dataclass

X86_64, I386, AARCH64, ARM, S390, PPC64 = 62, 3, 183, 40, 22, 21
LOADER = "/lib64/ld-linux-x86-64.so.2"
NODEFLIB, PIE = 0x800, 0x8000000
TAGS = {"needed": 1, "soname": 14, "rpath": 15, "runpath": 29, "auxiliary": 0x7FFFFFFD, "filter": 0x7FFFFFFF}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is to stand in an ELF file.

    `imports`, `weak` (imports) and `exports` are symbol names, `note` one whole note; `versions` are the (library,
    symbol version) that are needed, `defines` the own versions.
    """

    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    auxiliary: str | None = None
    filter: str | None = None
    interpreter: str | None = None
    imports: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    defines: tuple[str, ...] = ()
    note: bytes = b""
    extra: bytes = b""
    flags_1: int = 0
    bits: int = 64
    order: str = "<"
    machine: int = X86_64
    kind: int = 3
    os_abi: int = 0
    flags: int = 0


class Layout:
    """An ELF file under construction: pieces one after another, their offsets being their addresses."""

    def __init__(self, start: int) -> None:
        """Leave room for the headers."""
        self.data = bytearray(start)

    def add(self, piece: bytes) -> tuple[int, int]:
        """Append a piece at the next multiple of eight; return where it is and how long."""
        self.data += bytes(-len(self.data) % 8)
        self.data += piece
        return len(self.data) - len(piece), len(piece)


def build(spec: Spec) -> bytes:
    """Return the file."""
    wide = spec.bits == 64
    header = spec.order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    row = spec.order + ("IIQQQQQQ" if wide else "IIIIIIII")
    word = "Q" if wide else "I"
    count = 5
    start = 16 + struct.calcsize(header)
    layout = Layout(start + count * struct.calcsize(row))
    strings, places = strings_of(spec)
    interpreter = layout.add((spec.interpreter or "").encode() + b"\0")
    table = layout.add(strings)
    symbols = symbols_of(spec, places)
    code = f"{spec.order}IBBHQQ" if wide else f"{spec.order}IIIBBH"
    packed = [
        struct.pack(code, place, info, 0, section, 0, 0) if wide else struct.pack(code, place, 0, 0, info, 0, section)
        for place, info, section in symbols
    ]
    symtab = layout.add(b"".join(packed))
    hashes = layout.add(struct.pack(f"{spec.order}4I", 1, len(symbols), 0, 0) + bytes(4 * (len(symbols) - 1)))
    values = [(TAGS["needed"], places[name]) for name in spec.needed]
    for tag in ("soname", "rpath", "runpath", "auxiliary", "filter"):
        value = getattr(spec, tag)
        values += [(TAGS[tag], places[value])] if value is not None else []
    values += [(5, table[0]), (10, table[1]), (6, symtab[0]), (11, struct.calcsize(code)), (4, hashes[0])]
    values += [(0x6FFFFFFB, spec.flags_1)] if spec.flags_1 else []
    values += version_tags(spec, layout, places, len(symbols))
    dynamic = layout.add(b"".join(struct.pack(f"{spec.order}2{word}", *each) for each in [*values, (0, 0)]))
    note = layout.add(spec.note)
    layout.add(spec.extra)
    size = len(layout.data)
    segments = [(6, start - 16 + 16, count * struct.calcsize(row))]
    segments.append((3 if spec.interpreter else 0, *interpreter))
    segments += [(1, 0, size), (2, *dynamic), (4 if spec.note else 0, *note)]
    rows = [segment_row(row, wide, *each) for each in segments]
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if spec.order == "<" else 2, 1, spec.os_abi)) + bytes(8)
    sizes = (start, struct.calcsize(row), count, 0, 0, 0)
    head = ident + struct.pack(header, spec.kind, spec.machine, 1, size, start, 0, spec.flags, *sizes)
    layout.data[: start + count * struct.calcsize(row)] = head + b"".join(rows)
    return bytes(layout.data)


def version_tags(spec: Spec, layout: Layout, places: dict[str, int], symbols: int) -> list[tuple[int, int]]:
    """Add the tables of symbol versions; return the tags that lead to them."""
    needs = b"".join(
        struct.pack(f"{spec.order}HHIIIIHHII", 1, 1, places[library], 16, 32 * (number < len(spec.versions)), *rest)
        for number, (library, version) in enumerate(spec.versions, 1)
        for rest in [(elf_hash(version), 0, number + 1, places[version], 0)]
    )
    own = b"".join(
        struct.pack(f"{spec.order}HHHHIIIII", 1, 0, number, 1, elf_hash(version), 20, 28 * more, places[version], 0)
        for number, version in enumerate(spec.defines, 1)
        for more in [number < len(spec.defines)]
    )
    tags = [(0x6FFFFFF0, layout.add(bytes(2 * symbols))[0])] if needs or own else []
    tags += [(0x6FFFFFFE, layout.add(needs)[0]), (0x6FFFFFFF, len(spec.versions))] if needs else []
    return tags + ([(0x6FFFFFFC, layout.add(own)[0]), (0x6FFFFFFD, len(spec.defines))] if own else [])


def elf_hash(name: str) -> int:
    """Return the hash of the System V ABI."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        value = (value ^ (value >> 24 & 0xF0)) & 0xFFFFFFF
    return value


def symbols_of(spec: Spec, places: dict[str, int]) -> list[tuple[int, int, int]]:
    """Return (name's place, binding and type, section) of the dynamic symbols; section 0 is elsewhere."""
    functions = ((spec.imports, 0x12, 0), (spec.weak, 0x22, 0), (spec.exports, 0x12, 1))
    return [(0, 0, 0), *((places[name], info, section) for names, info, section in functions for name in names)]


def segment_row(code: str, wide: bool, kind: int, offset: int, size: int) -> bytes:
    """Return a program header: readable, writable, executable, loaded where it lies in the file."""
    align = 0x1000 if kind == 1 else 8
    if wide:
        return struct.pack(code, kind, 7, offset, offset, offset, size, size, align)
    return struct.pack(code, kind, offset, offset, offset, size, size, 7, align)


def strings_of(spec: Spec) -> tuple[bytes, dict[str, int]]:
    """Return the string table and where each string stands in it."""
    single = [spec.soname, spec.rpath, spec.runpath, spec.auxiliary, spec.filter]
    table, places = b"\0", {"": 0}
    versions = [text for pair in spec.versions for text in pair]
    for text in [
        *versions,
        *spec.defines,
        *spec.needed,
        *spec.imports,
        *spec.weak,
        *spec.exports,
        *(each for each in single if each is not None),
    ]:
        if text not in places:
            places[text] = len(table)
            table += text.encode() + b"\0"
    return table, places


def library(*needed: str, **more: object) -> bytes:
    """Return a shared library that needs others."""
    return build(Spec(needed=needed, **more))  # type: ignore[arg-type]


def program(*needed: str, interpreter: str = LOADER, **more: object) -> bytes:
    """Return a program that needs libraries."""
    return build(Spec(needed=needed, interpreter=interpreter, **more))  # type: ignore[arg-type]


def loader(*folders: str, **more: object) -> bytes:
    """Return what a scanner takes for a loader with these default folders; it could not run."""
    text = b"\0" + b"".join(f"{folder}/".encode() + b"\0" for folder in folders)
    return build(Spec(extra=text, **more))  # type: ignore[arg-type]


def note(owner: str, kind: int, text: bytes, order: str = "<") -> bytes:
    """Return an ELF note."""
    name = owner.encode() + b"\0"
    head = struct.pack(f"{order}3I", len(name), len(text), kind)
    return head + name + bytes(-len(name) % 4) + text + bytes(-len(text) % 4)
