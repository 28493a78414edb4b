"""The boot proof of what is built: each osimage with the nodes that are to boot it."""

import json
from collections.abc import Sequence

from tasks import files, paths
from tasks.errors import BootmillError
from tasks.initrd.archives.archive import Archive
from tasks.initrd.kernel import kconfig, kernelimage
from tasks.initrd.kernel.kconfig import Kconfig
from tasks.initrd.kernel.kernelimage import KernelImage
from tasks.initrd.loader.sysroot import DiskTree
from tasks.initrd.proof import report, rootimage
from tasks.initrd.proof.finding import Grade
from tasks.initrd.proof.machines import Alike, machine
from tasks.initrd.proof.proof import Proof
from tasks.initrd.proof.report import Report
from tasks.initrd.proof.subject import Machine, Subject
from tasks.inventory import noderange
from tasks.inventory.model import OsImage


def prove_image(image: OsImage, nodes: Sequence[Alike]) -> None:
    """Write the reports on an osimage; raise with every error where a node that is to boot it would not.

    `nodes`: the shapes of those nodes.  What nodes fetch is looked at, not what it was made from.
    """
    found = proved(image, nodes)
    files.write_atomic(paths.proof_document(image), json.dumps(report.document([found]), indent=2) + "\n")
    files.write_atomic(paths.proof(image), report.text(found))
    if found.refused:
        message = f"{image.name} is not staged: {report.headline(found)}\n{report.errors_text(found)}"
        graded = [each for one in found.judged for each in one.verdict.findings if each.grade is not Grade.WARNING]
        rules = sorted({each.rule for each in graded})
        hint = (
            f"all of it: {paths.proof(image)}; to stage it nevertheless: `waive: [{', '.join(rules)}]` in osimages.yaml"
        )
        raise BootmillError(message, hint=hint)


def proved(image: OsImage, nodes: Sequence[Alike]) -> Report:
    """Return the report on an osimage as it is built; without nodes it is judged by itself."""
    subject = built(image)
    proof = Proof(subject, image.waive)
    if not nodes:
        alone = Machine(words=image.kernel_args, menus=True)
        return Report(
            subject=subject, judged=report.together([((), proof.verdict(alone))]), notes=("no node boots it",)
        )
    verdicts = [(names, proof.verdict(machine(shape, image))) for shape, names in nodes]
    return Report(subject=subject, judged=report.together(verdicts), notes=notes(nodes))


def notes(nodes: Sequence[Alike]) -> tuple[str, ...]:
    """Return what could not be judged for want of knowledge."""
    unknown = [name for shape, names in nodes if shape.driver is None for name in names]
    if not unknown:
        return ()
    names = noderange.fold(unknown)
    return (f"nobody says by which NIC {names} boot: set `driver` in inventory/nodes.yaml to have it looked for",)


def built(image: OsImage) -> Subject:
    """Return what is built of an osimage; `BootmillError` where something is not there yet."""
    try:
        data = paths.kernel(image).read_bytes()
        kernel = kernelimage.parse(data)
        root = rootimage.read(
            paths.root_image(image), digest=paths.root_image_digest(image), manifest=paths.rootimg_manifest(image)
        )
        return Subject(
            kernel=kernel,
            kernel_size=len(data),
            config=config_of(image, kernel),
            packed=Archive.of(paths.initrd(image)),
            root=root,
            image=image.name,
            source=DiskTree(paths.rootimg_tree(image)),
        )
    except FileNotFoundError as error:
        message = f"{image.name}: {error.filename} is not there"
        raise BootmillError(message, hint=f"build it first: doit prove:{image.name}") from error


def config_of(image: OsImage, kernel: KernelImage) -> Kconfig | None:
    """Return the kernel's configuration: what its package left in the tree, else its own, which takes a second."""
    return kconfig.config_of(DiskTree(paths.rootimg_tree(image)), kernel.version) or kernel.config
