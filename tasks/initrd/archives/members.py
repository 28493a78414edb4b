"""What the kernel makes of an archive's members as they come, and what it drops without a word: rules E08 and W12.

Every rule is one of init/initramfs.c (v6.12; do_header(), do_name(), do_symlink(), maybe_link(), clean_path()): a
member that cannot be made is passed over silently, and the node boots without it.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks import cpio, newc
from tasks.cpio import Entry, Member
from tasks.decompression import DamagedError

MAX_LINKS = 40  # path_resolution(7)
MAX_STEPS = 5_000_000  # parts of paths that are followed in one archive: hostile ones could ask for billions
FOLDER = "folder"
OTHER = "other"
TYPES = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A rule that a segment breaks (E08, E09, W12) and the sentence about it, safe to print."""

    rule: str
    text: str

    def __str__(self) -> str:
        """Return rule and sentence."""
        return f"{self.rule} {self.text}"


def shown(name: str) -> str:
    """Return a name that is safe on a terminal: no line breaks, no escapes, not endless."""
    text = name.encode("unicode_escape").decode()
    return f"/{text[:120]}…" if len(text) > 120 else f"/{text}"


@dataclass(kw_only=True)
class Names:
    """The names of one file so far: the first that has content (or the first of all), and their number."""

    first: Entry
    count: int = 0


@dataclass(kw_only=True)
class Made:
    """The tree that the kernel has made so far: real path → a folder, a link's target in bytes, or something else.

    It begins with what every kernel has inside (usr/default_cpio_list).
    """

    kinds: dict[str, str | bytes] = field(default_factory=lambda: {"dev": FOLDER, "root": FOLDER, "dev/console": OTHER})
    children: dict[str, int] = field(default_factory=lambda: {"dev": 1})
    links: dict[tuple[object, ...], "Names"] = field(default_factory=dict)
    steps: int = 0

    def take(self, member: Member, *, later: bool) -> Iterator[Problem]:
        """Make one member; yield what goes wrong.  `later`: it stands in a segment that is not the first."""
        entry, header = member.entry, member.header
        if entry.name == newc.TRAILER:
            self.links = {}
            return
        text = unmakeable(entry, header) or self.place(entry)
        if text:
            yield Problem(rule="E08", text=f"{shown(entry.name)} {text}: the kernel drops it without a word")
            return
        if header.links >= 2 and (collision := self.link(entry, header)):
            yield Problem(rule="E08", text=collision)
        if later and stat.S_ISCHR(entry.mode) and entry.device == (0, 0):
            text = "is a whiteout (character device 0:0): concatenating deletes nothing, the node gets a device there"
            yield Problem(rule="W12", text=f"{shown(entry.name)} {text}")

    def place(self, entry: Entry) -> str:
        """Put an entry into the tree; return why the kernel cannot, if so."""
        above, _, last = entry.name.rpartition("/")
        if last in {"", ".", ".."}:
            return ""
        parent = self.folder(above)
        if parent is None:
            return f"comes before its folder {shown(above)}"
        path = f"{parent}/{last}" if parent else last
        before = self.kinds.get(path)
        if before == FOLDER and not stat.S_ISDIR(entry.mode) and self.children.get(path):
            return "would take the place of a folder that is not empty"
        if before is None:
            self.children[parent] = self.children.get(parent, 0) + 1
        self.kinds[path] = kind(entry)
        return ""

    def folder(self, name: str) -> str | None:
        """Return the real path of a folder, links followed; None where there is none."""
        if not name or self.kinds.get(name) == FOLDER:
            return name
        todo = name.split("/")[::-1]
        here = ""
        links = 0
        while todo:
            self.steps += 1
            part = todo.pop()
            if part in {"", ".", ".."}:
                here = here.rpartition("/")[0] if part == ".." else here
                continue
            path = f"{here}/{part}" if here else part
            found = self.kinds.get(path)
            if isinstance(found, bytes):
                links += 1
                here = "" if found.startswith(b"/") else here
                todo += found.decode(errors="surrogateescape").split("/")[::-1]
            elif found == FOLDER:
                here = path
            if found in {None, OTHER} or links > MAX_LINKS:
                return None
            if self.steps > MAX_STEPS:
                message = "so tangled paths that they are not followed further"
                raise DamagedError(message)
        return here

    def link(self, entry: Entry, header: newc.Header) -> str:
        """Note one name of a file with several; return what is wrong when the kernel takes two files for one."""
        if stat.S_ISDIR(entry.mode) or stat.S_ISLNK(entry.mode):
            return ""
        known = self.links.setdefault((*header.device, header.inode, stat.S_IFMT(entry.mode)), Names(first=entry))
        known.count += 1
        if not known.first.size:
            known.first = entry if entry.size else known.first
        first = known.first
        same = entry is first or not entry.size or (entry.size == first.size and equal(entry, first))
        if same and entry.device == first.device and known.count <= header.links:
            return ""
        return (
            f"{shown(entry.name)} and {shown(first.name)} have one inode number and a link count of {header.links}: "
            "the kernel takes them for one file, and the content that comes last is that of both"
        )


def kind(entry: Entry) -> str | bytes:
    """Return what an entry is on the way to others."""
    if stat.S_ISLNK(entry.mode):
        return entry.read()
    return FOLDER if stat.S_ISDIR(entry.mode) else OTHER


def unmakeable(entry: Entry, header: newc.Header) -> str:
    """Return why the kernel passes over a member whatever the tree is, empty where it does not."""
    size = len(cpio.raw(entry.name))
    if size > newc.MAX_NAME:
        return f"has a name of {size:,} bytes, more than {newc.MAX_NAME:,}"
    if any(len(cpio.raw(part)) > newc.MAX_COMPONENT for part in entry.name.split("/")):
        return f"has a part of more than {newc.MAX_COMPONENT} bytes in its name"
    if stat.S_IFMT(header.mode) not in TYPES:
        return f"has no file type (mode {header.mode:06o})"
    if stat.S_ISLNK(header.mode):
        return "" if 0 < entry.size <= newc.MAX_TARGET else f"is a symbolic link to a path of {entry.size:,} bytes"
    return "is no file and yet has content" if entry.size and not stat.S_ISREG(header.mode) else ""


def equal(one: Entry, other: Entry) -> bool:
    """Return whether two bodies of the same size have the same bytes."""
    pairs = zip(pieces(one), pieces(other), strict=True)
    return all(left == right for left, right in pairs)


def pieces(entry: Entry) -> Iterator[bytes]:
    """Yield a body's bytes."""
    return entry.body.blocks() if isinstance(entry.body, cpio.Span) else iter([entry.read()])
