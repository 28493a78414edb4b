"""Pack a root tree: a base segment from the tree, a files segment from the site, one image out of both."""

import hashlib
import shutil
from pathlib import Path

from tasks import cpio, files, gzipped, paths
from tasks.inventory.model import OsImage
from tasks.rootimg import exclude, layer, manifest

LAYER_INODES = 1 << 24  # the layers' inode numbers begin here: never those of the base


def pack_base(image: OsImage) -> None:
    """Pack the tree, less what the osimage excludes, as a newc segment without a trailer."""
    tree = manifest.load(paths.rootimg_manifest(image))
    kept = exclude.keep(tree.items, image.exclude)
    entries = manifest.entries(kept, paths.rootimg_tree(image), tree.source_date)
    with files.replacing(paths.base_segment(image)) as out:
        out.writelines(gzipped.compress(cpio.write(entries, trailer=False)))


def pack_files(image: OsImage, public_key: Path) -> None:
    """Pack the site's own files as the last segment: it carries the trailer."""
    source_date = manifest.load(paths.rootimg_manifest(image)).source_date
    entries = layer.entries(image, paths.rootimg_tree(image), public_key.read_text(), source_date)
    packed = b"".join(gzipped.compress(cpio.write(entries, first_inode=LAYER_INODES)))
    files.write_atomic(paths.files_segment(image), packed)


def join(image: OsImage) -> None:
    """Put the segments together and note the digest that the kernel command line will carry."""
    with files.replacing(paths.root_image(image)) as out:
        for segment in (paths.base_segment(image), paths.files_segment(image)):
            with segment.open("rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
    with paths.root_image(image).open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    files.write_atomic(paths.root_image_digest(image), f"{digest}\n")
