"""Rules E14, E17, E18, W07, and fstab: the root image that the first stage hands over to."""

import gzip
import hashlib
import lzma
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import compression, cpio
from tasks.initrd.proof import fstab, proof, rootimage
from tasks.initrd.proof.finding import Grade
from tasks.initrd.proof.subject import Machine
from tasks.initrd.proof.verdict import Verdict
from tasks.inventory.model import Compression
from tests.initrd import elves, kernels
from tests.initrd.proofs import (
    BASE,
    CONFIG,
    Breakage,
    Tree,
    add,
    archive,
    broken,
    busybox,
    change,
    drop,
    found_by,
    mode,
    root_tree,
    subject,
)

FETCHED = ("imgurl=http://10.1.0.1/rootimg",)


def judged(path: Path, first: Tree, packed: bytes, config: str = CONFIG, words: tuple[str, ...] = FETCHED) -> Verdict:
    """Return the verdict on a first stage and a packed root image."""
    image = path / "rootimg"
    image.write_bytes(packed)
    whole = subject(first, root=image, config=config)
    return proof.Proof(whole).verdict(Machine(menus=True, words=words))


def rooted(path: Path, *breakages: Breakage, words: tuple[str, ...] = FETCHED) -> Verdict:
    """Return the verdict on a good first stage and a root image with breakages in it."""
    tree = root_tree()
    for breakage in breakages:
        breakage(tree)
    return judged(path, broken(), gzip.compress(archive(tree.values())), words=words)


@pytest.mark.parametrize(
    ("breakages", "words", "message"),
    [
        pytest.param([], "", "boots", id="as it was made"),
        pytest.param(
            [drop("usr/sbin/init")], "/sbin/init", "init stops: the root image has no /sbin/init", id="no init"
        ),
        pytest.param(
            [mode("usr/sbin/init", 0o644)],
            "0644",
            "init stops: /sbin/init in the root image is not executable",
            id="mode",
        ),
        pytest.param(
            [drop("usr/lib64/ld-linux-x86-64.so.2")],
            "E03",
            "init stops: the root image has no interpreter of its init",
            id="no loader",
        ),
        pytest.param(
            [drop("usr/lib64/libc.so.6")],
            "libc.so.6",
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00",
            id="no library",
        ),
        pytest.param(
            [change("usr/sbin/init", body=elves.program(machine=183))],
            "aarch64",
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            id="another machine",
        ),
    ],
)
def test_what_comes_after_the_hand_over(tmp_path: Path, breakages: list[Breakage], words: str, message: str) -> None:
    """E17: the root image's init passes the rules of the first program in its own tree."""
    found = rooted(tmp_path, *breakages)
    assert found.message == message
    assert not words or any(words in each.text for each in found_by(found, "E17"))
    assert words or not found.findings


def test_init_is_what_the_command_line_says(tmp_path: Path) -> None:
    """E17: init= names the program of the root."""
    found = rooted(tmp_path, words=(*FETCHED, "init=/sbin/other"))
    assert found.message == "init stops: the root image has no /sbin/other"
    other = cpio.regular("usr/sbin/other", elves.program("libc.so.6"), 0o755)
    assert rooted(tmp_path, add(other), words=(*FETCHED, "init=/sbin/other")).boots


def test_folders_to_move_into(tmp_path: Path) -> None:
    """E17: our init makes them; that they lack is told."""
    found = rooted(tmp_path, drop("proc"))
    assert (found.boots, {each.grade for each in found_by(found, "E17")}) == (True, {Grade.WARNING})


@pytest.mark.parametrize(
    ("line", "words", "grave"),
    [
        ("none /tmp tmpfs defaults, size=10m 0 2", "a blank inside the options 'defaults,'", True),
        ("none /tmp tmpfs defaults,size=10m 0 2 3", "7 fields", True),
        ("none /tmp", "2 fields", True),
        ("none /tmp tmpfs defaults,,size=10m 0 2", "an empty option", True),
        ("none /tmp tmpfs defaults zero 2", "'zero' where a number is wanted", True),
        ("none tmp tmpfs defaults 0 2", "no absolute path", True),
        ("none /nowhere tmpfs defaults 0 2", "no folder /nowhere", False),
        ("none / tmpfs defaults 0 2", "/ is in line 1 already", False),
        ("UUID=1 /tmp ext4 defaults 0 2", "/tmp is on UUID=1", False),
        ("none /tmp tmpfs", "", True),
        ("none /tmp tmpfs defaults,size=10m 0 2", "", True),
        ("/dev/sda1 none swap sw 0 0", "", True),
        ("UUID=1 /tmp ext4 nofail 0 2", "", True),
        ("none /with\\040blank tmpfs defaults,nofail", "", True),
        ("# comment, with, commas", "", True),
        ("", "", True),
    ],
)
def test_lines_of_fstab(line: str, words: str, grave: bool) -> None:
    """fstab(5): six fields, no blank inside one; the seed's own line is the first."""
    found = list(fstab.mistakes(f"none / tmpfs rw 0 1\n{line}\n", {"/", "/tmp"}.__contains__))
    assert [(each.line, words in each.text, each.grave) for each in found] == ([(2, True, grave)] if words else [])


def test_fstab_of_the_root_image(tmp_path: Path) -> None:
    """E17: the seed's broken line keeps the image from being staged, though it boots; a doubt does not."""
    found = rooted(tmp_path, change("etc/fstab", body=b"none /tmp tmpfs defaults, size=10m 0 2\n"))
    assert (found.boots, found.refused) == (True, True)
    assert "line 1" in found_by(found, "E17")[0].text
    assert not rooted(tmp_path, change("etc/fstab", body=b"none /nowhere tmpfs rw 0 0\n")).refused


@pytest.mark.parametrize(
    ("breakage", "path"),
    [
        (
            add(cpio.directory("etc/ssh"), cpio.regular("etc/ssh/ssh_host_rsa_key", b"secret")),
            "etc/ssh/ssh_host_rsa_key",
        ),
        (change("etc/machine-id", body=b"0123456789abcdef\n"), "etc/machine-id"),
    ],
)
def test_what_no_two_nodes_may_share(tmp_path: Path, breakage: Breakage, path: str) -> None:
    """W07: keys and identities are told; an identity that is not set is none."""
    assert [each.text for each in found_by(rooted(tmp_path, breakage), "W07")] == [f"rootimg holds /{path}"]


# -- format and digest -----------------------------------------------------------------------------------------------

WHOLE = archive(root_tree().values())
SQUASHFS = b"hsqs" + bytes(16) + b"\x04\0" + bytes(2000)
ZSTD = b"\x28\xb5\x2f\xfd" + bytes(100)
MODULES = {
    name: cpio.regular(f"{BASE}/kernel/fs/{name}.ko", kernels.module()) for name in ("squashfs", "loop", "overlay")
}
FS = cpio.directory(f"{BASE}/kernel/fs")
LISTED = cpio.regular(f"{BASE}/modules.dep", "".join(f"kernel/fs/{name}.ko:\n" for name in MODULES).encode())


@pytest.mark.parametrize(
    ("packed", "breakages", "config", "words"),
    [
        pytest.param(WHOLE, [], CONFIG, "", id="plain"),
        pytest.param(lzma.compress(WHOLE), [], CONFIG, "", id="xz"),
        pytest.param(
            lzma.compress(WHOLE),
            [change("usr/bin/busybox", body=busybox("xzcat"))],
            CONFIG,
            "packed with xz",
            id="no xzcat",
        ),
        pytest.param(b"neither", [], CONFIG, "neither cpio, tar, squashfs nor erofs", id="unknown"),
        pytest.param(SQUASHFS, [], CONFIG, "squashfs", id="squashfs without modules"),
        pytest.param(SQUASHFS, [add(FS, *MODULES.values())], CONFIG, "squashfs", id="modprobe does not know them"),
        pytest.param(SQUASHFS, [add(FS, *MODULES.values(), LISTED)], CONFIG, "", id="squashfs with modules"),
        pytest.param(
            SQUASHFS,
            [],
            f"{CONFIG}CONFIG_SQUASHFS=y\nCONFIG_BLK_DEV_LOOP=y\nCONFIG_OVERLAY_FS=y\n",
            "",
            id="squashfs, built in",
        ),
        pytest.param(
            SQUASHFS,
            [add(FS, *MODULES.values(), LISTED)],
            CONFIG.replace("CONFIG_SQUASHFS_XZ=y\n", ""),
            "CONFIG_SQUASHFS_XZ",
            id="its compression",
        ),
    ],
)
def test_the_form_of_the_root_image(
    tmp_path: Path, packed: bytes, breakages: list[Breakage], config: str, words: str
) -> None:
    """E14: the first stage can unpack or mount what it fetches."""
    found = judged(tmp_path, broken(*breakages), packed, config)
    assert any(words in each.text for each in found_by(found, "E14")) == bool(words)
    assert found.boots == (not words)


def test_an_nfs_root_needs_its_modules(tmp_path: Path) -> None:
    """E14: the command line says where the root is."""
    found = judged(tmp_path, broken(), gzip.compress(WHOLE), words=("imgurl=nfs://10.1.0.1/root",))
    assert {"nfs", "overlay"} <= {word for each in found_by(found, "E14") for word in each.text.split()}


def test_the_digest(tmp_path: Path) -> None:
    """E18: the image is the one that the menus name."""
    image = tmp_path / "rootimg"
    image.write_bytes(gzip.compress(WHOLE))
    digest = tmp_path / "sha256"
    for text, red in ((hashlib.sha256(image.read_bytes()).hexdigest(), False), ("0" * 64, True)):
        digest.write_text(f"{text}\n")
        whole = replace(subject(broken()), root=rootimage.read(image, digest=digest))
        found = proof.Proof(whole).verdict(Machine(menus=True))
        assert bool(found_by(found, "E18")) == red
        assert found.message == ("init stops: sha256 differs" if red else "boots")


def test_a_root_image_that_is_cut_off(tmp_path: Path) -> None:
    """E18: it unpacks to its end."""
    found = judged(tmp_path, broken(), gzip.compress(WHOLE)[:-20])
    assert found_by(found, "E18")
    assert found.message == "init stops: the root image does not unpack"


def test_a_manifest_tells_of_capabilities(tmp_path: Path) -> None:
    """W05: they stand in the tree's manifest."""
    manifest = tmp_path / "manifest"
    rows = ("security.capability", "usr/bin/ping"), ("system.posix_acl_access", "x")
    manifest.write_text("".join(f'{{"path": "{path}", "xattrs": ["{name}"]}}\n' for name, path in rows))
    assert list(rootimage.with_capabilities(manifest)) == ["usr/bin/ping"]


@pytest.mark.parametrize("how", [Compression.ZSTD, Compression.LZ4])
def test_a_packed_tar(tmp_path: Path, how: Compression) -> None:
    """What zstd and lz4 pack is looked into: a tar archive is a format that init unpacks."""
    head = bytes(257) + b"ustar\0" + bytes(249)
    (tmp_path / "root").write_bytes(b"".join(compression.compress([head + os.urandom(1 << 18)], how)))
    found = rootimage.read(tmp_path / "root")
    assert (found.format, found.compression) == ("tar", how.value)
