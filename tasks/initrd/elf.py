"""The only door to pyelftools: what the dynamic loader would read of an ELF file.  Nothing is executed."""

import io
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.construct.core import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

MAGIC = b"\x7fELF"
DF_1_NODEFLIB = 0x800


@dataclass(frozen=True, kw_only=True)
class Elf:
    """The loader's view: kind of machine, interpreter, and what is needed from where (ld.so(8))."""

    machine: str
    bits: int
    little_endian: bool
    kind: str
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    rpath: tuple[str, ...]
    runpath: tuple[str, ...] | None
    no_default: bool

    def fits(self, other: "Elf") -> bool:
        """Whether two objects can live in one process (same class, byte order and machine)."""
        return (self.machine, self.bits, self.little_endian) == (other.machine, other.bits, other.little_endian)


def parse(data: bytes) -> Elf:
    """Return the loader's view of an ELF file; `ValueError` says why it is none.

    Segments only, never sections: a stripped section table does not stop the loader, so it must not stop us.
    """
    if data[:4] != MAGIC:
        message = "invalid ELF header"
        raise ValueError(message)
    try:
        return view(ELFFile(io.BytesIO(data)), len(data))
    except (ELFError, ConstructError, UnicodeDecodeError, OverflowError, AssertionError) as error:
        message = f"broken ELF file: {error}"
        raise ValueError(message) from error


def view(file: ELFFile, size: int) -> Elf:
    """Collect what PT_INTERP and PT_DYNAMIC say."""
    interpreter: str | None = None
    tags: dict[str, list[str]] = {"DT_NEEDED": [], "DT_SONAME": [], "DT_RPATH": [], "DT_RUNPATH": []}
    flags = 0
    for segment in file.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_offset"] + segment["p_filesz"] > size:
            message = "file too short"
            raise ValueError(message)
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                name = str(tag.entry.d_tag)
                if name in tags:
                    tags[name].append(str(getattr(tag, name.removeprefix("DT_").lower())))
                elif name == "DT_FLAGS_1":
                    flags = tag.entry.d_val
    return Elf(
        machine=str(file["e_machine"]),
        bits=file.elfclass,
        little_endian=file.little_endian,
        kind=str(file["e_type"]),
        interpreter=interpreter,
        needed=tuple(tags["DT_NEEDED"]),
        soname=next(iter(tags["DT_SONAME"]), None),
        rpath=elements(tags["DT_RPATH"]) or (),
        runpath=elements(tags["DT_RUNPATH"]),
        no_default=bool(flags & DF_1_NODEFLIB),
    )


def elements(values: list[str]) -> tuple[str, ...] | None:
    """Return a search path's elements, None where the tag is absent."""
    return tuple(values[0].split(":")) if values else None
