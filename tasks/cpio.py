"""The cpio newc codec: entries in, the same bytes out, on every machine.  Pure; files are only read.

Format and traps: kernel Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.  The kernel
drops, without a word, a file whose parent folder has not come before it, and takes two files with the same inode number
and a link count above one for one file: so parents are required and inode numbers are our own.
"""

import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tasks import newc
from tasks.errors import UntrustedInputError
from tasks.newc import HEADER, MAX_NAME, TRAILER

__all__ = ["HEADER", "MAX_NAME", "TRAILER"]
MAX_FILE = newc.LARGEST
BLOCK = 1 << 20


class Store(Protocol):
    """Bytes that lie somewhere and are read piece by piece: memory, a file, a scratch file."""

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes at an offset: fewer than asked for only where the store ends."""


@dataclass(frozen=True, slots=True)
class Span:
    """A body that is read when it is wanted: `size` bytes of a store."""

    store: Store
    offset: int
    size: int

    def read(self) -> bytes:
        """Return all of it."""
        return self.store.at(self.offset, self.size)

    def blocks(self) -> Iterator[bytes]:
        """Yield it in pieces."""
        for start in range(0, self.size, BLOCK):
            yield self.store.at(self.offset + start, min(BLOCK, self.size - start))


Body = bytes | Path | Span


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One member of an archive.

    `name` is relative, without ``./``.  `mode` holds type and permission bits.  `body` is the content of a file (or the
    path to read it from, or a span of an archive that was read) or the target of a symbolic link.  `hardlink` names the
    first entry of the same file: that one's body counts.
    """

    name: str
    mode: int
    body: Body = b""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)
    hardlink: str | None = None

    @property
    def size(self) -> int:
        """Return the length of the body in bytes."""
        if isinstance(self.body, Path):
            return self.body.stat().st_size
        return self.body.size if isinstance(self.body, Span) else len(self.body)

    def read(self) -> bytes:
        """Return the whole body."""
        if isinstance(self.body, Path):
            return self.body.read_bytes()
        return self.body.read() if isinstance(self.body, Span) else self.body


def raw(name: str) -> bytes:
    """Return a name's bytes; those that are no UTF-8 came in as surrogates (PEP 383) and go out as they were."""
    return name.encode(errors="surrogateescape")


def directory(name: str, mode: int = 0o755, *, mtime: int = 0) -> Entry:
    """Return a folder."""
    return Entry(name=name, mode=stat.S_IFDIR | mode, mtime=mtime)


def regular(name: str, body: Body, mode: int = 0o644, *, mtime: int = 0) -> Entry:
    """Return a regular file."""
    return Entry(name=name, mode=stat.S_IFREG | mode, body=body, mtime=mtime)


def symlink(name: str, target: str, *, mtime: int = 0) -> Entry:
    """Return a symbolic link."""
    return Entry(name=name, mode=stat.S_IFLNK | 0o777, body=raw(target), mtime=mtime)


def device(name: str, mode: int, major: int, minor: int, *, mtime: int = 0) -> Entry:
    """Return a device node; making it in an archive needs no root."""
    return Entry(name=name, mode=mode, device=(major, minor), mtime=mtime)


def with_parents(entries: Iterable[Entry], *, mtime: int = 0) -> list[Entry]:
    """Return the entries with the folders that they need, each name once (the first), sorted: parents come first."""
    by_name: dict[str, Entry] = {}
    for entry in entries:
        by_name.setdefault(entry.name, entry)
    for name in list(by_name):
        parent = name.rpartition("/")[0]
        while parent and parent not in by_name:
            by_name[parent] = directory(parent, mtime=mtime)
            parent = parent.rpartition("/")[0]
    return [by_name[name] for name in sorted(by_name, key=raw)]


# -- writing ---------------------------------------------------------------------------------------------------------


def write(entries: Iterable[Entry], *, first_inode: int = 1, trailer: bool = True) -> Iterator[bytes]:
    """Yield the archive's bytes.  Entries come as they are to lie; folders must precede what is in them.

    Segments that are to be concatenated are written without `trailer` (it ends the archive for cpio(1) and busybox),
    all but the last.  The length is always a multiple of four.  Bodies are read when their turn comes; the entries
    themselves are held, because the first name of a file says how many names follow.
    """
    return expanded(parts(entries, first_inode=first_inode, trailer=trailer))


Part = bytes | tuple[Path | Span, int]


def parts(entries: Iterable[Entry], *, first_inode: int = 1, trailer: bool = True) -> Iterator[Part]:
    """Yield the archive as bytes and, between them, bodies that still are to be read, each with its size."""
    listed = list(entries)
    links = link_groups(listed)
    folders = {""}
    for number, entry in enumerate(listed):
        parent = entry.name.rpartition("/")[0]
        if parent not in folders:
            message = f"cpio: {entry.name} comes before its folder {parent}: the kernel would drop it"
            raise ValueError(message)
        is_folder = stat.S_ISDIR(entry.mode)
        if is_folder:
            folders.add(entry.name)
        group = links.get(entry.hardlink or entry.name) if links else None
        if group is None:
            yield from member_parts(entry, first_inode + number, 2 if is_folder else 1)
        else:
            yield from linked(entry.name, number, group, first_inode)
    if trailer:
        yield from member_parts(Entry(name=TRAILER, mode=0), 0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """The names of one file: the entry that has its body, and where all its names stand, in order."""

    entry: Entry
    places: tuple[int, ...]


def linked(name: str, number: int, group: Links, first_inode: int) -> tuple[Part, ...]:
    """Return one name of a file that has several: all bear the inode of the first, the last carries the body."""
    whole = replace(group.entry, name=name)
    entry = whole if number == group.places[-1] else replace(whole, body=b"")
    return member_parts(entry, first_inode + group.places[0], len(group.places))


def link_groups(entries: Sequence[Entry]) -> dict[str, Links]:
    """Return {first name: the file} of the files that have several names in this archive."""
    if not any(entry.hardlink is not None for entry in entries):
        return {}
    index = {entry.name: number for number, entry in enumerate(entries)}
    groups: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.hardlink is None:
            continue
        first = index.get(entry.hardlink)
        if first is None or entries[first].hardlink is not None:
            why = "which is not in the archive" if first is None else "which is a hard link itself"
            message = f"cpio: {entry.name} is a hard link to {entry.hardlink}, {why}"
            raise ValueError(message)
        groups.setdefault(entry.hardlink, [first]).append(number)
    return {name: Links(entry=entries[index[name]], places=tuple(sorted(found))) for name, found in groups.items()}


def member(entry: Entry, inode: int, links: int) -> Iterator[bytes]:
    """Yield one entry as it stands in an archive."""
    return expanded(member_parts(entry, inode, links))


def expanded(found: Iterable[Part]) -> Iterator[bytes]:
    """Yield the bytes of parts: bodies are read."""
    for part in found:
        if isinstance(part, bytes):
            yield part
        else:
            yield from blocks(*part)


def member_parts(entry: Entry, inode: int, links: int) -> tuple[Part, ...]:
    """Return header, name and body of one entry, each padded to four bytes."""
    body = entry.body
    size = entry.size
    head = heading(entry, size, inode, links)
    if isinstance(body, bytes):
        return (head + body + PADDING[size & 3],) if size else (head,)
    return (head, (body, size), PADDING[size & 3]) if size & 3 else (head, (body, size))


PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by what is beyond a multiple of four


def heading(entry: Entry, size: int, inode: int, links: int) -> bytes:
    """Return header and name of one entry, padded; `ValueError` for what the format cannot hold."""
    name = raw(entry.name) + b"\0"
    if len(name) > MAX_NAME + 1 or size > MAX_FILE or name.find(0) != len(name) - 1:
        message = f"cpio: {entry.name[:80]!r} does not fit: names have 4095 bytes and no NUL, files end below 4 GiB"
        raise ValueError(message)
    try:
        header = newc.pack(
            inode, entry.mode, entry.uid, entry.gid, links, entry.mtime, size, 0, 0, *entry.device, len(name), 0
        )
    except struct.error as error:
        message = f"cpio: {entry.name}: owner, group, date and device are numbers of 32 bits (dates end in 2106)"
        raise ValueError(message) from error
    return header + name + PADDING[(HEADER + len(name)) & 3]


def blocks(body: Path | Span, size: int) -> Iterator[bytes]:
    """Yield a body's bytes; `ValueError` where they are not as many as its header has said already."""
    left = size
    for block in file_blocks(body) if isinstance(body, Path) else body.blocks():
        left -= len(block)
        if left >= 0:
            yield block
    if left:
        raise changed(body)


def file_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def changed(body: Path | Span) -> ValueError:
    """Return the error for a file that became longer or shorter: the archive would be broken behind it."""
    return ValueError(f"cpio: {body if isinstance(body, Path) else 'a body'} changed while it was being packed")


# -- reading ---------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Iterator[Entry]:
    """Yield the entries of uncompressed newc bytes: one archive, or several with zero padding between them.

    Of a file with several names each has the body, and all but the first say `hardlink`, as the kernel takes them:
    `write()` makes the same archive of them again.  Damage is `UntrustedInputError`.
    """
    yield from joined(members(data))


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An entry as it stands in an archive, with the header that stood above it."""

    entry: Entry
    header: newc.Header


def members(data: bytes) -> Iterator[Member]:
    """Yield the members of uncompressed newc bytes, trailers among them."""
    position = 0
    while position < len(data):
        if data[position] == 0:
            position += 1
            continue
        try:
            header = newc.parse(data[position : position + HEADER])
        except ValueError as error:
            message = f"cpio: at byte {position}: {error}"
            raise UntrustedInputError(
                message, hint="the archive is damaged, or its compression is not what it seems"
            ) from error
        body = position + HEADER + header.name_room
        name = data[position + HEADER : position + HEADER + header.name_size]
        if not name.endswith(b"\0") or body + header.size > len(data):
            message = f"cpio: the member at byte {position} is cut off"
            raise UntrustedInputError(message)
        yield Member(entry=entry_of(header, name, data[body : body + header.size]), header=header)
        position = body + header.room


def entry_of(header: newc.Header, name: bytes, body: Body) -> Entry:
    """Return the entry of a member; what stands behind a NUL in its name is no name."""
    return Entry(
        name=plain_name(name.partition(b"\0")[0].decode(errors="surrogateescape")),
        mode=header.mode,
        body=body,
        uid=header.uid,
        gid=header.gid,
        mtime=header.mtime,
        device=header.special,
    )


def plain_name(name: str) -> str:
    """Return a name as we write it: relative, with no empty part and no ``.``; ``..`` stays, the root is ``.``."""
    if "//" not in name and "./" not in name and name[:1] != "/" and name[-1:] not in {"/", "."}:
        return name
    return "/".join(part for part in name.split("/") if part not in {"", "."}) or "."


def joined(found: Iterable[Member]) -> list[Entry]:
    """Return the entries, trailers left out, names of one file put together as the kernel does.

    With a link count above one, the same device, inode and type are the same file; a trailer ends that
    (init/initramfs.c, maybe_link()).  The body that comes last is the file's.
    """
    entries: list[Entry] = []
    groups: dict[tuple[object, ...], list[int]] = {}
    every: list[list[int]] = []
    for member in found:
        entry, header = member.entry, member.header
        if entry.name == TRAILER:
            groups = {}
            continue
        if header.links >= 2 and not stat.S_ISDIR(entry.mode) and not stat.S_ISLNK(entry.mode):
            key = (*header.device, header.inode, stat.S_IFMT(entry.mode))
            if key not in groups:
                every.append(groups.setdefault(key, []))
            groups[key].append(len(entries))
        entries.append(entry)
    for places in every:
        if len(places) > 1:
            join(entries, places)
    return entries


def join(entries: list[Entry], places: list[int]) -> None:
    """Give all names of one file its body, and all but the first the first's name."""
    first = entries[places[0]].name
    body = next((entries[place].body for place in reversed(places) if entries[place].size), b"")
    for place in places:
        entry = entries[place]
        entries[place] = replace(entry, body=body, hardlink=None if entry.name == first else first)
