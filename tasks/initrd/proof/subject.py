"""What the boot proof judges: a kernel, an initrd, a root image, and machines that boot them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from tasks.initrd.archives.archive import Archive, upto
from tasks.initrd.kernel.carried import Carried, carried
from tasks.initrd.kernel.kconfig import Answer, Kconfig, unpacks
from tasks.initrd.kernel.kernelimage import KernelImage
from tasks.initrd.kernel.modindex import canonical, parse_dependencies, text
from tasks.initrd.loader.closure import Closure, Scanner, closure
from tasks.initrd.loader.sysroot import Sysroot, is_file
from tasks.inventory.model import Console, Firmware, Netboot

AT_ONCE = "etc/bootmill/drivers"  # the modules that our init loads first
MOST_PROGRAMS = 8192
PROGRAM_FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine brings to its boot; nodes that are alike in it share a verdict.

    `words`: the command line, or what the inventory adds to it (`menus`: the boot menus add the rest).
    `memory`: MiB, None where unknown.  `driver`: of the NIC that boots, None where nobody said.
    """

    words: tuple[str, ...] = ()
    menus: bool = False
    memory: int | None = None
    driver: str | None = None
    firmware: Firmware | None = None
    netboot: Netboot | None = None
    console: Console | None = None
    bmc: bool = False


@dataclass(frozen=True, kw_only=True)
class RootImage:
    """The packed root image: its format by its magic, what is in it, and the digests that have to agree.

    `format`: a suffix as our init names it: cpio, tar, squashfs, erofs, "" where unknown.  `compression`: of the first
    segment or of the file system.  `archive`: None where it cannot be looked into (squashfs).
    """

    name: str
    size: int
    format: str
    compression: str
    archive: Archive | None
    digest: str = ""  # sha256, as computed; "" where nobody asked
    promised: str = ""  # sha256, as the digest file says
    capabilities: tuple[str, ...] = ()  # paths of the tree with file capabilities, which cpio does not carry


@dataclass(frozen=True)
class Subject:
    """A kernel, an initrd and a root image.

    `image` is the osimage's name, "" for a set of somebody else's.  `source`: the tree that the initrd was made from;
    its tables know which modules are built in.
    """

    kernel: KernelImage
    kernel_size: int
    config: Kconfig | None
    packed: Archive
    root: RootImage | None = None
    image: str = ""
    source: Sysroot | None = None

    @cached_property
    def refused(self) -> tuple[int, ...]:
        """Return the offsets of the segments that this kernel cannot unpack, for sure."""
        return tuple(
            segment.offset
            for segment in self.packed.segments
            if unpacks(segment.compression, self.config, self.kernel.version) is Answer.NO
        )

    @cached_property
    def initrd(self) -> Archive:
        """Return what the kernel unpacks of the initrd: it stops at the first segment that it cannot unpack."""
        return upto(self.packed, [each for each in self.packed.segments if each.offset in self.refused])

    @property
    def opaque(self) -> bool:
        """Whether the kernel unpacks what is not unpacked here: then nothing is known to be missing."""
        return any(each.compression == "lzop" for each in self.initrd.segments)

    @property
    def tree(self) -> Sysroot:
        """Return the root that the kernel starts with."""
        return self.initrd.tree

    @cached_property
    def ours(self) -> bool:
        """Whether the first stage is ours, so that what its init needs is known."""
        return bool(self.image) or self.packed.ours

    @property
    def compat(self) -> bool:
        """Whether the kernel starts 32-bit programs too; unknown, it is believed to."""
        options = ("CONFIG_IA32_EMULATION", "CONFIG_COMPAT")
        return self.config is None or any(map(self.config.builtin, options))

    @cached_property
    def programs(self) -> tuple[str, ...]:
        """Return the paths of the programs in the folders for programs; a hostile archive could hold a million."""
        return tuple(islice(programs_in(self.tree), MOST_PROGRAMS))

    @cached_property
    def scanner(self) -> Scanner:
        """Return what was read of the initrd for closures."""
        return Scanner(self.tree)

    @cached_property
    def closed(self) -> Closure:
        """Return the closure of all programs: what each of them lacks."""
        return closure(self.tree, self.programs, scanner=self.scanner)

    @cached_property
    def carried(self) -> Carried:
        """Return the kernel modules in the initrd."""
        return carried(self.tree, self.kernel.version, self.source)

    @cached_property
    def at_once(self) -> tuple[str, ...]:
        """Return the modules that our init loads at once, as paths."""
        return tuple(line.strip("/") for line in text(self.tree, f"/{AT_ONCE}").splitlines() if line)

    @cached_property
    def source_modules(self) -> frozenset[str]:
        """Return the names of the modules that the initrd could have been made with."""
        table = text(self.source, f"/lib/modules/{self.kernel.version}/modules.dep") if self.source else ""
        return frozenset(canonical(path) for path in parse_dependencies(table))

    @property
    def what(self) -> str:
        """Return what is judged, for a sentence."""
        return self.image or "this initrd"

    def mend(self, ours: str, others: str = "") -> str:
        """Return the remedy: a place in the inventory for our own images, `doit repair` or a hint for others."""
        return (
            ours if self.ours else others or "add it with `doit repair --initrd FILE`, or have its maker build it again"
        )

    def place(self, attribute: str) -> str:
        """Return where an attribute of the osimage is written."""
        return f"`{attribute}` of {self.image or 'the osimage'} in inventory/osimages.yaml"


def programs_in(tree: Sysroot) -> Iterator[str]:
    """Yield the absolute paths of the executable files in the folders for programs; a linked folder counts once."""
    for folder in PROGRAM_FOLDERS:
        if (tree.mode(folder) or 0) & 0o170000 == 0o040000:
            for name in tree.names(folder):
                mode = tree.mode(f"{folder}/{name}")
                if mode is not None and is_file(tree, f"{folder}/{name}") and mode & 0o111:
                    yield f"/{folder}/{name}"
