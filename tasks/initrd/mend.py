"""What would make somebody's initrd boot: files to add from a sysroot, files to replace, and what cannot be had.  Pure.

    initrd ─ closure over (initrd above sysroot) ─▶ what is only in the sysroot ─▶ add
           └ modes, DOS line ends, a lost # ──────▶ entries that take a file's place
           └ modules ─ dependencies, firmware ─────▶ add

Later entries take the place of earlier ones (init/initramfs.c), so all of it fits into one more segment.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tasks import cpio
from tasks.errors import UntrustedInputError
from tasks.initrd.kernel import firmware, modules
from tasks.initrd.kernel.modindex import modules_folder
from tasks.initrd.loader import elf, scripts
from tasks.initrd.loader.closure import Closure, Lack, Missing, closure, is_executable
from tasks.initrd.loader.overlay import Overlay
from tasks.initrd.loader.sysroot import KERNEL_ROOT, ArchiveTree, Sysroot, is_file, resolve
from tasks.initrd.proof.subject import Subject, programs_in

ROUNDS = 20  # what is added may lack something in turn: an interpreter's interpreter, five deep at most
HOLDS = "holds others"  # why a folder is in
LARGEST_SCRIPT = 1 << 20  # bytes; what is larger is no script that we would rewrite
LARGEST = 1 << 29  # bytes; a file of the sysroot that is larger is none of a first stage, and would fill our memory


@dataclass(frozen=True, kw_only=True)
class Change:
    """An entry for the new segment and why; `replaces`: the initrd has another file there."""

    entry: cpio.Entry
    why: str
    replaces: bool = False

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{'replace' if self.replaces else 'add'} /{self.entry.name} ({self.why})"


@dataclass(frozen=True, kw_only=True)
class Mending:
    """What is to be changed, in the archive's order, and what was looked for in vain."""

    changes: tuple[Change, ...]
    lost: tuple[str, ...]


def mending(subject: Subject, first: str, sysroot: Sysroot | None) -> Mending:
    """Return what to change so that an initrd's programs, `first` before all, and its modules are complete.

    `sysroot`: where files come from; without it only what the initrd holds can be mended.  Nothing is executed.
    """
    changes: dict[str, Change] = {}
    tree = with_changes(subject, changes)
    for _ in range(ROUNDS):
        fresh = {each.entry.name: each for each in changes_to(tree, first, sysroot)}
        if not fresh:
            break
        changes |= fresh
        tree = with_changes(subject, changes)
    lost = [str(each) for each in closed(tree, tree, first).missing]
    if sysroot is not None and subject.kernel.version:
        found, absent = module_changes(subject, tree, sysroot)
        changes |= {each.entry.name: each for each in found if each.entry.name not in changes}
        lost += absent
    return Mending(changes=tuple(with_folders(subject, changes)), lost=tuple(lost))


def changes_to(tree: ArchiveTree, first: str, sysroot: Sysroot | None) -> Iterator[Change]:
    """Yield what mends the tree as it is now."""
    overlay = Overlay(tree, sysroot) if sysroot is not None else None
    found = closed(overlay or tree, tree, first)
    yield from mended(found.missing, tree, overlay or tree, first)
    if overlay:
        yield from from_below(found, overlay)


def closed(seen: Sysroot, tree: ArchiveTree, first: str) -> Closure:
    """Return the closure of the initrd's own programs in what is seen.

    A first program that the initrd does not even name is nobody's to choose: the sysroot's would boot something else.
    """
    start = resolve(tree, first)
    named = seen is tree or start.path is not None or bool(start.links)
    return closure(seen, tuple(dict.fromkeys([*([first] if named else []), *programs_in(tree)])))


def with_changes(subject: Subject, changes: dict[str, Change]) -> ArchiveTree:
    """Return what the kernel would unpack with the changes behind all else."""
    added = [each.entry for each in with_folders(subject, changes)]
    return ArchiveTree.of([*KERNEL_ROOT, *subject.packed.entries, *added])


def with_folders(subject: Subject, changes: dict[str, Change]) -> Iterator[Change]:
    """Yield the changes in the archive's order, each behind its folder: those that are there keep mode and owner."""
    base = subject.packed.tree
    for entry in cpio.with_parents(each.entry for each in changes.values()):
        yield changes.get(entry.name) or Change(entry=folder(base, entry), why=HOLDS)


def folder(tree: ArchiveTree, entry: cpio.Entry) -> cpio.Entry:
    """Return a folder as a tree has it, else as it was made up."""
    there = tree.entries.get(entry.name)
    return replace(there, name=entry.name) if there is not None and stat.S_ISDIR(there.mode) else entry


# -- files of the sysroot ----------------------------------------------------------------------------------------------


def from_below(found: Closure, overlay: Overlay) -> Iterator[Change]:
    """Yield the files, links and folders of a closure that only the sysroot has."""
    for path, target in found.links.items():
        if overlay.comes_from_below(path):
            yield Change(entry=cpio.symlink(path, target), why=found.link_reasons.get(path, f"leads to {target}"))
    for path, why in found.folders.items():
        if overlay.comes_from_below(path):
            yield Change(entry=cpio.directory(path), why=why)
    for path, why in found.files.items():
        if overlay.comes_from_below(path):
            yield Change(entry=cpio.regular(path, taken(overlay, path), 0o755), why=why)


def taken(tree: Sysroot, path: str) -> bytes:
    """Return a file's content; `UntrustedInputError` for one that is too large to be taken."""
    size = tree.size(path)
    if size > LARGEST:
        message = f"the sysroot's {path} has {size:,} bytes: it was not taken"
        raise UntrustedInputError(message, hint="is it damaged? choose another --sysroot")
    return tree.read(path)


def module_changes(subject: Subject, tree: ArchiveTree, sysroot: Sysroot) -> tuple[list[Change], list[str]]:
    """Return the modules and the firmware that the initrd's modules need and do not have; and what is nowhere."""
    version = subject.kernel.version
    if not subject.carried.paths:
        return [], []
    unseen = [f"the sysroot has no modules of kernel {version}: they were not looked at"]
    if modules_folder(sysroot, version) is None:
        return [], unseen
    known = modules.kernel_modules(sysroot, version)
    carried = [name for name in sorted(subject.carried.paths) if name in known]
    if not carried:
        return [], unseen
    found = known.closure(carried)
    changes = [
        Change(entry=cpio.regular(path, module.content), why=f"module, {module.why}")
        for module in found
        if module.name not in subject.carried and (path := place_of(tree, module.path)) is not None
    ]
    wanted = {module.name: module.firmware for module in found if module.firmware}
    lacking = {name for each in firmware.lost_in(tree, version, wanted, subject.config) for name in each.names}
    blobs = firmware.for_initrd(sysroot, version, found, subject.config).blobs
    changes += [
        Change(entry=cpio.regular(path, blob.content), why=blob.why)
        for blob in blobs
        if any(name in blob.path for name in lacking) and (path := place_of(tree, blob.path)) is not None
    ]
    return changes, []


def place_of(tree: ArchiveTree, path: str) -> str | None:
    """Return where a path leads in the initrd, through the links that it has; None where something is there already."""
    parent, _, name = path.rpartition("/")
    here = ""
    for part in parent.split("/"):
        candidate = f"{here}/{part}".lstrip("/")
        here = resolve(tree, f"/{candidate}").path or candidate
    real = f"{here}/{name}"
    return None if tree.mode(real) is not None else real


# -- files of the initrd -----------------------------------------------------------------------------------------------


def mended(missing: Iterable[Missing], tree: ArchiveTree, seen: Sysroot, first: str) -> Iterator[Change]:
    """Yield entries that take the place of files of the initrd, where it is clear what they should have been."""
    todo = list(missing)
    for each in todo:
        if each.lack is Lack.MODE:
            yield from executable(tree, each.name)
        if each.lack in {Lack.FORMAT, Lack.LIBRARY}:
            yield from whole_again(each, tree, seen)
    for path in dict.fromkeys([first, *(each.by or each.name for each in todo)]):
        yield from unix_lines(tree, path)
        yield from with_its_mark(tree, seen, path)


def executable(tree: ArchiveTree, path: str) -> Iterator[Change]:
    """Yield a file with the mode that the kernel asks for."""
    real = resolve(tree, path).path
    mode = tree.mode(real) if real else None
    if real and mode is not None and stat.S_ISREG(mode) and not is_executable(mode):
        why = f"its mode was {mode & 0o7777:04o}: it was not executable"
        yield Change(entry=cpio.regular(real, tree.read(real), 0o755), why=why, replaces=True)


def unix_lines(tree: ArchiveTree, path: str) -> Iterator[Change]:
    """Yield a script without the carriage returns of DOS, where all its lines have one."""
    real, content = script(tree, path)
    if content.startswith(b"#!") and content.count(b"\n") == content.count(b"\r\n") > 0:
        plain = content.replace(b"\r\n", b"\n")
        yield Change(entry=cpio.regular(real, plain, 0o755), why="its lines ended with CR LF", replaces=True)


def with_its_mark(tree: ArchiveTree, seen: Sysroot, path: str) -> Iterator[Change]:
    """Yield a script whose first line has lost its ``#`` (``!/bin/busybox sh``), where the interpreter is there."""
    real, content = script(tree, path)
    line = scripts.shebang(b"#" + content[: scripts.LINE - 1]) if content.startswith(b"!/") else None
    if line is not None and is_file(seen, resolve(seen, line.interpreter.rstrip("\r")).path):
        yield Change(
            entry=cpio.regular(real, b"#" + content, 0o755), why="its first line had lost its #", replaces=True
        )


def script(tree: ArchiveTree, path: str) -> tuple[str, bytes]:
    """Return a script's real path and content; nothing where there is none."""
    real = resolve(tree, path).path
    if real is None or not is_file(tree, real) or tree.size(real) > LARGEST_SCRIPT:
        return "", b""
    return real, tree.read(real)


def whole_again(each: Missing, tree: ArchiveTree, seen: Sysroot) -> Iterator[Change]:
    """Yield the sysroot's file in the place of a damaged ELF file of the initrd: same path, whole, same machine."""
    if not isinstance(seen, Overlay):
        return
    real = resolve(tree, each.name).path if each.name.startswith("/") else None
    place = resolve(seen.lower, each.name).path
    if real is None or place is None or not is_file(tree, real) or not is_file(seen.lower, place):
        return
    if view_of(tree.read(real)) is None and (good := view_of(content := taken(seen.lower, place))) is not None:
        asker = resolve(seen, each.by).path if each.by else None
        other = view_of(seen.read(asker)) if asker and is_file(seen, asker) else None
        if other is None or good.fits(other):
            yield Change(entry=cpio.regular(real, content, 0o755), why="it was damaged", replaces=True)


def view_of(content: bytes) -> elf.Elf | None:
    """Return what the loader sees of an ELF file; None where it is damaged, or none."""
    try:
        return elf.parse(content)
    except ValueError:
        return None
