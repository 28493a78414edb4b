"""Repair: whatever is missing comes from a sysroot, all else stays byte for byte, and nothing is pretended."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import compression, cpio
from tasks.errors import BootmillError
from tasks.initrd import repair
from tasks.initrd.archives.segments import split
from tasks.initrd.loader.sysroot import ArchiveTree, Sysroot
from tasks.initrd.mend import Mending, mending
from tasks.initrd.proof.proof import Proof
from tasks.initrd.proof.proof import subject as subject_of
from tasks.initrd.proof.subject import Machine, Subject
from tasks.inventory.model import Cluster, Compression
from tests.initrd import elves, kernels, proofs
from tests.initrd.proofs import LIB, Breakage, Tree, broken, drop, first_stage

LOADER = f"{LIB}/ld-linux-x86-64.so.2"
SHORTCUT = "usr/lib64/ld-linux-x86-64.so.2"


def sysroot(*breakages: Breakage) -> ArchiveTree:
    """Return a tree with all that a first stage needs."""
    return ArchiveTree.of(broken(*breakages).values())


def subject(tree: Tree) -> Subject:
    """Return a tree as somebody's initrd is judged."""
    return replace(proofs.subject(tree), image="")


def mend(tree: Tree, below: Sysroot | None, first: str = "/init") -> tuple[Mending, bool]:
    """Return what is changed of a tree, and whether it boots then."""
    found = mending(subject(tree), first, below)
    changes = {change.entry.name: change.entry for change in found.changes}
    entries = proofs.archive([*tree.values(), *changes.values()])
    again = subject_of(kernels.bzimage(), entries, config=proofs.CONFIG)
    return found, Proof(again).verdict(Machine(words=tuple(proofs.WORDS.split()))).boots


def changed(found: Mending) -> dict[str, bool]:
    """Return {path: whether it takes a file's place} of all changes that are no folders."""
    return {change.entry.name: change.replaces for change in found.changes if change.why != "holds others"}


# -- what is added -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost", "added"),
    [
        ((), set()),
        ((f"{LIB}/libc.so.6",), {f"{LIB}/libc.so.6"}),
        ((f"{LIB}/libresolv.so.2",), {f"{LIB}/libresolv.so.2"}),
        ((LOADER,), {LOADER}),
        ((SHORTCUT,), {SHORTCUT}),
        (("lib64",), {"lib64"}),
        (("lib",), {"lib"}),
        (
            (SHORTCUT, "lib64", "lib", LOADER, f"{LIB}/libc.so.6"),
            {SHORTCUT, "lib64", "lib", LOADER, f"{LIB}/libc.so.6"},
        ),
        (("usr/bin/busybox",), {"usr/bin/busybox"}),
        (("bin",), {"bin"}),
    ],
)
def test_what_is_missing_comes_from_the_sysroot(lost: tuple[str, ...], added: set[str]) -> None:
    """The loader, libraries, the interpreter, the links that lead there: no more and no less."""
    found, boots = mend(broken(drop(*lost)), sysroot())
    assert changed(found) == dict.fromkeys(added, False)
    assert found.lost == ()
    assert boots


def test_nothing_of_another_machine_is_taken() -> None:
    """A library for another processor is passed over as ld.so does, and told as missing."""
    foreign = elves.library(soname="libc.so.6", machine=183)
    below = sysroot(proofs.change(f"{LIB}/libc.so.6", body=foreign))
    found, boots = mend(broken(drop(f"{LIB}/libc.so.6")), below)
    assert changed(found) == {}
    assert any("libc.so.6" in line for line in found.lost)
    assert not boots


def test_the_sysroots_cache_does_not_lead_astray() -> None:
    """A library that only the sysroot's ld.so.cache leads to would not be found in the initrd, which has none."""
    tree = first_stage()
    tree["usr/bin/tool"] = cpio.regular("usr/bin/tool", elves.program("libodd.so.1"), 0o755)
    below = sysroot(proofs.add(cpio.regular("opt/libodd.so.1", elves.library(soname="libodd.so.1"))))
    found, boots = mend(tree, below)
    assert changed(found) == {}
    assert any("libodd.so.1" in line for line in found.lost)
    assert boots  # init does without it


def test_a_layout_of_another_kind() -> None:
    """The sysroot has /lib as a folder, the initrd as a link: files go where the link leads."""
    tree = broken(drop(f"{LIB}/libresolv.so.2"))
    entries = [
        replace(entry, name=entry.name.removeprefix("usr/")) if entry.name.startswith("usr/lib") else entry
        for entry in first_stage().values()
        if entry.name not in {"lib", "lib64"}
    ]
    below = ArchiveTree.of([*cpio.with_parents(entries), cpio.symlink("usr/lib", "../lib")])
    found, boots = mend(tree, below)
    assert changed(found) == {f"{LIB}/libresolv.so.2": False}
    assert boots


def test_modules_bring_what_they_need(tmp_path: Path) -> None:
    """A module without the one that it depends on, and without its firmware, gets both; the rest is left alone."""
    spec = {
        "drivers/net/virtio_net.ko": ["depends=virtio"],
        "drivers/virtio/virtio.ko": [],
        "drivers/net/bnx2.ko": ["firmware=bnx2/mips-06.fw"],
        "drivers/net/other.ko": [],
    }
    below = kernels.write_kernel(tmp_path, spec)
    firmware = tmp_path / "usr/lib/firmware/bnx2/mips-06.fw"
    firmware.parent.mkdir(parents=True)
    firmware.write_bytes(b"x")
    tree = broken(drop(f"{proofs.DRIVERS}/virtio/virtio.ko", "usr/lib/firmware/bnx2/mips-06.fw"))
    found, _ = mend(tree, below)
    assert changed(found) == {
        f"{proofs.DRIVERS}/virtio/virtio.ko": False,
        "usr/lib/firmware/bnx2/mips-06.fw": False,
    }


# -- what is replaced --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breakage", "path", "mode", "body"),
    [
        (proofs.mode("init", 0o644), "init", 0o100755, b"#!/bin/busybox sh\n"),
        (proofs.mode("usr/bin/busybox", 0o600), "usr/bin/busybox", 0o100755, None),
        (proofs.mode(LOADER, 0o644), LOADER, 0o100755, None),
        (proofs.init(b"#!/bin/busybox sh\r\nexit\r\n"), "init", 0o100755, b"#!/bin/busybox sh\nexit\n"),
        (proofs.init(b"!/bin/busybox sh\nexit\n"), "init", 0o100755, b"#!/bin/busybox sh\nexit\n"),
        (proofs.init(b"!/bin/busybox sh\r\n"), "init", 0o100755, b"#!/bin/busybox sh\n"),
    ],
    ids=["init 0644", "busybox 0600", "loader 0644", "CR LF", "no #", "no # and CR LF"],
)
def test_what_appending_cannot_mend_is_replaced(breakage: Breakage, path: str, mode: int, body: bytes | None) -> None:
    """Modes, DOS line ends and the lost # of the diary: the file is written again, and told to be."""
    tree = broken(breakage)
    found, boots = mend(tree, None)
    assert changed(found) == {path: True}
    (change,) = (each for each in found.changes if each.entry.name == path)
    assert change.entry.mode == mode
    assert change.entry.read() == (tree[path].read() if body is None else body)
    assert boots


@pytest.mark.parametrize(
    "breakage",
    [
        proofs.init(b"#!/bin/busybox sh\r\nexit\n"),  # which of them are meant?
        proofs.init(b"!/sbin/nowhere sh\n"),
        proofs.init(b""),
        proofs.init(b"#!/bin/busybox nosuchapplet\n"),
        drop("init"),
    ],
)
def test_what_is_not_clear_is_not_guessed(breakage: Breakage) -> None:
    """An init that is gone, empty or strange is told; nobody invents one."""
    found, boots = mend(broken(breakage), sysroot(drop("init")))
    assert changed(found) == {}
    assert found.lost
    assert not boots


def test_a_damaged_program_is_taken_whole() -> None:
    """A loader that was cut off takes the sysroot's at the same place."""
    tree = broken(proofs.change(LOADER, body=first_stage()[LOADER].read()[:100]))
    found, boots = mend(tree, sysroot())
    assert changed(found).get(LOADER) is True or changed(found).get(SHORTCUT) is True
    assert boots


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Return a sysroot on the disk."""
    root = tmp_path / "sysroot"
    root.mkdir()
    for name, entry in first_stage().items():
        place = root / name
        if entry.mode & 0o170000 == 0o040000:
            place.mkdir(parents=True, exist_ok=True)
        elif entry.mode & 0o170000 == 0o120000:
            place.symlink_to(entry.read().decode())
        elif entry.mode & 0o170000 == 0o100000:
            place.write_bytes(entry.read())  # mode 0644: as where it was unpacked without being root
    return root


def packed(tree: Tree, how: Compression = Compression.GZIP) -> bytes:
    """Return a tree as an initrd."""
    return b"".join(compression.compress(cpio.write(tree.values()), how))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that writes an initrd."""

    def written(data: bytes) -> Path:
        path = tmp_path / "initrd.gz"
        path.write_bytes(data)
        return path

    return written


SEED = (LOADER, SHORTCUT, f"{LIB}/libc.so.6", f"{LIB}/libresolv.so.2")
EARLY = b"".join(cpio.write(cpio.with_parents([cpio.regular("kernel/x86/microcode/GenuineIntel.bin", b"mc" * 100)])))


def test_segments_stay_byte_for_byte(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Microcode first, gzip and zstd behind it: they are the beginning of the new file; the original is untouched."""
    rest = {name: entry for name, entry in broken(drop(*SEED)).items() if name != "usr/bin/busybox"}
    box = cpio.with_parents([first_stage()["usr/bin/busybox"]])
    original = EARLY + packed(rest, Compression.GZIP)
    original += bytes(-len(original) % 4) + b"".join(compression.compress(cpio.write(box), Compression.ZSTD))
    initrd = write(original)
    repair.repair_words(cluster, ["--initrd", str(initrd), f"--sysroot={whole}"])
    assert initrd.read_bytes() == original
    made = initrd.with_name("initrd.gz.repaired")
    assert made.read_bytes().startswith(original)
    assert [segment.compression for segment in split(made)] == ["none", "gzip", "zstd", "gzip"]
    assert all(not segment.problems for segment in split(made))
    told = capsys.readouterr().out
    assert "before: would not boot" in told
    assert f"add /{LOADER} (ELF interpreter of" in told
    assert "after: boots as far as can be known" in told


def test_the_same_twice_is_the_same(cluster: Cluster, whole: Path, write: Callable[[bytes], Path]) -> None:
    """Repairing makes the same bytes again, and a repaired initrd needs nothing more."""
    initrd = write(packed(broken(drop(*SEED))))
    words = ["--initrd", str(initrd), "--sysroot", str(whole)]
    made = []
    for name in ("one", "two"):
        repair.repair_words(cluster, [*words, "--output", str(initrd.with_name(name))])
        made.append(initrd.with_name(name).read_bytes())
    assert made[0] == made[1]
    repair.repair_words(cluster, ["--initrd", str(initrd.with_name("one")), "--sysroot", str(whole)])
    assert not initrd.with_name("one.repaired").exists()


def test_a_dry_run_writes_nothing(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """It tells what would be done, as JSON too."""
    initrd = write(packed(broken(drop(*SEED))))
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), "--dry-run", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["before"]["boots"], told["after"]["boots"], told["output"]) == (False, True, None)
    assert {each["path"] for each in told["changes"] if not each["why"].startswith("holds")} == {
        f"/{name}" for name in SEED
    }
    assert [path.name for path in initrd.parent.iterdir()].count("initrd.gz.repaired") == 0


def test_in_place_keeps_the_original(cluster: Cluster, whole: Path, write: Callable[[bytes], Path]) -> None:
    """The file is replaced and the original has another name; a second original is never lost."""
    original = packed(broken(drop(*SEED)))
    initrd = write(original)
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), "--in-place"])
    backup = initrd.with_name("initrd.gz.before-repair")
    assert backup.read_bytes() == original
    assert initrd.read_bytes().startswith(original)
    initrd.write_bytes(original)
    with pytest.raises(BootmillError, match="before-repair is there already"):
        repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), "--in-place"])
    assert initrd.read_bytes() == original


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
@pytest.mark.parametrize("words", [[], ["--in-place"]])
def test_the_mode_is_kept(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], words: list[str], mode: int
) -> None:
    """An initrd may hold keys: nobody reads the repaired one who could not read the first."""
    initrd = write(packed(broken(drop(*SEED))))
    initrd.chmod(mode)
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), *words])
    made = initrd if words else initrd.with_name("initrd.gz.repaired")
    assert made.stat().st_mode & 0o7777 == mode


def test_in_place_keeps_the_owner(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """root mends somebody else's file: it stays theirs."""
    initrd = write(packed(broken(drop(*SEED))))
    given: list[object] = []
    monkeypatch.setattr("os.geteuid", lambda: initrd.stat().st_uid + 1)
    monkeypatch.setattr("os.chown", lambda *args: given.extend(args))
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), "--in-place"])
    assert given == [initrd, initrd.stat().st_uid, initrd.stat().st_gid]


def test_in_place_goes_where_a_link_leads(cluster: Cluster, whole: Path, write: Callable[[bytes], Path]) -> None:
    """/initrd.img is a link to the newest kernel's: the link stays, the file behind it is mended."""
    initrd = write(original := packed(broken(drop(*SEED))))
    link = initrd.with_name("initrd.img")
    link.symlink_to(initrd.name)
    repair.repair_words(cluster, ["--initrd", str(link), "--sysroot", str(whole), "--in-place"])
    assert link.is_symlink()
    assert len(initrd.read_bytes()) > len(original)
    assert initrd.with_name("initrd.gz.before-repair").read_bytes() == original


def test_a_sysroot_of_another_kernel_mends_programs(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """With --kernel: the sysroot has no modules of it, which is told; libraries come from there all the same."""
    initrd = write(packed(broken(drop(*SEED))))
    shutil.rmtree(whole / "usr/lib/modules")
    kernel, config = initrd.with_name("kernel"), initrd.with_name("config")
    kernel.write_bytes(kernels.bzimage())
    config.write_text(proofs.CONFIG)
    words = ["--kernel", str(kernel), "--config", str(config), "--append", proofs.WORDS]
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), *words])
    told = capsys.readouterr().out
    assert f"add /{LOADER}" in told
    assert "the sysroot has no modules of kernel" in told


def test_a_library_that_would_fill_the_memory_is_not_taken(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path]
) -> None:
    """A hole of many GB behind a good library: an error, no traceback."""
    initrd = write(packed(broken(drop(*SEED))))
    os.truncate(whole / LIB / "libc.so.6", 1 << 40)
    with pytest.raises(BootmillError, match=r"libc\.so\.6 has 1,099,511,627,776 bytes"):
        repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole)])


def test_in_place_does_not_make_things_worse(cluster: Cluster, write: Callable[[bytes], Path]) -> None:
    """What would still not boot is left as it is."""
    original = packed(broken(drop(*SEED), proofs.mode("usr/bin/busybox", 0o644)))
    initrd = write(original)
    with pytest.raises(BootmillError, match="it was left as it is"):
        repair.repair_words(cluster, ["--initrd", str(initrd), "--in-place"])
    assert initrd.read_bytes() == original


def test_a_damaged_segment_is_packed_anew(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Behind damage the kernel reads no further: what is before it in the segment is packed again, and told."""
    garbage = packed(broken(drop(*SEED))) + b"garbage at the end"
    initrd = write(EARLY + garbage)
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole)])
    made = initrd.with_name("initrd.gz.repaired")
    assert made.read_bytes().startswith(EARLY)
    assert all(not segment.problems for segment in split(made))
    assert "packed anew" in capsys.readouterr().out


def test_lz4_at_the_end_is_packed_anew_for_old_kernels(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path]
) -> None:
    """Nobody said which kernel: one before 5.14 takes nothing behind lz4."""
    initrd = write(packed(broken(drop(*SEED)), Compression.LZ4))
    repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole)])
    assert [segment.compression for segment in split(initrd.with_name("initrd.gz.repaired"))] == ["gzip"]


def test_a_compression_that_the_kernel_has_not_is_another_then(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path]
) -> None:
    """zstd for a kernel that has gzip and xz only: the segment is packed anew."""
    initrd = write(packed(first_stage(), Compression.ZSTD))
    kernel, config = initrd.with_name("kernel"), initrd.with_name("config")
    kernel.write_bytes(kernels.bzimage())
    config.write_text(proofs.CONFIG)
    words = ["--initrd", str(initrd), "--sysroot", str(whole), "--kernel", str(kernel), "--config", str(config)]
    repair.repair_words(cluster, [*words, "--append", proofs.WORDS])
    assert [segment.compression for segment in split(initrd.with_name("initrd.gz.repaired"))] == ["gzip"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--initrd says which one"),
        (["--initrd"], "--initrd needs a value"),
        (["--initrd", "/nowhere"], "/nowhere is not a file"),
        (["--initrd", "/etc/passwd", "--sysroot", "/nowhere"], "/nowhere is not a folder"),
        (["--initrd", "/etc/passwd", "--sysroot", "/", "--osimage", "x"], "do not go together"),
        (["--initrd", "/etc/passwd", "--output", "x", "--in-place"], "do not go together"),
        (["--initrd", "/etc/passwd", "--output", "/etc/passwd"], "--output is the initrd itself"),
        (["--initrd", "/etc/passwd", "--output", "/etc"], "--output /etc is a folder"),
        (["--initrd", "/etc/passwd", "--osimage", "nothing"], "'nothing' is no osimage"),
        (["--initrd", "/etc/passwd", "wurst"], "'wurst' is not understood"),
    ],
)
def test_wrong_words_are_told(cluster: Cluster, words: list[str], sentence: str) -> None:
    """Each mistake has a sentence; nothing is read or written."""
    with pytest.raises(BootmillError, match=sentence) as caught:
        repair.repair_words(cluster, words)
    assert caught.value.hint


def test_a_file_that_is_no_initrd_is_told(cluster: Cluster, whole: Path, write: Callable[[bytes], Path]) -> None:
    """Text, nothing, noise: a verdict and exit code 1, never a traceback."""
    for data in (b"", b"hello\n" * 100, b"\x1f\x8b" + bytes(50), bytes(range(256)) * 8):
        with pytest.raises(BootmillError, match="not all could be mended"):
            repair.repair_words(cluster, ["--initrd", str(write(data)), "--sysroot", str(whole)])


@pytest.mark.parametrize(("option", "words"), [("--config", "no kernel configuration"), ("--kernel", "no kernel")])
def test_a_file_that_is_far_too_long_is_refused(
    cluster: Cluster, whole: Path, write: Callable[[bytes], Path], option: str, words: str
) -> None:
    """A disk image in place of a kernel or of its configuration is told, not read."""
    initrd = write(packed(broken(drop(*SEED))))
    long = initrd.with_name("long")
    with long.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BootmillError, match=words):
        repair.repair_words(cluster, ["--initrd", str(initrd), "--sysroot", str(whole), f"{option}={long}"])
