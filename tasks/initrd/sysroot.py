"""A tree that is looked at as if it were the root: on disk, or in memory out of an archive.

Symbolic links are followed inside the tree: an absolute target starts again at its root, ``..`` stops there.
`os.path.realpath` would leave the tree and find the head node's own files.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tasks import cpio

MAX_LINKS = 40  # path_resolution(7)


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


@dataclass(frozen=True)
class DiskTree:
    """A tree below a folder."""

    root: Path

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""
        try:
            return (self.root / path).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None

    def target(self, path: str) -> str:
        """Return the target of a symbolic link."""
        return str((self.root / path).readlink())

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""
        return (self.root / path).read_bytes()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(entry.name for entry in (self.root / path).iterdir())


@dataclass(frozen=True)
class ArchiveTree:
    """The tree that the kernel would unpack from an archive's entries: later entries replace earlier ones."""

    entries: dict[str, cpio.Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[cpio.Entry]) -> "ArchiveTree":
        """Build the tree."""
        return cls({entry.name: entry for entry in entries})

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""
        if path in {"", "."}:
            return stat.S_IFDIR | 0o755
        entry = self.entries.get(path)
        return entry.mode if entry else None

    def target(self, path: str) -> str:
        """Return the target of a symbolic link."""
        return self.entries[path].read().decode(errors="surrogateescape")

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""
        return self.entries[path].read()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(self.folders.get(path, ()))

    @cached_property
    def folders(self) -> dict[str, set[str]]:
        """Return the names in each folder."""
        result: dict[str, set[str]] = {}
        for name in self.entries:
            parent, _, last = name.rpartition("/")
            result.setdefault(parent, set()).add(last)
        return result


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Where a path leads: the real path (None where nothing is) and the links that were passed on the way."""

    path: str | None
    links: tuple[str, ...]


def resolve(tree: Sysroot, path: str) -> Resolved:
    """Follow a path inside the tree, component by component."""
    todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
    here: list[str] = []
    links: list[str] = []
    while todo:
        part = todo.pop()
        if part == "..":
            here = here[:-1]
            continue
        candidate = "/".join([*here, part])
        mode = tree.mode(candidate)
        if mode is None or (todo and not (stat.S_ISDIR(mode) or stat.S_ISLNK(mode))):
            return Resolved(path=None, links=tuple(links))
        if not stat.S_ISLNK(mode):
            here.append(part)
            continue
        links.append(candidate)
        if len(links) > MAX_LINKS:
            return Resolved(path=None, links=tuple(links))
        target = tree.target(candidate)
        if target.startswith("/"):
            here = []
        todo.extend(piece for piece in reversed(target.split("/")) if piece not in {"", "."})
    return Resolved(path="/".join(here), links=tuple(links))


def is_file(tree: Sysroot, path: str | None) -> bool:
    """Whether a resolved path is a regular file."""
    mode = tree.mode(path) if path else None
    return mode is not None and stat.S_ISREG(mode)
