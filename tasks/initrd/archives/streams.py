"""An archive's bytes, read forwards: out of a file as they are, or unpacked on the way.  Memory is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks import compression, cpio, files
from tasks.cpio import Span
from tasks.decompression import DamagedError


class Store(cpio.Store, Protocol):
    """The packed file."""

    @property
    def size(self) -> int:
        """Return its length."""


class Memory(compression.Memory):
    """A packed file in memory."""

    @property
    def size(self) -> int:
        """Return its length."""
        return len(self.data)


def opened(packed: Path | bytes) -> Store:
    """Return a packed file that can be read anywhere."""
    return files.Stored(packed) if isinstance(packed, Path) else Memory(packed)


@dataclass(kw_only=True)
class Budget:
    """What an initrd may still unpack to; `held`: bytes of names and link targets, which are kept in memory."""

    bytes: int
    entries: int
    held: int

    def spend(self, *, size: int = 0, entries: int = 0, held: int = 0) -> None:
        """Take away; `DamagedError` where nothing is left."""
        self.bytes -= size
        self.entries -= entries
        self.held -= held
        if self.bytes < 0 or self.entries < 0 or self.held < 0:
            message = "more than may be unpacked here: it is not looked at further"
            raise DamagedError(message)


class Stream(Protocol):
    """An archive's bytes, read forwards."""

    position: int

    def take(self, size: int) -> bytes:
        """Return the next bytes; fewer where the stream ends."""

    def body(self, size: int) -> Span | None:
        """Return a member's body and pass it, None where the stream ends before."""

    def zeros(self) -> bytes:
        """Pass zeros; return the byte behind them without passing it, nothing at the end."""


@dataclass
class Raw:
    """An uncompressed archive: its bodies stay where they are."""

    store: Store
    position: int

    def take(self, size: int) -> bytes:
        """Return the next bytes; fewer where the file ends."""
        found = self.store.at(self.position, size)
        self.position += len(found)
        return found

    def body(self, size: int) -> Span | None:
        """Return a member's body."""
        if self.position + size > self.store.size:
            return None
        self.position += size
        return Span(self.store, self.position - size, size)

    def zeros(self) -> bytes:
        """Pass zeros."""
        size = 256
        while block := self.store.at(self.position, size):
            rest = block.lstrip(b"\0")
            self.position += len(block) - len(rest)
            if rest:
                return rest[:1]
            size = 1 << 20
        return b""

    def zeros_until(self, offset: int) -> bool:
        """Return whether nothing but zeros stands before an offset."""
        return bool(self.zeros()) and self.position >= offset


@dataclass
class Packed:
    """A compressed archive: its bodies go to a scratch file as they come."""

    pieces: Iterator[bytes]
    scratch: files.Scratch
    budget: Budget
    position: int = 0
    held: bytes = b""
    start: int = 0  # what of `held` is passed

    def more(self) -> bool:
        """Hold the next piece, once the one before is passed; return whether there is one."""
        while self.start == len(self.held):
            piece = next(self.pieces, None)
            if piece is None:
                return False
            self.budget.spend(size=len(piece))
            self.held, self.start = piece, 0
        return True

    def some(self, size: int) -> bytes:
        """Return some of the next bytes, at most `size`."""
        found = self.held[self.start : self.start + size]
        self.start += len(found)
        self.position += len(found)
        return found

    def take(self, size: int) -> bytes:
        """Return the next bytes; fewer where the stream ends."""
        parts = []
        while size and self.more():
            parts.append(self.some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def body(self, size: int) -> Span | None:
        """Return a member's body."""
        span = Span(self.scratch, self.scratch.size, size)
        while size and self.more():
            part = self.some(size)
            self.scratch.put(part)
            size -= len(part)
        return None if size else span

    def zeros(self) -> bytes:
        """Pass zeros."""
        while self.more():
            end = compression.after_zeros(self.held, self.start)
            self.position += end - self.start
            self.start = end
            if end < len(self.held):
                return self.held[end : end + 1]
        return b""
