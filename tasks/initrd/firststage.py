"""What our own first stage of an osimage consists of besides drivers: its scripts, folders, devices and programs."""

import json
import stat
from pathlib import Path

from tasks import cpio
from tasks.initrd.kernel.modules import kernel_modules
from tasks.initrd.loader.sysroot import Sysroot
from tasks.template import render

TEMPLATES = Path(__file__).parent / "templates"
BUSYBOX = "/bin/busybox"
FOLDERS = ("cage", "dev", "etc", "newroot", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin")
CLASSES = frozenset({"nics", "disks"})  # words for many drivers at once: the node's hardware chooses among them

# What init calls.  Debian's busybox has them all; the proof looks whether the one that is packed does.
APPLETS = (
    "awk", "bzcat", "cat", "chroot", "cmp", "cpio", "cttyhack", "cut", "date", "dd", "find", "grep", "gunzip",
    "head", "hostname", "insmod", "ip", "lzcat", "mkdir", "mkfifo", "modprobe", "mount", "mv", "od",
    "poweroff", "readlink", "reboot", "rm", "sed", "setsid", "sh", "sha256sum", "sleep", "sort", "switch_root", "tail",
    "tar", "tee", "tftp", "timeout", "tr", "udhcpc", "umount", "uname", "vconfig", "wc", "wget", "xzcat",
)  # fmt: skip

# Modules for the forms of root images and for networks, taken in where the kernel has them as modules: small, and
# nobody has to know beforehand which image a node will fetch.  NFS is ten times as large: who wants it says so
# (drivers: [nfs, nfsv3]).
ROOT_MODULES = ("8021q", "af_packet", "erofs", "loop", "overlay", "squashfs")

# Decompressors that busybox does not have, by the suffix of the root image.
UNPACKERS = {".zst": "/usr/bin/zstd", ".lz4": "/usr/bin/lz4"}


def root_modules(tree: Sysroot, version: str) -> tuple[str, ...]:
    """Return which of `ROOT_MODULES` a kernel has as modules; built in ones need no file."""
    known = kernel_modules(tree, version)
    return tuple(name for name in ROOT_MODULES if name in known and not known.is_builtin(name))


def programs(root_image: str) -> tuple[str, ...]:
    """Return the programs of the first stage that is to unpack a root image of this name."""
    return (BUSYBOX, *(program for suffix, program in UNPACKERS.items() if root_image.endswith(suffix)))


def source_date(manifest: Path) -> int:
    """Return the date of an osimage's sources (its manifest's first line), in seconds since 1970.

    No node's clock can rightly be before it.
    """
    with manifest.open() as file:
        return int(json.loads(file.readline())["source_date"])


def own_entries(image: str, floor: int) -> list[cpio.Entry]:
    """Return what is ours: init, the DHCP script, the folders and the two devices that come before devtmpfs.

    `floor`: seconds since 1970; a clock that is behind is set by what the web server says.
    """
    return [
        *base_entries(),
        cpio.regular("init", script("init", image=image, floor=floor, start=True).encode(), 0o755),
        cpio.regular("etc/udhcpc.script", script("udhcpc").encode(), 0o755),
        cpio.symlink("etc/resolv.conf", "../run/bootmill/resolv.conf"),
    ]


def script(name: str, **values: object) -> str:
    """Return a script; init takes `image`, `floor`, and `start` (false: only its functions, for tests)."""
    return render(TEMPLATES / f"firststage_{name}.sh.j2", **values)


def base_entries() -> list[cpio.Entry]:
    """Return the folders and devices that every first stage has, whatever its init does."""
    return [
        *(cpio.directory(name, 0o1777 if name == "tmp" else 0o755) for name in FOLDERS),
        cpio.symlink("bin", "usr/bin"),
        cpio.symlink("sbin", "usr/sbin"),
        cpio.device("dev/console", stat.S_IFCHR | 0o600, 5, 1),
        cpio.device("dev/null", stat.S_IFCHR | 0o666, 1, 3),
    ]
