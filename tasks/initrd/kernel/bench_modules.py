"""What reading a kernel's modules costs, on the trees that are built here: lines for `doit bench`."""

from collections.abc import Callable, Iterator

from tasks import paths
from tasks.initrd.kernel import kernelimage, modindex, modinfo
from tasks.initrd.kernel.drivers import DISKS, NICS
from tasks.initrd.kernel.modules import KernelModules, kernel_modules, kernel_version, kernels
from tasks.initrd.loader.sysroot import DiskTree
from tasks.inventory.model import Cluster
from tasks.measure import median


def measures(cluster: Cluster) -> Iterator[str]:
    """Yield a line for each thing that is done with the modules of a stateless osimage that is built."""
    for image in cluster.stateless():
        root = paths.rootimg_tree(image)
        if root.is_dir():
            yield from map(str, tree_measures(DiskTree(root), image.kernel))


def tree_measures(tree: DiskTree, wanted: str | None) -> Iterator[object]:
    """Yield the measures of one tree; a fresh view of it for each round, for it remembers what it saw."""
    version = kernel_version(tree, wanted)
    known = kernel_modules(tree, version)
    files = list(modindex.module_files(tree, known.base))
    image = tree.read(kernels(tree)[version])
    acts: dict[str, Callable[[], object]] = {
        f".modinfo of all {len(files):,} modules of {version}": lambda: [
            modinfo.read(fresh(tree), each) for each in files
        ],
        "index of its modules, from depmod's tables": lambda: kernel_modules(fresh(tree), version),
        "the same from the modules themselves": lambda: from_modules(fresh(tree), known),
        f"closure of every NIC driver ({len(known.closure([NICS]))} modules)": lambda: closure(
            fresh(tree), version, NICS
        ),
        f"closure of every disk driver ({len(known.closure([DISKS]))} modules)": lambda: closure(
            fresh(tree), version, DISKS
        ),
        "what its kernel image says": lambda: kernelimage.parse(image),
    }
    for what, act in acts.items():
        yield median(what, act)


def fresh(tree: DiskTree) -> DiskTree:
    """Return a view of the same tree that has seen nothing yet."""
    return DiskTree(tree.root)


def from_modules(tree: DiskTree, known: KernelModules) -> modindex.Index:
    """Read the index as if depmod had never run."""
    return modindex.from_modules(tree, known.base, known.index.builtin, known.index.builtin_info)


def closure(tree: DiskTree, version: str, word: str) -> object:
    """Find what a class of drivers needs, from nothing."""
    return kernel_modules(tree, version).closure([word])
