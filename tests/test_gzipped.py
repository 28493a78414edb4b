"""Reproducible gzip: one member, every tool reads it, the bytes do not depend on how the input is cut."""

import gzip
import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import gzipped


def packed(*pieces: bytes) -> bytes:
    """Return the whole member."""
    return b"".join(gzipped.compress(pieces))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_gzip_reads_it(pieces: list[bytes]) -> None:
    """The standard library's gzip returns the input."""
    assert gzip.decompress(packed(*pieces)) == b"".join(pieces)


def test_cuts_do_not_matter() -> None:
    """The same input in other pieces gives the same bytes, and it is one member with no name and no date."""
    data = os.urandom(1000) * 3000
    whole = packed(data)
    assert whole == packed(*(data[at : at + 7777] for at in range(0, len(data), 7777)))
    assert whole[:10] == gzipped.HEADER
    machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert machine.decompress(whole) == data
    assert machine.eof
    assert machine.unused_data == b""


def test_the_number_of_cores_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with other cores makes the same bytes."""
    data = bytes(range(256)) * 20000
    one = packed(data)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert packed(data) == one


def test_blocks_know_what_came_before() -> None:
    """A block refers back into the block before it: repetition across the cut costs next to nothing."""
    chunk = os.urandom(gzipped.WINDOW // 2)
    filler = os.urandom(gzipped.BLOCK - len(chunk))
    assert len(packed(filler + chunk + chunk)) < gzipped.BLOCK + 2000


def test_members_in_a_row_and_padding_are_read() -> None:
    """Segments packed one by one unpack as one stream."""
    assert gzipped.decompress(packed(b"a") + packed(b"b") + bytes(8)) == b"ab"


def test_damage_and_bombs_are_errors() -> None:
    """Cut, changed or exploding data ends in an error."""
    data = packed(b"content" * 100)
    with pytest.raises(ValueError, match="cut off"):
        gzipped.decompress(data[:-9])
    with pytest.raises(zlib.error):
        gzipped.decompress(data[:20] + b"\xff\xff" + data[22:])
    with pytest.raises(ValueError, match="more than"):
        gzipped.decompress(packed(bytes(100_000)), limit=1000)
