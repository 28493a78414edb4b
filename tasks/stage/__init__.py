"""Step 6: → tftpboot and install: what nodes fetch.

packages of the head node ─ nbp ─▶ tftpboot/pxelinux.0, grub/, ipxe/
kernel, initrd, root image ─ publish ─▶ tftpboot/boot/<osimage>/<digest>/, install/netboot/…/<digest>/
discovery image ────────── publish ─▶ tftpboot/boot/discovery-<arch>/<digest>/
menus ──────────────────── publish ─▶ tftpboot/pxelinux.cfg/, grub/, ipxe/ ─▶ manifest.sha256
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, rule, single

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def nbp(cluster: Cluster) -> TaskDict:
    """Return the task that publishes the boot programs."""
    from tasks.stage.programs import publish_nbp, sources, targets, wanted

    site = cluster.site.only()
    return single(
        rule(
            "nbp",
            doc="boot programs",
            run=publish_nbp,
            args=(site,),
            inputs=sources(),
            outputs=targets(site),
            watched=wanted(),
        )
    )


def stage(cluster: Cluster) -> TaskDict:
    """Return the task that publishes images and menus."""
    from tasks.stage.programs import targets
    from tasks.stage.publish import publish

    site = cluster.site.only()
    images = tuple(image.only() for image in cluster.stateless())
    archs = tuple(image.arch for image in cluster.discoverers())
    made = paths.boot_digest, paths.root_image_digest, paths.proof
    inputs = [*(path(image) for image in images for path in made), *map(paths.discovery_digest, archs)]
    task = rule(
        "stage",
        doc="images and menus",
        run=publish,
        args=(site, images, archs, tuple(targets(site))),
        inputs=[*inputs, paths.menu_manifest(), *targets(site)],
        outputs=[paths.manifest(site)],
        published=(paths.manifest(site), paths.under_destdir(site, "/")),
        after=["configs"],
    )
    return single(task)
