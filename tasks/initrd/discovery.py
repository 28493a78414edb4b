"""The discovery image: a kernel and a first stage that say what a machine is, and wait for a menu of its own.

rootimg/ of an osimage of the architecture ─ busybox, every NIC and disk driver ┐
templates/discovery_* ──────────────────────────────────────────────────────────┴─ collect ─▶ initrd.img + kernel

It is made from the root tree of the architecture's first netboot osimage, with that osimage's kernel: a site has one
already, and what nodes boot later finds the same hardware.
"""

from pathlib import Path

from tasks import cpio, paths
from tasks.errors import BootmillError
from tasks.initrd import collect, firststage
from tasks.initrd.kernel import modules
from tasks.initrd.loader.sysroot import DiskTree, Sysroot
from tasks.inventory.model import OsImage
from tasks.template import render

TEMPLATES = Path(__file__).parent / "templates"
# What its init calls of busybox.
APPLETS = (
    "awk", "basename", "cat", "cmp", "cttyhack", "cut", "find", "grep", "head", "ip", "logger", "ls", "mkdir", "mkfifo",
    "modprobe", "mount", "mv", "od", "readlink", "reboot", "rm", "sed", "setsid", "sh", "sleep", "sort", "syslogd",
    "tail", "tee", "timeout", "tr", "udhcpc", "uname", "wc", "wget",
)  # fmt: skip
CLASSES = ("nics", "disks")
# Taken in where the kernel has them as modules: packet sockets for DHCP, and what tells whether there is a BMC.
WHERE_THERE = ("af_packet", "dmi_sysfs", "ipmi_devintf", "ipmi_si", "ipmi_ssif")


def build_discovery(image: OsImage) -> None:
    """Write the discovery initrd of the osimage's architecture, its kernel, and the digest that names the pair."""
    tree = DiskTree(paths.rootimg_tree(image))
    version = modules.kernel_version(tree, image.kernel)
    drivers = (*CLASSES, *there(tree, version))
    try:
        parts = collect.collect(tree, version, drivers, (firststage.BUSYBOX,), own_entries())
    except BootmillError as error:
        message = f"discovery image of {image.arch}, from the tree of {image.name}: {error}"
        raise BootmillError(message, hint=error.hint) from error
    made = collect.Made(
        kernel=paths.discovery_kernel(image.arch),
        initrd=paths.discovery_initrd(image.arch),
        parts=paths.discovery_parts(image.arch),
        digest=paths.discovery_digest(image.arch),
    )
    collect.write(made, tree, version, parts, image.compression or collect.best(tree, version))


def there(tree: Sysroot, version: str) -> tuple[str, ...]:
    """Return which of `WHERE_THERE` a kernel has as modules; what is built in needs none."""
    known = modules.kernel_modules(tree, version)
    return tuple(name for name in WHERE_THERE if name in known and not known.is_builtin(name))


def own_entries() -> list[cpio.Entry]:
    """Return what is ours: the folders and devices of every first stage, init and the DHCP script."""
    return [
        *firststage.base_entries(),
        cpio.regular("init", script("init", start=True).encode(), 0o755),
        cpio.regular("etc/udhcpc.script", script("udhcpc").encode(), 0o755),
    ]


def script(name: str, *, start: bool = False) -> str:
    """Return a script; init does nothing but define its functions where it is not to start."""
    return render(TEMPLATES / f"discovery_{name}.sh.j2", image="the discovery image", start=start)
