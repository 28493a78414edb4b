"""An initrd for another processor: made and judged here, on x86_64, and booted on an emulated aarch64 machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.initrd import collect, firststage
from tasks.initrd.kernel import modules
from tasks.initrd.loader.sysroot import DiskTree
from tasks.lab import sweep
from tasks.lab.direct import Arch, Bare
from tests.boot import foreign, judging

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(
        shutil.which("qemu-system-aarch64") is None,
        reason="qemu-system-aarch64 is not installed (apt-get install qemu-system-arm)",
    ),
]
PACKAGES = ("busybox", foreign.KERNELS["arm64"])
DRIVERS = ("virtio_net",)
DATE = 1_700_000_000
LOADER = "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, package_cache: Path) -> Iterator[DiskTree]:
    """Return a tree of arm64 packages in which nothing was ever run: there is not even a modules.dep."""
    root = tmp_path_factory.mktemp("arm64")
    foreign.unpack(foreign.archive(package_cache, "arm64"), PACKAGES, root)
    yield DiskTree(root)
    shutil.rmtree(root)


@pytest.mark.parametrize("lost", ["", LOADER], ids=["whole", "no loader"])
def test_boots_as_foretold(tree: DiskTree, tmp_path: Path, lost: str) -> None:
    """It boots to the root image as the proof says; without the dynamic loader it panics in the words of the proof."""
    version = modules.kernel_version(tree, None)
    drivers = (*DRIVERS, *firststage.root_modules(tree, version))
    own = firststage.own_entries("debian12-aarch64-netboot-compute", DATE)
    parts = collect.collect(tree, version, drivers, firststage.programs(""), own, at_once=DRIVERS)
    kernel = tree.root / modules.kernels(tree)[version]
    machine = Bare(kernel=kernel, initrd=None, arch=Arch.AARCH64, nic="virtio_net", append="quiet")
    entries = [part.entry for part in parts]
    (row,) = sweep.sweep(entries, machine, judging.judge, names=[lost], folder=tmp_path, stop=sweep.DECISIVE)
    assert row.agrees, str(row)
    assert row.forecast.boots is not bool(lost)
