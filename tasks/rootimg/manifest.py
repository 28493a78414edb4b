"""The manifest of a root tree: what each path is, whatever the file system below thinks.

A plain user can unpack a tree, but cannot give its files to root.  So owners, modes, devices and attributes live
here, and packing needs no root.  One JSON object a line, sorted by path; the first line is about the tree itself.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from tasks import cpio, files


class Kind(StrEnum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"


TYPE_BITS = {
    Kind.FILE: stat.S_IFREG,
    Kind.FOLDER: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHAR: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One path of the tree, relative.  `link` is a symbolic link's target, `hardlink` a file's first name."""

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    link: str = ""
    hardlink: str = ""
    major: int = 0
    minor: int = 0
    xattrs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A whole tree: its items in path order, and the date that all its files bear (seconds since 1970)."""

    source_date: int
    items: tuple[Item, ...]


def save(manifest: Manifest, path: Path) -> None:
    """Write the manifest; empty attributes are left out."""
    lines = [json.dumps({"source_date": manifest.source_date})]
    lines += [
        json.dumps({key: value for key, value in asdict(item).items() if value or key in KEPT})
        for item in manifest.items
    ]
    files.write_atomic(path, "\n".join(lines) + "\n")


KEPT = frozenset({"path", "kind", "mode", "uid", "gid"})


def load(path: Path) -> Manifest:
    """Read a manifest that `save()` wrote."""
    first, *rest = path.read_text().splitlines()
    return Manifest(source_date=json.loads(first)["source_date"], items=tuple(item(json.loads(line)) for line in rest))


def item(row: dict[str, object]) -> Item:
    """Return one line's item."""
    xattrs = tuple(str(name) for name in row.pop("xattrs", ()))  # type: ignore[attr-defined]
    return Item(**{**row, "kind": Kind(str(row["kind"])), "xattrs": xattrs})  # type: ignore[arg-type]


def entries(items: Iterable[Item], tree: Path, source_date: int) -> Iterator[cpio.Entry]:
    """Yield the archive entries of items whose content lies below `tree`.

    A hard link whose first name was left out becomes the file itself.
    """
    present: dict[str, str] = {}
    for each in items:
        first = each.hardlink or each.path
        leader = present.setdefault(first, each.path)
        body: bytes | Path = b""
        if each.kind is Kind.FILE:
            body = tree / each.path
        elif each.kind is Kind.SYMLINK:
            body = os.fsencode(each.link)
        yield cpio.Entry(
            name=each.path,
            mode=TYPE_BITS[each.kind] | each.mode,
            body=body,
            uid=each.uid,
            gid=each.gid,
            mtime=source_date,
            device=(each.major, each.minor),
            hardlink=leader if each.kind is Kind.FILE and leader != each.path else None,
        )
