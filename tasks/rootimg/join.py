"""Put the segments of a root image together: appending costs a copy, repacking would cost the compressor."""

import hashlib
import shutil

from tasks import files, paths
from tasks.inventory.model import OsImage


def join(image: OsImage) -> None:
    """Concatenate the segments and note the digest that the kernel command line will carry."""
    with files.replacing(paths.root_image(image)) as out:
        for segment in (paths.base_segment(image), paths.files_segment(image)):
            with segment.open("rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
    with paths.root_image(image).open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    files.write_atomic(paths.root_image_digest(image), f"{digest}\n")
