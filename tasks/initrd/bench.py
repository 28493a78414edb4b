"""What the initrd step costs on the osimages that are built here: closures, modules, proofs, sizes."""

from collections.abc import Iterator
from pathlib import Path

from tasks import paths
from tasks.initrd.kernel import bench_modules
from tasks.initrd.loader import elf
from tasks.initrd.loader.closure import closure
from tasks.initrd.loader.sysroot import DiskTree
from tasks.initrd.proof import prove
from tasks.initrd.proof.machines import by_image
from tasks.inventory.model import Cluster, OsImage
from tasks.measure import Measure, median

MANY = 400  # programs
HOST = Path("/usr/bin")


def measures(cluster: Cluster) -> Iterator[str]:
    """Yield a line for each thing measured; what is not built is left out."""
    for image in cluster.stateless():
        if paths.initrd(image).exists():
            yield from map(str, of_image(image, cluster))
            yield f"{'size of its initrd':<52} {paths.initrd(image).stat().st_size / 1e6:>9.2f} MB"
    yield str(closure_of_many())
    yield from bench_modules.measures(cluster)


def of_image(image: OsImage, cluster: Cluster) -> Iterator[Measure]:
    """Yield what the closure of busybox and the whole proof of an osimage take."""
    tree = paths.rootimg_tree(image)
    nodes = by_image(cluster).get(image.name, ())
    yield median("closure of busybox", lambda: closure(DiskTree(tree), ("/bin/busybox",), modes=False), image.name)
    yield median("proof", lambda: prove.proved(image, nodes), image.name)


def closure_of_many() -> Measure:
    """Return what the closure of many programs of this machine takes."""
    programs = tuple(str(path) for path in sorted(HOST.iterdir()) if is_elf(path))[:MANY]
    return median(f"closure of {len(programs)} programs", lambda: closure(DiskTree(Path("/")), programs), str(HOST))


def is_elf(path: Path) -> bool:
    """Return whether a file is an ELF file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == elf.MAGIC
