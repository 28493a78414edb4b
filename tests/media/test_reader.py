"""ISO images are untrusted: nothing of them lands outside, and damage is told before anything is published."""

import contextlib
import io
import os
import struct
import subprocess
from pathlib import Path

import libarchive
import pytest

from tasks.errors import BootmillError, UntrustedInputError
from tasks.media import reader

SECTOR = reader.SECTOR


def make_iso(folder: Path, iso: Path) -> Path:
    """Write a folder as an ISO with Rock Ridge."""
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-r", "-o", iso, folder], check=True, capture_output=True)
    return iso


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return an empty folder to extract into."""
    folder = tmp_path / "out" / "tree"
    folder.mkdir(parents=True)
    return folder


def test_files_links_and_digests(tmp_path: Path, tree: Path) -> None:
    """Files, folders and links that stay inside come out as they are, and every file's sha256 is returned."""
    source = tmp_path / "in"
    (source / "dists/bookworm").mkdir(parents=True)
    (source / "dists/bookworm/Release").write_text("x")
    (source / "dists/stable").symlink_to("bookworm")
    (source / "debian").symlink_to(".")
    digests = reader.extract(make_iso(source, tmp_path / "a.iso"), tree)
    assert (tree / "dists/stable/Release").read_text() == "x"
    assert digests == {
        "dists/bookworm/Release": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    }


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../etc/passwd", "..", "a/../../b", "/"],
    ids=["absolute", "climbs", "parent", "winds", "root"],
)
def test_links_that_lead_outside(target: str, tmp_path: Path, tree: Path) -> None:
    """A symbolic link that is absolute or climbs above the medium is refused by name."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "evil").symlink_to(target)
    with pytest.raises(UntrustedInputError, match=r"the link evil → .* leads outside"):
        reader.extract(make_iso(source, tmp_path / "a.iso"), tree)


def hostile(path: Path, *entries: tuple[str, str, str]) -> Path:
    """Write a tar (libarchive reads it through the same door) of (name, kind, content or target)."""
    import tarfile

    with tarfile.open(path, "w") as archive:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type = {
                "file": tarfile.REGTYPE,
                "link": tarfile.SYMTYPE,
                "hard": tarfile.LNKTYPE,
                "dev": tarfile.CHRTYPE,
            }[kind]
            member.linkname = content if kind in {"link", "hard"} else ""
            body = content.encode() if kind == "file" else b""
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([("../../etc/passwd", "file", "x")], "'../../etc/passwd', a path that leads outside"),
        ([("/etc/passwd", "file", "x")], "'/etc/passwd', a path that leads outside"),
        ([("a/../../b", "file", "x")], "leads outside"),
        ([("d", "link", "sub"), ("d/file", "file", "x")], "d/file lies behind the symbolic link d"),
        ([("null", "dev", "")], "null is a device"),
        ([("h", "hard", "/etc/passwd")], "leads outside"),
        ([("h", "hard", "nowhere")], "no file of the medium"),
        ([("a", "file", "1"), ("a", "file", "2")], "a is there twice"),
        ([("a", "file", "1"), ("a/b", "file", "2")], "a"),
    ],
)
def test_hostile_entries(entries: list[tuple[str, str, str]], sentence: str, tmp_path: Path, tree: Path) -> None:
    """Every known way out of the tree ends in an error, and nothing appears beside the tree."""
    with pytest.raises((UntrustedInputError, OSError)) as caught:
        reader.extract(hostile(tmp_path / "a.tar", *entries), tree)
    assert sentence in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(tree)) == [
        "a.tar"
    ]


def test_truncated_image(tmp_path: Path) -> None:
    """An image that is shorter than it says is named with both sizes, before anything is extracted."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "file").write_bytes(b"x" * 200_000)
    iso = make_iso(source, tmp_path / "a.iso")
    reader.check_whole(iso)
    iso.write_bytes(iso.read_bytes()[:-100_000])
    with pytest.raises(UntrustedInputError, match=r"a\.iso is truncated: [\d,]+ bytes of [\d,]+"):
        reader.check_whole(iso)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", bytes(40_000)], ids=["empty", "a web page", "zeros"]
)
def test_what_is_no_iso(content: bytes, tmp_path: Path) -> None:
    """Something else under the name of an ISO is told as that."""
    (tmp_path / "a.iso").write_bytes(content)
    with pytest.raises(UntrustedInputError, match="is no ISO 9660 image"):
        reader.check_whole(tmp_path / "a.iso")


def test_a_missing_iso(tmp_path: Path) -> None:
    """A path that leads nowhere says which, and where to correct it."""
    with pytest.raises(BootmillError, match=r"(?s)nowhere\.iso: No such file.*media\.yaml"):
        reader.check_whole(tmp_path / "nowhere.iso")


def test_damage_inside_never_escapes_as_a_traceback(tmp_path: Path, tree: Path) -> None:
    """Flipped bytes in the directory records end in our error or in a tree, never in another exception."""
    source = tmp_path / "in/sub"
    source.mkdir(parents=True)
    (source / "file").write_text("x")
    data = bytearray(make_iso(tmp_path / "in", tmp_path / "a.iso").read_bytes())
    root = struct.unpack_from("<I", data, 16 * SECTOR + 156 + 2)[0] * SECTOR
    for offset in range(0, 200, 3):
        broken = bytearray(data)
        broken[root + offset] ^= 0xFF
        (tmp_path / "b.iso").write_bytes(broken)
        out = tree / str(offset)
        out.mkdir()
        with contextlib.suppress(UntrustedInputError, FileExistsError):
            reader.extract(tmp_path / "b.iso", out)


def test_the_library_is_new_enough() -> None:
    """The C library behind libarchive-c reads ISO 9660 with Rock Ridge."""
    assert libarchive.ffi.version_number() >= 3_004_000


def test_links_that_escape_by_way_of_links(tmp_path: Path, tree: Path) -> None:
    """Each link alone stays inside; together they would hand out the head node's own root."""
    source = tmp_path / "in"
    deep = source / "a/b/c/d/e/f"
    deep.mkdir(parents=True)
    (deep / "up").symlink_to("../../../../../..")
    (source / "root").symlink_to("a/b/c/d/e/f/up/../../../../../..")
    with pytest.raises(UntrustedInputError, match="the link root leads outside by way of other links"):
        reader.extract(make_iso(source, tmp_path / "a.iso"), tree)


def test_names_that_are_no_utf8(tmp_path: Path, tree: Path) -> None:
    """Old media carry Latin-1 names: they are kept byte by byte."""
    source = tmp_path / "in"
    source.mkdir()
    Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9")).write_text("x")
    assert [os.fsencode(name) for name in reader.extract(make_iso(source, tmp_path / "a.iso"), tree)] == [b"caf\xe9"]
