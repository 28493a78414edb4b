"""Put a first stage together: programs with all they need, drivers with their firmware, and what is our own.

programs ─ closure ┐
drivers ─ modules  ┼─ collect ─▶ parts (each with its reason) ─ closed over themselves? ─ pack ─▶ one archive
own entries ───────┘

Every first stage is made here: that of an osimage (`build_initrd`) and others, which bring their own init.
"""

import hashlib
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tasks import compression, cpio, files, paths
from tasks.errors import BootmillError
from tasks.initrd import firststage
from tasks.initrd.kernel import firmware, modules
from tasks.initrd.kernel.kconfig import config_of
from tasks.initrd.kernel.moduletables import tables
from tasks.initrd.loader.closure import Lack, closure
from tasks.initrd.loader.sysroot import ArchiveTree, DiskTree, Sysroot
from tasks.inventory.model import Compression, OsImage

DRIVERS = "etc/bootmill/drivers"  # what init loads at once, in loading order; all else is loaded when it is needed
MODPROBE = "usr/sbin/modprobe"  # whom the kernel asks for a module (Documentation/admin-guide/sysctl/kernel.rst)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A member of the archive and why it is in."""

    entry: cpio.Entry
    why: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """Where a pair of kernel and initrd goes, the list of the initrd's parts, and the digest that names the pair."""

    kernel: Path
    initrd: Path
    parts: Path
    digest: Path


def build_initrd(image: OsImage) -> None:
    """Write the initrd of an osimage, the kernel beside it, the digest that names the pair, and the list of parts."""
    tree = DiskTree(paths.rootimg_tree(image))
    version = modules.kernel_version(tree, image.kernel)
    drivers = (*image.drivers, *firststage.root_modules(tree, version))
    programs = firststage.programs(paths.root_image(image).name)
    own = firststage.own_entries(image.name, firststage.source_date(paths.rootimg_manifest(image)))
    try:
        parts = collect(tree, version, drivers, programs, own, at_once=named(image.drivers))
    except BootmillError as error:
        message = f"{image.name}: {error}"
        raise BootmillError(message, hint=error.hint) from error
    made = Made(
        kernel=paths.kernel(image),
        initrd=paths.initrd(image),
        parts=paths.initrd_parts(image),
        digest=paths.boot_digest(image),
    )
    write(made, tree, version, parts, image.compression or best(tree, version))


def write(made: Made, tree: Sysroot, version: str, parts: tuple[Part, ...], how: Compression) -> None:
    """Write the initrd that the parts make, a copy of the kernel, and last the digest that names the pair."""
    packed = pack(parts, how)
    kernel = tree.read(modules.kernels(tree)[version])
    pair = hashlib.sha256(hashlib.sha256(kernel).digest() + hashlib.sha256(packed).digest()).hexdigest()
    files.write_atomic(made.kernel, kernel)
    files.write_atomic(made.initrd, packed)
    files.write_atomic(made.parts, listing(parts, packed))
    files.write_atomic(made.digest, f"{pair}\n")


def collect(
    tree: Sysroot,
    version: str,
    drivers: tuple[str, ...],
    programs: tuple[str, ...],
    own_entries: Iterable[cpio.Entry],
    *,
    at_once: tuple[str, ...] | None = None,
) -> tuple[Part, ...]:
    """Return all parts of a first stage in the archive's order; `BootmillError` where it would not be complete.

    `tree`: where everything but the own entries comes from.  `version`: of the kernel, whose modules are taken.
    `drivers`: as osimages name them (modules, aliases, classes); those in `at_once` are listed for init in
    /etc/bootmill/drivers with all that they need, in loading order; modprobe finds the others.  None: no such list.
    `programs`: absolute paths; those that are missing, and all that they lack, are named in one error.
    """
    given = [Part(entry=entry, why="part of the first stage") for entry in own_entries]
    parts = [*given, *program_parts(tree, programs), *driver_parts(tree, version, drivers, at_once)]
    parts = without_shortcuts(parts)
    why = {part.entry.name: part.why for part in reversed(parts)}
    entries = cpio.with_parents(part.entry for part in parts)
    must_be_closed(entries, (*programs, *scripts(given)))
    return tuple(Part(entry=entry, why=why.get(entry.name, "holds others")) for entry in entries)


def pack(parts: Iterable[Part], how: Compression | None = None) -> bytes:
    """Return the archive, compressed (by gzip, which every kernel unpacks, where nothing else is said).

    The same parts make the same bytes on every machine.
    """
    chosen = how or Compression.GZIP
    archive = cpio.write(part.entry for part in parts)
    return b"".join(compression.compress(archive, chosen, level=compression.SMALLER.get(chosen)))


def best(tree: Sysroot, version: str) -> Compression:
    """Return the quickest compression that a kernel is known to unpack: by its configuration, where the tree has it."""
    config = config_of(tree, version)
    return compression.best(config) if config else Compression.GZIP


def program_parts(tree: Sysroot, programs: tuple[str, ...]) -> Iterator[Part]:
    """Yield programs, their loaders and libraries at their own paths, and the links that lead there.

    A tree that was unpacked without being root has contents only, its modes are in its manifest: all become executable.
    """
    needed = closure(tree, programs, nsswitch=False, modes=False)  # nsswitch.conf stays behind
    lost = [str(each) for each in needed.missing if each.lack is not Lack.MODE]
    if lost:
        refuse("the initrd's programs need what the tree does not have", lost)
    for path, why in needed.files.items():
        yield Part(entry=cpio.regular(path, tree.read(path), 0o755), why=why)
    for path, target in needed.links.items():
        yield Part(entry=cpio.symlink(path, target), why=f"leads to {target}")
    for path, why in needed.folders.items():
        yield Part(entry=cpio.directory(path), why=why)


def driver_parts(
    tree: Sysroot, version: str, drivers: tuple[str, ...], at_once: tuple[str, ...] | None
) -> Iterator[Part]:
    """Yield the modules that drivers need, unpacked, their firmware, and the tables by which modprobe finds them."""
    known = modules.kernel_modules(tree, version)
    found = known.closure(drivers)
    for module in found:
        yield Part(entry=cpio.regular(module.path, module.content), why=f"module, {module.why}")
    for blob in firmware.for_initrd(tree, version, found, config_of(tree, version)).blobs:
        yield Part(entry=cpio.regular(blob.path, blob.content), why=blob.why)
    if at_once is not None:
        order = "".join(f"{module.path}\n" for module in known.closure(at_once))
        yield Part(entry=cpio.regular(DRIVERS, order.encode()), why="the drivers that init loads at once")
    for name, lines in tables(known, found):
        yield Part(entry=cpio.regular(name, cpio.raw(lines)), why="modprobe reads it")
    yield Part(entry=cpio.symlink(MODPROBE, "/bin/busybox"), why="the kernel asks it for modules")


def without_shortcuts(parts: list[Part]) -> list[Part]:
    """Leave out links (``/bin``) under whose name the tree has a real folder: systems before the merge of /usr."""
    folders = {part.entry.name.partition("/")[0] for part in parts if "/" in part.entry.name}
    return [part for part in parts if not (stat.S_ISLNK(part.entry.mode) and part.entry.name in folders)]


def named(drivers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the drivers that are called by their names: a person wants those; of classes, the hardware says which."""
    return tuple(word for word in drivers if word not in firststage.CLASSES and ":" not in word)


def scripts(given: Iterable[Part]) -> Iterator[str]:
    """Yield the paths of the own entries that the kernel would start."""
    for part in given:
        if stat.S_ISREG(part.entry.mode) and part.entry.mode & 0o111:
            yield f"/{part.entry.name}"


def must_be_closed(entries: Iterable[cpio.Entry], programs: tuple[str, ...]) -> None:
    """Look for everything once more with the archive as the only root: what is not complete is never written."""
    lost = closure(ArchiveTree.of(entries), programs).missing
    if lost:
        refuse("the initrd would not be complete", map(str, lost))


def refuse(sentence: str, lost: Iterable[str]) -> NoReturn:
    """Raise the error that names all that is missing."""
    message = "\n".join([f"{sentence}:", *(f"  {line}" for line in lost)])
    raise BootmillError(message, hint="add the packages that bring them (busybox at least) to inventory/osimages.yaml")


def listing(parts: Iterable[Part], packed: bytes) -> str:
    """Return the list of parts as people read it: size in bytes, path, reason; the sums at the end."""
    rows = [(part.entry.size, part.entry.name, part.why) for part in parts if not stat.S_ISDIR(part.entry.mode)]
    lines = [f"{size:>10}  /{name}  ({why})" for size, name, why in rows]
    total = sum(size for size, _, _ in rows)
    return "\n".join([*lines, f"{total:>10}  in {len(rows)} files, {len(packed)} packed", ""])
