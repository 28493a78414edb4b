"""What may come in from outside: each reader, called on bytes that somebody chose.  For the corpus and for `fuzz`."""

from collections.abc import Callable
from pathlib import Path

from tasks import cpio
from tasks.errors import BootmillError
from tasks.initrd.archives import segments
from tasks.initrd.kernel import kconfig, kernelimage, modinfo
from tasks.initrd.loader import elf
from tasks.initrd.loader.closure import closure
from tasks.initrd.loader.sysroot import ArchiveTree
from tasks.initrd.proof import proof

LIMIT = 1 << 24  # bytes that an archive may unpack to: a bomb must end there
CORPUS = Path(__file__).parent / "corpus"


def read_elf(data: bytes) -> None:
    """Read an ELF file: a view, or `ValueError`."""
    try:
        elf.parse(data)
    except ValueError:
        return


def read_modinfo(data: bytes) -> None:
    """Read a module's .modinfo."""
    try:
        modinfo.parse(data)
    except ValueError:
        return


def read_kernel(data: bytes) -> None:
    """Look at a kernel image and its configuration."""
    try:
        kernelimage.parse(data)
    except (ValueError, BootmillError):
        return


def read_config(data: bytes) -> None:
    """Read a kernel's configuration."""
    kconfig.parse(data.decode(errors="replace"))


def read_archive(data: bytes) -> None:
    """Take an initrd apart; damage is a problem in the result, never an exception."""
    for segment in segments.split(data, limit=LIMIT):
        assert sum(entry.size for entry in segment.entries) <= LIMIT


def read_programs(data: bytes) -> None:
    """Look for libraries in a tree that an attacker packed: a file, a link and a library with the same bytes."""
    entries = [
        cpio.regular("init", data, 0o755),
        cpio.regular("lib/libc.so.6", data, 0o755),
        cpio.regular("etc/ld.so.cache", data),
        cpio.symlink("lib64", data[:40].decode("ascii", "replace").replace("\0", "") or "lib"),
    ]
    closure(ArchiveTree.of(cpio.with_parents(entries)), ("/init",))


def judge(data: bytes) -> None:
    """Prove or refute an initrd whose /init is the data, behind a kernel that is nothing."""
    proof.judge(kernel=data[:4096], initrd=data, append="console=ttyS0", memory_mib=512)


READERS: dict[str, Callable[[bytes], None]] = {
    "archive": read_archive,
    "config": read_config,
    "elf": read_elf,
    "judge": judge,
    "kernel": read_kernel,
    "modinfo": read_modinfo,
    "programs": read_programs,
}
