"""What is to be done: every file with what it says and what it is to say, and everything that stands in the way.

rendered files ─┐
what lies there ─┼─▶ items ─▶ refusals (all at once), or what is written, taken away, told
the ledger ─────┘
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import md5
from pathlib import Path, PurePosixPath

from tasks import serials
from tasks.deploy import compose, services
from tasks.deploy import root as roots
from tasks.deploy.ledger import Generation, Ledger, sha256
from tasks.deploy.root import Found
from tasks.deploy.services import MERGED, NAMED_CONF, NAMED_LOCAL, Service
from tasks.errors import BootmillError

STATUS = PurePosixPath("/var/lib/dpkg/status")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file of the head node."""

    path: PurePosixPath
    old: Found | None
    new: Found | None  # None: it is taken away
    told: bool  # its daemon has taken just this content
    foreign: bool  # what lies there was made by somebody else, and would be lost
    edited: bool = False  # what lies there is a file of ours that somebody has changed since

    @property
    def service(self) -> Service:
        """Return whose file it is."""
        return services.of(self.path)

    @property
    def changes(self) -> bool:
        """Whether it is written or taken away."""
        return self.old != self.new

    @property
    def act(self) -> str:
        """Return what happens to it, in one word."""
        if not self.changes:
            return "keep"
        if self.new is None:
            return "remove"
        if self.old is None:
            return "create"
        return "merge" if self.path in MERGED else "replace"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The rendered files: on the head node's path, where each one lies here."""

    files: Mapping[PurePosixPath, Path]

    def services(self) -> frozenset[str]:
        """Return the services of which something is rendered."""
        return frozenset(services.of(path).name for path, place in self.files.items() if place.is_file())


def sources(outputs: Iterable[Path], destdir: Path) -> Source:
    """Return the rendered files that belong below /etc; all else is for nodes to fetch."""
    found = {}
    for place in outputs:
        if not place.is_relative_to(destdir):  # the serials, which lie beside the inventory
            continue
        path = PurePosixPath("/") / place.relative_to(destdir)
        if path.is_relative_to("/etc"):
            found[path] = place
    return Source(files=dict(sorted(found.items())))


class Builder:
    """Builds the items of one run; what stands in the way is collected."""

    def __init__(self, root: Path, ledger: Ledger, carried: Generation) -> None:
        """Look at a root with what was told before."""
        self.root = root
        self.ledger = ledger
        self.carried = carried
        self.problems: list[str] = []
        self.behind: list[str] = []  # zones whose serial would go back
        self.floor = 0
        self.remarks: list[str] = []
        self.pristine = conffiles(root)

    def look(self, path: PurePosixPath) -> Found | None:
        """Return a file below the root; a problem where it cannot be looked at."""
        try:
            return roots.look(self.root, path)
        except BootmillError as error:
            self.problems.append(str(error))
            return None

    def item(self, path: PurePosixPath, old: Found | None, content: bytes | None, mode: int = 0o644) -> Item:
        """Return what is to be done with a file whose new content is known; its rights stay as they are.

        `mode` is that of a file which was not there.
        """
        new = None
        if content is not None:
            new = Found(content=content, **rights(old, mode))
        wanted = sha256(content) if content is not None else None
        lost = old is not None and old != new and path not in MERGED and not self.is_ours(path, old)
        edited = old is not None and old != new and path not in MERGED and not lost and self.is_edited(path, old)
        if edited:
            self.remarks.append(f"{path} was changed by hand since it was deployed: what it said is saved and kept")
        told = self.ledger.told.get(path) == wanted
        return Item(path=path, old=old, new=new, told=told, foreign=lost, edited=edited)

    def is_edited(self, path: PurePosixPath, old: Found) -> bool:
        """Whether a file of ours says something else than what was deployed last."""
        digest = sha256(old.content)
        known = {self.ledger.told.get(path), self.carried[path].new if path in self.carried else None} - {None}
        return bool(known) and digest not in known

    def is_ours(self, path: PurePosixPath, old: Found) -> bool:
        """Whether what lies there came from us, or from a package and nobody touched it."""
        digest = sha256(old.content)
        known = {self.ledger.told.get(path), self.carried[path].new if path in self.carried else None}
        if digest in known or compose.is_ours(old.content):
            return True
        return self.pristine.get(str(path)) == md5(old.content, usedforsecurity=False).hexdigest()

    def rendered(self, source: Source, chosen: Iterable[str]) -> Iterator[Item]:
        """Yield the items of the chosen services: rendered files, the line that includes them, files that are gone."""
        names = {*chosen} & source.services()
        for path, place in source.files.items():
            if services.of(path).name not in names:
                continue
            if not place.is_file():
                self.problems.append(f"{place} is not there: render it first (doit)")
                continue
            old, ours = self.look(path), place.read_bytes()
            if place.absolute() == roots.below(self.root, path):  # destdir is /: it was rendered in place
                yield self.item(path, old, ours)
                continue
            self.compare_serials(path, old, ours)
            try:
                content = compose.content(path, ours, old.content if old else None)
                self.remarks += compose.remarks(path, ours, old.content if old else None)
                yield self.item(path, old, content, place.stat().st_mode & 0o777)
            except BootmillError as error:
                self.problems.append(str(error))
        if "named" in names:
            yield from self.include()
        for path in sorted(self.ledger.told.keys() - source.files.keys() - MERGED.keys()):
            old = self.look(path) if services.of(path).name in names else None
            if old is not None and self.is_ours(path, old):
                yield self.item(path, old, None)

    def compare_serials(self, path: PurePosixPath, old: Found | None, ours: bytes) -> None:
        """Note a zone that secondary servers would not take: its serial is not newer than that of the zone in place."""
        if old is None or not fnmatchcase(str(path), services.ZONES):
            return
        now, new = (serials.stated(compose.text(content)) for content in (old.content, ours))
        if now is None or new is None or now == new or serials.is_newer(new.serial, now.serial):
            return
        same = " with another content" if now.serial == new.serial else ""
        self.behind.append(f"{path} has serial {now.serial}, and what is rendered has {new.serial}{same}")
        self.floor = max(self.floor, now.serial + 1)

    def include(self) -> Iterator[Item]:
        """Yield the file of named's own that includes our zones."""
        conf, local = self.look(NAMED_CONF), self.look(NAMED_LOCAL)
        path = compose.include_place(conf.content if conf else None, local.content if local else None)
        old = local if path == NAMED_LOCAL else conf
        if path is not None and old is not None:
            try:
                content = compose.encoded(compose.with_include(compose.text(old.content)))
            except BootmillError as error:
                self.problems.append(f"{path}: {error}")
            else:
                yield self.item(path, old, content)

    def undone(self, generation: Generation) -> Iterator[Item]:
        """Yield the items that bring a generation back; a file that somebody changed since stands in the way."""
        for path, saved in sorted(generation.items()):
            old = self.look(path)
            wanted = sha256(saved.old.content) if saved.old else None
            now = sha256(old.content) if old else None
            foreign = old != saved.old and now not in {saved.new, wanted}
            self.remark_serial(path, old, saved.old)
            yield Item(path=path, old=old, new=saved.old, told=self.ledger.told.get(path) == wanted, foreign=foreign)

    def remark_serial(self, path: PurePosixPath, old: Found | None, new: Found | None) -> None:
        """Tell that a zone's serial goes back: that is what was asked for, but secondary servers do not follow."""
        if old is None or new is None or not fnmatchcase(str(path), services.ZONES):
            return
        now, then = (serials.stated(compose.text(one.content)) for one in (old, new))
        if now and then and now != then and not serials.is_newer(then.serial, now.serial):
            self.remarks.append(
                f"{path}: serial {now.serial} goes back to {then.serial}; secondaries keep what they have"
            )

    def refuse(self, items: Sequence[Item], *, take_over: bool) -> None:
        """Raise a `BootmillError` with everything that stands in the way."""
        problems = [*self.problems, *self.behind]
        foreign = [f"{item.path} is there and was not made by Bootmill" for item in items if item.foreign]
        if foreign and not take_over:
            problems = [*problems, *foreign]
        if problems:
            message = "\n    ".join(["nothing was deployed, because", *dict.fromkeys(problems)])
            hint = "keep what you need of them, then: doit deploy --take-over (what was there is saved first)"
            if self.behind:
                hint = (
                    "no secondary server would take those zones: bring the newest inventory/serials.yaml from your "
                    f"version control (commit it with each run), or set serial_floor: {self.floor} in site.yaml"
                )
            raise BootmillError(message, hint=hint if self.behind or (foreign and not self.problems) else "")


def rights(old: Found | None, mode: int) -> dict[str, int]:
    """Return mode and owners that a new file gets: those of the old one where there is one."""
    if old is not None:
        return {"mode": old.mode, "uid": old.uid, "gid": old.gid}
    return {"mode": mode, "uid": os.geteuid(), "gid": os.getegid()}


def conffiles(root: Path) -> dict[str, str]:
    """Return the md5 of each configuration file as its package brought it: one that nobody has changed is no loss.

    dpkg keeps them in its status file (deb-conffiles(5), dpkg-query's ${Conffiles}).
    """
    try:
        found = roots.look(root, STATUS)
    except BootmillError:
        return {}
    lines = re.findall(rb"^ (/etc/\S+) ([0-9a-f]{32})$", found.content, re.MULTILINE) if found else []
    return {path.decode(errors="replace"): digest.decode() for path, digest in lines}
