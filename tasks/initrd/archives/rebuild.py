"""Put an initrd together again: segments byte for byte as they were, and one more behind them."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from tasks import compression, cpio, newc
from tasks.cpio import Entry, Span
from tasks.initrd.archives.segments import Segment
from tasks.initrd.archives.streams import Raw, Store, opened
from tasks.inventory.model import Compression

UPPER_INODES = 1 << 30  # where the inode numbers of an appended segment begin


def rebuild(
    packed: Path | bytes,
    segments: Sequence[Segment],
    entries: Iterable[Entry] = (),
    how: Compression = Compression.GZIP,
    *,
    level: int | None = None,
) -> Iterator[bytes]:
    """Yield an initrd of some of the segments of another, byte for byte, with one segment more behind them.

    All segments and no entries: the file itself, up to the end of its last segment.  The new segment's entries take the
    place of those before; their folders must be among them.  Its inode numbers meet none of the others'.
    """
    store = opened(packed)
    written = yield from kept(store, segments)
    added = list(entries)
    if not added:
        return
    yield padding(written, segments[-1].compression if segments else "none")
    yield from compression.compress(cpio.write(added, first_inode=UPPER_INODES), how, level=level)


def kept(store: Store, segments: Sequence[Segment]) -> Generator[bytes, None, int]:
    """Yield segments as they are, with the zeros that were before them; return how many bytes these are."""
    position = written = 0
    form = "none"
    for segment in segments:
        gap = Span(store, position, segment.offset - position)
        if Raw(store, position).zeros_until(segment.offset):
            pieces: Iterable[bytes] = gap.blocks()
        else:  # a segment that stood between is left out
            pieces = [padding(written, form)]
        for piece in chain(pieces, Span(store, segment.offset, segment.end - segment.offset).blocks()):
            written += len(piece)
            yield piece
        position, form = segment.end, segment.compression
    return written


def padding(length: int, form: str) -> bytes:
    """Return the zeros before another segment: to the next multiple of four.

    Behind lz4 at least four more: its unpacker takes all else for another block of it.
    """
    return newc.padding(length) + bytes(4 if form == "lz4" else 0)
