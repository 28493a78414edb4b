"""Step 5: root tree → first stage, and the proof that it boots.

rootimg/ ─ closure (busybox, its loader, its libraries) ┐
         ─ modules (drivers, dependencies, firmware)    ┼ collect ─▶ initrd.img + kernel ─ prove ─▶ report
templates/init ─────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks import paths
from tasks.actions import TaskDict, command, rule
from tasks.initrd import declared, options

if TYPE_CHECKING:
    from tasks.inventory.model import Cluster


def initrd_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: its initrd and its kernel."""
    for image in cluster.stateless():
        doc, args = f"build the initrd of {image.name}", (image.only("compression", "drivers", "kernel"),)
        tree, made = [paths.rootimg_manifest(image)], declared.of_initrd(image)
        salt = paths.root_image(image).name  # its suffix says which unpacker has to be in the initrd
        run = "tasks.initrd.collect:build_initrd"
        yield rule(image.name, doc=doc, run=run, args=args, inputs=tree, outputs=made, salt=salt)


def discovery_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each architecture: the image that machines boot which we do not know."""
    for image in cluster.discoverers():
        doc, args = f"build the discovery image of {image.arch}", (image.only("kernel", "compression"),)
        tree, made = [paths.rootimg_manifest(image)], declared.of_discovery(image)
        run = "tasks.initrd.discovery:build_discovery"
        yield rule(image.arch, doc=doc, run=run, args=args, inputs=tree, outputs=made)


def prove_tasks(cluster: Cluster) -> Iterator[TaskDict]:
    """Yield a task for each stateless osimage: the static boot proof."""
    from tasks.initrd.proof.machines import by_image

    nodes = by_image(cluster)
    for image in cluster.stateless():
        args = (image.only("drivers", "kernel", "kernel_args", "waive"), nodes.get(image.name, ()))
        files, made = declared.looked_at(image), declared.reports(image)
        run = "tasks.initrd.proof.prove:prove_image"
        yield rule(image.name, doc="", run=run, args=args, inputs=files, outputs=made)


def examination(cluster: Cluster) -> TaskDict:
    """Return the command that says, of nodes or of any kernel and initrd, whether they would boot."""
    return command("tasks.initrd.proof.examine:examine_words", args=(cluster,), options=options.EXAMINE)


def reparation(cluster: Cluster) -> TaskDict:
    """Return the command that adds to any initrd what it lacks."""
    return command("tasks.initrd.repair:repair_words", args=(cluster,), options=options.REPAIR)
