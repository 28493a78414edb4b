"""Extract and verify a medium: the tree appears when every byte is accounted for, or not at all."""

import json
import stat
import zlib
from pathlib import Path

from tasks import files, paths
from tasks.errors import BootmillError, UntrustedInputError
from tasks.inventory.model import Media, Site
from tasks.media import reader, verify

MARKER = ".bootmill"  # in every tree that we extracted; no medium brings a file of this name


def iso_path(media: Media) -> Path:
    """Return the ISO of a medium: the site's own, or the one that we make."""
    return Path(media.iso) if media.iso else paths.made_iso(media)


def fingerprint(media: Media) -> tuple[object, ...] | None:
    """Return what changes with the site's ISO without reading gigabytes: inode, size and dates of a file (a changed
    file cannot keep its ctime), the volume descriptor of a DVD device, which says what disc is in.
    """
    try:
        status = iso_path(media).stat()
        if stat.S_ISREG(status.st_mode):
            return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        with iso_path(media).open("rb") as device:
            device.seek(reader.FIRST_DESCRIPTOR)
            return (device.read(reader.SECTOR),)
    except OSError:
        return None


def refuse_foreign(tree: Path) -> None:
    """Raise where the tree's place is taken by one that we did not extract, as on a head node with another tool."""
    if tree.exists() and not (tree / MARKER).exists():
        message = f"{tree} is there and was not made by Bootmill: it would be lost"
        raise BootmillError(message, hint=f"move it aside: mv {tree} {tree}.before-bootmill")


def extract_media(site: Site, media: Media) -> None:
    """Extract the medium under install/<os>/<arch> and note what it is in `paths.media_manifest()`."""
    iso = iso_path(media)
    reader.check_whole(iso)
    refuse_foreign(paths.media_tree(site, media))
    with files.replacing_tree(paths.media_tree(site, media)) as tree:
        digests = reader.extract(iso, tree)
        try:
            identity = verify.identify(media, tree)
            verify.verify(media, tree, digests, identity.suite)
        except (KeyError, ValueError, OverflowError, EOFError, OSError, zlib.error) as error:
            message = f"{iso}: its Release or Packages files are broken: {error!r}"
            raise UntrustedInputError(message, hint="the image is damaged or made by hand: take another") from error
        (tree / MARKER).write_text(f"# Made by Bootmill from {iso.name}\n")
    report = {
        "os": identity.os,
        "arch": identity.arch,
        "suite": identity.suite,
        "components": identity.components,
        "source_date_epoch": int(identity.date.timestamp()),
        "files": dict(sorted(digests.items())),
    }
    files.write_atomic(paths.media_manifest(media), json.dumps(report, indent=1) + "\n")
