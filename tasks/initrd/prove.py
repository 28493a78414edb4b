"""The static boot proof: look at the finished initrd as the kernel and init will, and say beforehand what would fail.

The archive is read back and taken for a root of its own, so a library that was forgotten, renamed or lost in packing is
found here, on the head node, and not in a `Kernel panic: no init found` at night.
"""

import stat
import zlib
from dataclasses import dataclass
from enum import StrEnum

from tasks import cpio, files, gzipped, paths
from tasks.errors import BootmillError, UntrustedInputError
from tasks.initrd import elf, modules
from tasks.initrd.closure import Closure, closure, is_executable, script_interpreter
from tasks.initrd.sysroot import ArchiveTree, DiskTree, resolve
from tasks.inventory.model import OsImage

BOOT_VERSION_POINTER = 0x20E  # Documentation/arch/x86/boot.rst: kernel_version, relative to 0x200
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")
MOUNT_POINTS = ("dev", "proc", "sys", "run", "newroot")
APPLETS = ("cat", "cpio", "insmod", "ip", "mount", "sha256sum", "sh", "switch_root", "tftp", "udhcpc", "wget", "zcat")


class Grade(StrEnum):
    """How bad a finding is: an error stops staging, a warning is told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that would go wrong, and what to do about it."""

    grade: Grade
    text: str
    remedy: str

    def __str__(self) -> str:
        """Return the finding as the report shows it."""
        return f"{self.grade}: {self.text}\n    {self.remedy}"


def prove_image(image: OsImage) -> None:
    """Write the report; raise with every error in it where the image would not boot.

    What nodes fetch is looked at, not what it was made from: the packed initrd, the packed root image.
    """
    source = DiskTree(paths.rootimg_tree(image))
    builtin = modules.built_in(source, modules.kernel_version(source, image.kernel))
    drivers = tuple(name for name in image.drivers if modules.canonical(name) not in builtin)
    findings = examine(paths.initrd(image).read_bytes(), paths.kernel(image).read_bytes(), drivers)
    findings += examine_root(paths.root_image(image).read_bytes())
    errors = [finding for finding in findings if finding.grade is Grade.ERROR]
    if errors:
        listed = "\n".join(map(str, errors))
        message = f"{image.name} would not boot:\n{listed}"
        raise BootmillError(message)
    report = "\n".join(map(str, findings)) or "nothing stands in the way"
    files.write_atomic(paths.proof(image), f"{image.name}: boots as far as can be known\n{report}\n")


def unpacked(packed: bytes, what: str) -> tuple[list[cpio.Entry], list[Finding]]:
    """Return the entries of a packed archive, or the finding that it cannot be unpacked."""
    try:
        return list(cpio.read(gzipped.decompress(packed))), []
    except (UntrustedInputError, ValueError, zlib.error) as problem:
        return [], [error(f"{what} cannot be unpacked: {problem}", "build it again: doit clean pack initrd, doit")]


def examine_root(packed: bytes) -> list[Finding]:
    """Return what is wrong with a root image: after the hand-over its /sbin/init is all there is."""
    entries, found = unpacked(packed, "the root image")
    if found:
        return found
    tree = ArchiveTree.of(entries)
    real = resolve(tree, "/sbin/init").path
    remedy = "add systemd-sysv to the osimage's packages, or take its path out of exclude"
    if real is None:
        return [error("the root image has no /sbin/init: the hand-over would panic", remedy)]
    if not is_executable(tree.mode(real)):
        return [error(f"/{real} in the root image is not executable: the hand-over would panic", remedy)]
    remedy = "add the package that brings it, or take its path out of exclude in inventory/osimages.yaml"
    needed = closure(tree, ("/sbin/init",))
    found = [error(f"missing in the root image: {text}", remedy) for text in needed.missing]
    return found + loaders_start(tree, needed)


def examine(initrd: bytes, kernel: bytes, drivers: tuple[str, ...]) -> list[Finding]:
    """Return what is wrong with an initrd, given the kernel that will unpack it."""
    entries, found = unpacked(initrd, "the initrd")
    if found:
        return found
    tree = ArchiveTree.of(entries)
    return [
        *order(entries),
        *first_program(tree),
        *programs(tree),
        *applets(tree),
        *mount_points(tree),
        *driver_findings(tree, kernel, drivers),
    ]


def error(text: str, remedy: str) -> Finding:
    """Return a finding that stops staging."""
    return Finding(grade=Grade.ERROR, text=text, remedy=remedy)


def order(entries: list[cpio.Entry]) -> list[Finding]:
    """Find files whose folder does not come before them: the kernel drops them without a word."""
    seen = {""}
    found = []
    for entry in entries:
        if entry.name.rpartition("/")[0] not in seen:
            found.append(
                error(f"/{entry.name} comes before its folder in the archive: it would be dropped", "pack it again")
            )
        if stat.S_ISDIR(entry.mode) or stat.S_ISLNK(entry.mode):
            seen.add(entry.name)
    return found


def first_program(tree: ArchiveTree) -> list[Finding]:
    """Find what keeps the kernel from starting /init: the seed's panic and its relatives."""
    real = resolve(tree, "/init").path
    remedy = "build it again: doit initrd"
    if real is None:
        return [error("there is no /init (Kernel panic: no init found, or: unable to mount root fs)", remedy)]
    found: list[Finding] = []
    if not is_executable(tree.mode(real)):
        found.append(error("/init is not executable: the kernel says error -13, then: no working init found", remedy))
    head = tree.read(real)[:256]
    if head[:2] == b"#!" and b"\r" in head.partition(b"\n")[0]:
        found.append(error("/init has DOS line ends: its interpreter would not be found (error -2)", remedy))
    elif head[:2] == b"#!":
        interpreter = script_interpreter(head)
        target = resolve(tree, interpreter).path if interpreter else None
        if target is None or not is_executable(tree.mode(target)):
            text = (
                f"the interpreter of /init, {interpreter}, is not there or not executable (Kernel panic: no init found)"
            )
            found.append(error(text, "add busybox to the osimage's packages"))
    elif head[:4] != elf.MAGIC:
        found.append(error("/init is neither a script nor an ELF file: the kernel says error -8", remedy))
    return found


def programs(tree: ArchiveTree) -> list[Finding]:
    """Find programs that lack their loader or a library, the archive being the only root there is."""
    names = [
        f"/{folder}/{name}"
        for folder in PROGRAM_FOLDERS
        if stat.S_ISDIR(tree.mode(folder) or 0)
        for name in tree.names(folder)
        if stat.S_ISREG(tree.mode(f"{folder}/{name}") or 0)
    ]
    needed = closure(tree, ("/init", *names))
    found = [
        error(f"missing in the initrd: {text}", "add the package that brings it to the osimage")
        for text in needed.missing
    ]
    return found + loaders_start(tree, needed)


def loaders_start(tree: ArchiveTree, needed: Closure) -> list[Finding]:
    """Find dynamic loaders that the kernel would not start, for their mode."""
    loaders = {path for path, reason in needed.files.items() if reason.startswith("ELF interpreter")}
    return [
        error(f"/{path} is not executable: programs could not start (error -13)", "build it again: doit clean, doit")
        for path in sorted(loaders)
        if not is_executable(tree.mode(path))
    ]


def applets(tree: ArchiveTree) -> list[Finding]:
    """Find what init calls and busybox does not have: the names of its applets stand in it, between NUL bytes."""
    real = resolve(tree, "/bin/busybox").path
    content = tree.read(real) if real else b""
    lost = [name for name in APPLETS if b"\0" + name.encode() + b"\0" not in content]
    text = f"busybox has no {', '.join(lost)}: init could not go on"
    return [error(text, "take Debian's busybox, not a cut-down one")] if lost and content else []


def mount_points(tree: ArchiveTree) -> list[Finding]:
    """Find folders that init needs to mount on."""
    lost = [name for name in MOUNT_POINTS if not stat.S_ISDIR(tree.mode(name) or 0)]
    return [error(f"the initrd has no folder /{name}", "build it again: doit initrd") for name in lost]


def driver_findings(tree: ArchiveTree, kernel: bytes, drivers: tuple[str, ...]) -> list[Finding]:
    """Find modules of another kernel, drivers that are not there, firmware that a driver will ask for in vain."""
    version = version_of(kernel)
    present = {modules.canonical(name): name for name in tree.entries if ".ko" in name and "/modules/" in name}
    found: list[Finding] = []
    for name in sorted(present.values()):
        if version and f"/modules/{version}/" not in f"/{name}":
            found.append(error(f"/{name} is for another kernel than {version}", "choose the kernel with `kernel:`"))
    for driver in drivers:
        if modules.canonical(driver) not in present:
            found.append(error(f"driver {driver} is not in the initrd", "build it again: doit initrd"))
    for path in sorted(present.values()):
        wanted = sorted({text.decode(errors="replace") for text in modules.FIRMWARE.findall(tree.read(path))})
        lost = [name for name in wanted if modules.find_firmware(tree, name) is None]
        if lost:
            text = f"{modules.canonical(path)} may ask for firmware that the image does not have: {', '.join(lost)}"
            remedy = "add its firmware package (component non-free-firmware) if nodes with this NIC are to boot"
            found.append(Finding(grade=Grade.WARNING, text=text, remedy=remedy))
    return found


def version_of(kernel: bytes) -> str:
    """Return the version that an x86 kernel image states, empty where it states none."""
    if kernel[0x202:0x206] != b"HdrS":
        return ""
    pointer = int.from_bytes(kernel[BOOT_VERSION_POINTER : BOOT_VERSION_POINTER + 2], "little") + 0x200
    text = kernel[pointer : pointer + 128].partition(b"\0")[0].decode(errors="replace")
    return text.split(" ", 1)[0]
