"""Step 3: ISO → install tree.

package sources ─ make ─▶ ISO ─ reader ─▶ install/<os>/<arch> ─ verify ─▶ media/<name>.json
                   (or the site's own)     (nothing outside)    (Release → Packages → packages)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, rule

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def iso_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each medium that the site does not have and we make."""
    from tasks.media.make import make_iso

    for media in cluster.media:
        if media.iso is None:
            images = [image for image in cluster.osimages if image.media == media.name]
            packages = tuple(sorted({package for image in images for package in image.packages}))
            yield rule(
                media.name,
                doc=f"make an install medium {media.name} from this machine's package sources",
                run=make_iso,
                args=(media, packages),
                outputs=[paths.made_iso(media)],
            )


def media_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each medium: extract and verify it."""
    from tasks.media.extract import extract_media, fingerprint, iso_path

    for media in cluster.media:
        yield rule(
            media.name,
            doc=f"extract and verify {media.name} under {paths.media_tree(cluster.site, media)}",
            run=extract_media,
            args=(cluster.site.only(), media),
            inputs=[] if media.iso else [paths.made_iso(media)],
            salt=fingerprint(media) if media.iso else None,
            watched=[iso_path(media)] if media.iso else [],
            outputs=[paths.media_manifest(media), paths.media_tree(cluster.site, media)],
        )
