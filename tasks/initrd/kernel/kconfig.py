"""What a kernel was built with: its .config, and what its age tells where no configuration is known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.initrd.kernel.unpack import packing, unpack
from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

LINE = re.compile(r"^(CONFIG_[A-Za-z0-9_]+)=(.*)$", re.MULTILINE)
NUMBERS = re.compile(r"(\d{1,5})\.(\d{1,5})(?:\.(\d{1,5}))?")
LARGEST = 4 << 20  # bytes; Debian's are 0.3 MB
MARKS = (b"IKCFG_ST", b"IKCFG_ED")  # kernel/configs.c
MOST_MARKS = 16  # the marks alone may stand anywhere
LARGEST_MODULE = 16 << 20
# Where distributions put it: Debian and RHEL, Fedora, a tree that somebody built, CONFIG_IKCONFIG=m.
PLACES = (
    "/boot/config-{}",
    "/lib/modules/{}/config",
    "/lib/modules/{}/build/.config",
    *(f"/lib/modules/{{}}/kernel/kernel/configs.ko{suffix}" for suffix in ("", ".gz", ".xz", ".zst")),
)

# Decompressor of the initrd → its option (usr/Kconfig) and the first release that has it (as LKDDb lists them).
INITRD: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    "none": ("CONFIG_BLK_DEV_INITRD", (2, 6, 0)),
    "gzip": ("CONFIG_RD_GZIP", (2, 6, 0)),
    "bzip2": ("CONFIG_RD_BZIP2", (2, 6, 30)),
    "lzma": ("CONFIG_RD_LZMA", (2, 6, 30)),
    "lzop": ("CONFIG_RD_LZO", (2, 6, 33)),
    "xz": ("CONFIG_RD_XZ", (2, 6, 38)),
    "lz4": ("CONFIG_RD_LZ4", (3, 11, 0)),
    "zstd": ("CONFIG_RD_ZSTD", (5, 9, 0)),
}
# Suffix of a packed firmware file → its option (drivers/base/firmware_loader/Kconfig) and its first release.
FIRMWARE: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    "": ("CONFIG_FW_LOADER", (2, 6, 0)),
    ".xz": ("CONFIG_FW_LOADER_COMPRESS_XZ", (5, 3, 0)),  # before 5.19 one option for all: CONFIG_FW_LOADER_COMPRESS
    ".zst": ("CONFIG_FW_LOADER_COMPRESS_ZSTD", (5, 19, 0)),
}


class Answer(StrEnum):
    """Whether a kernel can do something, and how well that is known."""

    YES = "yes"
    NO = "no"
    LIKELY = "unknown, by age yes"
    UNLIKELY = "unknown, by age no"

    @property
    def hopeful(self) -> bool:
        """Return whether it can, as far as is known."""
        return self in {Answer.YES, Answer.LIKELY}

    @property
    def certain(self) -> bool:
        """Return whether the configuration says so; else the kernel's age does, and a proof may only warn."""
        return self in {Answer.YES, Answer.NO}


@dataclass(frozen=True, kw_only=True)
class Kconfig:
    """A kernel's configuration: option → ``y``, ``m``, or a text or number as written, without its quotes."""

    values: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """Return an option's value, None where it is not set."""
        return self.values.get(name)

    def builtin(self, name: str) -> bool:
        """Return whether an option is part of the kernel itself."""
        return self.values.get(name) == "y"

    def enabled(self, name: str) -> bool:
        """Return whether an option is built in or a module."""
        return self.values.get(name) in {"y", "m"}


def parse(text: str | bytes) -> Kconfig:
    """Read a .config, /boot/config-VERSION or what lay in the kernel (kernel/configs.c); other lines count for nothing.

    `ValueError` where it is far too long.
    """
    if len(text) > LARGEST:
        message = f"a kernel configuration of more than {LARGEST >> 20} MiB"
        raise ValueError(message)
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Kconfig(values={found[1]: found[2].strip().strip('"') for found in LINE.finditer(plain)})


def unpacks(compression: str, config: Kconfig | None, version: str) -> Answer:
    """Return whether a kernel unpacks an initrd of this compression (a key of INITRD)."""
    return answer(INITRD.get(compression), config, version)


def loads_firmware(suffix: str, config: Kconfig | None, version: str) -> Answer:
    """Return whether a kernel loads firmware files with this suffix (a key of FIRMWARE)."""
    if suffix == ".xz" and config and release(version) < (5, 19, 0):
        return Answer.YES if config.builtin("CONFIG_FW_LOADER_COMPRESS") else Answer.NO
    found = answer(FIRMWARE.get(suffix), config, version)
    # Without the configuration nothing is taken for granted that distributions leave out: Debian 12 has no .zst.
    return Answer.UNLIKELY if suffix and found is Answer.LIKELY else found


def answer(option: tuple[str, tuple[int, int, int]] | None, config: Kconfig | None, version: str) -> Answer:
    """Return what the configuration says of an option; without one, whether the kernel is young enough to have it."""
    if option is None:
        return Answer.NO
    name, since = option
    if config is not None:
        return Answer.YES if config.builtin(name) else Answer.NO
    known = release(version)
    return Answer.LIKELY if known >= since or known == (0, 0, 0) else Answer.UNLIKELY


def release(version: str) -> tuple[int, int, int]:
    """Return the numbers of a kernel's version (``6.1.0-56-amd64`` → 6, 1, 0), zeros where it has none."""
    found = NUMBERS.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def config_of(tree: Sysroot, version: str) -> Kconfig | None:
    """Return the configuration of a kernel of a tree, None where the tree does not tell it."""
    for place in PLACES:
        real = resolve(tree, place.format(version)).path
        if real is None or not is_file(tree, real):
            continue
        data = tree.read_at(real, 0, LARGEST_MODULE)
        try:
            plain = data if packing(data[:6]) == "none" else unpack(data, LARGEST_MODULE)
            return embedded(plain) if ".ko" in place else parse(plain)
        except ValueError:
            continue
    return None


def embedded(data: bytes) -> Kconfig | None:
    """Return the configuration between the two marks in an unpacked kernel or in configs.ko, None where it is not."""
    at = -1
    for _ in range(MOST_MARKS):
        at = data.find(MARKS[0], at + 1)
        if at < 0:
            break
        end = data.find(MARKS[1], at, at + LARGEST)
        try:
            return parse(unpack(data[at + len(MARKS[0]) : max(end, at)], LARGEST))
        except ValueError:
            continue
    return None
