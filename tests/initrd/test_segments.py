"""An initrd as the kernel reads it: segments, what is wrong with them, and nothing that a hostile one could do."""

import bz2
import lzma
import os
import resource
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import compression, cpio, newc
from tasks.initrd.archives import members, segments
from tasks.initrd.archives.rebuild import rebuild
from tasks.inventory.model import Compression

EVERY = [how for how in Compression if how is not Compression.NONE]
TREE = cpio.with_parents(
    [
        cpio.regular("bin/busybox", os.urandom(3000), 0o755),
        cpio.regular("init", b"#!/bin/sh\n", 0o755),
        cpio.symlink("bin/sh", "busybox"),
        cpio.device("dev/null", stat.S_IFCHR | 0o666, 1, 3),
    ]
)


def archive(entries: list[cpio.Entry], *, trailer: bool = True) -> bytes:
    """Return an archive's bytes."""
    return b"".join(cpio.write(entries, trailer=trailer))


def packed(data: bytes, how: Compression) -> bytes:
    """Return data packed quickly."""
    return b"".join(compression.compress([data], how, level=1))


def member(name: bytes, mode: int = stat.S_IFREG | 0o644, body: bytes = b"", **fields: int) -> bytes:
    """Return one member with any header: `inode`, `links`, `name_size`, `size`, `major` and the like as given."""
    values = {"inode": 1, "links": 1, "mtime": 0, "major": 0, "name_size": len(name), "size": len(body)} | fields
    head = newc.pack(
        *(values["inode"], mode, 0, 0, values["links"], values["mtime"], values["size"], values["major"], 0, 0, 0),
        *(values["name_size"], 0),
    )
    head += name
    return head + newc.padding(len(head)) + body + newc.padding(len(body))


TRAILER = member(b"TRAILER!!!\0", 0)


def shapes(data: bytes | Path) -> list[tuple[str, int, bool]]:
    """Return compression, number of entries and trailer of each segment."""
    return [(each.compression, len(each.entries), each.trailer) for each in segments.split(data)]


def problems(data: bytes | Path, **limits: int) -> list[str]:
    """Return all problems as texts."""
    return [str(problem) for each in segments.split(data, **limits) for problem in each.problems]


# -- segments in a row -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Compression))
def test_one_segment(how: Compression, tmp_path: Path) -> None:
    """Whatever the compression, entries come back as they went in, from memory and from a file."""
    data = packed(archive(TREE), how)
    (tmp_path / "initrd.img").write_bytes(data)
    for source in (data, tmp_path / "initrd.img"):
        (segment,) = segments.split(source)
        assert (segment.offset, segment.end, segment.compression) == (0, len(data), how.value)
        assert segment.problems == ()
        assert segment.trailer
        assert segment.unpacked == len(archive(TREE))
        assert archive(list(segment.entries)) == archive(TREE)


def test_every_compression_in_a_row() -> None:
    """A raw segment with microcode first, then all others, lz4 last: as the kernel reads it, without a problem."""
    early = archive(cpio.with_parents([cpio.regular("kernel/x86/microcode/GenuineIntel.bin", b"m" * 2049)]))
    order = [Compression.GZIP, Compression.ZSTD, Compression.XZ, Compression.GZIP, Compression.LZ4]
    data = early + b"".join(packed(archive([cpio.regular(str(n), b"x" * n)]), how) for n, how in enumerate(order))
    found = segments.split(data)
    assert [each.compression for each in found] == ["none", "gzip", "zstd", "xz", "gzip", "lz4"]
    assert problems(data) == []
    assert [each.offset for each in found[1:]] == [each.end for each in found[:-1]]


@pytest.mark.parametrize("pack", [bz2.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)])
def test_what_we_do_not_write_is_read(pack: Callable[[bytes], bytes]) -> None:
    """bzip2 and lzma: old initrds have them."""
    assert [shape[1:] for shape in shapes(pack(archive(TREE)) + packed(archive(TREE), Compression.GZIP))] == [
        (len(TREE), True)
    ] * 2


@pytest.mark.parametrize("zeros", [4, 512, 1 << 21])
def test_zeros_between_and_around(zeros: int) -> None:
    """Zeros belong to no segment, before, between and behind; in a file of zeros there is none."""
    one = archive(TREE)
    data = bytes(zeros) + one + bytes(zeros) + packed(one, Compression.GZIP) + bytes(zeros + 1)
    assert [(each.offset, each.end - each.offset) for each in segments.split(data)] == [
        (zeros, len(one)),
        (2 * zeros + len(one), len(packed(one, Compression.GZIP))),
    ]
    assert segments.split(bytes(zeros)) == ()
    assert segments.split(b"") == ()


def test_zeros_between_entries() -> None:
    """Zeros may stand between members (do_reset()), in a raw archive and in a packed one."""
    inside = archive([cpio.regular("a", b"")], trailer=False) + bytes(16) + archive([cpio.regular("b", b"")])
    assert shapes(inside) == [("none", 2, True)]
    assert shapes(packed(inside, Compression.ZSTD)) == [("zstd", 2, True)]
    assert problems(inside) == problems(packed(inside, Compression.ZSTD)) == []


def test_raw_archives_end_at_their_trailer() -> None:
    """Two raw archives are two segments, even without a byte between them; two without a trailer are one."""
    assert shapes(archive(TREE) * 2) == [("none", len(TREE), True)] * 2
    assert shapes(archive([cpio.regular("a", b"")], trailer=False) * 2) == [("none", 2, False)]


def test_lz4_may_be_followed_by_zeros_and_more() -> None:
    """A size of zero ends lz4's stream (lib/decompress_unlz4.c); without it the rest is taken for a block."""
    lz4, gzip = (packed(archive(TREE), how) for how in (Compression.LZ4, Compression.GZIP))
    assert problems(lz4 + bytes(4) + gzip) == []
    (text,) = problems(lz4 + gzip)
    assert text.startswith("E09 the lz4 segment at byte 0")
    assert "which the kernel takes for lz4" in text


# -- E09: what stops the kernel --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive(TREE) + b"\n", "neither an archive nor compressed data"),
        (packed(archive(TREE), Compression.GZIP) + b"signature", "neither an archive nor compressed data"),
        (packed(archive(TREE), Compression.XZ) + b"\0" + archive(TREE), "does not begin at a multiple of four"),
        (archive(TREE) + b"\0\0" + packed(archive(TREE), Compression.GZIP), "broken padding"),
        (archive(TREE)[:-200], "cut off in"),
        (archive(TREE)[:2000], "cut off in /bin/busybox"),
        (archive(TREE)[:50], "cut off in a header"),
        (archive(TREE)[:112], "cut off in a name"),
        (packed(archive(TREE)[:2000], Compression.ZSTD), "the zstd segment at byte 0: cut off in /bin/busybox"),
        (packed(archive(TREE), Compression.GZIP)[:2000], "the gzip segment at byte 0: the compressed data is cut off"),
        (packed(b"\0" * 2 + archive(TREE), Compression.GZIP), "broken padding inside"),
        (packed(archive(TREE) + b"junk", Compression.GZIP), "something else than whole members inside"),
        (packed(b"070707" + bytes(120), Compression.GZIP), "an old cpio format"),
        (b"070707" + bytes(120), "an old cpio format"),
        (member(b"a\0").replace(b"00000001", b"0x000001", 1) + TRAILER, "something else than hexadecimal digits"),
        (lzma.compress(archive(TREE)), "xz --check=crc32"),
        (b"\x89LZO\0\r\n\x1a\n" + bytes(99), "lzop is not unpacked here"),
        (b"\x02\x21\x4d\x18" + bytes(99), "lz4 -l"),
        (b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(99), "a window of 2048 MiB"),
        (member(b"name-without-end") + TRAILER, "malformed archive"),
    ],
)
def test_what_stops_the_kernel(data: bytes, words: str) -> None:
    """One problem of rule E09 says what stops it."""
    (text,) = problems(data)
    assert text.startswith("E09 ")
    assert words in text


def test_one_archive_in_two_members_fails() -> None:
    """A cpio that is split over several gzip members is no archive: the first ends in the middle of an entry."""
    data = archive(TREE)
    split = packed(data[:1500], Compression.GZIP) + packed(data[1500:], Compression.GZIP)
    assert "cut off in /bin/busybox" in problems(split)[0]
    at_entries = packed(archive(TREE, trailer=False), Compression.GZIP) + packed(TRAILER, Compression.GZIP)
    assert problems(at_entries) == []


def test_what_came_before_damage_stays() -> None:
    """The kernel boots with what it had unpacked: whole segments, and of the damaged one the entries before it."""
    good = packed(archive([cpio.regular("a", b"1")]), Compression.ZSTD)
    late = archive([cpio.regular("b", b"2"), cpio.regular("c", os.urandom(300_000))])
    found = segments.split(good + packed(late, Compression.GZIP)[:-100_000] + archive(TREE))
    assert [[entry.name for entry in each.entries] for each in found] == [["a"], ["b"]]
    assert [len(each.problems) for each in found] == [0, 1]


@pytest.mark.parametrize(("flip", "told"), [(0, False), (1, True)])
def test_sums_of_070702_are_looked_at(flip: int, told: bool) -> None:
    """The body's bytes add up to what the header says ("bad data checksum")."""
    body = bytes(range(256)) * 9
    fields = (1, stat.S_IFREG, 0, 0, 1, 0, len(body), 0, 0, 0, 0, 2, sum(body) + flip)
    data = b"070702" + newc.pack(*fields)[6:] + b"a\0" + body + TRAILER
    assert ["bad data checksum" in text for text in problems(data)] == [True] * told


# -- E08 and W12: what the kernel drops ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (member(b"etc/x\0"), "/etc/x comes before its folder /etc"),
        (member(b"a\0") + member(b"a/x\0"), "/a/x comes before its folder /a"),
        (member(b"l\0", stat.S_IFLNK, b"nowhere") + member(b"l/x\0"), "/l/x comes before its folder /l"),
        (member(b"l\0", stat.S_IFLNK, b"l") + member(b"l/x\0"), "/l/x comes before its folder /l"),
        (member(b"d\0", stat.S_IFDIR, b"data"), "/d is no file and yet has content"),
        (member(b"p\0", stat.S_IFIFO, b"data"), "/p is no file and yet has content"),
        (member(b"a\0", 0o755), "/a has no file type (mode 000755)"),
        (member(b"a\0", 0o070644), "/a has no file type (mode 070644)"),
        (member(b"a" * 4096 + b"\0"), "has a name of 4,096 bytes"),
        (member(b"a" * 300000 + b"\0"), "bytes, more than 4,095"),
        (member(b"a" * 256 + b"\0"), "has a part of more than 255 bytes"),
        (member(b"l\0", stat.S_IFLNK, b"x" * 4096), "/l is a symbolic link to a path of 4,096 bytes"),
        (member(b"l\0", stat.S_IFLNK), "/l is a symbolic link to a path of 0 bytes"),
        (member(b"dev\0"), "/dev would take the place of a folder that is not empty"),
        (
            member(b"a\0", body=b"1", links=2) + member(b"b\0", body=b"2", links=2),
            "/b and /a have one inode number and a link count of 2",
        ),
        (
            member(b"a\0", links=2) + member(b"b\0", links=2) + member(b"c\0", links=2),
            "/c and /a have one inode number",
        ),
        (member(b"evil\x1b[2J\nE08 all is well\0", 0), r"/evil\x1b[2J\nE08 all is well has no file type"),
    ],
)
def test_what_is_dropped_without_a_word(data: bytes, words: str) -> None:
    """One problem of rule E08 names the entry; what is behind it is read."""
    (text,) = problems(data + TRAILER)
    assert text.startswith("E08 ")
    assert words in text
    assert "\n" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "data",
    [
        member(b"dev/null\0") + member(b"root/x\0"),  # every kernel has /dev, /dev/console and /root inside
        member(b"usr\0", stat.S_IFDIR) + member(b"lib\0", stat.S_IFLNK, b"/usr") + member(b"lib/x\0"),
        member(b"usr\0", stat.S_IFDIR) + member(b"../../usr/x\0") + member(b"usr/../usr/./y\0") + member(b"/usr//z\0"),
        member(b"d\0", stat.S_IFDIR) + member(b"d\0") + member(b"d\0", stat.S_IFLNK, b"x"),  # an empty folder goes
        member(b"a\0", body=b"1") + member(b"b\0", body=b"2"),  # a link count of one: the number does not count
        member(b"a\0", body=b"1", links=2) + member(b"b\0", body=b"2", links=2, major=8),  # another device
        member(b"a\0", body=b"1", links=2) + TRAILER + member(b"b\0", body=b"2", links=2),
        member(b"a\0", body=b"same", links=2) + member(b"b\0", body=b"same", links=2),  # both carry it
        member(b"a\0", body=b"same", links=2) + member(b"b\0", links=2),
        member(b".\0", stat.S_IFDIR, links=9),
    ],
)
def test_what_the_kernel_makes_is_no_problem(data: bytes) -> None:
    """No false alarm: the kernel makes all these."""
    assert problems(data + TRAILER) == []


def test_whiteouts_delete_nothing() -> None:
    """A character device 0:0 in a later segment was meant to delete; in the first one it is a device."""
    whiteout = archive([cpio.device("gone", stat.S_IFCHR, 0, 0)])
    assert problems(whiteout) == []
    (text,) = problems(whiteout * 2)
    assert text.startswith("W12 /gone is a whiteout")


def test_a_missing_trailer_at_the_end() -> None:
    """Only at the very end one is missed: segments that are to be continued have none."""
    plain = archive(TREE, trailer=False)
    (text,) = problems(plain + packed(plain, Compression.GZIP))
    assert text.startswith("E08 the last archive has no TRAILER!!!")
    assert problems(plain + packed(archive(TREE), Compression.GZIP)) == []


def test_hard_links_have_their_body() -> None:
    """Whichever name carries the body: all have it, and only the first is a file of its own."""
    data = member(b"a\0", links=3) + member(b"b\0", body=b"body", links=3) + member(b"c\0", links=3) + TRAILER
    (segment,) = segments.split(packed(data, Compression.GZIP))
    assert [(entry.read(), entry.hardlink) for entry in segment.entries] == [
        (b"body", None),
        (b"body", "a"),
        (b"body", "a"),
    ]


# -- hostile ---------------------------------------------------------------------------------------------------------


def test_names_stay_what_they_are() -> None:
    """Line breaks, escapes, bytes that are no UTF-8: read and written again as they were."""
    names = [b"line\nbreak", b"\x1b[31mred", b"\xff\xfe", "ü".encode()]
    data = b"".join(member(name + b"\0") for name in names) + TRAILER
    (segment,) = segments.split(data)
    assert [cpio.raw(entry.name) for entry in segment.entries] == names
    assert b"\xff\xfe\0" in archive(list(segment.entries))


def bomb(folder: Path, size: int) -> Path:
    """Write a gzip member of an archive with one file of `size` zeros, a thousandth as long."""
    path = folder / "bomb"
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as out:
        out.write(machine.compress(member(b"zeros\0", size=size)[:120]))
        for _ in range(size >> 22):
            out.write(machine.compress(bytes(1 << 22)))
        out.write(machine.flush())
    return path


def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """What unpacks to more than the limit is a problem; memory does not grow with it."""
    path = bomb(tmp_path, 256 << 20)
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (text,) = problems(path, limit=128 << 20)
    assert "more than may be unpacked here" in text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # kibibytes


def test_very_many_entries_are_stopped() -> None:
    """Entries are counted: each costs memory."""
    data = b"".join(member(b"%d\0" % number) for number in range(200)) + TRAILER
    found = segments.split(packed(data, Compression.ZSTD), entries=100)
    assert len(found[0].entries) == 100
    assert "more than may be unpacked here" in str(found[0].problems[-1])


def test_very_many_problems_are_counted() -> None:
    """A list of problems has an end."""
    (segment,) = segments.split(b"".join(member(b"no/%d\0" % number) for number in range(300)) + TRAILER)
    assert len(segment.problems) == segments.MAX_PROBLEMS + 1
    assert segment.problems[-1].text == f"and {300 - segments.MAX_PROBLEMS} more members like these"


def test_tangled_paths_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that lead to links cost steps; an archive has a limited number of them."""
    monkeypatch.setattr(members, "MAX_STEPS", 5000)
    links = member(b"d\0", stat.S_IFDIR) + member(b"l\0", stat.S_IFLNK, b"d/../" * 800 + b"d")
    data = links + b"".join(member(b"l/%d\0" % number) for number in range(50)) + TRAILER
    assert "so tangled paths" in problems(data)[-1]


def test_thousands_of_names_of_one_file_cost_no_square() -> None:
    """2^32 - 1 links on the paper, a hundred thousand in the archive: each is looked at once."""
    data = b"".join(member(b"%d\0" % number, links=newc.LARGEST) for number in range(20_000))
    data += member(b"last\0", body=b"content", links=newc.LARGEST) + TRAILER
    (segment,) = segments.split(data)
    assert segment.problems == ()
    assert segment.entries[0].read() == segment.entries[-1].read() == b"content"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    """Cut anywhere, with any bytes changed: segments or problems, never an exception."""
    how = data.draw(st.sampled_from(list(Compression)))
    content = bytearray(archive(TREE) + packed(archive(TREE), how))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = segments.split(bytes(content[: data.draw(st.integers(0, len(content)))]))
    for segment in found:
        assert all(len(entry.read()) == entry.size for entry in segment.entries)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(EVERY))
def test_any_bytes_never_raise(content: bytes, how: Compression) -> None:
    """Any bytes, bare, packed, and behind each format's first bytes."""
    for data in (content, packed(content, how), packed(b"", how)[:6] + content, b"070701" + content):
        segments.split(data)


# -- put together again ----------------------------------------------------------------------------------------------


def mixtures() -> Iterator[bytes]:
    """Yield initrds of several segments."""
    for how in Compression:
        yield archive(TREE) + bytes(100) + packed(archive(TREE), how)
    yield bytes(512) + archive(TREE, trailer=False) + packed(archive(TREE), Compression.GZIP)


@pytest.mark.parametrize("data", list(mixtures()))
@pytest.mark.parametrize("how", list(Compression))
def test_rebuilt_with_one_more(data: bytes, how: Compression) -> None:
    """The old bytes stay, the new segment follows where the kernel finds it."""
    found = segments.split(data)
    assert b"".join(rebuild(data, found)) == data
    again = b"".join(rebuild(data, found, [cpio.regular("added", b"x")], how))
    assert again.startswith(data)
    assert problems(again) == []
    assert [[entry.name for entry in each.entries] for each in segments.split(again)][-1] == ["added"]


def test_rebuilt_without_one(tmp_path: Path) -> None:
    """A segment may be left out: the others keep their bytes, and stand where the kernel finds them."""
    path = tmp_path / "initrd.img"
    one, two = archive([cpio.regular("one", b"1")]), archive([cpio.regular("two", b"22")])
    path.write_bytes(one + packed(two, Compression.GZIP) + bytes(999) + packed(two, Compression.ZSTD) + bytes(3) + one)
    found = segments.split(path)
    assert problems(path)  # the last one is misplaced
    again = b"".join(rebuild(path, [found[0], found[2]], TREE))
    assert [shape[0] for shape in shapes(again)] == ["none", "zstd", "gzip"]
    assert problems(again) == []
    assert one in again
    assert packed(two, Compression.ZSTD) in again


def test_new_inodes_are_nobody_elses() -> None:
    """Hard links of the new segment are never taken for files of an old one that has no trailer."""
    old = archive([cpio.regular("a", b"1"), cpio.Entry(name="b", mode=stat.S_IFREG, hardlink="a")], trailer=False)
    new = [cpio.regular("c", b"2"), cpio.Entry(name="d", mode=stat.S_IFREG, hardlink="c")]
    assert problems(b"".join(rebuild(old, segments.split(old), new))) == []


def test_names_in_memory_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and link targets are kept: few packed bytes could stand for gigabytes of them."""
    monkeypatch.setattr(segments, "MAX_HELD", 50_000)
    long = b"".join(member(b"n" * 4000 + b"%03d\0" % number) for number in range(20))
    targets = b"".join(member(b"%03d\0" % number, stat.S_IFLNK | 0o777, b"t" * 4000) for number in range(20))
    for data in (long, targets):
        (segment,) = segments.split(packed(data, Compression.GZIP))
        assert len(segment.entries) == 12
        assert "more than may be unpacked here" in str(segment.problems[-1])


def test_segments_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty ones cost 20 bytes each: a file has as many of them as it likes."""
    monkeypatch.setattr(segments, "MAX_SEGMENTS", 3)
    found = segments.split(packed(b"", Compression.GZIP) * 9)
    assert len(found) == 4
    assert "more than 3 segments" in str(found[-1].problems[0])
