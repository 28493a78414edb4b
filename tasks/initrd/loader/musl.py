"""Where musl's loader looks for a library (musl ldso/dynlink.c, load_library and fixup_rpath).

RPATH and RUNPATH are the same, and serve those loaded by an object too.  Then come the folders of
/etc/ld-musl-ARCH.path, or /lib, /usr/local/lib, /usr/lib.  There is no cache, no glibc-hwcaps, no SONAME; the names of
its own parts (libc.*, libpthread.*, …) are never searched.  It does not look at a file's machine: it would map an
aarch64 library on x86_64 and crash, so such a file is refused here.
"""

import re
from collections.abc import Iterator
from functools import cached_property

from tasks.initrd.loader.elf import Elf
from tasks.initrd.loader.objects import Candidate, Loaded, Objects, Verdict, folder_of
from tasks.initrd.loader.plan import Caution, printable
from tasks.initrd.loader.rules import Answer, Folders, Search, shadowed, without_proc
from tasks.initrd.loader.sysroot import is_file

NAME = re.compile(r"ld-musl-([\w.-]+)\.so\.1")
RESERVED = re.compile(r"lib(?:c|pthread|rt|m|dl|util|xnet)\.")
ORIGIN = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})")
FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
MAX_CONF = 1 << 16  # bytes
MAX_PATH = 4095


def is_musl(interpreter: str) -> bool:
    """Whether a program's interpreter is musl's, by its name."""
    return NAME.fullmatch(interpreter.rpartition("/")[2]) is not None


class Musl:
    """The rules of one loader of a tree."""

    is_glibc = False

    def __init__(self, objects: Objects, interpreter: str, loader: Elf) -> None:
        """Take the loader's path as programs name it: its architecture and its configuration's place follow from it."""
        self.objects = objects
        self.interpreter = interpreter
        self.loader = loader

    @cached_property
    def system(self) -> tuple[str, ...]:
        """Return the folders of last resort.  A file that says none, or cannot be read, leaves none."""
        named = NAME.fullmatch(self.interpreter.rpartition("/")[2])
        prefix = folder_of(folder_of(self.interpreter)).rstrip("/")
        real = self.objects.resolve(f"{prefix}/etc/ld-musl-{named[1]}.path").path if named else None
        if real is None:
            return FOLDERS
        if not is_file(self.objects.tree, real):
            return ()
        text = self.objects.content(real)[:MAX_CONF].partition(b"\0")[0].decode(errors="surrogateescape")
        return split(re.split(r"[:\n]", text))

    def start(self, opened: str, real: str, elf: Elf, *, proc: bool) -> Loaded:
        """Return the main program: its $ORIGIN is its real folder, known only with /proc mounted."""
        origin = folder_of(f"/{real}") if proc else None
        return Loaded(opened=opened, real=real, elf=elf, origin=origin, inherited=search_path(elf))

    def load(self, found: Candidate, asker: Loaded) -> Loaded:
        """Return a found library as loaded."""
        assert found.elf is not None
        above = asker if asker.inherited else asker.above
        path, own = found.path, search_path(found.elf)
        return Loaded(opened=path, real=found.real, elf=found.elf, origin=folder_of(path), inherited=own, above=above)

    def known_as(self, loaded: Loaded, asked: str) -> set[str]:
        """Return the names that an object satisfies: that of its file where it was searched for; no SONAME counts."""
        return {asked}

    def expand(self, text: str, owner: Loaded) -> str | None:
        """Return a needed name as it is: musl replaces nothing in it."""
        return text

    def find(self, asker: Loaded, name: str) -> Answer:
        """Return what the loader finds where `asker` needs `name`."""
        if RESERVED.match(name) or name == self.interpreter:
            return Answer(satisfied=True)
        search = Search(objects=self.objects, like=self.loader, name=name)
        ends = self.by_path(name) if "/" in name else search.walk(self.lists(asker), loop_ends_all=True)
        how, first = next(ends, ("", None))
        cautions = self.path_cautions(asker)
        if search.passed:  # it was the loader's choice, and is of no use
            wrong = search.passed[0]
            why = f"{printable(wrong.path)}: {wrong.why}, and musl would map it all the same"
            return Answer(detail=why, cautions=(*cautions, *search.cautions()))
        if first is None or first.verdict is not Verdict.GOOD:
            why = f"{printable(first.path)}: {first.why}; the loader looks no further" if first else search.detail()
            return Answer(detail=why, cautions=(*cautions, *(shadowed(first, ends) if first else ())))
        return Answer(found=self.load(first, asker), how=how, cautions=cautions)

    def by_path(self, name: str) -> Iterator[tuple[str, Candidate]]:
        """Yield the file of a name with a slash in it."""
        yield "named by its path", self.objects.candidate(name if name.startswith("/") else f"/{name}", self.loader)

    def lists(self, asker: Loaded) -> Iterator[Folders]:
        """Yield the lists of folders in the loader's order; a loop of links ends the whole search."""
        owner = asker if asker.inherited else asker.above
        while owner is not None and not self.objects.exhausted():
            yield Folders(how=f"by RPATH of {owner.opened}", folders=elements(owner))
            owner = owner.above
        yield Folders(how="in a default folder", folders=self.system)

    def path_cautions(self, asker: Loaded) -> tuple[Caution, ...]:
        """Warn of a search path that musl passes over as a whole: for a token of glibc's, or without /proc."""
        if asker.origin is None and any("$" in text for text in asker.inherited):
            return (without_proc(asker),)
        if not is_void(asker.inherited):
            return ()
        said = f"{asker.opened}: musl replaces $ORIGIN only, so it ignores the whole of {':'.join(asker.inherited)}"
        return (Caution(rule="W08", path=asker.opened, text=printable(said)),)


def search_path(elf: Elf) -> tuple[str, ...]:
    """Return RUNPATH, or else RPATH: musl keeps one of them, the former where there are both."""
    return elf.rpath if elf.runpath is None else elf.runpath


def is_void(texts: tuple[str, ...]) -> bool:
    """Whether a `$` other than $ORIGIN's stands in a search path: that voids all of it."""
    return any("$" in ORIGIN.sub("", text) for text in texts)


def elements(owner: Loaded) -> tuple[str, ...]:
    """Return the folders that an object's search path names."""
    texts = owner.inherited
    asks = any("$" in text for text in texts)
    if is_void(texts) or (asks and owner.origin is None):
        return ()
    expanded = [ORIGIN.sub(lambda _: owner.origin or "", text) for text in texts]
    return split([each for each in expanded if len(each) <= MAX_PATH])


def split(texts: list[str]) -> tuple[str, ...]:
    """Return the folders of a path's elements: empty ones say nothing, relative ones are taken from / as at boot."""
    return tuple(each if each.startswith("/") else f"/{each}" for each in texts if each)
