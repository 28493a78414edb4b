"""Put an initrd together: busybox with its libraries, the drivers, init.  Complete by construction, reproducible."""

import hashlib
import stat
from pathlib import Path

from tasks import cpio, files, gzipped, paths
from tasks.errors import BootmillError
from tasks.initrd import modules
from tasks.initrd.closure import Closure, closure
from tasks.initrd.modules import Module
from tasks.initrd.sysroot import DiskTree, Sysroot
from tasks.inventory.model import OsImage
from tasks.template import render

TEMPLATES = Path(__file__).parent / "templates"
BUSYBOX = "/bin/busybox"
FOLDERS = ("dev", "etc", "newroot", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin")


def build_initrd(image: OsImage) -> None:
    """Write the initrd, the kernel beside it, and the digest that names the pair."""
    tree = DiskTree(paths.rootimg_tree(image))
    version = modules.kernel_version(tree, image.kernel)
    drivers = modules.modules(tree, version, image.drivers)
    needed = closure(tree, (BUSYBOX,))
    if needed.missing:
        lost = "\n".join(f"  {line}" for line in needed.missing)
        message = f"{image.name}: the initrd's programs need what the tree does not have:\n{lost}"
        raise BootmillError(
            message, hint="add the packages that bring them (busybox at least) to inventory/osimages.yaml"
        )
    entries = cpio.with_parents(
        [*program_entries(tree, needed), *driver_entries(tree, drivers), *own_entries(image, drivers)]
    )
    packed = b"".join(gzipped.compress(cpio.write(entries)))
    kernel = tree.read(f"boot/vmlinuz-{version}")
    pair = hashlib.sha256(hashlib.sha256(kernel).digest() + hashlib.sha256(packed).digest()).hexdigest()
    files.write_atomic(paths.kernel(image), kernel)
    files.write_atomic(paths.initrd(image), packed)
    files.write_atomic(paths.boot_digest(image), f"{pair}\n")


def program_entries(tree: Sysroot, needed: Closure) -> list[cpio.Entry]:
    """Return busybox, its loader and libraries at their own paths, and the links that lead there."""
    regular = [cpio.regular(path, tree.read(path), 0o755) for path in needed.files]
    return regular + [cpio.symlink(path, target) for path, target in needed.links.items()]


def driver_entries(tree: Sysroot, drivers: list[Module]) -> list[cpio.Entry]:
    """Return the modules and the firmware that they name, where the tree has it."""
    entries = [cpio.regular(module.path, module.content) for module in drivers]
    for name in sorted({name for module in drivers for name in module.firmware}):
        path = modules.find_firmware(tree, name)
        if path is not None:
            entries += [cpio.regular(real, tree.read(real)) for real in [path.lstrip("/")] if tree.mode(real)]
    return entries


def own_entries(image: OsImage, drivers: list[Module]) -> list[cpio.Entry]:
    """Return what is ours: init, the DHCP script, the folders and the two devices that come before devtmpfs."""
    values = {"image": image.name, "modules": [module.path for module in drivers]}
    folders = [cpio.directory(name, 0o1777 if name == "tmp" else 0o755) for name in FOLDERS]
    links = [cpio.symlink("bin", "usr/bin"), cpio.symlink("sbin", "usr/sbin")]
    return [
        *folders,
        *links,
        cpio.regular("init", render(TEMPLATES / "collect_init.sh.j2", **values).encode(), 0o755),
        cpio.regular("etc/udhcpc.script", render(TEMPLATES / "collect_udhcpc.sh.j2").encode(), 0o755),
        cpio.device("dev/console", stat.S_IFCHR | 0o600, 5, 1),
        cpio.device("dev/null", stat.S_IFCHR | 0o666, 1, 3),
    ]
