"""A packed archive (an initrd, a root image) and what the kernel leaves of it in memory."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks import cpio
from tasks.initrd.archives.segments import Segment, split
from tasks.initrd.loader.sysroot import KERNEL_ROOT, ArchiveTree

PAGE = 4096
OURS = "etc/bootmill/"  # a folder in the first stage of every osimage


@dataclass(frozen=True)
class Archive:
    """The segments of an archive; `size` is its packed length in bytes."""

    segments: tuple[Segment, ...]
    size: int

    @classmethod
    def of(cls, packed: Path | bytes) -> "Archive":
        """Read a packed archive; damage is in the segments' `problems`."""
        return cls(split(packed), packed.stat().st_size if isinstance(packed, Path) else len(packed))

    @cached_property
    def entries(self) -> tuple[cpio.Entry, ...]:
        """Return all entries, in the order in which they are unpacked."""
        return tuple(entry for segment in self.segments for entry in segment.entries)

    @cached_property
    def tree(self) -> ArchiveTree:
        """Return what the kernel's root holds when it is unpacked; /dev, /dev/console and /root are there before."""
        return ArchiveTree.of([*KERNEL_ROOT, *self.entries])

    @cached_property
    def ours(self) -> bool:
        """Whether this is an osimage's first stage that we made, be it damaged: what its init needs is known."""
        return any(f"{entry.name}/".startswith(OURS) for entry in self.entries)

    @cached_property
    def pages(self) -> int:
        """Return the memory that its files take, in bytes: whole pages, each file once, whatever its names."""
        return sum(-(-entry.size // PAGE) * PAGE for entry in self.bodies())

    @property
    def inodes(self) -> int:
        """Return how many files, folders and links there will be."""
        return len(self.tree.entries)

    def bodies(self) -> Iterator[cpio.Entry]:
        """Yield what has content: the first name of each file."""
        seen: set[str] = set()
        for name, entry in self.tree.entries.items():
            first = entry.hardlink or name
            if stat.S_ISREG(entry.mode) and first not in seen:
                seen.add(first)
                yield entry


def upto(archive: Archive, refused: Iterable[Segment]) -> Archive:
    """Return what the kernel unpacks where it cannot unpack some segments: all before the first of them."""
    wrong = frozenset(segment.offset for segment in refused)
    kept: list[Segment] = []
    for segment in archive.segments:
        if segment.offset in wrong:
            return Archive(tuple(kept), archive.size)
        kept.append(segment)
    return archive
