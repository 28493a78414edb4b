"""The cpio newc codec: entries in, the same bytes out, on every machine.  Pure; files are only read.

Format and traps: kernel Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.  The kernel
drops, without a word, a file whose parent folder has not come before it, and takes two files with the same inode number
and a link count above one for one file: so parents are required and inode numbers are our own.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.errors import UntrustedInputError

MAGIC = (b"070701", b"070702")
HEADER = 110
TRAILER = "TRAILER!!!"
MAX_NAME = 4095  # PATH_MAX less the NUL: the kernel skips longer names silently
MAX_FILE = (1 << 32) - 1  # c_filesize is 32 bits wide
BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member of an archive.

    `name` is relative, without ``./``.  `mode` holds type and permission bits.  `body` is the content of a file (or the
    path to read it from) or the target of a symbolic link.  `hardlink` names the first entry of the same file.
    """

    name: str
    mode: int
    body: bytes | Path = b""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)
    hardlink: str | None = None

    @property
    def size(self) -> int:
        """Return the length of the body in bytes."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def read(self) -> bytes:
        """Return the whole body."""
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body


def raw(name: str) -> bytes:
    """Return a name's bytes; those that are no UTF-8 came in as surrogates (PEP 383) and go out as they were."""
    return name.encode(errors="surrogateescape")


def directory(name: str, mode: int = 0o755, *, mtime: int = 0) -> Entry:
    """Return a folder."""
    return Entry(name=name, mode=stat.S_IFDIR | mode, mtime=mtime)


def regular(name: str, body: bytes | Path, mode: int = 0o644, *, mtime: int = 0) -> Entry:
    """Return a regular file."""
    return Entry(name=name, mode=stat.S_IFREG | mode, body=body, mtime=mtime)


def symlink(name: str, target: str, *, mtime: int = 0) -> Entry:
    """Return a symbolic link."""
    return Entry(name=name, mode=stat.S_IFLNK | 0o777, body=raw(target), mtime=mtime)


def device(name: str, mode: int, major: int, minor: int, *, mtime: int = 0) -> Entry:
    """Return a device node; making it in an archive needs no root."""
    return Entry(name=name, mode=mode, device=(major, minor), mtime=mtime)


def with_parents(entries: Iterable[Entry], *, mtime: int = 0) -> list[Entry]:
    """Return the entries with the folders that they need, each name once, sorted: parents come first."""
    by_name: dict[str, Entry] = {}
    for entry in entries:
        by_name.setdefault(entry.name, entry)
        parent = entry.name.rpartition("/")[0]
        while parent:
            by_name.setdefault(parent, directory(parent, mtime=mtime))
            parent = parent.rpartition("/")[0]
    return [by_name[name] for name in sorted(by_name, key=raw)]


def write(entries: Iterable[Entry], *, first_inode: int = 1, trailer: bool = True) -> Iterator[bytes]:
    """Yield the archive's bytes.  Entries come as they are to lie; folders must precede what is in them.

    Segments that are to be concatenated are written without `trailer` (it ends the archive for cpio(1) and busybox),
    all but the last.  The length is always a multiple of four.
    """
    listed = list(entries)
    links = link_groups(listed)
    folders = {""}
    for number, entry in enumerate(listed, first_inode):
        parent = entry.name.rpartition("/")[0]
        if parent not in folders:
            message = f"cpio: {entry.name} comes before its folder {parent}: the kernel would drop it"
            raise ValueError(message)
        if stat.S_ISDIR(entry.mode):
            folders.add(entry.name)
        group = links.get(entry.hardlink or entry.name)
        if group is None:
            yield from member(entry, number, 2 if stat.S_ISDIR(entry.mode) else 1)
        else:  # the last name carries the body
            inode = first_inode + group[0]
            whole = replace(listed[group[0]], name=entry.name)
            yield from member(
                whole if number - first_inode == group[-1] else replace(whole, body=b""), inode, len(group)
            )
    if trailer:
        yield from member(Entry(name=TRAILER, mode=0), 0, 1)


def link_groups(entries: list[Entry]) -> dict[str, list[int]]:
    """Return {first name: indexes of all names} of the files that have several names in this archive."""
    groups: dict[str, list[int]] = {}
    index = {entry.name: number for number, entry in enumerate(entries)}
    for number, entry in enumerate(entries):
        if entry.hardlink is not None:
            if entry.hardlink not in index:
                message = f"cpio: {entry.name} is a hard link to {entry.hardlink}, which is not in the archive"
                raise ValueError(message)
            groups.setdefault(entry.hardlink, [index[entry.hardlink]]).append(number)
    return {name: sorted(numbers) for name, numbers in groups.items()}


def member(entry: Entry, inode: int, links: int) -> Iterator[bytes]:
    """Yield header, name and body of one entry, each padded to four bytes."""
    name = raw(entry.name) + b"\0"
    if len(name) > MAX_NAME + 1 or entry.size > MAX_FILE:
        message = f"cpio: {entry.name[:80]} does not fit: names have 4095 bytes, files 4 GiB at most"
        raise ValueError(message)
    size = entry.size
    numbers = (inode, entry.mode, entry.uid, entry.gid, links, entry.mtime, size, 0, 0, *entry.device, len(name), 0)
    header = MAGIC[0] + b"".join(b"%08X" % number for number in numbers) + name
    yield header + bytes(-len(header) % 4)
    if isinstance(entry.body, Path):
        with entry.body.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    elif entry.body:
        yield entry.body
    if size % 4:
        yield bytes(-size % 4)


def read(data: bytes) -> Iterator[Entry]:
    """Yield the entries of uncompressed newc bytes: one archive, or several with zero padding between them.

    Hard links come as in the archive: each name an entry, the body on one of them.  Damage is `UntrustedInputError`.
    """
    position = 0
    while position < len(data):
        if data[position] == 0:
            position += 1
            continue
        if data[position : position + 6] not in MAGIC:
            message = f"cpio: no header at byte {position}"
            raise UntrustedInputError(message, hint="the archive is damaged, or its compression is not what it seems")
        position, entry = read_member(data, position)
        if entry.name != TRAILER:
            yield entry


def read_member(data: bytes, position: int) -> tuple[int, Entry]:
    """Return the position behind the member that begins at `position`, and the member."""
    try:
        raw = data[position : position + HEADER]
        numbers = [int(raw[start : start + 8], 16) for start in range(6, HEADER, 8)]
    except ValueError as error:
        message = f"cpio: broken header at byte {position}"
        raise UntrustedInputError(message) from error
    _, mode, uid, gid, _, mtime, size, _, _, major, minor, length, _ = numbers
    name_end = position + HEADER + length
    body = name_end + -name_end % 4
    end = body + size + -size % 4
    if length < 1 or end > len(data) + 3:
        message = f"cpio: the member at byte {position} is cut off"
        raise UntrustedInputError(message)
    name = data[position + HEADER : name_end - 1].decode(errors="surrogateescape")
    entry = Entry(
        name=name.removeprefix("./").strip("/"),
        mode=mode,
        body=data[body : body + size],
        uid=uid,
        gid=gid,
        mtime=mtime,
        device=(major, minor),
    )
    return end, entry
