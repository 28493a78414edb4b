"""The files of one tree as the dynamic loader meets them: each is read once, however often asked for.

Only as much of a file is read as the loader would look at.  Nothing here raises for what a tree holds.
"""

from dataclasses import dataclass
from enum import Enum, auto

from tasks.initrd.loader import elf
from tasks.initrd.loader.elf import BrokenElfError, Elf, Identity
from tasks.initrd.loader.sysroot import Resolved, Sysroot, is_file, resolve

MAX_PROBES = 2_000_000  # look-ups for one tree: all programs of a large distribution need a hundredth
MAX_CONTENT = 1 << 29  # bytes
SYSV, GNU = 0, 3  # ELFOSABI_*
OS_ABIS = {SYSV, GNU}
MAX_ABI_VERSION = 4  # LIBC_ABI_MAX of glibc 2.36


class Verdict(Enum):
    """What the loader does with a file that lies where it looks (elf/dl-load.c, open_verify and open_path)."""

    GOOD = auto()
    ABSENT = auto()  # looks on
    FOREIGN = auto()  # another class or machine: looks on, without a word
    LOOP = auto()  # links without end: leaves this list of folders
    FATAL = auto()  # stops with an error


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that was looked at for a library: what the loader makes of it, and why."""

    path: str
    verdict: Verdict
    real: str = ""
    elf: Elf | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An object in a process: where it was opened, its real path, what stands for $ORIGIN, who asked for it.

    `origin` is None where the loader does not know it.  `inherited` is the search path that also serves those whom it
    loads, in the words of the file; `above` the nearest object up the chain of loaders that has one.
    """

    opened: str
    real: str
    elf: Elf
    origin: str | None
    inherited: tuple[str, ...] = ()
    above: "Loaded | None" = None


def folder_of(path: str) -> str:
    """Return the folder of an absolute path."""
    return path.rpartition("/")[0] or "/"


class Objects:
    """A memory of one tree, to be shared by all closures over it while it does not change."""

    def __init__(self, tree: Sysroot) -> None:
        """Begin with nothing seen."""
        self.tree = tree
        self.probes = 0
        self.folders: dict[str, Resolved] = {}
        self.views: dict[str, Elf | BrokenElfError] = {}
        self.mentioned: dict[tuple[str, tuple[str, ...]], bool] = {}
        self.imported: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self.noted: dict[str, list[bytes]] = {}

    def resolve(self, path: str) -> Resolved:
        """Return where a path leads; what leads to its folder is remembered."""
        folder, _, name = path.rpartition("/")
        if name in {"", ".", ".."}:
            return resolve(self.tree, path)
        above = self.folder(folder)
        if above.path is None:
            return above
        found = resolve(self.tree, f"{above.path}/{name}")
        links = tuple(dict.fromkeys((*above.links, *found.links)))
        return Resolved(path=found.path, links=links, left=(*above.left, *found.left), loop=found.loop)

    def folder(self, path: str) -> Resolved:
        """Return where a folder's path leads."""
        known = self.folders.get(path)
        if known is None:
            known = self.folders[path] = resolve(self.tree, f"{path}/.")
        return known

    def exhausted(self) -> bool:
        """Whether this tree has made us look for more than any honest tree would."""
        return self.probes > MAX_PROBES

    def view(self, real: str) -> Elf | BrokenElfError:
        """Return the loader's view of a file, or what is wrong with it."""
        known = self.views.get(real)
        if known is None:
            known = self.views[real] = self.parse(real)
        return known

    def parse(self, real: str) -> Elf | BrokenElfError:
        """Read a file's headers."""
        try:
            return elf.parse_at(lambda offset, size: self.tree.read_at(real, offset, size), self.tree.size(real))
        except BrokenElfError as error:
            return error
        except (OSError, OverflowError) as error:
            return BrokenElfError(f"it cannot be read: {error}")

    def head(self, real: str) -> bytes:
        """Return a file's first 256 bytes, all that the kernel looks at first; none where it cannot be read."""
        try:
            return self.tree.read_at(real, 0, 256)
        except OSError:
            return b""

    def content(self, real: str) -> bytes:
        """Return a whole file, empty where it cannot be read or would not fit into memory."""
        try:
            return self.tree.read(real) if self.tree.size(real) <= MAX_CONTENT else b""
        except OSError:
            return b""

    def mentions(self, real: str, names: tuple[str, ...]) -> bool:
        """Whether one of the names stands in a file's dynamic strings: it imports it, or defines it."""
        key = (real, names)
        if key not in self.mentioned:
            view = self.views.get(real)
            strings = view.strings if isinstance(view, Elf) else b""
            self.mentioned[key] = any(f"{name}\0".encode() in strings for name in names)
        return self.mentioned[key]

    def imports(self, real: str, names: tuple[str, ...]) -> list[str]:
        """Return those of the functions that a file imports; few files name them at all, so few are read for it."""
        view = self.views.get(real)
        if not isinstance(view, Elf) or not self.mentions(real, names):
            return []
        key = (real, names)
        if key not in self.imported:
            self.imported[key] = elf.imports(self.content(real), view, names)
        return self.imported[key]

    def notes(self, real: str, owner: str, kind: int) -> list[bytes]:
        """Return a file's notes of one kind."""
        if real not in self.noted:
            self.noted[real] = elf.notes(self.content(real), owner, kind)
        return self.noted[real]

    def candidate(self, path: str, like: Identity) -> Candidate:
        """Return what the loader makes of the file at a path, for a process of the kind `like`."""
        self.probes += 1
        found = self.resolve(path)
        mode = None if found.path is None else self.tree.mode(found.path)
        if found.path is None or mode is None:
            return Candidate(path=path, verdict=Verdict.LOOP if found.loop else Verdict.ABSENT)
        if not is_file(self.tree, found.path):
            return Candidate(path=path, verdict=Verdict.FATAL, real=found.path, why="it is no regular file")
        view = self.view(found.path)
        verdict, why = judge(view, like)
        good = view if isinstance(view, Elf) and verdict is Verdict.GOOD else None
        return Candidate(path=path, verdict=verdict, real=found.path, elf=good, why=why)


def judge(view: Elf | BrokenElfError, like: Identity) -> tuple[Verdict, str]:
    """Return what the loader thinks of a file's headers, in its own order and words (elf/dl-load.c, open_verify)."""
    header = view.header if isinstance(view, BrokenElfError) else view
    if header is None:
        return Verdict.FATAL, str(view)
    if header.bits != like.bits or header.code != like.code:
        return Verdict.FOREIGN, f"it is for {kind_of(header)}"
    if header.little_endian != like.little_endian:
        return Verdict.FATAL, f"ELF file data encoding not {'little' if like.little_endian else 'big'}-endian"
    wrong = judge_ident(header.ident)
    if wrong:
        return Verdict.FATAL, wrong
    if not header.fits(like):
        return Verdict.FOREIGN, f"it is for {kind_of(header)}"
    return judge_body(view)


def judge_ident(ident: bytes) -> str:
    """Return what is wrong with the bytes behind class and byte order, empty where nothing is."""
    version, os_abi, abi_version = ident[6:9]
    if version != 1:
        return "ELF file version ident does not match current one"
    if os_abi not in OS_ABIS:
        return "ELF file OS ABI invalid"
    if abi_version and (os_abi, abi_version >= MAX_ABI_VERSION) != (GNU, False):
        return "ELF file ABI version invalid"
    return "nonzero padding in e_ident" if any(ident[9:16]) else ""


def judge_body(view: Elf | BrokenElfError) -> tuple[Verdict, str]:
    """Return what the loader thinks of a file for the right machine (open_verify, _dl_map_object_from_fd)."""
    if isinstance(view, BrokenElfError):
        return Verdict.FATAL, str(view)
    if view.kind not in {"ET_DYN", "ET_EXEC"}:
        return Verdict.FATAL, "only ET_DYN and ET_EXEC can be loaded"
    if not view.loadable:
        return Verdict.FATAL, "object file has no loadable segments"
    if view.program:
        return Verdict.FATAL, "cannot dynamically load executable"
    if not view.dynamic:
        return Verdict.FATAL, "object file has no dynamic section"
    return Verdict.GOOD, ""


def kind_of(header: Identity) -> str:
    """Return a machine for a person."""
    order = "" if header.little_endian else ", big-endian"
    return f"{header.machine.removeprefix('EM_').lower()} ({header.bits} bits{order})"
