"""The kernel of a tree and the modules that its drivers need, in loading order."""

import difflib
import gzip
import lzma
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.errors import BootmillError
from tasks.initrd.sysroot import Sysroot, is_file, resolve

PACKED = {".gz": gzip.decompress, ".xz": lzma.decompress}
FIRMWARE = re.compile(rb"\x00firmware=([^\x00]+)")
# The bus behind a driver where no symbol leads to it, so that modules.dep cannot know: loaded first.
BUSES = {"virtio_net": ("virtio_pci",)}
FIRMWARE_DIRS = ("/lib/firmware/updates", "/lib/firmware")


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module to load: its name, its path in the tree, its plain content and the firmware that it may ask for."""

    name: str
    path: str
    content: bytes
    firmware: tuple[str, ...]


def kernel_version(tree: Sysroot, wanted: str | None) -> str:
    """Return the kernel version of a tree: the one that is there, or the one that the osimage names.

    Never the first match: with several kernels and no choice, the image would change with the sorting order.
    """
    folder = resolve(tree, "/boot").path
    names = tree.names(folder) if folder else []
    found = sorted(name.removeprefix("vmlinuz-") for name in names if name.startswith("vmlinuz-"))
    if wanted in found:
        return str(wanted)
    if wanted is not None:
        message = f"kernel {wanted} is not in the tree (there: {', '.join(found) or 'none'})"
        raise BootmillError(
            message, hint="correct `kernel:` in inventory/osimages.yaml, or add the package that brings it"
        )
    if len(found) == 1:
        return found[0]
    if found:
        message = f"the tree holds {len(found)} kernels: {', '.join(found)}"
        raise BootmillError(message, hint="choose one with `kernel:` in inventory/osimages.yaml")
    message = "the tree holds no kernel"
    raise BootmillError(message, hint="add linux-image-amd64 to the osimage's packages")


def canonical(name: str) -> str:
    """Return a module's name as the kernel compares it: ``-`` and ``_`` are one."""
    return PurePosixPath(name).name.partition(".ko")[0].replace("-", "_")


def modules(tree: Sysroot, version: str, drivers: tuple[str, ...]) -> list[Module]:
    """Return the drivers and all that they depend on, each once, dependencies first.

    Every unknown driver is named with near matches; one that is built into the kernel needs no module.
    """
    base = f"/lib/modules/{version}"
    dependencies = parse_dependencies(text(tree, f"{base}/modules.dep"))
    soft = parse_softdep(text(tree, f"{base}/modules.softdep"))
    builtin = built_in(tree, version)
    path_of = {canonical(path): path for path in dependencies}
    unknown = [name for name in drivers if canonical(name) not in path_of and canonical(name) not in builtin]
    if unknown:
        raise BootmillError(
            "\n".join(complaint(name, version, path_of) for name in unknown), hint="see inventory/osimages.yaml"
        )
    order: list[str] = []

    def add(name: str, above: frozenset[str]) -> None:
        path = path_of.get(name)
        if path is None or path in order or name in above:
            return
        for other in (
            *BUSES.get(name, ()),
            *soft.get(name, ()),
            *(canonical(item) for item in reversed(dependencies[path])),
        ):
            add(other, above | {name})
        order.append(path)

    for driver in drivers:
        add(canonical(driver), frozenset())
    return [load(tree, f"{base}/{path}") for path in order]


def built_in(tree: Sysroot, version: str) -> set[str]:
    """Return the names of the modules that are part of the kernel itself."""
    return {canonical(line) for line in text(tree, f"/lib/modules/{version}/modules.builtin").splitlines()}


def complaint(name: str, version: str, known: dict[str, str]) -> str:
    """Return the sentence for a driver that the kernel does not have."""
    near = difflib.get_close_matches(canonical(name), known, n=3)
    return f"kernel {version} has no driver {name!r}" + (f": did you mean {' or '.join(near)}?" if near else "")


def load(tree: Sysroot, path: str) -> Module:
    """Read one module, unpacked: busybox's insmod takes it as it is."""
    real = resolve(tree, path).path
    if not is_file(tree, real):
        message = f"{path} is listed in modules.dep, but is not there"
        raise BootmillError(message, hint="the tree is damaged: `doit clean rootimg` and build it again")
    assert real is not None
    content = tree.read(real)
    suffix = PurePosixPath(real).suffix
    if suffix in PACKED:
        content, real = PACKED[suffix](content), real.removesuffix(suffix)
    elif suffix != ".ko":
        message = f"{path}: modules packed as {suffix} cannot be read"
        raise BootmillError(message, hint="choose a kernel with .ko, .ko.gz or .ko.xz modules")
    firmware = tuple(sorted({name.decode(errors="replace") for name in FIRMWARE.findall(content)}))
    return Module(name=canonical(real), path=real, content=content, firmware=firmware)


def find_firmware(tree: Sysroot, name: str) -> str | None:
    """Return the path of a firmware file in the tree, None where it is not there."""
    for folder in FIRMWARE_DIRS:
        found = resolve(tree, f"{folder}/{name}").path
        if is_file(tree, found):
            return f"{folder}/{name}"
    return None


def parse_dependencies(content: str) -> dict[str, tuple[str, ...]]:
    """Return {module path: paths that it needs} of modules.dep(5)."""
    pairs = (line.partition(":") for line in content.splitlines() if ":" in line)
    return {path: tuple(needs.split()) for path, _, needs in pairs}


def parse_softdep(content: str) -> dict[str, tuple[str, ...]]:
    """Return {module: modules to load before it} of modules.softdep; a line without ``pre:`` counts as one with it."""
    result: dict[str, tuple[str, ...]] = {}
    for line in content.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "softdep":
            before = " ".join(words[2:]).partition("post:")[0].replace("pre:", " ")
            result[canonical(words[1])] = tuple(canonical(word) for word in before.split())
    return result


def text(tree: Sysroot, path: str) -> str:
    """Return a text file of the tree, empty where it is missing."""
    real = resolve(tree, path).path
    return tree.read(real).decode(errors="replace") if real and is_file(tree, real) else ""
