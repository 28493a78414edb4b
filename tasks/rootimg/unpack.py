"""A tar of a root tree → the tree's content below a folder, and the manifest that says the rest."""

import hashlib
import os
import re
import tarfile
from pathlib import Path, PurePosixPath

from tasks.errors import UntrustedInputError
from tasks.rootimg.manifest import Item, Kind, Manifest

# What belongs to one machine or to the build, never to an image: keys and identities are made on the node at its
# first boot, name and resolver come with its lease.
SCRUBBED = re.compile(
    r"etc/ssh/ssh_host_.*|etc/hostname|etc/resolv\.conf|etc/apt/sources\.list|etc/\.pwd\.lock"
    r"|var/lib/systemd/random-seed|var/cache/ldconfig/aux-cache|var/lib/dbus/machine-id|var/cache/debconf/.*-old"
    r"|var/lib/dpkg/.*-old|var/log/(apt/.*|dpkg\.log|alternatives\.log|bootstrap\.log)|run/.*|tmp/.*"
)
PAX_XATTR = "SCHILY.xattr."


def unpack(tar: Path, tree: Path, source_date: int) -> Manifest:
    """Write the content of a tar below `tree` (an empty folder) and return its manifest, sorted by path."""
    items: dict[str, Item] = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            path = inner_path(member.name)
            if path and not SCRUBBED.fullmatch(path):
                items[path] = place(archive, member, path, tree, items)
    ordered = sorted(items.values(), key=lambda item: os.fsencode(item.path))
    return Manifest(source_date=source_date, items=tuple(ordered))


def place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, tree: Path, items: dict[str, Item]) -> Item:
    """Write one member's content and return its item."""
    here = tree / path
    for parent in list(PurePosixPath(path).parents)[:-1]:
        if (tree / parent).is_symlink():
            message = f"{path} lies behind the symbolic link {parent}"
            raise UntrustedInputError(message, hint="a package that does this is broken: name it to its distribution")
    here.parent.mkdir(parents=True, exist_ok=True)
    xattrs = tuple(sorted(key.removeprefix(PAX_XATTR) for key in member.pax_headers if key.startswith(PAX_XATTR)))
    mode = member.mode & 0o7777
    size, digest, link, hardlink = 0, "", "", ""
    if member.islnk():
        first = inner_path(member.linkname)
        hardlink = items[first].hardlink or first
        here.hardlink_to(tree / hardlink)
        size, digest = items[first].size, items[first].sha256
    elif member.isdir():
        here.mkdir(exist_ok=True)
    elif member.issym():
        link = member.linkname
        here.symlink_to(link)
    elif member.isfile():
        size, digest = member.size, write(archive, member, here)
    kind = kind_of(member)
    return Item(
        path=path,
        kind=kind,
        mode=mode,
        uid=member.uid,
        gid=member.gid,
        size=size,
        sha256=digest,
        link=link,
        hardlink=hardlink,
        major=member.devmajor if kind in {Kind.CHAR, Kind.BLOCK} else 0,
        minor=member.devminor if kind in {Kind.CHAR, Kind.BLOCK} else 0,
        xattrs=xattrs,
    )


def write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    """Write a regular file, readable to us whatever its mode, and return its sha256."""
    content = archive.extractfile(member)
    assert content is not None
    digest = hashlib.sha256()
    with content, path.open("xb") as out:
        while block := content.read(1 << 20):
            out.write(block)
            digest.update(block)
    return digest.hexdigest()


def inner_path(name: str) -> str:
    """Return a member's path relative to the root, empty for the root itself."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        message = f"the tree holds {name!r}, a path that leads outside"
        raise UntrustedInputError(message)
    return "" if str(path) == "." else str(path)


def kind_of(member: tarfile.TarInfo) -> Kind:
    """Return what a tar member is."""
    if member.isdir():
        return Kind.FOLDER
    if member.issym():
        return Kind.SYMLINK
    if member.ischr():
        return Kind.CHAR
    if member.isblk():
        return Kind.BLOCK
    return Kind.FIFO if member.isfifo() else Kind.FILE
