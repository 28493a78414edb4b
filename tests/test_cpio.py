"""The newc codec: what it writes it reads back; what the kernel would not take it never writes."""

import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import compression, cpio, newc
from tasks.errors import UntrustedInputError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in {".", "..", cpio.TRAILER}
)


def archive(entries: list[cpio.Entry], **options: bool) -> bytes:
    """Return the archive's bytes."""
    return b"".join(cpio.write(entries, **options))


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=8))
def test_round_trip(contents: dict[str, bytes]) -> None:
    """What is written is read back: names, modes, bodies, in order."""
    entries = cpio.with_parents([cpio.regular(f"d/{name}", body, 0o640) for name, body in contents.items()])
    assert list(cpio.read(archive(entries))) == entries


def test_length_is_a_multiple_of_four() -> None:
    """A segment can be followed by another without padding."""
    for size in range(9):
        assert len(archive([cpio.regular("x" * (size + 1), b"y" * size)], trailer=False)) % 4 == 0


def test_parents_come_first_whatever_the_order_given() -> None:
    """The kernel drops a file whose folder comes later, so folders are supplied and sorted before their content."""
    names = [entry.name for entry in cpio.with_parents([cpio.regular("a/b-c/f", b""), cpio.regular("a/b/f", b"")])]
    assert names == ["a", "a/b", "a/b-c", "a/b-c/f", "a/b/f"]


def test_a_file_without_its_folder_is_refused() -> None:
    """An archive that the kernel would unpack partly is never written."""
    with pytest.raises(ValueError, match="comes before its folder a"):
        archive([cpio.regular("a/b", b"")])


def headers(data: bytes) -> list[newc.Header]:
    """Return the headers in an archive, without the trailer's."""
    return [member.header for member in cpio.members(data) if member.entry.name != cpio.TRAILER]


def hardlink(name: str, first: str) -> cpio.Entry:
    """Return another name of a file."""
    return cpio.Entry(name=name, mode=stat.S_IFREG | 0o644, hardlink=first)


def test_hard_links_share_an_inode_and_the_last_name_has_the_body() -> None:
    """Names of one file have one inode number and link count 2; no two other entries share a number."""
    data = archive([cpio.regular("a", b"body"), hardlink("b", "a"), cpio.regular("c", b"")])
    first, second, other = headers(data)
    assert first.inode == second.inode != other.inode
    assert [header.links for header in (first, second, other)] == [2, 2, 1]
    assert [header.size for header in (first, second, other)] == [0, 4, 0]


def test_hard_links_are_read_as_the_kernel_takes_them() -> None:
    """Each name has the body, wherever the archive has it, and the first name is named by the others."""
    data = archive([cpio.regular("a", b"body"), hardlink("b", "a"), cpio.regular("c", b"")])
    assert [(entry.name, entry.read(), entry.hardlink) for entry in cpio.read(data)] == [
        ("a", b"body", None),
        ("b", b"body", "a"),
        ("c", b"", None),
    ]
    assert archive(list(cpio.read(data))) == data


def test_the_first_name_may_come_later() -> None:
    """What the first name is called does not say where it stands: the body is its own all the same."""
    found = {entry.name: entry.read() for entry in cpio.read(archive([hardlink("a", "b"), cpio.regular("b", b"body")]))}
    assert found == {"a": b"body", "b": b"body"}


def test_a_trailer_ends_links() -> None:
    """The same inode number behind a trailer is another file (free_hash() in the kernel)."""
    data = archive([cpio.regular("a", b"1"), hardlink("b", "a")])
    found = {
        entry.name: entry.read() for entry in cpio.read(data + data.replace(b"a\0", b"c\0").replace(b"b\0", b"d\0"))
    }
    assert [entry.hardlink for entry in cpio.read(data + data)] == [None, "a", None, "a"]
    assert found["d"] == b"1"


@pytest.mark.parametrize("first", ["b", "c"])
def test_links_in_a_circle_are_refused(first: str) -> None:
    """A first name that is a link itself has no content."""
    with pytest.raises(ValueError, match="which is a hard link itself"):
        archive([hardlink("b", first), hardlink("c", "b")])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (cpio.Entry(name="a", mode=stat.S_IFREG, uid=1 << 32), "numbers of 32 bits"),
        (cpio.Entry(name="a", mode=stat.S_IFREG, gid=-1), "numbers of 32 bits"),
        (cpio.regular("a", b"", mtime=1 << 32), "dates end in 2106"),
        (cpio.regular("a", b"", mtime=-1), "dates end in 2106"),
        (cpio.device("a", stat.S_IFCHR, 1 << 32, 0), "numbers of 32 bits"),
        (cpio.regular("a" * 4096, b""), "names have 4095 bytes"),
        (cpio.regular("ä" * 2048, b""), "names have 4095 bytes"),
        (cpio.regular("a\0b", b""), "no NUL"),
        (cpio.regular("a", cpio.Span(compression.Memory(b""), 0, 1 << 32)), "files end below 4 GiB"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(entry: cpio.Entry, words: str) -> None:
    """Fields have 32 bits, names 4095 bytes: more would be another number or another name on the node."""
    with pytest.raises(ValueError, match=words):
        archive([entry])


@pytest.mark.parametrize("length", [0, 3, 9])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, length: int) -> None:
    """The header has said the size already: other bytes behind it would break all that follows."""
    body = tmp_path / "log"
    body.write_bytes(b"12345")
    writing = cpio.write([cpio.regular("log", body)])
    next(writing)
    body.write_bytes(b"x" * length)
    with pytest.raises(ValueError, match="log changed while it was being packed"):
        list(writing)


def test_a_link_to_nothing_is_refused() -> None:
    """A hard link's first name must be in the same archive."""
    with pytest.raises(ValueError, match="hard link to a, which is not in the archive"):
        archive([cpio.Entry(name="b", mode=stat.S_IFREG, hardlink="a")])


def test_segments_are_read_as_one_tree() -> None:
    """A second segment after a first without trailer, or after zero padding, goes on where the first ended."""
    first = archive([cpio.regular("a", b"1")], trailer=False)
    second = archive([cpio.regular("a", b"2")])
    assert [entry.read() for entry in cpio.read(first + second + bytes(512) + second)] == [b"1", b"2", b"2"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:150], id="cut off"),
        pytest.param(lambda data: b"garbage!" + data, id="no header"),
        pytest.param(lambda data: data[:10] + b"zzzz" + data[14:], id="no number"),
        pytest.param(lambda data: data[:6] + b"0x000001" + data[14:], id="a prefix"),
        pytest.param(lambda data: data[:6] + b"      +1" + data[14:], id="a sign"),
        pytest.param(lambda data: data[:6] + b"0000_001" + data[14:], id="an underscore"),
        pytest.param(lambda data: b"070707" + data[6:], id="the old format"),
        pytest.param(lambda data: data[:114] + b"x" + data[115:], id="no NUL"),
        pytest.param(lambda data: data[:94] + b"FFFFFFFF" + data[102:], id="endless name"),
        pytest.param(lambda data: data[:54] + b"FFFFFFFF" + data[62:], id="endless body"),
    ],
)
def test_damage_is_an_error(damage) -> None:  # type: ignore[no-untyped-def]
    """A broken archive is told, not half read."""
    with pytest.raises(UntrustedInputError, match="cpio:"):
        list(cpio.read(damage(archive([cpio.regular("name", b"body" * 20)]))))


def test_bodies_on_disk_are_streamed(tmp_path: Path) -> None:
    """A body may be a file: its bytes are read when they are written."""
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    out = io.BytesIO()
    out.writelines(cpio.write([cpio.regular("big", tmp_path / "big")]))
    assert next(cpio.read(out.getvalue())).size == 3 << 20


def test_names_are_read_as_we_write_them() -> None:
    """``./a//b`` and ``/a/b/`` are a/b; ``..`` stays for the reader to see; the root itself is a dot."""
    names = {name: cpio.plain_name(name) for name in ("./a//b", "/a/b/", "a/./b", ".", "/", "../a", "a.", "a./b")}
    assert list(names.values()) == ["a/b", "a/b", "a/b", ".", ".", "../a", "a.", "a./b"]


def test_what_is_given_comes_before_what_is_supplied() -> None:
    """A folder that is given keeps its mode, wherever in the list it stands."""
    entries = cpio.with_parents([cpio.regular("root/x", b""), cpio.directory("root", 0o700)])
    assert [stat.S_IMODE(entry.mode) for entry in entries] == [0o700, 0o644]
