"""Step 4: packages → root tree → packed root image.

install/<os>/<arch> ─ install ─▶ rootimg/ + manifest ─ exclude, pack ─▶ base.cpio.gz  ┐
                   (mmdebstrap, no network, no root)     layer ─ pack ─▶ files.cpio.gz ┴ join ─▶ rootimg.cpio.gz
"""

from collections.abc import Iterator

from tasks import paths
from tasks.actions import TaskDict, rule, single
from tasks.inventory.model import Cluster, OsImage
from tasks.rootimg.install import install_tree
from tasks.rootimg.key import make_key
from tasks.rootimg.pack import join, pack_base, pack_files


def sshkey(cluster: Cluster) -> TaskDict:
    """Return the task that makes the site's ssh key where there is none.  `clean` never removes a key."""
    key = paths.site_key(cluster.site)
    public = paths.public_key(cluster.site)
    return {
        **single(
            rule(
                "sshkey",
                doc="make the site's ssh key pair if there is none",
                run=make_key,
                args=(key,),
                outputs=[public],
            )
        ),
        "clean": [],
    }


def rootimg_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: build its root tree from the medium."""
    for image in netboot_images(cluster):
        media = cluster.medium(image)
        yield rule(
            image.name,
            doc=f"build the root tree of {image.name} from {media.name}",
            run=install_tree,
            args=(cluster.site.only(), image.only("packages"), media),
            inputs=[paths.media_manifest(media)],
            outputs=[paths.rootimg_manifest(image), paths.rootimg_tree(image)],
        )


def pack_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield the tasks that pack each root tree: base and files segments, then the image."""
    for image in netboot_images(cluster):
        manifest, base, layer = paths.rootimg_manifest(image), paths.base_segment(image), paths.files_segment(image)
        yield rule(
            f"{image.name}.base",
            doc=f"pack the tree of {image.name}, less what it excludes",
            run=pack_base,
            args=(image.only("exclude"),),
            inputs=[manifest],
            outputs=[base],
        )
        yield rule(
            f"{image.name}.files",
            doc=f"pack fstab, ssh key and services of {image.name}",
            run=pack_files,
            args=(image.only("fstab", "services_off"), paths.public_key(cluster.site)),
            inputs=[manifest, paths.public_key(cluster.site)],
            outputs=[layer],
        )
        yield rule(
            image.name,
            doc=f"join the segments of {image.name} into its root image",
            run=join,
            args=(image.only(),),
            inputs=[base, layer],
            outputs=[paths.root_image_digest(image), paths.root_image(image)],
        )


def netboot_images(cluster: Cluster) -> list[OsImage]:
    """Return the stateless osimages."""
    return [image for image in cluster.osimages if image.method == "netboot"]
