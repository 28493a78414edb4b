"""The boot proof sees on the head node what the kernel would say at night.

Each case takes a good initrd, breaks one thing, and must be told; the good one must pass.
"""

import re
import stat
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import cpio, gzipped
from tasks.initrd import prove
from tasks.initrd.closure import closure
from tasks.initrd.prove import Grade
from tasks.initrd.sysroot import DiskTree

VERSION = "6.1.0-1-amd64"
Tree = dict[str, cpio.Entry]


def kernel(version: str = VERSION) -> bytes:
    """Return the first kilobyte of an x86 kernel as the boot protocol lays it out."""
    image = bytearray(1024)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x100)
    image[0x300 : 0x300 + len(version) + 4] = f"{version} (x)".encode()
    return bytes(image)


def good() -> Tree:
    """Return this machine's busybox with its closure, an init, the mount points and one module."""
    found = closure(DiskTree(Path("/")), ("/bin/busybox",))
    host = DiskTree(Path("/"))
    entries = [cpio.regular(path, host.read(path), 0o755) for path in found.files]
    entries += [cpio.symlink(path, target) for path, target in found.links.items()]
    entries += [cpio.directory(name) for name in ("dev", "proc", "sys", "run", "newroot")]
    entries.append(cpio.regular("init", b"#!/bin/busybox sh\n", 0o755))
    entries.append(cpio.regular(f"usr/lib/modules/{VERSION}/tg3.ko", b"ELF\0firmware=tigon/tg3.bin\0"))
    entries.append(cpio.regular("usr/lib/firmware/tigon/tg3.bin", b"x"))
    return {entry.name: entry for entry in cpio.with_parents(entries)}


def findings(tree: Tree, image: bytes | None = None, drivers: tuple[str, ...] = ("tg3",)) -> list[prove.Finding]:
    """Return what the proof finds in a tree."""
    packed = b"".join(gzipped.compress(cpio.write(tree.values())))
    return prove.examine(packed, image or kernel(), drivers)


def drop(pattern: str) -> Callable[[Tree], None]:
    """Return a break that removes the entries that match."""

    def breakage(tree: Tree) -> None:
        for name in [name for name in tree if re.search(pattern, name)]:
            del tree[name]

    return breakage


def change(name: str, **what: object) -> Callable[[Tree], None]:
    """Return a break that changes one entry."""

    def breakage(tree: Tree) -> None:
        real = next(key for key in tree if re.fullmatch(name, key))
        tree[real] = replace(tree[real], **what)  # type: ignore[arg-type]

    return breakage


def test_a_good_initrd_passes() -> None:
    """Nothing is found where nothing is wrong: a proof that always complains is switched off."""
    assert findings(good()) == []


@pytest.mark.parametrize(
    ("breakage", "sentence"),
    [
        (drop(r"^init$"), "there is no /init"),
        (change("init", mode=stat.S_IFREG | 0o644), "/init is not executable"),
        (change("init", body=b"#!/bin/busybox sh\r\n"), "/init has DOS line ends"),
        (change("init", body=b"!/sbin/busybox.anaconda sh\n"), "neither a script nor an ELF file"),
        (change("init", body=b"#!/bin/nosuch\n"), "the interpreter of /init, /bin/nosuch"),
        (drop(r"busybox$"), "the interpreter of /init, /bin/busybox"),
        (drop(r"x86_64-linux-gnu/ld-linux"), "ELF interpreter of"),
        (drop(r"libc\.so"), r"libc.so.6 (needed by"),
        (drop(r"libresolv"), r"libresolv.so.2 (needed by"),
        (change(r".*/ld-linux.*", mode=stat.S_IFREG | 0o644), "is not executable: programs could not start"),
        (change(r".*libc\.so\.6", body=b"\x7fELF"), "libc.so.6"),
        (drop(r"^newroot$"), "no folder /newroot"),
        (drop(r"^proc$"), "no folder /proc"),
    ],
)
def test_what_would_panic_is_an_error(breakage: Callable[[Tree], None], sentence: str) -> None:
    """Each cause of a panic is found, named, and graded an error."""
    tree = good()
    breakage(tree)
    errors = [finding.text for finding in findings(tree) if finding.grade is Grade.ERROR]
    assert any(sentence in text for text in errors), errors


def test_a_module_of_another_kernel() -> None:
    """A module that the kernel would refuse is an error."""
    errors = [finding.text for finding in findings(good(), kernel("6.1.0-2-amd64"))]
    assert any("is for another kernel than 6.1.0-2-amd64" in text for text in errors)


def test_missing_firmware_is_a_warning() -> None:
    """What only some machines need is told, and does not stop those that do not need it."""
    tree = good()
    drop(r"firmware/tigon")(tree)
    found = findings(tree)
    assert {finding.grade for finding in found} == {Grade.WARNING}
    assert [finding.text for finding in found] == [
        "tg3 may ask for firmware that the image does not have: tigon/tg3.bin"
    ]


def test_a_missing_driver_is_an_error() -> None:
    """A node whose NIC has no driver would end at `no network interface`."""
    errors = [each.text for each in findings(good(), drivers=("tg3", "bnx2")) if each.grade is Grade.ERROR]
    assert errors == ["driver bnx2 is not in the initrd"]


def test_a_cut_down_busybox_is_an_error() -> None:
    """An applet that init calls and busybox lacks is named."""
    tree = good()
    real = next(name for name in tree if name.endswith("bin/busybox"))
    tree[real] = replace(tree[real], body=tree[real].read().replace(b"\0switch_root\0", b"\0switch_rood\0"))
    assert "busybox has no switch_root: init could not go on" in [finding.text for finding in findings(tree)]


def root_image(**changes: object) -> bytes:
    """Return a packed root image whose /sbin/init is busybox, with one entry changed."""
    tree = good()
    real = next(name for name in tree if name.endswith("bin/busybox"))
    init = cpio.regular("usr/sbin/init", tree[real].read(), 0o755)
    entries = {**tree, "sbin": cpio.symlink("sbin", "usr/sbin"), "usr/sbin/init": replace(init, **changes)}  # type: ignore[arg-type]
    return b"".join(gzipped.compress(cpio.write(cpio.with_parents(entries.values()))))


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        (lambda: root_image(), None),
        (lambda: root_image(name="usr/sbin/else"), "the root image has no /sbin/init"),
        (lambda: root_image(mode=stat.S_IFREG | 0o644), "is not executable"),
        (lambda: root_image(body=b"\x7fELF"), "missing in the root image: /sbin/init"),
        (lambda: root_image()[:-20], "the root image cannot be unpacked"),
    ],
)
def test_what_comes_after_the_hand_over(packed: Callable[[], bytes], sentence: str | None) -> None:
    """The packed root image is looked at as the first stage will find it: an exclusion that takes init is an error."""
    texts = [finding.text for finding in prove.examine_root(packed())]
    assert texts == [] if sentence is None else any(sentence in text for text in texts)


def test_a_file_before_its_folder() -> None:
    """The kernel drops such a file without a word; the proof does not."""
    tree = good()
    swapped = dict(sorted(tree.items(), key=lambda item: item[0] == "usr"))
    raw = b"".join(piece for number, entry in enumerate(swapped.values(), 1) for piece in cpio.member(entry, number, 1))
    found = prove.examine(b"".join(gzipped.compress([raw])), kernel(), ())
    assert any("comes before its folder" in finding.text for finding in found)


@pytest.mark.parametrize("data", [b"", b"no gzip", b"\x1f\x8b\x08" + bytes(20)])
def test_what_cannot_be_unpacked(data: bytes) -> None:
    """Damage is one finding, not an exception."""
    assert len([finding for finding in prove.examine(data, kernel(), ()) if finding.grade is Grade.ERROR]) >= 1
