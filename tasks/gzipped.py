"""Reproducible, parallel gzip: one member, no name, no time, the same bytes whatever the number of cores.

The input is cut into blocks of fixed size; each is deflated on its own with the 32 KiB before it as dictionary and ends
on a byte boundary, so the pieces are one deflate stream (as pigz does it).  The kernel's unpacker refuses archives that
are split over several members; this is one.  Only zlib from the standard library: faster encoders choose their
matches by CPU, and then two machines disagree.
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

BLOCK = 1 << 20
WINDOW = 1 << 15  # what deflate may refer back to (RFC 1951 2)
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952 2.3: no name, mtime 0, unknown system
LEVEL = 6


def compress(pieces: Iterable[bytes], level: int = LEVEL) -> Iterator[bytes]:
    """Yield the gzip member that holds `pieces`.  zlib lets go of the interpreter lock: threads are enough."""
    checksum = size = 0
    before = b""
    workers = os.cpu_count() or 1
    waiting: deque[Future[bytes]] = deque()
    yield HEADER
    with ThreadPoolExecutor(workers) as pool:
        for block in blocks(pieces):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
            waiting.append(pool.submit(deflate, block, before, level))
            before = block[-WINDOW:]
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    yield zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS).flush(zlib.Z_FINISH)
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the input in blocks of `BLOCK` bytes, the last one shorter, wherever the pieces are cut."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= BLOCK:
            yield bytes(buffer[:BLOCK])
            del buffer[:BLOCK]
    if buffer:
        yield bytes(buffer)


def deflate(block: bytes, before: bytes, level: int) -> bytes:
    """Return one block deflated, ending on a byte boundary and not ending the stream."""
    options = (level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    machine = zlib.compressobj(*options, zdict=before) if before else zlib.compressobj(*options)
    return machine.compress(block) + machine.flush(zlib.Z_SYNC_FLUSH)


def decompress(data: bytes, limit: int = 1 << 33) -> bytes:
    """Return the content of one or several gzip members; `zlib.error` on damage, `ValueError` beyond `limit` bytes."""
    result = bytearray()
    while data:
        machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        result += machine.decompress(data, limit - len(result) + 1)
        if len(result) > limit:
            message = f"more than {limit:,} bytes when unpacked"
            raise ValueError(message)
        if not machine.eof:
            message = "the gzip data is cut off"
            raise ValueError(message)
        data = machine.unused_data.lstrip(b"\0")
    return bytes(result)
