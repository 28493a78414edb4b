"""Step 4: packages → root tree → packed root image.

install/<os>/<arch> ─ install ─▶ rootimg/ + manifest ─ exclude, pack ─▶ base.cpio.gz  ┐
                   (mmdebstrap, no network, no root)            layer ─▶ files.cpio.gz ┴ join ─▶ rootimg.cpio.gz
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, rule, single

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def sshkey(cluster: Cluster) -> TaskDict:
    """Return the task that makes the site's ssh key where there is none.  `clean` never removes a key."""
    from tasks.rootimg.key import make_key

    args, outputs = (paths.site_key(cluster.site),), [paths.public_key(cluster.site)]
    return {**single(rule("sshkey", doc="ssh key", run=make_key, args=args, outputs=outputs)), "clean": []}


def rootimg_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: build its root tree from the medium."""
    from tasks.rootimg.install import install_tree

    for image in cluster.stateless():
        media = cluster.medium(image)
        args = (cluster.site.only(), image.only("packages"), media)
        outputs = [paths.rootimg_manifest(image), paths.rootimg_tree(image)]
        doc = f"build the root tree of {image.name} from {media.name}"
        yield rule(
            image.name, doc=doc, run=install_tree, args=args, inputs=[paths.media_manifest(media)], outputs=outputs
        )


def pack_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield the tasks that pack each root tree: base and files segments, then the image."""
    from tasks.rootimg.join import join
    from tasks.rootimg.layer import pack_files
    from tasks.rootimg.pack import pack_base

    key = paths.public_key(cluster.site)
    for image in cluster.stateless():
        manifest, base, layer = paths.rootimg_manifest(image), paths.base_segment(image), paths.files_segment(image)
        args: tuple[object, ...] = (image.only("exclude"),)
        doc = f"pack the tree of {image.name}, less what it excludes"
        yield rule(f"{image.name}.base", doc=doc, run=pack_base, args=args, inputs=[manifest], outputs=[base])
        args = (image.only("fstab", "services_off"), key)
        doc = f"pack fstab, ssh key and services of {image.name}"
        yield rule(f"{image.name}.files", doc=doc, run=pack_files, args=args, inputs=[manifest, key], outputs=[layer])
        outputs = [paths.root_image_digest(image), paths.root_image(image)]
        doc = f"join the segments of {image.name} into its root image"
        yield rule(image.name, doc=doc, run=join, args=(image.only(),), inputs=[base, layer], outputs=outputs)
