"""Firmware: which files drivers ask for, where the kernel looks, which of them it can read, and what is lacking.

The kernel tries, for each file, four folders, first for the plain file, then for .zst, then for .xz, and the packed
ones only if its configuration has them (drivers/base/firmware_loader/main.c: fw_path[], _request_firmware()).  A module
does not say whether it can do without a file, so `NEEDED` does.
"""

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.errors import UntrustedInputError
from tasks.initrd.kernel.aliases import Budget, literal, matches
from tasks.initrd.kernel.kconfig import Answer, Kconfig, loads_firmware
from tasks.initrd.kernel.modules import Module
from tasks.initrd.kernel.unpack import unpack
from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

LARGEST = 256 << 20  # bytes; the largest of linux-firmware has 0.1 of it
PACKED = (".zst", ".xz")  # in the kernel's order
XZ_CHECKS = {b"\0", b"\1"}  # byte 7 of the stream: none, CRC32; the help of FW_LOADER_COMPRESS_XZ says so
VERSION = re.compile(r"\d+(?:\.\d+[a-z]?)+")

# Drivers whose cards do not come up without their files, and where that is seen.  All others start without: tg3 goes on
# without segmentation offload (all but chip 5701 A0: tg3_open()), ice in its safe mode, r8169, e100 and cxgb4 with what
# is in the card.  nfp, liquidio and netxen_nic depend on what is in the card's flash memory.
NEEDED = {
    "acenic": "ace_load_firmware()",
    "advansys": "AscInitAsc1000Driver()",
    "aic94xx": "asd_request_firmware()",
    "bfa": "bfad_read_firmware()",
    "bna": "cna_read_firmware()",
    "bnx2": "bnx2_request_firmware() in bnx2_open()",
    "bnx2x": "bnx2x_init_firmware()",
    "qed": "qed_slowpath_start()",
    "qla1280": "qla1280_request_firmware()",
    "slicoss": "slic_load_firmware()",
    "starfire": "netdev_open()",
    "tehuti": "bdx_fw_load()",
    "typhoon": "typhoon_request_firmware()",
    "wd719x": "wd719x_chip_init()",
}


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A firmware file for an initrd: `path` is where it belongs, `source` the file in the tree; both relative.

    `packed`: the kernel could not read the file as it is, so `content` is unpacked.
    """

    path: str
    source: str
    why: str
    packed: bool
    tree: Sysroot = field(repr=False, compare=False)

    @property
    def content(self) -> bytes:
        """Return the bytes to put into the initrd; `UntrustedInputError` where the file is damaged."""
        data = self.tree.read_at(self.source, 0, LARGEST)
        try:
            return unpack(data, LARGEST) if self.packed else data
        except ValueError as error:
            message = f"/{self.source}: {error}"
            raise UntrustedInputError(message) from error


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Firmware that is not there: `names` are alternatives (versions of one file); `why` where a file cannot be read.

    `needed`: the driver's cards do not come up without.
    """

    driver: str
    names: tuple[str, ...]
    needed: bool
    why: str = ""

    def __str__(self) -> str:
        """Return the sentence."""
        verb = "needs" if self.needed else "may ask for"
        return f"{self.driver} {verb} firmware that is not there: {' or '.join(self.names)}" + (
            f" ({self.why})" if self.why else ""
        )


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """What drivers ask for: the files that are there, those that are not."""

    blobs: tuple[Blob, ...]
    lost: tuple[Lost, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file that answers a request: its name as the driver says it, its real path, and its suffix when packed."""

    name: str
    folder: str
    source: str
    suffix: str


class Loader:
    """The firmware loader of one kernel, looking into a tree."""

    def __init__(self, tree: Sysroot, version: str, config: Kconfig | None) -> None:
        """Find the folders (fw_path[]) and what this kernel can read."""
        self.tree = tree
        names = (f"updates/{version}", "updates", version, "")
        places = (resolve(tree, f"/lib/firmware/{name}").path for name in names)
        self.folders = [place for place in places if place and stat.S_ISDIR(tree.mode(place) or 0)]
        self.reads = {suffix: loads_firmware(suffix, config, version) for suffix in PACKED}

    def find(self, pattern: str) -> list[Found]:
        """Return the files that answer a request, as the kernel would choose them; several only for a pattern.

        A name that leads out of the folder finds nothing, as in the kernel (request_firmware() refuses ``..``).
        """
        if ".." in pattern.split("/") or pattern.startswith("/"):
            return []
        if literal(pattern) == pattern:
            return [found for found in [self.one(pattern)] if found]
        names = {name for folder in self.folders for name in self.spread(folder, pattern.split("/"), Budget())}
        chosen = (self.one(name) for name in sorted(names))
        return [found for found in chosen if found]

    def one(self, name: str) -> Found | None:
        """Return the file for one name: plain before packed, then by folder."""
        for suffix in ("", *PACKED):
            for folder in self.folders:
                real = resolve(self.tree, f"/{folder}/{name}{suffix}").path
                if real is not None and is_file(self.tree, real):
                    return Found(name=name, folder=folder, source=real, suffix=suffix)
        return None

    def spread(self, folder: str, parts: list[str], budget: Budget) -> Iterator[str]:
        """Yield the names, without suffixes of packing, that a pattern matches below a folder, part by part."""
        real = resolve(self.tree, f"/{folder}").path
        if real is None or not stat.S_ISDIR(self.tree.mode(real) or 0):
            return
        for name in self.tree.names(real):
            plain = next((name.removesuffix(suffix) for suffix in PACKED if name.endswith(suffix)), name)
            if len(parts) > 1 and matches(parts[0], name, budget):
                yield from (f"{name}/{rest}" for rest in self.spread(f"{real}/{name}", parts[1:], budget))
            elif len(parts) == 1 and matches(parts[0], plain, budget):
                yield plain

    def readable(self, found: Found) -> bool:
        """Return whether the kernel can read a file as it lies there."""
        if not found.suffix:
            return True
        if found.suffix == ".xz" and self.tree.read_at(found.source, 7, 1) not in XZ_CHECKS:
            return False
        return self.reads[found.suffix] is Answer.YES

    def blob(self, found: Found, driver: str) -> Blob:
        """Return the file for an initrd, unpacked where the kernel could not."""
        packed = not self.readable(found)
        path = f"{found.folder}/{found.name}{'' if packed else found.suffix}"
        return Blob(path=path, source=found.source, why=f"firmware of {driver}", packed=packed, tree=self.tree)


def for_initrd(tree: Sysroot, version: str, modules: Iterable[Module], config: Kconfig | None) -> Firmware:
    """Return the firmware that modules ask for, ready for an initrd, each file once, sorted; and what is lacking."""
    loader = Loader(tree, version, config)
    blobs: dict[str, Blob] = {}
    lost: list[Lost] = []
    for module in modules:
        answers = {name: loader.find(name) for name in module.firmware}
        for found in (found for each in answers.values() for found in each):
            blob = loader.blob(found, module.name)
            blobs.setdefault(blob.path, blob)
        lost += lacking(module.name, {name: bool(found) for name, found in answers.items()})
    return Firmware(blobs=tuple(blobs[path] for path in sorted(blobs)), lost=tuple(lost))


def lost_in(tree: Sysroot, version: str, wanted: Mapping[str, Iterable[str]], config: Kconfig | None) -> list[Lost]:
    """Return what drivers ({name: its firmware}) would ask for in vain if a tree were the root, as it is."""
    loader = Loader(tree, version, config)
    lost: list[Lost] = []
    for driver, names in sorted(wanted.items()):
        answers = {name: loader.find(name) for name in sorted(names)}
        fine = {name: any(map(loader.readable, found)) for name, found in answers.items()}
        packed = {name: found[0].suffix for name, found in answers.items() if found and not fine[name]}
        lost += lacking(driver, fine, packed)
    return lost


def lacking(driver: str, fine: Mapping[str, bool], packed: Mapping[str, str] | None = None) -> Iterator[Lost]:
    """Yield what is lacking of a driver's files ({name: whether it is there}).

    Names that differ in a version number only are alternatives: bnx2x asks for 7.13.21.0, then for 7.13.15.0.
    """
    for names in alternatives(fine):
        if not any(fine[name] for name in names):
            suffixes = sorted({(packed or {})[name] for name in names if name in (packed or {})})
            why = f"there is a {' and a '.join(suffixes)}, which this kernel cannot read" if suffixes else ""
            yield Lost(driver=driver, names=names, needed=driver in NEEDED, why=why)


def alternatives(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of names that are equal but for version numbers with dots."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(VERSION.sub("*", name), []).append(name)
    return [tuple(group) for group in groups.values()]
