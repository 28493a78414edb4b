"""Compress and unpack as the kernel needs it: one member or frame, no date, the same bytes on every machine.

What the bytes depend on is the input, the level and the version of the library (tasks/requirements.lock; for xz the
liblzma of Python), never on how the input is cut, on the number of cores or on what the CPU can do.  Proven by running
the libraries under ``qemu-x86_64 -cpu qemu64``, ``Haswell`` and ``max`` and on a machine with AVX-512: zlib-ng 2.3 (all
levels), zstd 1.5 (1 to 19), lz4 and xz made the same bytes everywhere.  isa-l (python-isal, igzip) is as fast and was
left out: at every level it made other bytes on a CPU without SSE4, at level 3 also on one without AVX-512.

Measured on a root tree of 110 MB (two cores; seconds of CPU, all cores together; `doit bench` measures it again):

    gzip -6 (GNU)   4.9 s  38.8 MB      zstd 3    0.6 s  34.5 MB      lz4 9   3.4 s  44.9 MB
    zlib-ng 2       0.9 s  42.4 MB      zstd 5    1.1 s  33.0 MB
    zlib-ng 6       1.6 s  39.9 MB      zstd 12   5.3 s  30.6 MB

and on an initrd of 4.7 MB: gzip -6 1.93 MB, zlib-ng 9 0.3 s 1.92 MB, zstd 3 1.94 MB, zstd 19 2.2 s 1.63 MB, xz 2.4 s
1.52 MB (which the node unpacks four times as slowly), lz4 0.2 s 2.23 MB.
"""

import lzma
import os
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

import zstandard
from lz4 import block as lz4_block

from tasks import decompression, deflate
from tasks.decompression import LZ4_BLOCK, LZ4_MAGIC, DamagedError
from tasks.errors import UntrustedInputError
from tasks.inventory.model import Compression

BLOCK = deflate.BLOCK
DEFAULT = Compression.ZSTD  # where the kernel has it: fewer bytes in less time than gzip, at the node, too
# LEVELS: root images, large and made often.  SMALLER: initrds, small and fetched by every node at once; zstd's 19 would
# save another 10 % of 2 MB and take 20 times as long (2.2 s against 0.1 s; for all NIC drivers 45 s against 2 s).
LEVELS = {Compression.GZIP: 2, Compression.ZSTD: 4, Compression.XZ: 6, Compression.LZ4: 9}
SMALLER = {Compression.GZIP: 9, Compression.ZSTD: 9, Compression.XZ: 9, Compression.LZ4: 12}
WINDOW = 23  # zstd: log2 of the bytes that are remembered.  Low levels remember 2 MiB: 8 save 1 % and cost nothing
# Level 4 as it comes forgets too early for a tree of programs, and its jobs are too long for two processors: with these
# a Debian tree has 15 % fewer bytes than by gzip -6 (12 % before) in an eighth of its time.
TABLES = {4: {"hash_log": 20, "chain_log": 19, "job_size": 16 << 20, "overlap_log": 8}}
OWN_WINDOW = 17  # from this level on the window is as large by itself
ZEROS = re.compile(rb"\0*")
LIMIT = 1 << 33  # bytes that anything may unpack to: 8 GiB


def compress(pieces: Iterable[bytes], how: Compression = DEFAULT, *, level: int | None = None) -> Iterator[bytes]:
    """Yield the one member that holds `pieces`; a level is the format's own, 1 is fast, those of LEVELS else."""
    chosen = LEVELS.get(how, 0) if level is None else level
    if how is Compression.GZIP:
        return deflate.compress(blocks(pieces, deflate.BLOCK), chosen)
    if how is Compression.ZSTD:
        return zstd(blocks(pieces, BLOCK), chosen)
    if how is Compression.XZ:
        return xz(pieces, chosen)
    if how is Compression.LZ4:
        return lz4(blocks(pieces, LZ4_BLOCK), chosen)
    return iter(pieces)


def blocks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the input in blocks of `size` bytes, the last one shorter, wherever the pieces are cut."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            whole = b"".join(held)
            cut = length - length % size
            yield from (whole[start : start + size] for start in range(0, cut, size))
            held, length = [whole[cut:]], length - cut
    if length:
        yield b"".join(held)


def zstd(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield a zstd frame.  With threads the cut of the work is the library's own, whatever their number is."""
    window = {"window_log": WINDOW} if level < OWN_WINDOW else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, threads=os.cpu_count() or 1, write_checksum=True, **window, **TABLES.get(level, {})
    )
    machine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    yield from map(machine.compress, pieces)
    yield machine.flush()


def xz(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield an xz stream with the one checksum that the kernel knows."""
    machine = lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, level)
    yield from map(machine.compress, pieces)
    yield machine.flush()


def lz4(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield lz4's legacy frame (`lz4 -l`): the only one that the kernel reads."""
    yield struct.pack("<I", LZ4_MAGIC)
    yield from deflate.in_parallel(lz4_job(piece, level) for piece in pieces)


def lz4_job(piece: bytes, level: int) -> deflate.Job:
    """Return the work on one block."""

    def job() -> bytes:
        packed: bytes = lz4_block.compress(piece, mode="high_compression", compression=level, store_size=False)
        return struct.pack("<I", len(packed)) + packed

    return job


class Config(Protocol):
    """A kernel's configuration, as far as it is asked here."""

    def builtin(self, name: str) -> bool:
        """Return whether an option is ``y``."""


def best(config: Config) -> Compression:
    """Return zstd where this kernel unpacks it (CONFIG_RD_ZSTD, since v5.9), else gzip, which all do."""
    return Compression.ZSTD if config.builtin("CONFIG_RD_ZSTD") else Compression.GZIP


class Memory:
    """Bytes in memory as a store."""

    def __init__(self, data: bytes) -> None:
        """Take the bytes."""
        self.data = data

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset."""
        return self.data[offset : offset + size]


def after_zeros(data: bytes, position: int) -> int:
    """Return where something else than zeros stands, at `position` or behind it."""
    found = ZEROS.match(data, position)
    return found.end() if found else position


def decompress(data: bytes, limit: int = LIMIT) -> bytes:
    """Return the content of compressed members in a row, zeros between them allowed, whatever their format.

    `UntrustedInputError` for damage, for something else, and beyond `limit` bytes.
    """
    store = Memory(data)
    result: list[bytes] = []
    position = length = 0
    while position < len(data):
        position = after_zeros(data, position)
        if position == len(data):
            break
        form = decompression.format_of(data[position : position + 2])
        if form is None:
            message = f"no compressed data at byte {position}"
            raise UntrustedInputError(message)
        pieces = decompression.unpack(store, position, form)
        try:
            while True:
                piece = next(pieces)
                length += len(piece)
                if length > limit:
                    message = f"more than {limit:,} bytes when unpacked"
                    raise UntrustedInputError(message)
                result.append(piece)
        except StopIteration as end:
            position = end.value
        except DamagedError as damage:
            message = f"at byte {position}: {damage}"
            raise UntrustedInputError(message) from damage
    return b"".join(result)
