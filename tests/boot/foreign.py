"""Initrds that others make: Debian's initramfs-tools and dracut, run in scratch trees, and debian-installer's own.

Also those that somebody broke by hand, and one with processor microcode in front, made of a whole one.

Packages come through a private apt (tasks.media.apt) and are unpacked, never installed: no maintainer script runs, this
machine's packages stay as they are.  The generators run in a chroot inside namespaces of their own.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import cpio
from tasks.media.apt import Apt
from tasks.run import run

SUITE = "bookworm"
KERNELS = {"amd64": "linux-image-amd64", "arm64": "linux-image-arm64"}
MERGED = ("bin", "lib", "lib64", "sbin")
INSTALLER = "debian-installer-12-netboot-amd64"
INSTALLER_FOLDER = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
INITRAMFS_TOOLS = ("initramfs-tools", "busybox", "zstd")
DRACUT = ("dracut", "dracut-network", "dbus", "iproute2", "curl", "procps", "systemd-sysv", "zstd")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A kernel and the initrd that belongs to it."""

    kernel: Path
    initrd: Path


def archive(cache: Path, arch: str) -> Apt:
    """Return the package archive of an architecture; what is downloaded stays in `cache`, as the build's does."""
    apt = Apt(folder=cache / f"apt/{SUITE}-{arch}", suite=SUITE, arch=arch)
    apt.prepare()
    apt.update()
    return apt


def unpack(apt: Apt, packages: Sequence[str], tree: Path) -> None:
    """Unpack packages with all that they depend on, the essential ones included, into a tree with merged /usr."""
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (tree / name).is_symlink():
            (tree / name).symlink_to(f"usr/{name}")
    for _, path in sorted(apt.download(apt.closure(packages)).items()):
        extract(path, tree)
    awk = tree / "usr/bin/awk"  # what update-alternatives would have done
    if not awk.is_symlink() and (tree / "usr/bin/mawk").exists():
        awk.symlink_to("mawk")
    for folder in ("dev", "proc", "sys", "tmp", "run"):
        (tree / folder).mkdir(exist_ok=True)


def unpack_alone(apt: Apt, package: str, tree: Path) -> None:
    """Unpack one package without what it depends on."""
    for path in apt.download(apt.describe([f"{package}:{apt.arch}"])).values():
        extract(path, tree)


def extract(package: Path, tree: Path) -> None:
    """Unpack one file; `dpkg-deb --extract` would put a folder in the place of the link /bin."""
    tree.mkdir(parents=True, exist_ok=True)
    script = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --directory "$2"'
    run(["sh", "-euc", script, "sh", package, tree])


def inside(tree: Path, *argv: str) -> str:
    """Run a program of the tree in a chroot; mounts and processes end with it.  Returns what it said."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = """
    cd "$1"
    shift
    mount --rbind /dev dev
    mount --rbind /sys sys
    mount --types proc proc proc
    exec chroot . "$@"
    """
    done = run(
        [
            *("unshare", *user, "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"),
            *("sh", "-euc", script, "sh", str(tree), *argv),
        ],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        timeout=600,
    )
    return done.stdout + done.stderr


def kernel_of(tree: Path) -> tuple[str, Path]:
    """Return version and file of the one kernel in a tree."""
    (path,) = (tree / "boot").glob("vmlinuz-*")
    return path.name.removeprefix("vmlinuz-"), path


def initramfs_tools(apt: Apt, tree: Path) -> Pair:
    """Make Debian's usual initrd: every driver that a machine may need to reach its root."""
    unpack(apt, [*INITRAMFS_TOOLS, KERNELS[apt.arch]], tree)
    version, kernel = kernel_of(tree)
    inside(tree, "depmod", version)
    inside(tree, "mkinitramfs", "-o", "/boot/initrd.img", version)
    return Pair(kernel=kernel, initrd=tree / "boot/initrd.img")


def dracut(apt: Apt, tree: Path) -> Pair:
    """Make dracut's initrd for any machine, with network.

    Packed with zstd: smaller than its own choice, gzip, and made in a sixth of the time.
    """
    unpack(apt, [*DRACUT, KERNELS[apt.arch]], tree)
    version, kernel = kernel_of(tree)
    words = ("--no-hostonly", "--add", "network url-lib", "--compress", "zstd -3 -q -T0", "--kver", version)
    inside(tree, "depmod", version)
    inside(tree, "dracut", *words, "--force", "/boot/initrd.img")
    return Pair(kernel=kernel, initrd=tree / "boot/initrd.img")


def installer(apt: Apt, tree: Path) -> Pair:
    """Take debian-installer's netboot pair out of its package."""
    unpack_alone(apt, INSTALLER, tree)
    return Pair(kernel=tree / INSTALLER_FOLDER / "linux", initrd=tree / INSTALLER_FOLDER / "initrd.gz")


def with_microcode(initrd: bytes) -> bytes:
    """Return an initrd behind an early segment with microcode, as distributions put it: raw, without compression.

    Documentation/arch/x86/microcode.rst.  The content is an empty container: no processor finds itself in it.
    """
    name = "kernel/x86/microcode/AuthenticAMD.bin"
    empty = b"DMA\0" + bytes(8)
    return b"".join(cpio.write(cpio.with_parents([cpio.regular(name, empty)]))) + initrd


def without_loader(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """Leave the ELF interpreter out, as a list of libraries without PT_INTERP does."""
    return [entry for entry in entries if not Path(entry.name).name.startswith("ld-linux")]


def without_library(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """Leave one library of busybox out, as who reads ldd's text by regular expression does."""
    return [entry for entry in entries if Path(entry.name).name != "libresolv.so.2"]


def without_hash(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """Begin /init with ``!/bin/busybox sh``, as an instruction does whose # was lost in printing."""
    return replaced(entries, cpio.regular("init", b"!/bin/busybox sh\necho hello\n", 0o755))


def with_dos_ends(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """Begin /init with a line that ends as DOS has it; the program of that name, with its CR, is nowhere."""
    return replaced(entries, cpio.regular("init", b"#!/usr/bin/busybox\r\necho hello\r\n", 0o755))


def not_executable(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """Take the x off /init, as copying through a FAT disk does."""
    return [replaced_mode(entry) if entry.name == "init" else entry for entry in entries]


def replaced_mode(entry: cpio.Entry) -> cpio.Entry:
    """Return a file that nobody may execute."""
    return cpio.regular(entry.name, entry.read(), stat.S_IMODE(entry.mode) & ~0o111)


def replaced(entries: Sequence[cpio.Entry], new: cpio.Entry) -> list[cpio.Entry]:
    """Put an entry in the place of the one of its name."""
    return [new if entry.name == new.name else entry for entry in entries]
