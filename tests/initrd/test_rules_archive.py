"""Rules E08, E09, E10, W01, W05, W12, and the segments of an initrd: each red where it is broken, and green."""

import gzip
import lzma
from dataclasses import replace

import pytest

from tasks import cpio
from tasks.initrd.proof import proof, rules_archive
from tasks.initrd.proof.finding import Grade
from tasks.initrd.proof.subject import RootImage
from tasks.initrd.proof.verdict import Verdict
from tests.initrd import kernels
from tests.initrd.proofs import (
    CONFIG,
    WORDS,
    Breakage,
    Tree,
    archive,
    change,
    drop,
    first_stage,
    found_by,
    judge,
    subject,
)

NO_ROOT = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
MICROCODE = archive(
    [
        cpio.directory("kernel"),
        cpio.directory("kernel/x86"),
        cpio.directory("kernel/x86/microcode"),
        cpio.regular("kernel/x86/microcode/GenuineIntel.bin", b"x" * 64),
    ]
)
WHOLE = archive(first_stage().values())


def judged(packed: bytes, config: str | None = CONFIG, version: str = kernels.VERSION) -> Verdict:
    """Return the verdict on packed bytes."""
    return proof.judge(kernels.bzimage(version), packed, WORDS, config=config)


def test_a_file_before_its_folder() -> None:
    """E08: the kernel drops such a file without a word; the proof does not."""
    entries = sorted(first_stage().values(), key=lambda entry: entry.name == "usr/bin")
    found = judged(archive(entries))
    assert any("/usr/bin/busybox comes before its folder" in each.text for each in found_by(found, "E08"))
    assert "No working init found" in found.message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (cpio.Entry(name="typeless", mode=0o644), "no file type"),
        (cpio.Entry(name="folder", mode=0o040755, body=b"x"), "is no file and yet has content"),
        (cpio.symlink("link", ""), "symbolic link"),
    ],
)
def test_what_the_kernel_passes_over(entry: cpio.Entry, words: str) -> None:
    """E08: it is an error of what we make, though the node boots."""
    tree: Tree = {**first_stage(), entry.name: entry}
    found = judge(tree)
    assert any(words in each.text for each in found_by(found, "E08"))
    assert (found.boots, found.refused) == (True, True)


@pytest.mark.parametrize(
    ("packed", "message", "rules"),
    [
        pytest.param(WHOLE, "boots", set(), id="one"),
        pytest.param(MICROCODE + WHOLE, "boots", set(), id="microcode first"),
        pytest.param(MICROCODE + gzip.compress(WHOLE), "boots", set(), id="microcode, then gzip"),
        pytest.param(gzip.compress(MICROCODE) + gzip.compress(WHOLE), "boots", set(), id="gzip twice"),
        pytest.param(gzip.compress(WHOLE) + bytes(512), "boots", set(), id="zeros at the end"),
        pytest.param(lzma.compress(WHOLE, check=lzma.CHECK_CRC32), "boots", set(), id="xz"),
        pytest.param(b"", NO_ROOT, {"E01", "E09"}, id="nothing"),
        pytest.param(b"no archive at all", NO_ROOT, {"E01", "E09"}, id="no archive"),
        pytest.param(b"\x1f\x8b\x08" + bytes(20), NO_ROOT, {"E01", "E09"}, id="damaged gzip"),
        pytest.param(gzip.compress(WHOLE)[:-3000], None, {"E09"}, id="cut off"),
        pytest.param(gzip.compress(WHOLE) + b"garbage!", "boots", {"E09"}, id="garbage behind"),
        pytest.param(gzip.compress(MICROCODE) + b"123" + gzip.compress(WHOLE), NO_ROOT, {"E01", "E09"}, id="between"),
        pytest.param(lzma.compress(WHOLE), NO_ROOT, {"E01", "E09"}, id="xz with the wrong checksum"),
    ],
)
def test_segments(packed: bytes, message: str | None, rules: set[str]) -> None:
    """E09: what comes before damage stays, and decides whether the machine boots."""
    found = judged(packed)
    assert message is None or found.message == message
    assert rules <= {each.rule for each in found.findings}
    assert rules or not found.findings


@pytest.mark.parametrize(
    ("config", "version", "grade", "message"),
    [
        (CONFIG, kernels.VERSION, None, "boots"),
        (CONFIG.replace("CONFIG_RD_XZ=y\n", ""), kernels.VERSION, Grade.ERROR, NO_ROOT),
        (CONFIG.replace("CONFIG_RD_XZ=y\n", "CONFIG_RD_XZ=m\n"), kernels.VERSION, Grade.ERROR, NO_ROOT),
        (None, kernels.VERSION, Grade.WARNING, "boots"),
        (None, "2.6.18-8.el5", Grade.WARNING, "boots"),
    ],
)
def test_the_kernel_unpacks_what_it_was_built_for(
    config: str | None, version: str, grade: Grade | None, message: str
) -> None:
    """E10: the configuration is certain, the kernel's age a doubt."""
    tree = {name: entry for name, entry in first_stage().items() if not name.startswith("usr/lib/modules/")}
    found = judged(lzma.compress(archive(tree.values()), check=lzma.CHECK_CRC32), config, version)
    assert {each.grade for each in found_by(found, "E10")} == ({grade} if grade else set())
    assert found.message == message


def test_a_kernel_without_initrd() -> None:
    """E10: CONFIG_BLK_DEV_INITRD is for all of them."""
    assert judged(WHOLE, CONFIG.replace("CONFIG_BLK_DEV_INITRD=y\n", "")).message == NO_ROOT


def test_what_cannot_be_unpacked_hides_what_is_behind() -> None:
    """E10: the kernel stops at the first segment that it cannot unpack."""
    config = CONFIG.replace("CONFIG_RD_GZIP=y\n", "")
    assert judged(WHOLE + gzip.compress(MICROCODE), config).boots
    assert not judged(gzip.compress(MICROCODE) + WHOLE, config).boots


@pytest.mark.parametrize(
    ("breakage", "red"),
    [
        (change("dev/console", device=(4, 64)), True),
        (change("dev/console", mode=0o100600, device=(0, 0)), True),
        (drop("dev/console"), False),
    ],
)
def test_the_console(breakage: Breakage, red: bool) -> None:
    """W01: the kernel brings its own console, unless the archive puts something else there."""
    tree = first_stage()
    breakage(tree)
    assert bool(found_by(judge(tree), "W01")) == red


def test_a_whiteout_deletes_nothing() -> None:
    """W12: in a second segment it becomes a device."""
    whiteout = archive([cpio.directory("etc"), cpio.device("etc/passwd", 0o020000, 0, 0)])
    assert found_by(judged(WHOLE + whiteout), "W12")
    assert not found_by(judged(WHOLE + MICROCODE), "W12")


@pytest.mark.parametrize(
    ("kind", "paths", "red"),
    [("cpio", ("usr/bin/ping",), True), ("cpio", (), False), ("squashfs", ("usr/bin/ping",), False)],
)
def test_capabilities_that_cpio_loses(kind: str, paths: tuple[str, ...], red: bool) -> None:
    """W05: newc has no room for them, squashfs does."""
    root = RootImage(name="rootimg", size=1, format=kind, compression="", archive=None, capabilities=paths)
    found = list(rules_archive.w05(replace(subject(first_stage()), root=root)))
    assert bool(found) == red
    assert all("/usr/bin/ping" in each.text for each in found)
