"""Unpack one packed file in memory, bounded: a module, a firmware file, the kernel inside its loader image."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from tasks import decompression
from tasks.compression import Memory

# lib/decompress.c: compressed_formats[]
MAGICS = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\x5d\0\0": "lzma",
    b"\x89LZO": "lzop",
    b"\x02\x21\x4c\x18": "lz4",
}


PIECE = 8 << 20


class Unpacker(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool:
        """Return whether the stream is at its end."""

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """Return at most so many bytes."""


OPENERS: dict[str, Callable[[], Unpacker]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 << 20),
    "bzip2": bz2.BZ2Decompressor,
}


def packing(head: bytes) -> str:
    """Return how a file is packed by its first bytes (six are enough): a word of MAGICS, or ``none``."""
    return next((name for magic, name in MAGICS.items() if head.startswith(magic)), "none")


def unpack(data: bytes, limit: int) -> bytes:
    """Return a packed file's content; what follows its first stream is ignored.

    `ValueError` where it is damaged, packed in an unknown way, or more than `limit` bytes.  Here kmod and the firmware
    loader are the measure, not the kernel's initrd: xz with any checksum is fine.
    """
    kind = packing(data[:6])
    pieces: list[bytes] = []
    left = limit
    try:
        for piece in streamed(data, kind):
            left -= len(piece)
            if left < 0:
                message = f"more than {limit >> 20} MiB when unpacked"
                raise ValueError(message)
            pieces.append(piece)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, decompression.DamagedError) as error:
        message = f"damaged {kind} data: {error}"
        raise ValueError(message) from error
    return b"".join(pieces)


def streamed(data: bytes, kind: str) -> Iterator[bytes]:
    """Yield what a packed file holds, some MiB at a time."""
    if kind in OPENERS:
        opener = OPENERS[kind]()
        while not opener.eof:
            piece = opener.decompress(data, PIECE)
            data = getattr(opener, "unconsumed_tail", b"")  # zlib gives back what it did not take; the others keep it
            if not piece and not opener.eof:
                message = "cut off"
                raise EOFError(message)
            yield piece
    elif kind in {"zstd", "lz4"}:
        yield from decompression.unpack(Memory(data), 0, kind)
    else:
        message = f"packed as {kind}, which cannot be unpacked here"
        raise ValueError(message)
