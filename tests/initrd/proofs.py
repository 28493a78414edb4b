"""A small first stage of ours that would boot, a root image and a kernel for it: tests of the proof break them."""

import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tasks import cpio
from tasks.initrd import firststage
from tasks.initrd.proof import proof
from tasks.initrd.proof.finding import Finding
from tasks.initrd.proof.rootimage import read as read_root
from tasks.initrd.proof.subject import Machine, Subject
from tasks.initrd.proof.verdict import Verdict
from tests.initrd import elves, kernels

Tree = dict[str, cpio.Entry]
Breakage = Callable[[Tree], None]
LIB = "usr/lib/x86_64-linux-gnu"
BASE = f"usr/lib/modules/{kernels.VERSION}"
DRIVERS = f"{BASE}/kernel/drivers"
IMAGE = "debian12-x86_64-netboot-compute"
CONFIG = "".join(
    f"CONFIG_{name}=y\n"
    for name in (
        *("BLK_DEV_INITRD", "RD_GZIP", "RD_XZ", "TMPFS", "MODULES", "MODVERSIONS", "BINFMT_SCRIPT", "IA32_EMULATION"),
        *("SERIAL_8250_CONSOLE", "FW_LOADER", "FW_LOADER_COMPRESS_XZ", "FW_LOADER_COMPRESS", "SQUASHFS_XZ"),
    )
)
WORDS = f"imgurl=http://10.1.0.1/rootimg.cpio.gz imgsha256={'a' * 64} console=ttyS0,115200n8"


def busybox(*without: str) -> bytes:
    """Return a program that says of itself that it is busybox, less some applets."""
    names = "\0".join(sorted({*firststage.APPLETS, "[", "bzcat", "lzcat", "unxz"} - {*without}))
    return elves.program("libc.so.6", "libresolv.so.2", extra=f"BusyBox v1.36\0{names}\0".encode())


def first_stage() -> Tree:
    """Return the entries of a first stage: busybox with its libraries, init, three drivers, firmware of one."""
    modules = {
        f"{DRIVERS}/virtio/virtio.ko": kernels.module(),
        f"{DRIVERS}/virtio/virtio_pci.ko": kernels.module("depends=virtio"),
        f"{DRIVERS}/net/virtio_net.ko": kernels.module("depends=virtio", "alias=virtio:d00000001v*"),
        f"{DRIVERS}/net/tg3.ko": kernels.module("alias=pci:v000014E4d*", "firmware=tigon/tg3.bin"),
        f"{DRIVERS}/net/bnx2.ko": kernels.module("alias=pci:v000014E4d*", "firmware=bnx2/mips-*.fw"),
    }
    entries = [
        *(entry for entry in firststage.own_entries(IMAGE, 0) if entry.name != "init"),
        cpio.regular("init", b"#!/bin/busybox sh\n", 0o755),
        cpio.regular("usr/bin/busybox", busybox(), 0o755),
        cpio.symlink("lib", "usr/lib"),
        cpio.symlink("lib64", "usr/lib64"),
        cpio.symlink("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        cpio.regular(
            f"{LIB}/ld-linux-x86-64.so.2", elves.loader("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"), 0o755
        ),
        cpio.regular(f"{LIB}/libc.so.6", elves.library(soname="libc.so.6")),
        cpio.regular(f"{LIB}/libresolv.so.2", elves.library("libc.so.6", soname="libresolv.so.2")),
        *(cpio.regular(path, content) for path, content in modules.items()),
        cpio.regular("usr/lib/firmware/bnx2/mips-06.fw", b"x"),
        cpio.regular("etc/bootmill/drivers", "".join(f"{path}\n" for path in modules).encode()),
        cpio.regular(f"{BASE}/modules.dep", "".join(f"{path.removeprefix(BASE)[1:]}:\n" for path in modules).encode()),
        cpio.regular(f"{BASE}/modules.alias", b"alias pci:v000014E4d* tg3\n"),
        cpio.symlink("usr/sbin/modprobe", "../../bin/busybox"),
    ]
    return {entry.name: entry for entry in cpio.with_parents(entries)}


def root_tree() -> Tree:
    """Return the entries of a root image whose /sbin/init is dynamically linked."""
    entries = [
        *(cpio.directory(name) for name in ("dev", "proc", "run", "sys", "tmp")),
        cpio.symlink("sbin", "usr/sbin"),
        cpio.symlink("lib64", "usr/lib64"),
        cpio.regular("usr/sbin/init", elves.program("libc.so.6"), 0o755),
        cpio.regular("usr/lib64/ld-linux-x86-64.so.2", elves.loader("/usr/lib64"), 0o755),
        cpio.regular("usr/lib64/libc.so.6", elves.library(soname="libc.so.6")),
        cpio.regular("etc/fstab", b"# ours\nnone / tmpfs rw 0 1\nnone /tmp tmpfs defaults,size=10m 0 2\n"),
        cpio.regular("etc/machine-id", b"uninitialized\n"),
    ]
    return {entry.name: entry for entry in cpio.with_parents(entries)}


def archive(entries: Iterable[cpio.Entry]) -> bytes:
    """Return an uncompressed archive of entries as they come, be they in the wrong order."""
    numbered = [*enumerate(entries, 1), (0, cpio.Entry(name=cpio.TRAILER, mode=0))]
    return b"".join(piece for number, entry in numbered for piece in cpio.member(entry, number, 1))


def judge(
    tree: Tree,
    *,
    append: str = WORDS,
    memory: int | None = None,
    config: str | None = CONFIG,
    driver: str | None = None,
    kernel: bytes | None = None,
    root: Path | None = None,
) -> Verdict:
    """Return the verdict on a tree."""
    image = kernels.bzimage() if kernel is None else kernel
    return proof.judge(image, archive(tree.values()), append, memory, config=config, driver=driver, root=root)


def subject(tree: Tree, *, root: Path | None = None, config: str | None = CONFIG) -> Subject:
    """Return a tree as an osimage of ours is judged."""
    found = proof.subject(kernels.bzimage(), archive(tree.values()), config=config)
    return replace(found, image=IMAGE, root=read_root(root) if root else None)


def found_by(verdict: Verdict, rule: str) -> list[Finding]:
    """Return what a rule found."""
    return [finding for finding in verdict.findings if finding.rule == rule]


def findings(subject: Subject, machine: Machine) -> tuple[Finding, ...]:
    """Return what is found for a machine."""
    return proof.Proof(subject).verdict(machine).findings


# -- breakages -------------------------------------------------------------------------------------------------------


def drop(*names: str) -> Breakage:
    """Return a breakage that removes entries."""

    def breakage(tree: Tree) -> None:
        for name in names:
            del tree[name]

    return breakage


def change(name: str, **what: object) -> Breakage:
    """Return a breakage that changes one entry."""

    def breakage(tree: Tree) -> None:
        tree[name] = replace(tree[name], **what)  # type: ignore[arg-type]

    return breakage


def mode(name: str, bits: int) -> Breakage:
    """Return a breakage that gives a file other permissions."""
    return change(name, mode=stat.S_IFREG | bits)


def add(*entries: cpio.Entry) -> Breakage:
    """Return a breakage that adds entries, or puts them in the place of others."""

    def breakage(tree: Tree) -> None:
        tree.update({entry.name: entry for entry in entries})

    return breakage


def init(text: bytes) -> Breakage:
    """Return a breakage that writes another /init."""
    return change("init", body=text)


def broken(*breakages: Breakage) -> Tree:
    """Return a first stage with all breakages in it."""
    tree = first_stage()
    for breakage in breakages:
        breakage(tree)
    return tree
