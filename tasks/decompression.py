"""Unpack one compressed stream piece by piece, in bounded memory, and say where it ends, as the kernel does it.

Formats and their traps: the kernel's lib/decompress*.c (v6.1).  Unlike the kernel, which takes gzip data with flipped
bits for good, every checksum that a format has is looked at.
"""

import bz2
import lzma
import struct
from collections.abc import Callable, Generator
from typing import Protocol

import zstandard
from lz4 import block as lz4_block
from zlib_ng import zlib_ng as zlib

from tasks.cpio import Store

PIECE = 1 << 20  # bytes of output that are made at once, about
READ = 1 << 16
MAX_WINDOW = 1 << 27  # zstd: what `--long=27` makes; the kernel's vmalloc fails for more
MAX_DICTIONARY = 1 << 28  # xz, lzma: bytes of memory; xz -9 needs 65 MiB
LZ4_BLOCK = 8 << 20  # lib/decompress_unlz4.c, LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE
LZ4_MAGIC = 0x184C2102  # the legacy frame
LZ4_BOUND = LZ4_BLOCK + LZ4_BLOCK // 255 + 16
ZSTD_BLOCK = 1 << 17  # bytes that a block unpacks to, at most (RFC 8878 3.1.1.2.4)

# lib/decompress.c, compressed_formats: the first two bytes decide.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x1f\x9e": "gzip",
    b"BZ": "bzip2",
    b"\x5d\x00": "lzma",
    b"\xfd7": "xz",
    b"\x89L": "lzop",
    b"\x02!": "lz4",
    b"\x28\xb5": "zstd",
}
Pieces = Generator[bytes, None, int]


class DamagedError(Exception):
    """A compressed stream that the kernel refuses or that is not what was packed: one sentence."""


def format_of(head: bytes) -> str | None:
    """Return which decompressor the kernel would choose by the first two bytes, None where it knows none."""
    return MAGIC.get(head[:2])


def unpack(store: Store, start: int, form: str) -> Pieces:
    """Yield what a stream unpacks to; return the offset behind it.  `DamagedError` comes after what was readable."""
    unpacker = UNPACKERS.get(form)
    if unpacker is None:  # lzop: Python has no library for it that is kept
        message = f"{form} is not unpacked here: what is in it is not known"
        raise DamagedError(message)
    return (yield from unpacker(Window(store, start)))


class Window:
    """A store that is read forwards in large pieces: asking for few bytes at a time costs little."""

    def __init__(self, store: Store, start: int) -> None:
        """Begin at an offset."""
        self.store = store
        self.position = start
        self.begin = start
        self.held = b""

    def peek(self, size: int) -> bytes:
        """Return the next bytes without passing them; fewer where the store ends."""
        skip = self.position - self.begin
        if skip + size > len(self.held):
            self.begin, self.held, skip = self.position, self.store.at(self.position, max(size, READ)), 0
        return self.held[skip : skip + size]

    def take(self, size: int) -> bytes:
        """Return exactly the next bytes and pass them."""
        found = self.peek(size)
        if len(found) < size:
            message = "the compressed data is cut off"
            raise DamagedError(message)
        self.position += size
        return found


# -- gzip ------------------------------------------------------------------------------------------------------------


def gunzip(window: Window) -> Pieces:
    """Unpack one gzip member (RFC 1952).  The kernel knows a file name in its header, nothing else (__gunzip())."""
    gzip_header(window)
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    checksum = size = 0
    while not machine.eof:
        packed = machine.unconsumed_tail
        if not packed:
            packed = window.peek(READ)
            window.position += len(packed)
        try:
            piece = machine.decompress(packed, PIECE)
        except zlib.error as error:  # type: ignore[misc]  # its stub says only that there is one
            message = "the gzip data is damaged"
            raise DamagedError(message) from error
        if not piece and not packed:
            message = "the compressed data is cut off"
            raise DamagedError(message)
        checksum, size = zlib.crc32(piece, checksum), size + len(piece)
        if piece:
            yield piece
    window.position -= len(machine.unused_data)
    if struct.unpack("<II", window.take(8)) != (checksum, size & 0xFFFFFFFF):
        message = "the gzip data is damaged: its checksum is another (the kernel does not look at it)"
        raise DamagedError(message)
    return window.position


def gzip_header(window: Window) -> None:
    """Pass a gzip header; `DamagedError` where the kernel would not find the data behind it."""
    head = window.take(10)
    if head[:3] != b"\x1f\x8b\x08" or head[3] & ~0x09:
        message = "a gzip header that the kernel does not understand: only a file name may stand in it"
        raise DamagedError(message)
    while head[3] & 8 and window.take(1) != b"\0":
        pass


# -- xz, lzma, bzip2 -------------------------------------------------------------------------------------------------


class Machine(Protocol):
    """The decompressor objects of lzma and bz2."""

    @property
    def eof(self) -> bool:
        """Return whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Return whether there is no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """Return the input behind the end of the stream."""

    def decompress(self, data: bytes, max_length: int = ...) -> bytes:
        """Unpack some input; no more output than asked for."""


def run(window: Window, machine: Machine, form: str) -> Pieces:
    """Drive a decompressor of the standard library to the end of its stream."""
    while not machine.eof:
        packed = window.peek(READ) if machine.needs_input else b""
        window.position += len(packed)
        if machine.needs_input and not packed:
            message = "the compressed data is cut off"
            raise DamagedError(message)
        try:
            piece = machine.decompress(packed, PIECE)
        except (lzma.LZMAError, OSError, ValueError, MemoryError) as error:
            message = f"the {form} data is damaged"
            raise DamagedError(message) from error
        if piece:
            yield piece
    window.position -= len(machine.unused_data)
    return window.position


def unxz(window: Window) -> Pieces:
    """Unpack one xz stream.  The kernel checks CRC32 and nothing else (lib/xz: XZ_DEC_ANY_CHECK is not set)."""
    head = window.peek(12)
    check = head[7] & 0x0F if len(head) == 12 else lzma.CHECK_NONE
    if check not in {lzma.CHECK_NONE, lzma.CHECK_CRC32}:
        message = "xz with a checksum that the kernel does not know: pack it with xz --check=crc32"
        raise DamagedError(message)
    return (yield from run(window, lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_DICTIONARY), "xz"))


def unlzma(window: Window) -> Pieces:
    """Unpack one .lzma stream."""
    return (yield from run(window, lzma.LZMADecompressor(lzma.FORMAT_ALONE, MAX_DICTIONARY), "lzma"))


def bunzip2(window: Window) -> Pieces:
    """Unpack one bzip2 stream."""
    return (yield from run(window, bz2.BZ2Decompressor(), "bzip2"))


# -- zstd ------------------------------------------------------------------------------------------------------------


def unzstd(window: Window) -> Pieces:
    """Unpack one zstd frame (RFC 8878), a few blocks at a time: a block of four bytes may stand for 128 KiB."""
    machine = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
    packed, checksum = zstd_header(window)
    last = False
    while not last:
        for _ in range(PIECE // ZSTD_BLOCK):
            head = int.from_bytes(window.take(3), "little")
            last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
            if size > ZSTD_BLOCK or kind == 3:
                message = "the zstd data is damaged"
                raise DamagedError(message)
            packed += head.to_bytes(3, "little") + window.take(1 if kind == 1 else size)
            if last:
                packed += window.take(checksum)
                break
        yield zstd_piece(machine, packed)
        packed = b""
    return window.position


def zstd_header(window: Window) -> tuple[bytes, int]:
    """Return a frame's header and the length of the checksum at its end."""
    try:
        head = window.peek(18)
        parameters = zstandard.get_frame_parameters(head)
        size = zstandard.frame_header_size(head)
    except zstandard.ZstdError as error:
        message = "no zstd frame"
        raise DamagedError(message) from error
    if parameters.window_size > MAX_WINDOW:
        message = f"zstd with a window of {parameters.window_size >> 20} MiB: the kernel takes 128 (zstd --long=27)"
        raise DamagedError(message)
    return window.take(size), 4 if parameters.has_checksum else 0


def zstd_piece(machine: "zstandard.ZstdDecompressionObj", packed: bytes) -> bytes:
    """Return what some blocks unpack to."""
    try:
        return machine.decompress(packed)
    except zstandard.ZstdError as error:
        message = "the zstd data is damaged"
        raise DamagedError(message) from error


# -- lz4 -------------------------------------------------------------------------------------------------------------


def unlz4(window: Window) -> Pieces:
    """Unpack lz4's legacy frame: blocks of 8 MiB with their size before them, and no mark of the end.

    The kernel takes what follows for further blocks, so nothing but zeros may follow: a size of zero ends the stream
    (since v5.8; before, an lz4 segment had to be the last thing in the file).
    """
    if window.take(4) != LZ4_MAGIC.to_bytes(4, "little"):
        message = "an lz4 frame that the kernel does not know: pack it with lz4 -l"
        raise DamagedError(message)
    while len(head := window.peek(4)) == 4 and any(head):
        window.position += 4
        size = int.from_bytes(head, "little")
        if size == LZ4_MAGIC:
            continue
        packed = window.peek(size) if size <= LZ4_BOUND else b""
        if len(packed) < size:
            message = "the lz4 data is cut off, or something else than zeros follows it, which the kernel takes for lz4"
            raise DamagedError(message)
        window.position += size
        try:
            yield lz4_block.decompress(packed, uncompressed_size=LZ4_BLOCK)
        except lz4_block.LZ4BlockError as error:
            message = "the lz4 data is damaged"
            raise DamagedError(message) from error
    return window.position


UNPACKERS: dict[str, Callable[[Window], Pieces]] = {
    "gzip": gunzip,
    "bzip2": bunzip2,
    "lzma": unlzma,
    "xz": unxz,
    "zstd": unzstd,
    "lz4": unlz4,
}
