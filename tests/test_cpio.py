"""The newc codec: what it writes, GNU cpio and bsdcpio read; what they write, it reads."""

import io
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import cpio
from tasks.errors import UntrustedInputError

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed (package cpio)")
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


def test_hard_links_share_an_inode_and_the_last_name_has_the_body() -> None:
    """Names of one file have one inode number and link count 2; no two other entries share a number."""
    entries = [
        cpio.regular("a", b"body"),
        cpio.Entry(name="b", mode=stat.S_IFREG | 0o644, hardlink="a"),
        cpio.regular("c", b""),
    ]
    data = archive(entries)
    found = {entry.name: entry.size for entry in cpio.read(data)}
    assert found == {"a": 0, "b": 4, "c": 0}
    headers = [data[at : at + cpio.HEADER] for at in range(0, len(data), 4) if data[at : at + 6] == b"070701"]
    inodes = [int(header[6:14], 16) for header in headers]
    assert inodes[0] == inodes[1] != inodes[2]
    assert [int(header[38:46], 16) for header in headers[:3]] == [2, 2, 1]


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
        pytest.param(lambda data: data[:94] + b"FFFFFFFF" + data[102:], id="endless name"),
        pytest.param(lambda data: data[:54] + b"FFFFFFFF" + data[62:], id="endless body"),
    ],
)
def test_damage_is_an_error(damage) -> None:  # type: ignore[no-untyped-def]
    """A broken archive is told, not half read."""
    with pytest.raises(UntrustedInputError, match="cpio:"):
        list(cpio.read(damage(archive([cpio.regular("name", b"body" * 20)]))))


@needs_cpio
@pytest.mark.integration
def test_gnu_cpio_reads_what_we_write(tmp_path: Path) -> None:
    """GNU cpio unpacks links, modes, dates and segments as they were meant."""
    base = archive(
        cpio.with_parents([cpio.regular("d/a", b"old", 0o600, mtime=99), cpio.symlink("d/l", "a")]), trailer=False
    )
    layer = archive([cpio.directory("d"), cpio.regular("d/a", b"new", 0o600, mtime=99)])
    subprocess.run(["cpio", "-idmu", "--quiet"], input=base + layer, cwd=tmp_path, check=True)
    assert (tmp_path / "d/a").read_text() == "new"
    assert (tmp_path / "d/l").readlink() == Path("a")
    assert (tmp_path / "d/a").stat().st_mtime == 99
    assert stat.S_IMODE((tmp_path / "d/a").stat().st_mode) == 0o600


@needs_cpio
@pytest.mark.integration
def test_we_read_what_gnu_cpio_writes(tmp_path: Path) -> None:
    """Archives of other tools are understood, ``./`` names and hard links included."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("content")
    (tmp_path / "sub/other").hardlink_to(tmp_path / "sub/file")
    names = b"./sub\n./sub/file\n./sub/other\n"
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input=names, cwd=tmp_path, check=True, capture_output=True
    )
    found = {entry.name: entry.read() for entry in cpio.read(done.stdout)}
    assert sorted(found) == ["sub", "sub/file", "sub/other"]
    assert b"content" in found.values()


def test_bodies_on_disk_are_streamed(tmp_path: Path) -> None:
    """A body may be a file: its bytes are read when they are written."""
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    out = io.BytesIO()
    out.writelines(cpio.write([cpio.regular("big", tmp_path / "big")]))
    assert next(cpio.read(out.getvalue())).size == 3 << 20
