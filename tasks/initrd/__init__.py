"""Step 5: root tree → first stage, and the proof that it boots.

rootimg/ ─ closure (busybox, its loader, its libraries) ┐
         ─ modules (drivers, dependencies, firmware)    ┼ collect ─▶ initrd.gz + kernel ─ prove ─▶ report
templates/init ─────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, rule

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def initrd_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: its initrd and its kernel."""
    from tasks.initrd.collect import build_initrd

    for image in cluster.stateless():
        yield rule(
            image.name,
            doc=f"build the initrd of {image.name}",
            run=build_initrd,
            args=(image.only("drivers", "kernel"),),
            inputs=[paths.rootimg_manifest(image)],
            outputs=[paths.initrd(image), paths.kernel(image), paths.boot_digest(image)],
        )


def prove_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: the static boot proof."""
    from tasks.initrd.prove import prove_image

    for image in cluster.stateless():
        yield rule(
            image.name,
            doc=f"prove that {image.name} will boot",
            run=prove_image,
            args=(image.only("drivers", "kernel"),),
            inputs=[paths.initrd(image), paths.kernel(image), paths.root_image(image), paths.rootimg_manifest(image)],
            outputs=[paths.proof(image)],
        )
