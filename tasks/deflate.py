"""Reproducible, parallel gzip: one member, no name, no time, the same bytes whatever the number of cores.

The input is cut into blocks of fixed size; each is deflated on its own with the 32 KiB before it as dictionary and ends
on a byte boundary, so the pieces are one deflate stream (as pigz does it).  The kernel's unpacker refuses archives that
are split over several members; this is one.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from zlib_ng import zlib_ng as zlib

BLOCK = 1 << 20
WINDOW = 1 << 15  # what deflate may refer back to (RFC 1951 2)
Job = Callable[[], bytes]
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952 2.3: no name, mtime 0, unknown system


def compress(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield the gzip member that holds `pieces`; they are blocks of `BLOCK` bytes, the last one shorter."""
    checksum = size = 0
    yield HEADER

    def jobs() -> Iterator[Callable[[], bytes]]:
        nonlocal checksum, size
        before = b""
        for block in pieces:
            checksum = zlib.crc32(block, checksum)
            size += len(block)
            yield job(block, before, level)
            before = block[-WINDOW:]

    yield from in_parallel(jobs())
    yield zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS).flush(zlib.Z_FINISH)
    yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def job(block: bytes, before: bytes, level: int) -> Callable[[], bytes]:
    """Return the work on one block."""
    return lambda: deflate(block, before, level)


def in_parallel(jobs: Iterable[Callable[[], bytes]]) -> Iterator[bytes]:
    """Yield the jobs' results in their order.  Compressors let go of the interpreter lock: threads are enough.

    Never more than a few jobs are ahead, so memory is bounded however long the input.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for each in jobs:
            waiting.append(pool.submit(each))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def deflate(block: bytes, before: bytes, level: int) -> bytes:
    """Return one block deflated, ending on a byte boundary and not ending the stream."""
    options = (level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    machine = zlib.compressobj(*options, zdict=before) if before else zlib.compressobj(*options)
    return machine.compress(block) + machine.flush(zlib.Z_SYNC_FLUSH)
