"""The packed root image: its format by its first bytes, what is in it, and what it is promised to be."""

import json
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

from tasks import decompression, files
from tasks.initrd.archives.archive import Archive
from tasks.initrd.kernel.unpack import OPENERS, packing
from tasks.initrd.proof.subject import RootImage

# s_magic and compression ids: fs/squashfs/squashfs_fs.h; fs/erofs/erofs_fs.h; tar(5).
SQUASHFS = b"hsqs"
SQUASHFS_COMPRESSIONS = {1: "zlib", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
EROFS = b"\xe2\xe1\xf5\xe0"
HEAD = 1 << 16
PEEK = 1028
BY_BLOCKS = ("zstd", "lz4")  # nothing is unpacked of less than a block
CAPABILITY = "security.capability"  # xattr(7)
CPIO = (b"070701", b"070702")


def read(path: Path, *, digest: Path | None = None, manifest: Path | None = None) -> RootImage:
    """Return a packed root image; the file of its digest has it summed up, its manifest tells of capabilities."""
    head = first_bytes(path)
    how = packing(head[:6]) if not told(head) else squashfs_compression(head)
    kind = told(head) or told(beginning(path, head))
    archive = Archive.of(path) if kind in {"cpio", ""} else None
    if archive and not archive.entries:  # no archive, or xz with a checksum that only the kernel refuses
        archive = None
    elif archive:
        kind = "cpio"
    return RootImage(
        name=path.name,
        size=path.stat().st_size,
        format=kind,
        compression=how,
        archive=archive,
        digest=files.sha256(path) if digest else "",
        promised=promised(digest) if digest else "",
        capabilities=tuple(with_capabilities(manifest)) if manifest else (),
    )


def first_bytes(path: Path) -> bytes:
    """Return what a format shows itself by."""
    with path.open("rb") as file:
        return file.read(HEAD)


def told(head: bytes) -> str:
    """Return the format that the first bytes tell, "" where they are compressed or unknown."""
    if head[:4] == SQUASHFS:
        return "squashfs"
    if head[:6] in CPIO:
        return "cpio"
    if head[1024:1028] == EROFS:
        return "erofs"
    return "tar" if head[257:262] == b"ustar" else ""


def squashfs_compression(head: bytes) -> str:
    """Return how a squashfs image is compressed inside; nothing else is, where it is not packed as a whole."""
    return SQUASHFS_COMPRESSIONS.get(int.from_bytes(head[20:22], "little"), "") if head[:4] == SQUASHFS else "none"


def beginning(path: Path, head: bytes) -> bytes:
    """Return the first bytes inside of a compressed file; none where it is of a kind that is not unpacked here."""
    how = packing(head[:6])
    opener = OPENERS.get(how)
    try:
        if opener:
            return opener().decompress(head, PEEK)
        return next(decompression.unpack(files.Stored(path), 0, how))[:PEEK] if how in BY_BLOCKS else b""
    except (zlib.error, lzma.LZMAError, OSError, EOFError, StopIteration, decompression.DamagedError):
        return b""


def promised(path: Path) -> str:
    """Return the sha256 that a digest file holds, "" where there is none."""
    try:
        return path.read_text(errors="replace").split()[0].lower()
    except (OSError, IndexError):
        return ""


def with_capabilities(manifest: Path) -> Iterator[str]:
    """Yield the paths that have file capabilities; the other extended attributes (ACLs) are no node's loss."""
    with manifest.open() as lines:
        for line in lines:
            if f'"{CAPABILITY}"' in line:
                yield str(json.loads(line)["path"])
