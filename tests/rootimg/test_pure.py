"""The pure parts of the root image: exclusion lists, fstab, manifests, layers."""

import io
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import cpio
from tasks.errors import UntrustedInputError
from tasks.inventory.model import FstabEntry
from tasks.rootimg import exclude, fstab, layer, manifest
from tasks.rootimg.manifest import Item, Kind, Manifest
from tasks.rootimg.unpack import unpack
from tests import samples

IMAGE = replace(
    samples.IMAGE,
    fstab=(
        FstabEntry(device="compute_x86_64", mountpoint="/", type="tmpfs", options="rw", dump=0, check=1),
        FstabEntry(device="none", mountpoint="/tmp", type="tmpfs", options="defaults,size=10m", dump=0, check=2),
    ),
    services_off=("bluetooth.service",),
)


def item(path: str, kind: Kind = Kind.FILE, **more: object) -> Item:
    """Return an item of root's."""
    return Item(path=path, kind=kind, mode=0o755, uid=0, gid=0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ([], ["a", "a/b", "a/b/c", "a/b/d", "e"]),
        (["/a/*"], ["a", "e"]),
        (["/a*"], ["e"]),
        (["/a/*", "+/a/b/c"], ["a", "a/b", "a/b/c", "e"]),
        (["/a/*", "+/a/*", "/a/b/c"], ["a", "a/b", "a/b/d", "e"]),
        (["/a/b/c/x"], ["a", "a/b", "a/b/c", "a/b/d", "e"]),
        (["*"], []),
    ],
)
def test_exclusion(patterns: list[str], kept: list[str]) -> None:
    """The last matching pattern decides, + brings back, and the folders above a kept path are kept."""
    tree = [item("a", Kind.FOLDER), item("a/b", Kind.FOLDER), item("a/b/c"), item("a/b/d"), item("e")]
    assert [each.path for each in exclude.keep(tree, patterns)] == kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "compute_x86_64 / tmpfs rw 0 1\nnone /tmp tmpfs defaults,size=10m 0 2\n"),
        (
            "# mine\n\n/dev/sda1 / ext4 rw 0 1\n/dev/sdb1 /data xfs noatime 0 2\n/dev/sda2 none swap sw 0 0\n",
            "# mine\n\n/dev/sdb1 /data xfs noatime 0 2\n/dev/sda2 none swap sw 0 0\n"
            "compute_x86_64 / tmpfs rw 0 1\nnone /tmp tmpfs defaults,size=10m 0 2\n",
        ),
        (
            "no newline at the end /x",
            "no newline at the end /x\ncompute_x86_64 / tmpfs rw 0 1\nnone /tmp tmpfs defaults,size=10m 0 2\n",
        ),
    ],
)
def test_fstab(before: str, after: str) -> None:
    """Our lines replace those of their mount points; comments, swap and foreign lines stay; twice is once."""
    assert fstab.patch(before, IMAGE.fstab) == after
    assert fstab.patch(after, IMAGE.fstab) == after


def test_a_commented_line_is_no_entry() -> None:
    """A comment that looks like an entry is kept."""
    assert fstab.patch("# none /tmp tmpfs x 0 0\n", IMAGE.fstab).startswith("# none /tmp tmpfs x 0 0\n")


def test_the_manifest_survives_its_file(tmp_path: Path) -> None:
    """What is saved is loaded again, attribute for attribute."""
    items = (
        item("dev/null", Kind.CHAR, major=1, minor=3),
        item("etc/ping", size=3, sha256="ab", xattrs=("security.capability",)),
        item("etc/pong", hardlink="etc/ping"),
        item("lib", Kind.SYMLINK, link="usr/lib"),
        item("ö\udcff", Kind.FIFO),
    )
    manifest.save(Manifest(source_date=7, items=items), tmp_path / "m")
    assert manifest.load(tmp_path / "m") == Manifest(source_date=7, items=items)


def test_a_hard_link_whose_first_name_is_left_out_becomes_the_file(tmp_path: Path) -> None:
    """Excluding one name of a file must not lose the content of the other names."""
    (tmp_path / "b").write_text("body")
    (tmp_path / "c").write_text("body")
    packed = list(manifest.entries([item("b", hardlink="a"), item("c", hardlink="a")], tmp_path, 0))
    assert [(entry.name, entry.hardlink) for entry in packed] == [("b", None), ("c", "b")]
    assert b"".join(cpio.write(packed)).count(b"body") == 1


def test_the_layer(tmp_path: Path) -> None:
    """The layer holds fstab, root's key readable by root alone, sshd's drop-in, and masks the services."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text("# kept\n")
    entries = {entry.name: entry for entry in layer.entries(IMAGE, tmp_path, "ssh-ed25519 AAAA site\n", 5)}
    assert entries["etc/fstab"].read().startswith(b"# kept\ncompute_x86_64 / tmpfs rw 0 1\n")
    assert entries["root/.ssh/authorized_keys"].read() == b"ssh-ed25519 AAAA site\n"
    assert stat.S_IMODE(entries["root/.ssh/authorized_keys"].mode) == 0o600
    assert stat.S_IMODE(entries["root/.ssh"].mode) == stat.S_IMODE(entries["root"].mode) == 0o700
    assert entries["etc/systemd/system/bluetooth.service"].read() == b"/dev/null"
    assert {entry.mtime for entry in entries.values()} == {5}
    assert list(entries) == sorted(entries)


def test_an_fstab_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A tree whose fstab points outside does not make the head node's own file part of an image."""
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("head node's own\n")
    (tmp_path / "tree/etc/fstab").symlink_to(tmp_path / "secret")
    entries = {entry.name: entry for entry in layer.entries(IMAGE, tmp_path / "tree", "key", 0)}
    assert b"head node" not in entries["etc/fstab"].read()


def tar_of(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write a tar of (name, type, content or target)."""
    with tarfile.open(path, "w") as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.uid, member.gid, member.mode = kind, 0, 42, 0o4755
            member.linkname = content if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
            body = content.encode() if kind == tarfile.REGTYPE else b""
            member.size, member.devmajor, member.devminor = len(body), 1, 3
            archive.addfile(member, io.BytesIO(body))
    return path


def test_unpacking_keeps_in_the_manifest_what_a_user_cannot_keep_on_disk(tmp_path: Path) -> None:
    """Owners, setuid bits and devices are in the manifest; secrets and host names of the build are nowhere."""
    members = [
        ("./", tarfile.DIRTYPE, ""),
        ("./bin/su", tarfile.REGTYPE, "su"),
        ("./bin/also", tarfile.LNKTYPE, "./bin/su"),
        ("./dev/null", tarfile.CHRTYPE, ""),
        ("./etc/hostname", tarfile.REGTYPE, "buildhost"),
        ("./etc/resolv.conf", tarfile.REGTYPE, "nameserver 9.9.9.9"),
        ("./etc/ssh/ssh_host_rsa_key", tarfile.REGTYPE, "PRIVATE"),
        ("./lib", tarfile.SYMTYPE, "/usr/lib"),
    ]
    tree = tmp_path / "tree"
    tree.mkdir()
    found = {each.path: each for each in unpack(tar_of(tmp_path / "t.tar", *members), tree, 9).items}
    assert sorted(found) == ["bin/also", "bin/su", "dev/null", "lib"]
    assert (found["bin/su"].mode, found["bin/su"].gid) == (0o4755, 42)
    assert found["bin/also"].hardlink == "bin/su"
    assert (found["dev/null"].kind, found["dev/null"].major, found["dev/null"].minor) == (Kind.CHAR, 1, 3)
    assert found["lib"].link == "/usr/lib"
    assert not (tree / "etc/ssh/ssh_host_rsa_key").exists()


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "x")],
        [("/evil", tarfile.REGTYPE, "x")],
        [("./d", tarfile.SYMTYPE, "/tmp"), ("./d/evil", tarfile.REGTYPE, "x")],
    ],
    ids=["parent", "absolute", "behind a link"],
)
def test_a_tree_that_leads_outside_is_refused(members: list[tuple[str, bytes, str]], tmp_path: Path) -> None:
    """A package cannot write outside the tree."""
    tree = tmp_path / "a/b/tree"
    tree.mkdir(parents=True)
    with pytest.raises(UntrustedInputError):
        unpack(tar_of(tmp_path / "t.tar", *members), tree, 0)
    assert not list(tmp_path.rglob("evil"))
