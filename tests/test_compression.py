"""Compression: every tool reads it, one member, and the bytes depend on nothing but the input."""

import bz2
import gzip
import hashlib
import lzma
import os
import random
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from lz4 import block as lz4_block

from tasks import compression, decompression, deflate
from tasks.errors import UntrustedInputError
from tasks.inventory.model import Compression

PACKERS = [how for how in Compression if how is not Compression.NONE]


def packed(*pieces: bytes, how: Compression = Compression.GZIP, level: int | None = None) -> bytes:
    """Return the whole member."""
    return b"".join(compression.compress(pieces, how, level=level))


def words(size: int) -> bytes:
    """Return text that looks like text: repetition, near and far."""
    chosen = random.Random(7)
    lexicon = [chosen.randbytes(chosen.randrange(2, 12)).hex().encode() for _ in range(3000)]
    return b" ".join(chosen.choices(lexicon, k=size // 12))[:size]


@pytest.mark.parametrize("how", PACKERS)
@settings(max_examples=15, deadline=None)
@given(pieces=st.lists(st.binary(max_size=2000), max_size=5))
def test_round_trip(how: Compression, pieces: list[bytes]) -> None:
    """What is packed is unpacked again."""
    assert compression.decompress(packed(*pieces, how=how)) == b"".join(pieces)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_the_standard_library_reads_gzip(pieces: list[bytes]) -> None:
    """The standard library's gzip returns the input."""
    assert gzip.decompress(packed(*pieces)) == b"".join(pieces)


@pytest.mark.parametrize("how", PACKERS)
def test_cuts_and_cores_do_not_matter(how: Compression, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same input in other pieces, on a machine with other cores, gives the same bytes."""
    data = words(9_000_000) if how is not Compression.XZ else words(600_000)
    level = 1 if how is Compression.XZ else None
    whole = packed(data, how=how, level=level)
    assert compression.decompress(whole) == data
    for cores in (1, 2, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        pieces = [data[at : at + 77_777 * cores] for at in range(0, len(data), 77_777 * cores)]
        assert packed(*pieces, how=how, level=level) == whole


@pytest.mark.parametrize(
    ("how", "level", "digest"),
    [
        (Compression.GZIP, 2, "f8f10f00f13177d6"),
        (Compression.GZIP, 9, "a08f6cb38e298c13"),
        (Compression.ZSTD, 5, "5e52d6b3f635768b"),
        (Compression.ZSTD, 19, "bfe9129f4f4736b4"),
        (Compression.LZ4, 9, "8cfcc7bf543e97af"),
    ],
)
def test_all_machines_make_the_same_bytes(how: Compression, level: int, digest: str) -> None:
    """These bytes were made on other CPUs; where they differ, a library changed (then say so) or chooses by CPU."""
    assert hashlib.sha256(packed(words(2_500_000), how=how, level=level)).hexdigest()[:16] == digest


def test_gzip_is_one_member_without_name_and_date() -> None:
    """The kernel takes one member for an archive; its header is the same every day."""
    whole = packed(words(3_000_000))
    assert whole[:10] == deflate.HEADER
    machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    machine.decompress(whole)
    assert machine.eof
    assert machine.unused_data == b""


def test_blocks_know_what_came_before() -> None:
    """A block refers back into the block before it: repetition across the cut costs next to nothing."""
    chunk = os.urandom(deflate.WINDOW // 2)
    filler = os.urandom(deflate.BLOCK - len(chunk))
    assert len(packed(filler + chunk + chunk)) < deflate.BLOCK + 2000


def test_the_kernel_can_unpack_what_is_made() -> None:
    """zstd: one frame, a window below 128 MiB, a checksum; xz: CRC32; lz4: the legacy frame, blocks of 8 MiB."""
    data = words(400_000)
    for level in (1, 3, 9, 19, 22):
        frame = zstandard.get_frame_parameters(packed(data, how=Compression.ZSTD, level=level))
        assert frame.window_size <= decompression.MAX_WINDOW
        assert frame.has_checksum
    assert packed(data, how=Compression.XZ, level=1)[7] == lzma.CHECK_CRC32
    framed = packed(bytes(9 << 20), how=Compression.LZ4)
    size = int.from_bytes(framed[4:8], "little")
    assert framed[:4] == b"\x02\x21\x4c\x18"
    assert len(lz4_block.decompress(framed[8 : 8 + size], uncompressed_size=8 << 20)) == 8 << 20


@pytest.mark.parametrize(
    ("options", "expected"), [({"CONFIG_RD_ZSTD"}, Compression.ZSTD), ({"CONFIG_RD_GZIP"}, Compression.GZIP)]
)
def test_the_best_is_what_the_kernel_unpacks(options: set[str], expected: Compression) -> None:
    """zstd where this kernel has it, else gzip."""

    class Config:
        def builtin(self, name: str) -> bool:
            return name in options

    assert compression.best(Config()) is expected


# -- unpacking -------------------------------------------------------------------------------------------------------


def test_members_in_a_row_and_padding_are_read() -> None:
    """Segments packed one by one, each its own way, unpack as one stream."""
    members = [packed(b"%d," % number, how=how) for number, how in enumerate([*PACKERS, Compression.GZIP])]
    assert compression.decompress(bytes(4).join(members) + bytes(8)) == b"0,1,2,3,4,"


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (bz2.compress(b"content"), b"content"),
        (lzma.compress(b"content", lzma.FORMAT_ALONE), b"content"),
        (lzma.compress(b"content", check=lzma.CHECK_NONE), b"content"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"name.cpio\0" + packed(b"content")[10:], b"content"),
        (zstandard.compress(b"content"), b"content"),
    ],
    ids=["bzip2", "lzma", "xz without checksum", "gzip with a name", "zstd that tells its size"],
)
def test_other_tools_formats_are_read(data: bytes, content: bytes) -> None:
    """What the kernel unpacks is unpacked, even where we do not write it."""
    assert compression.decompress(data) == content


@pytest.mark.parametrize("how", PACKERS)
@pytest.mark.parametrize("cut", [1, 3, 9, 20, 200])
def test_cut_data_is_an_error(how: Compression, cut: int) -> None:
    """Cut anywhere, nothing passes for whole."""
    data = packed(os.urandom(5000), how=how)
    with pytest.raises(UntrustedInputError, match=r"cut off|damaged"):
        compression.decompress(data[:-cut])


@pytest.mark.parametrize("how", [how for how in PACKERS if how is not Compression.LZ4])
def test_flipped_bits_are_an_error(how: Compression) -> None:
    """Every format but lz4's legacy frame has a checksum, and it is looked at."""
    data = bytearray(packed(words(20_000), how=how))
    data[len(data) // 2] ^= 16
    with pytest.raises(UntrustedInputError, match=r"damaged|cut off"):
        compression.decompress(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lzma.compress(b"x", check=lzma.CHECK_CRC64), "xz --check=crc32"),
        (lzma.compress(b"x", check=lzma.CHECK_SHA256), "xz --check=crc32"),
        (b"\x02\x21\x4d\x18" + bytes(20), "lz4 -l"),
        (packed(b"a", how=Compression.LZ4) + packed(b"b"), "which the kernel takes for lz4"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop is not unpacked here"),
        (b"\x1f\x8b\x08\x04" + bytes(30), "only a file name may stand in it"),
        (b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(20), "window of 2048 MiB"),
        (b"BZjunk", "damaged"),
        (b"plain text", "no compressed data at byte 0"),
    ],
)
def test_what_the_kernel_refuses_is_refused(data: bytes, words: str) -> None:
    """And the error says what to do instead."""
    with pytest.raises(UntrustedInputError, match=words):
        compression.decompress(data)


class Bomb:
    """A store that is a gzip member of endless zeros, made while it is read."""

    def __init__(self) -> None:
        """Prepare one block of a megabyte: it repeats."""
        machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        self.block = machine.compress(bytes(1 << 20)) + machine.flush(zlib.Z_FULL_FLUSH)
        self.most = 0

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset."""
        self.most = max(self.most, offset)
        if offset < 10:
            return deflate.HEADER[offset:][:size]
        begin = (offset - 10) % len(self.block)
        return (self.block * (size // len(self.block) + 2))[begin : begin + size]


def endless(form: str) -> Iterator[bytes]:
    """Yield pieces of a bomb of a format."""
    if form == "gzip":
        return decompression.unpack(Bomb(), 0, form)
    zeros = bytes(64 << 20)
    data = {
        "zstd": lambda: packed(zeros, how=Compression.ZSTD),
        "xz": lambda: lzma.compress(zeros, check=lzma.CHECK_CRC32, preset=0),
        "bzip2": lambda: bz2.compress(zeros),
        "lz4": lambda: packed(zeros, how=Compression.LZ4, level=1),
    }[form]()
    return decompression.unpack(compression.Memory(data), 0, form)


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz", "bzip2", "lz4"])
def test_bombs_come_in_small_pieces(form: str) -> None:
    """No piece is larger than an lz4 block: whoever counts can stop, and nothing has been held till then."""
    total = 0
    for piece in endless(form):
        assert len(piece) <= decompression.LZ4_BLOCK
        total += len(piece)
        if total >= 64 << 20:
            break
    assert total >= 64 << 20


def test_a_zstd_frame_of_empty_blocks_ends() -> None:
    """Blocks that unpack to nothing cost no memory, and the frame's end is where its last block says."""
    head = b"\x28\xb5\x2f\xfd\x00\x58"
    data = head + b"\0\0\0" * 100_000 + b"\x01\0\0"
    pieces = decompression.unpack(compression.Memory(data + b"more"), 0, "zstd")
    assert b"".join(pieces) == b""


def test_more_than_the_limit_is_an_error() -> None:
    """A limit stops in time."""
    with pytest.raises(UntrustedInputError, match="more than 1,000 bytes"):
        compression.decompress(packed(bytes(100_000)), limit=1000)
