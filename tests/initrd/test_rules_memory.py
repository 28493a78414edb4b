"""Rules E15 and W06: memory and size.  The measured cases are those of real boots, with a Debian of 165 MB."""

import pytest

from tasks import cpio
from tasks.initrd.archives.archive import Archive
from tasks.initrd.archives.segments import Segment
from tasks.initrd.kernel.kernelimage import KernelImage, Kind
from tasks.initrd.proof import proof, rules_memory
from tasks.initrd.proof.subject import Machine, RootImage, Subject
from tasks.inventory.model import Firmware, Netboot
from tests.initrd.proofs import WORDS, broken, found_by, judge


def archive(packed: int, unpacked: int, count: int = 1) -> Archive:
    """Return an archive of so many MB, in so many files; nothing of it is there."""
    store = cpio.Span(b"", 0, unpacked * 10**6 // count)  # type: ignore[arg-type]
    entries = tuple(cpio.regular(f"file{number}", store) for number in range(count))
    segment = Segment(offset=0, end=packed, compression="gzip", entries=entries, trailer=True, problems=())
    return Archive((segment,), packed * 10**6)


def subject(packed: int, unpacked: int, count: int = 1, root: RootImage | None = None, image: str = "") -> Subject:
    """Return a set of such an archive and a kernel of 8 MB."""
    kernel = KernelImage(kind=Kind.BZIMAGE, arch="x86_64", bits=64, version="6.1")
    whole = archive(packed, unpacked, count)
    return Subject(kernel=kernel, kernel_size=8_000_000, config=None, packed=whole, root=root, image=image)


@pytest.mark.parametrize(
    ("packed", "words", "boots_with", "not_with"),
    [
        pytest.param(167, (), 640, 512, id="raw"),
        pytest.param(62, (), 512, 448, id="gzip"),
        pytest.param(53, (), 512, 448, id="zstd"),
        pytest.param(70, (), 512, 448, id="lz4"),
        pytest.param(39, (), 448, 384, id="xz"),
        pytest.param(167, ("root=x",), 448, 384, id="raw, ramfs"),
        pytest.param(62, ("root=x",), 320, 256, id="gzip, ramfs"),
        pytest.param(62, ("rootfstype=ramfs",), 320, 256, id="gzip, rootfstype"),
    ],
)
def test_memory_as_it_was_measured(packed: int, words: tuple[str, ...], boots_with: int, not_with: int) -> None:
    """E15: the same sizes boot, and do not, as on machines with so many MiB (8,742 files, 165 MB, in pages 183)."""
    whole = subject(packed, 183)
    assert not list(rules_memory.e15(whole, Machine(words=words, memory=boots_with)))
    found = list(rules_memory.e15(whole, Machine(words=words, memory=not_with)))
    assert [each.end.message for each in found if each.end] == ["Initramfs unpacking failed: write error"]


def test_very_many_small_files() -> None:
    """E15: the first root has an inode for each page that it may hold."""
    whole = subject(1, 0, 8_000)
    assert list(rules_memory.e15(whole, Machine(memory=110)))
    assert not list(rules_memory.e15(whole, Machine(memory=128)))
    assert not list(rules_memory.e15(whole, Machine(memory=110, words=("root=x",))))


@pytest.mark.parametrize(
    ("words", "memory", "fits"),
    [
        ((), 1024, True),
        ((), 640, False),
        (("rootsize=50%",), 1024, False),
        (("rootsize=700m",), 1024, True),
        (("rootsize=500M",), 1024, False),
        (("rootsize=1g",), 1024, True),
        (("rootsize=nonsense",), 1024, True),
        ((), None, True),
    ],
)
def test_the_root_image(words: tuple[str, ...], memory: int | None, fits: bool) -> None:
    """E15: our init unpacks the root image into a tmpfs of 90 % of the memory, or what rootsize= says."""
    root = RootImage(name="rootimg", size=200_000_000, format="cpio", compression="gzip", archive=archive(200, 600))
    found = list(rules_memory.e15(subject(2, 6, root=root, image="x"), Machine(words=words, memory=memory)))
    assert not found if fits else found[0].end and found[0].end.message == "init stops: the root image does not fit"


@pytest.mark.parametrize(
    ("size", "firmware", "netboot", "red"),
    [
        (10, Firmware.BIOS, Netboot.PXE, False),
        (40, Firmware.BIOS, Netboot.PXE, True),
        (40, Firmware.UEFI, Netboot.GRUB, True),
        (40, Firmware.BIOS, Netboot.IPXE, False),
        (2200, Firmware.BIOS, Netboot.IPXE, True),
        (2200, Firmware.UEFI, Netboot.IPXE, False),
        (2200, None, None, False),
    ],
)
def test_loaders_limits(size: int, firmware: Firmware | None, netboot: Netboot | None, red: bool) -> None:
    """W06: what lies below 2 GiB, and 65,535 blocks of 512 bytes."""
    machine = Machine(firmware=firmware, netboot=netboot)
    assert bool(list(rules_memory.w06(subject(size, size), machine))) == red


def test_through_the_whole_proof() -> None:
    """E15: a machine with too little memory gets its verdict."""
    assert judge(broken(), memory=64).message == "Initramfs unpacking failed: write error"
    assert judge(broken(), memory=128).boots


def test_sparse_machines_do_not_ask() -> None:
    """What is not known of a machine is not judged."""
    assert proof.judge(b"", b"", WORDS, None).findings
    assert not found_by(judge(broken()), "E15")
