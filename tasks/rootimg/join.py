"""Put the segments of a root image together: appending costs a copy, repacking would cost the compressor."""

import shutil

from tasks import files, paths
from tasks.inventory.model import OsImage


def join(image: OsImage) -> None:
    """Concatenate the segments and note the digest that the kernel command line will carry."""
    with files.replacing(paths.root_image(image)) as out:
        for segment in (paths.base_segment(image), paths.files_segment(image)):
            with segment.open("rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
    files.write_atomic(paths.root_image_digest(image), f"{files.sha256(paths.root_image(image))}\n")
