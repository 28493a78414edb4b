"""Pack a root tree, less what the osimage leaves out: the base segment of the root image."""

from tasks import compression, cpio, files, paths
from tasks.inventory.model import Compression, OsImage
from tasks.rootimg import exclude, manifest


def pack_base(image: OsImage) -> None:
    """Pack the tree, less what the osimage excludes, as a newc segment without a trailer: the layers follow it."""
    tree = manifest.load(paths.rootimg_manifest(image))
    kept = exclude.keep(tree.items, image.exclude)
    entries = manifest.entries(kept, paths.rootimg_tree(image), tree.source_date)
    with files.replacing(paths.base_segment(image)) as out:
        out.writelines(compression.compress(cpio.write(entries, trailer=False), Compression.GZIP))
