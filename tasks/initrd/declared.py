"""From which files this step's tasks make which: known without importing what does the work."""

from pathlib import Path

from tasks import paths
from tasks.inventory.model import OsImage


def of_initrd(image: OsImage) -> list[Path]:
    """Return an osimage's initrd, its kernel, the digest that names the pair, and the list of the initrd's parts."""
    return [path(image) for path in (paths.initrd, paths.kernel, paths.boot_digest, paths.initrd_parts)]


def of_discovery(image: OsImage) -> list[Path]:
    """Return what is made for the osimage's architecture."""
    made = paths.discovery_initrd, paths.discovery_kernel, paths.discovery_digest, paths.discovery_parts
    return [path(image.arch) for path in made]


def looked_at(image: OsImage) -> list[Path]:
    """Return the files that a proof looks at; the manifest stands for the tree."""
    packed = [paths.root_image(image), paths.root_image_digest(image), paths.rootimg_manifest(image)]
    return [paths.initrd(image), paths.kernel(image), *packed]


def reports(image: OsImage) -> list[Path]:
    """Return a proof's reports, for people and for programs."""
    return [paths.proof(image), paths.proof_document(image)]
