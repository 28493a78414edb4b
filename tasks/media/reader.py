"""The only door to libarchive: the entries of an ISO, each judged before it touches the disk.

libarchive's own extraction flags do not stop links that point outside and device nodes; so we take entries and bytes
from it and write them ourselves, below one folder and nowhere else.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import libarchive
from libarchive.exception import ArchiveError

from tasks.errors import BootmillError, UntrustedInputError

SECTOR = 2048
FIRST_DESCRIPTOR = 16 * SECTOR  # ECMA-119 6.2.1: the system area is sectors 0 to 15
PRIMARY, TERMINATOR = 1, 255
MAX_ENTRIES = 2_000_000


def check_whole(iso: Path) -> None:
    """Compare the size that the volume descriptor states with the size of the file (ECMA-119 8.4.8).

    libarchive reads a truncated image without complaint until it meets the missing part.
    """
    try:
        with iso.open("rb") as file:
            file.seek(FIRST_DESCRIPTOR)
            descriptor = file.read(SECTOR)
            file.seek(0, 2)
            size = file.tell()
    except OSError as error:
        message = f"{iso}: {error.strerror}"
        raise BootmillError(
            message, hint="write the path of the ISO or DVD device into inventory/media.yaml"
        ) from error
    if len(descriptor) < SECTOR or descriptor[1:6] != b"CD001" or descriptor[0] not in {PRIMARY, 0}:
        message = f"{iso} is no ISO 9660 image"
        raise UntrustedInputError(message, hint="is it compressed, or an HTML page that a download left?")
    if descriptor[0] == PRIMARY:
        stated = int.from_bytes(descriptor[80:84], "little") * int.from_bytes(descriptor[128:130], "little")
        if size < stated:
            message = f"{iso} is truncated: {size:,} bytes of {stated:,}"
            raise UntrustedInputError(message, hint="fetch it again and compare its checksum with the publisher's")


def extract(iso: Path, tree: Path) -> dict[str, str]:
    """Write the ISO's entries below `tree` and return {relative path: sha256} of its regular files.

    Refused, with the entry's name: absolute paths, ``..``, links that lead outside or stand in a later entry's way,
    devices, sockets and pipes.
    """
    digests: dict[str, str] = {}
    try:
        with libarchive.file_reader(str(iso)) as archive:
            for count, entry in enumerate(archive):
                if count > MAX_ENTRIES:
                    message = f"{iso} has more than {MAX_ENTRIES:,} entries"
                    raise UntrustedInputError(message)
                place(iso, entry, tree, digests)
    except (ArchiveError, NotADirectoryError, FileExistsError) as error:
        message = f"{iso} cannot be read: {getattr(error, 'msg', None) or error}"
        hint = "the image is damaged: fetch it again and compare its checksum"
        raise UntrustedInputError(message, hint=hint) from error
    links_stay_inside(iso, tree)
    return digests


def links_stay_inside(iso: Path, tree: Path) -> None:
    """Follow every symbolic link as the web server would: one that leads outside by way of another is refused."""
    root = tree.resolve()
    for folder, folders, names in os.walk(tree):
        for path in (Path(folder, name) for name in (*folders, *names)):
            if path.is_symlink() and not leads_inside(path, root):
                message = f"{iso}: the link {path.relative_to(tree)} leads outside by way of other links"
                raise UntrustedInputError(message, hint="nothing was kept: do not trust this image")


def leads_inside(link: Path, root: Path) -> bool:
    """Whether a link ends below a folder; a loop ends nowhere and does no harm."""
    try:
        return link.resolve().is_relative_to(root)
    except (RuntimeError, OSError):
        return True


def place(iso: Path, entry: libarchive.entry.ArchiveEntry, tree: Path, digests: dict[str, str]) -> None:
    """Write one entry below `tree`."""
    name = inner_path(iso, entry.pathname)
    if name is None:
        return
    path = tree / name
    no_link_above(iso, tree, name)
    if entry.isdir:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.exists():
        message = f"{iso}: {name} is there twice"
        raise UntrustedInputError(message)
    if entry.islnk:
        first = inner_path(iso, entry.linkpath)
        if first is None or str(first) not in digests:
            message = f"{iso}: {name} is a hard link to {entry.linkpath!r}, which is no file of the medium"
            raise UntrustedInputError(message)
        path.hardlink_to(tree / first)
        digests[str(name)] = digests[str(first)]
    elif entry.issym:
        target = os.fsdecode(entry.linkpath or "")
        stays_inside(iso, name, target)
        path.symlink_to(target)
    elif entry.isfile:
        digests[str(name)] = write(path, entry.get_blocks())
    else:
        message = f"{iso}: {name} is a device, socket or pipe"
        raise UntrustedInputError(message, hint="no install medium needs one: do not trust this image")


def write(path: Path, blocks: Iterable[bytes]) -> str:
    """Write a file and return its sha256, in one pass over the bytes."""
    digest = hashlib.sha256()
    with path.open("xb") as out:
        for block in blocks:
            out.write(block)
            digest.update(block)
    path.chmod(0o644)
    return digest.hexdigest()


def inner_path(iso: Path, text: str | bytes | None) -> PurePosixPath | None:
    """Return an entry's path below the tree, None for the root itself.  libarchive gives bytes where it is no UTF-8."""
    path = PurePosixPath(os.fsdecode(text or ""))
    if path.is_absolute() or ".." in path.parts or "\0" in str(path):
        message = f"{iso} holds {text!r}, a path that leads outside"
        raise UntrustedInputError(message, hint="nothing was written: do not trust this image")
    return path if path.parts else None


def no_link_above(iso: Path, tree: Path, name: PurePosixPath) -> None:
    """Refuse an entry whose way leads through a symbolic link of the same medium."""
    for parent in list(name.parents)[:-1]:
        if (tree / parent).is_symlink():
            message = f"{iso}: {name} lies behind the symbolic link {parent}"
            raise UntrustedInputError(message, hint="nothing was written: do not trust this image")


def stays_inside(iso: Path, name: PurePosixPath, target: str) -> None:
    """Refuse a symbolic link that is absolute or climbs above the medium's root."""
    depth = len(name.parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if part == "/" or depth < 0:
            message = f"{iso}: the link {name} → {target} leads outside"
            raise UntrustedInputError(message, hint="nothing was written: do not trust this image")
