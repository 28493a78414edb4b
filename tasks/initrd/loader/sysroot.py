"""A tree that is looked at as if it were the root: on disk, or in memory out of an archive.

Symbolic links are followed inside the tree: an absolute target starts again at its root, ``..`` stops there.
`os.path.realpath` would leave the tree and find the head node's own files.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tasks import cpio

MAX_LINKS = 40  # MAXSYMLINKS, include/linux/namei.h; path_resolution(7)
MAX_PATH = 4095  # PATH_MAX less the NUL
MAX_STEPS = 1024  # components, those of links included: more are no tree but an attack on our time
FOLDER = stat.S_IFDIR | 0o755
# What is in the kernel's root before any archive is unpacked: usr/default_cpio_list
KERNEL_ROOT = (
    cpio.directory("dev"),
    cpio.device("dev/console", stat.S_IFCHR | 0o600, 5, 1),
    cpio.directory("root", 0o700),
)


class Sysroot(Protocol):
    """What the resolver asks of a tree.  Paths are relative to its root and name no link above their last part."""

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""

    def target(self, path: str) -> str:
        """Return the target of a symbolic link."""

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""

    def size(self, path: str) -> int:
        """Return the length of a regular file in bytes."""

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Return at most `size` bytes of a regular file from `offset` on; fewer, or none, behind its end."""


@dataclass(frozen=True)
class DiskTree:
    """A tree below a folder.  Folders and links are remembered once seen: it is looked at while nobody changes it."""

    root: Path

    @cached_property
    def seen(self) -> dict[str, int]:
        """Return the modes of the folders and links that were looked at: most of a path's parts, again and again."""
        return {}

    @cached_property
    def targets(self) -> dict[str, str]:
        """Return the targets of the links that were followed."""
        return {}

    @cached_property
    def prefix(self) -> str:
        """Return the root's path with a slash behind it; joining strings costs a tenth of joining paths."""
        return f"{os.fspath(self.root).rstrip('/')}/"

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""
        known = self.seen.get(path)
        if known is not None:
            return known
        try:
            mode = os.lstat(self.prefix + path).st_mode
        except (OSError, ValueError):
            return None
        if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            self.seen[path] = mode
        return mode

    def target(self, path: str) -> str:
        """Return the target of a symbolic link."""
        if path not in self.targets:
            self.targets[path] = str(Path(self.prefix + path).readlink())
        return self.targets[path]

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""
        return Path(self.prefix + path).read_bytes()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(entry.name for entry in os.scandir(self.prefix + path))

    def size(self, path: str) -> int:
        """Return the length of a regular file in bytes."""
        return os.lstat(self.prefix + path).st_size

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Return at most `size` bytes of a regular file from `offset` on; fewer, or none, behind its end."""
        number = os.open(self.prefix + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return os.pread(number, size, offset)
        finally:
            os.close(number)


@dataclass(frozen=True)
class ArchiveTree:
    """The tree that the kernel would unpack from an archive's entries.

    `entries` maps each real path to what lies there in the end; `dropped` are the names, in archive order, that the
    kernel would not make, for want of their folder or because a filled folder stands there.
    """

    entries: dict[str, cpio.Entry] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[cpio.Entry]) -> "ArchiveTree":
        """Build the tree as init/initramfs.c does: in order, later entries on top of earlier ones."""
        tree = cls()
        unpacking = Unpacking(tree)
        for entry in entries:
            unpacking.add(entry)
        unpacking.finish()
        return tree

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""
        if path in {"", "."}:
            return FOLDER
        entry = self.entries.get(path)
        return entry.mode if entry else None

    def target(self, path: str) -> str:
        """Return the target of a symbolic link; a NUL ends it, as for the kernel."""
        return self.entries[path].read().partition(b"\0")[0].decode(errors="surrogateescape")

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""
        return self.entries[path].read()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(self.folders.get(path, ()))

    def size(self, path: str) -> int:
        """Return the length of a regular file in bytes."""
        return self.entries[path].size

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Return at most `size` bytes of a regular file from `offset` on; fewer, or none, behind its end."""
        entry = self.entries[path]
        if isinstance(entry.body, bytes):
            return entry.body[offset : offset + size]
        if isinstance(entry.body, cpio.Span):
            return entry.body.store.at(entry.body.offset + offset, max(0, min(size, entry.body.size - offset)))
        with entry.body.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    @cached_property
    def folders(self) -> dict[str, set[str]]:
        """Return the names in each folder."""
        result: dict[str, set[str]] = {}
        for name in self.entries:
            parent, _, last = name.rpartition("/")
            result.setdefault(parent, set()).add(last)
        return result


class Unpacking:
    """The kernel's own unpacking, into memory (init/initramfs.c: do_name, clean_path, maybe_link)."""

    def __init__(self, tree: ArchiveTree) -> None:
        """Start with an empty root."""
        self.tree = tree
        self.filled: dict[str, int] = {}  # real folder → how many names are in it
        self.group: dict[str, str] = {}  # real path → the first real path of the same file

    def add(self, entry: cpio.Entry) -> None:
        """Put one entry where its name leads, through the links of its folders; note it where it cannot be made."""
        real = self.place(entry.name)
        if real is None or not stat.S_IFMT(entry.mode) or not self.clear(real, entry):
            self.tree.dropped.append(entry.name)
        elif real:
            self.put(real, entry)

    def place(self, name: str) -> str | None:
        """Return the real path of a name: its folder resolved, its last part not; None where the folder is not."""
        folder, _, last = name.strip("/").rpartition("/")
        if last in {"", ".", ".."}:
            return resolve(self.tree, name).path
        real = folder if self.plain(folder) else resolve(self.tree, folder).path
        if real is None or not stat.S_ISDIR(self.tree.mode(real) or 0):
            return None
        return f"{real}/{last}" if real else last

    def plain(self, folder: str) -> bool:
        """Whether a folder's name is its real path already: it was made under it."""
        return not folder or (folder in self.tree.entries and stat.S_ISDIR(self.tree.entries[folder].mode))

    def clear(self, real: str, entry: cpio.Entry) -> bool:
        """Take away what stands at a path and is of another type; a filled folder stays."""
        old = self.tree.mode(real)
        if old is None or stat.S_IFMT(old) == stat.S_IFMT(entry.mode):
            return True
        if stat.S_ISDIR(old) and (not real or self.filled.get(real)):
            return False
        del self.tree.entries[real]
        self.count(real, -1)
        return True

    def put(self, real: str, entry: cpio.Entry) -> None:
        """Make the file, or write it anew."""
        if real not in self.tree.entries:
            self.count(real, 1)
        self.tree.entries[real] = replace(entry, name=real) if entry.name != real else entry
        first = real if entry.hardlink is None else (self.place(entry.hardlink) or real)
        self.group[real] = self.group.get(first, first)

    def finish(self) -> None:
        """Give all names of one file one content: the newest that is not empty, whichever name brought it."""
        linked = {real: first for real, first in self.group.items() if real in self.tree.entries}
        shared = {first for real, first in linked.items() if real != first}
        bodies = {first: self.tree.entries[real] for real, first in linked.items() if self.tree.entries[real].size}
        for real, first in linked.items():
            if first in shared and first in bodies:
                self.tree.entries[real] = replace(self.tree.entries[real], body=bodies[first].body)

    def count(self, real: str, by: int) -> None:
        """Count a name into its folder, or out of it."""
        folder = real.rpartition("/")[0]
        self.filled[folder] = self.filled.get(folder, 0) + by


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Where a path leads.

    `path` is the real path, None where nothing is; `links` are the links that were passed on the way, `left` the
    folders that ``..`` led out of (a copy needs them, though nothing of theirs); `loop` says that links never end.
    """

    path: str | None
    links: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    loop: bool = False


def resolve(tree: Sysroot, path: str) -> Resolved:
    """Follow a path inside the tree, component by component, as path_resolution(7) has it."""
    todo = parts_reversed(path[: MAX_PATH + 1])
    here = ""
    links: list[str] = []
    left: list[str] = []
    for _ in range(MAX_STEPS):
        if not todo:
            break
        part = todo.pop()
        if part == "..":
            left.append(here)
            here = here.rpartition("/")[0]
            continue
        candidate = f"{here}/{part}" if here else part
        mode = tree.mode(candidate)
        if mode is None or ((todo or path.endswith("/")) and not (stat.S_ISDIR(mode) or stat.S_ISLNK(mode))):
            return Resolved(path=None, links=tuple(links))
        if not stat.S_ISLNK(mode):
            here = candidate
            continue
        links.append(candidate)
        target = tree.target(candidate)
        if len(links) > MAX_LINKS or not target:
            return Resolved(path=None, links=tuple(links), loop=bool(target))
        here = "" if target.startswith("/") else here
        todo.extend(parts_reversed(target))
    if todo or len(path) > MAX_PATH:
        return Resolved(path=None, links=tuple(links), loop=bool(todo))
    return Resolved(path=here, links=tuple(links), left=tuple(filter(None, left)))


def parts_reversed(path: str) -> list[str]:
    """Return a path's components, the first one last, without those that say nothing."""
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]


def is_file(tree: Sysroot, path: str | None) -> bool:
    """Whether a resolved path is a regular file."""
    mode = tree.mode(path) if path else None
    return mode is not None and stat.S_ISREG(mode)
