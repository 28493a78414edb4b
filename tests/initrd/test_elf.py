"""ELF files are read as kernel and loader read them, by segments alone; damage is one kind of error, and soon told."""

import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.initrd.loader import elf
from tasks.initrd.loader.elf import BrokenElfError, Elf
from tasks.initrd.loader.elfdynamic import version_rows
from tests.initrd import elves
from tests.initrd.elves import Spec, build

SPEC = Spec(
    needed=("libb.so", "liba.so", "libb.so"),
    soname="me.so.1",
    rpath="/a:$ORIGIN::/a",
    runpath="/r",
    interpreter="/lib/ld.so",
    flags_1=elves.NODEFLIB | elves.PIE,
    imports=("pthread_exit",),
    exports=("pthread_cancel",),
)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(
    ("machine", "name"), [(62, "EM_X86_64"), (183, "EM_AARCH64"), (8, "EM_MIPS"), (60000, "EM_60000")]
)
def test_what_the_loader_reads(machine: int, name: str, bits: int, order: str) -> None:
    """Names, search paths and flags come out the same for each class, byte order and machine."""
    data = build(replace(SPEC, machine=machine, bits=bits, order=order))
    found = elf.parse(data)
    assert found.platform == (name, bits, order == "<")
    assert (found.kind, found.interpreter, found.soname) == ("ET_DYN", "/lib/ld.so", "me.so.1")
    assert found.needed == ("libb.so", "liba.so")
    assert (found.rpath, found.runpath) == (("/a", "$ORIGIN", ""), ("/r",))
    assert found.no_default
    assert found.program
    assert elf.imports(data, found, ("pthread_exit", "pthread_cancel", "printf")) == ["pthread_exit"]


def test_needed_versions() -> None:
    """Each with its library; weak ones may be absent, chains that lead nowhere end."""
    spec = replace(SPEC, versions=(("libb.so", "B_1"), ("liba.so", "A_1")), defines=("me.so.1", "M_1"))
    assert elf.parse(build(spec)).versions == (("libb.so", "B_1"), ("liba.so", "A_1"))
    assert elf.parse(build(spec)).versioned
    rows = struct.pack("<HHIII", 1, 2, 7, 16, 0) + struct.pack("<IHHII", 0, 2, 0, 8, 16)
    assert list(version_rows(rows + struct.pack("<IHHII", 0, 0, 0, 9, 0), "<")) == [(7, 9)]
    assert list(version_rows(rows, "<")) == []
    endless = struct.pack("<HHIII", 1, 65535, 7, 0, 1) * 1000
    assert len(list(version_rows(endless, "<"))) <= 10_000


def test_nothing_dynamic() -> None:
    """Where no tag is, nothing is needed, and no path voids another."""
    found = elf.parse(build(Spec()))
    assert (found.needed, found.rpath, found.runpath, found.soname, found.interpreter) == ((), (), None, None, None)


def segment(data: bytes, kind: int) -> int:
    """Return where the program header of a type lies in a 64-bit little-endian file."""
    table, count = int.from_bytes(data[32:40], "little"), int.from_bytes(data[56:58], "little")
    rows = (table + 56 * number for number in range(count))
    return next(row for row in rows if int.from_bytes(data[row : row + 4], "little") == kind)


def changed(place: int, code: str, *values: int) -> bytes:
    """Return the file with numbers written over it."""
    data = bytearray(build(SPEC))
    struct.pack_into(code, data, place, *values)
    return bytes(data)


WHOLE = build(SPEC)
LOAD, DYNAMIC, INTERP = (segment(WHOLE, kind) for kind in (1, 2, 3))
START = struct.unpack_from("<Q", WHOLE, DYNAMIC + 8)[0]


def tag(number: int) -> int:
    """Return where the value of a dynamic tag lies."""
    rows = range(START, len(WHOLE), 16)
    return next(row + 8 for row in rows if struct.unpack_from("<q", WHOLE, row)[0] == number)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n" * 30,
        changed(4, "B", 3),
        changed(5, "B", 0),
        changed(54, "<H", 55),
        changed(56, "<H", 65535),
        changed(32, "<Q", 1 << 63),
        changed(32, "<Q", (1 << 64) - 1),
        changed(LOAD + 32, "<Q", 1 << 63),
        changed(LOAD + 8, "<Q", (1 << 64) - 8),
        changed(DYNAMIC + 32, "<Q", 1 << 63),
        changed(INTERP + 32, "<Q", 1),
        changed(INTERP + 32, "<Q", 1 << 40),
        changed(INTERP + 8, "<Q", 1 << 62),
        changed(tag(5), "<Q", 1 << 60),
        changed(tag(1), "<Q", 1 << 60),
        changed(tag(1), "<Q", len(WHOLE)),
        changed(tag(14), "<Q", (1 << 64) - 1),
        WHOLE[:-1],
        WHOLE[:70],
    ],
)
def test_damage_is_one_kind_of_error(data: bytes) -> None:
    """Truncated, out of range, of sizes that cannot be: `ValueError`, with what was left to be read of the header."""
    with pytest.raises(BrokenElfError) as caught:
        elf.parse(data)
    assert str(caught.value)
    assert (caught.value.header is None) == (len(data) < 64 or data[4] == 3 or data[5] == 0 or data[:1] == b"#")


def test_more_needs_than_there_are() -> None:
    """A dynamic section that goes on and on is refused before its names are made."""
    names = tuple(f"lib{number}.so" for number in range(5000))
    with pytest.raises(BrokenElfError, match="more libraries"):
        elf.parse(build(Spec(needed=names)))


def test_names_without_end() -> None:
    """A name as long as the file is none."""
    with pytest.raises(BrokenElfError, match="has no end"):
        elf.parse(build(Spec(needed=("x" * 100_000,))))


def test_little_is_read_of_a_large_file() -> None:
    """A file of 10 MiB is read in slices: headers, the dynamic section, strings."""
    data = build(Spec(needed=("liba.so",), extra=bytes(10 << 20)))
    asked: list[int] = []

    def read(offset: int, size: int) -> bytes:
        asked.append(len(data[offset : offset + size]))
        return data[offset : offset + size]

    assert elf.parse_at(read, len(data)).needed == ("liba.so",)
    assert sum(asked) < 20_000


def broken(chance: random.Random, whole: bytes) -> bytes:
    """Return a file with some bytes flipped, often in its headers, or cut off."""
    data = bytearray(whole)
    for _ in range(chance.randrange(1, 6)):
        room = chance.choice((64, 400, len(data)))
        place = chance.randrange(min(room, len(data)))
        data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_flipped_bits(bits: int, order: str) -> None:
    """Whatever is flipped: a view, or the one error; symbols and notes come out or do not."""
    chance = random.Random(bits)
    note = elves.note("FDO", 0x407C0C0A, b"[]\0", order)
    whole = build(replace(SPEC, bits=bits, order=order, note=note))
    views = 0
    for _ in range(1500):
        data = broken(chance, whole)
        try:
            found = elf.parse(data)
        except BrokenElfError:
            continue
        views += isinstance(found, Elf)
        elf.imports(data, found, ("pthread_exit",))
        elf.notes(data, "FDO", 0x407C0C0A)
    assert views > 100


@pytest.mark.parametrize("program", ["/bin/bash", "/bin/busybox", "/lib64/ld-linux-x86-64.so.2", "/usr/lib/os-release"])
def test_this_machines_files_cut_off(program: str) -> None:
    """Real files at each of their first lengths."""
    data = Path(program).read_bytes()
    for size in [*range(0, 1200, 7), len(data) // 2]:
        with pytest.raises(BrokenElfError):
            elf.parse(data[:size])


def test_notes() -> None:
    """Those of one owner and type, whatever else is there."""
    two = elves.note("GNU", 3, b"1234") + elves.note("FDO", 7, b"x") + elves.note("FDO", 9, b"text")
    assert elf.notes(build(Spec(note=two)), "FDO", 9) == [b"text"]
