"""An initrd laid over a sysroot: what a program would find if all that it lacks came from there.  Pure."""

import stat
from dataclasses import dataclass
from functools import cached_property

from tasks.initrd.loader.sysroot import Sysroot, resolve

# What steers searches: the initrd's own counts, for the sysroot's will not be there when the loader runs.
OWN = frozenset({"etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.preload", "etc/nsswitch.conf"})
EXECUTABLE = 0o755  # of a tree that was unpacked without being root, modes say nothing


@dataclass(frozen=True)
class Overlay:
    """A tree over another: each path is the upper one's where it has it.

    The lower tree may be laid out otherwise (``/lib`` a link there, a folder here): its paths are followed inside it.
    All its files count as executable.
    """

    upper: Sysroot
    lower: Sysroot

    @cached_property
    def places(self) -> dict[str, str | None]:
        """Return the real folders of the lower tree that were looked for."""
        return {}

    def below(self, path: str) -> str | None:
        """Return where the lower tree has a path that the upper one lacks; None where it does not, or must not."""
        if path in OWN:
            return None
        parent, _, name = path.rpartition("/")
        if parent not in self.places:
            self.places[parent] = resolve(self.lower, f"/{parent}").path
        folder = self.places[parent]
        return None if folder is None else f"{folder}/{name}".lstrip("/")

    def comes_from_below(self, path: str) -> bool:
        """Whether a path is the lower tree's."""
        return self.upper.mode(path) is None

    def mode(self, path: str) -> int | None:
        """Return type and permission bits, None where nothing is."""
        mode = self.upper.mode(path)
        if mode is not None:
            return mode
        place = self.below(path)
        mode = self.lower.mode(place) if place else None
        return mode | EXECUTABLE if mode is not None and stat.S_ISREG(mode) else mode

    def target(self, path: str) -> str:
        """Return the target of a symbolic link."""
        tree, place = self.of(path)
        return tree.target(place)

    def read(self, path: str) -> bytes:
        """Return the content of a regular file."""
        tree, place = self.of(path)
        return tree.read(place)

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder, of both trees."""
        place = resolve(self.lower, f"/{path}").path
        lower = self.lower.names(place) if place is not None and stat.S_ISDIR(self.lower.mode(place) or 0) else []
        upper = self.upper.names(path) if stat.S_ISDIR(self.upper.mode(path) or 0) else []
        return sorted({*upper, *lower})

    def size(self, path: str) -> int:
        """Return the length of a regular file in bytes."""
        tree, place = self.of(path)
        return tree.size(place)

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Return at most `size` bytes of a regular file from `offset` on; fewer, or none, behind its end."""
        tree, place = self.of(path)
        return tree.read_at(place, offset, size)

    def of(self, path: str) -> tuple[Sysroot, str]:
        """Return the tree that has a path, and where."""
        place = self.below(path) if self.comes_from_below(path) else None
        return (self.lower, place) if place is not None else (self.upper, path)
