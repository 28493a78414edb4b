"""Kinds of ELF files, where their segments lie, and the one error for those that are damaged (elf(5))."""

from dataclasses import dataclass
from typing import NoReturn

# Bits of e_flags by which objects of one machine cannot be mixed: float ABI, ELF version, MIPS' n32 and o32.
ABI_FLAGS = {"EM_ARM": 0x600, "EM_PPC64": 0x3, "EM_RISCV": 0x6, "EM_MIPS": 0xF020, "EM_LOONGARCH": 0x7}
MAX_NAME = 4095  # PATH_MAX less the NUL


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What kind of ELF file it is.

    `machine` is a name like ``EM_X86_64``, `kind` one like ``ET_DYN``; `ident` are the file's first 16 bytes, `code`
    the two of its machine as they stand in it, for a loader reads them in its own byte order.
    """

    machine: str
    bits: int
    little_endian: bool
    kind: str
    ident: bytes = b""
    code: bytes = b""
    flags: int = 0

    def fits(self, other: "Identity") -> bool:
        """Whether two objects can live in one process: same class, byte order, machine and calling convention."""
        mask = ABI_FLAGS.get(self.machine, 0)
        mixed = bool(self.flags & mask and other.flags & mask and (self.flags ^ other.flags) & mask)
        return not mixed and self.platform == other.platform

    @property
    def platform(self) -> tuple[str, int, bool]:
        """Return machine, class and byte order."""
        return (self.machine, self.bits, self.little_endian)


@dataclass(frozen=True, kw_only=True)
class Header(Identity):
    """The ELF header: also where the program headers lie, how many, how long each; the byte order for `struct`."""

    order: str
    table: int
    count: int
    entry: int


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A program header's fields that say where things lie: type, place in the file, address, length in the file."""

    kind: int
    offset: int
    address: int
    size: int


class BrokenElfError(ValueError):
    """No ELF file, or a damaged one; `header` is what was still to be read of it."""

    header: Header | None = None


def refuse(why: str) -> NoReturn:
    """End the reading of a damaged file."""
    raise BrokenElfError(why)


def text(raw: bytes) -> str:
    """Return a name; bytes that are no UTF-8 become surrogates and name the same file (PEP 383)."""
    return raw.decode(errors="surrogateescape")
