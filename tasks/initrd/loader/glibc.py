"""Where glibc's ld.so looks for a library (elf/dl-load.c, _dl_map_object; ld.so(8)).

In order: RPATH of who asks, of who loaded that, and so on up to the main program, unless who asks has a RUNPATH; the
RUNPATH of who asks, which serves nobody else; ld.so.cache; the folders that are compiled into the loader.
/etc/ld.so.conf is never read.  In each folder the copies below glibc-hwcaps come first, where the CPU can run them; an
image is for many CPUs, so all of them are taken, and the plain file besides.
"""

import re
from collections.abc import Iterator
from functools import cached_property

from tasks.initrd.loader.elf import Elf
from tasks.initrd.loader.ldconf import conf_folders
from tasks.initrd.loader.loader_cache import CacheEntry, LoaderCache, parse_cache
from tasks.initrd.loader.objects import Candidate, Loaded, Objects, Verdict, folder_of
from tasks.initrd.loader.plan import Caution, printable
from tasks.initrd.loader.rules import Answer, Folders, Search, shadowed, without_proc
from tasks.initrd.loader.sysroot import is_file

CACHE = "/etc/ld.so.cache"
MAX_FILE = 16 << 20  # bytes of a loader: it has 0.2 MiB
MAX_PATH = 4095
LEVELS = {
    ("EM_X86_64", True): ("x86-64-v4", "x86-64-v3", "x86-64-v2"),
    ("EM_PPC64", True): ("power10", "power9"),
    ("EM_S390", False): ("z16", "z15", "z14", "z13"),
}
# AT_PLATFORM as the kernel says it: ELF_PLATFORM in arch/*/include/asm/elf.h
PLATFORMS = {"EM_X86_64": "x86_64", "EM_386": "i686", "EM_AARCH64": "aarch64", "EM_ARM": "v7l"}
TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")
SYSTEM_FOLDERS = re.compile(rb"(?<=\x00)(?:(?:/[\w.+-]{1,100}){0,8}/lib[\w.-]{0,40}(?:/[\w.-]{1,100}){0,2}/\x00)+")
FALLBACK = {64: ("/lib64", "/usr/lib64", "/lib", "/usr/lib"), 32: ("/lib", "/usr/lib")}


class Glibc:
    """The rules of one loader of a tree."""

    is_glibc = True

    def __init__(self, objects: Objects, real: str, loader: Elf) -> None:
        """Take the loader's real path and its headers: its folders stand in it, its machine is its processes'."""
        self.objects = objects
        self.real = real
        self.loader = loader
        self.plain: dict[tuple[str, bool], Answer] = {}  # answers for objects without any search path

    @cached_property
    def system(self) -> tuple[str, ...]:
        """Return the folders that are compiled into the loader: they stand in its read-only data, NUL between them."""
        runs = SYSTEM_FOLDERS.findall(self.objects.content(self.real)[:MAX_FILE])
        if not runs:
            return FALLBACK[self.loader.bits]
        longest = max(runs, key=lambda run: run.count(b"\0"))
        return tuple(part.decode().rstrip("/") for part in longest.split(b"\0") if part)

    @cached_property
    def lib(self) -> str:
        """Return what stands for $LIB: the first compiled-in folder, from its part that is called lib… on."""
        found = re.search(r"/(lib[^/]*(?:/.*)?)$", self.system[0])
        return found[1] if found else "lib"

    @cached_property
    def cache(self) -> LoaderCache:
        """Return ld.so.cache, empty where there is none that this loader would read."""
        real = self.objects.resolve(CACHE).path
        if real is None or not is_file(self.objects.tree, real):
            return LoaderCache()
        return parse_cache(self.objects.content(real), little_endian=self.loader.little_endian)

    @cached_property
    def conf(self) -> tuple[str, ...]:
        """Return the folders that ldconfig would look into, for hints only."""
        return conf_folders(self.objects.tree)

    def start(self, opened: str, real: str, elf: Elf, *, proc: bool) -> Loaded:
        """Return the main program: its $ORIGIN is its real folder, known only with /proc mounted (elf/dl-origin.c)."""
        origin = folder_of(f"/{real}") if proc else None
        return Loaded(opened=opened, real=real, elf=elf, origin=origin, inherited=inheritable(elf))

    def load(self, found: Candidate, asker: Loaded) -> Loaded:
        """Return a found library as loaded: its $ORIGIN is the folder of the path as opened, links and all."""
        assert found.elf is not None
        above = asker if asker.inherited else asker.above
        own = inheritable(found.elf)
        origin = folder_of(found.path)
        return Loaded(opened=found.path, real=found.real, elf=found.elf, origin=origin, inherited=own, above=above)

    def known_as(self, loaded: Loaded, asked: str) -> set[str]:
        """Return the names that an object satisfies: those it was asked for by, its own path, its SONAME."""
        return {asked, loaded.opened, loaded.elf.soname or asked}

    def expand(self, text: str, owner: Loaded) -> str | None:
        """Replace $ORIGIN, $LIB and $PLATFORM; None where $ORIGIN is not known: such an element is passed over."""
        if "$" not in text:
            return text
        if owner.origin is None and needs_origin(text):
            return None
        values = {
            "ORIGIN": owner.origin or "",
            "LIB": self.lib,
            "PLATFORM": PLATFORMS.get(owner.elf.machine, ""),
        }
        expanded = TOKEN.sub(lambda found: values[found[1] or found[2]], text)
        return expanded if len(expanded) <= MAX_PATH else None

    def find(self, asker: Loaded, name: str) -> Answer:
        """Return what the loader finds where `asker` needs `name`."""
        if "/" in name:
            return self.by_path(asker, name)
        bare = not asker.inherited and asker.above is None and asker.elf.runpath is None
        key = (name, asker.elf.no_default)
        if bare and key in self.plain:
            return self.plain[key]
        answer = self.look_up(asker, name)
        if bare:
            self.plain[key] = answer
        return answer

    def by_path(self, asker: Loaded, name: str) -> Answer:
        """Return the file of a name with a slash in it: there is no search (a relative one is taken from /)."""
        path = name if name.startswith("/") else f"/{name}"
        found = self.objects.candidate(path, self.loader)
        cautions = () if name.startswith("/") else (relative(asker, name),)
        if found.verdict is not Verdict.GOOD:
            return Answer(detail=found.why, cautions=cautions)
        return Answer(found=self.load(found, asker), how="named by its path", cautions=cautions)

    def look_up(self, asker: Loaded, name: str) -> Answer:
        """Search for a plain name."""
        search = Search(objects=self.objects, like=self.loader, name=name)
        ends = search.walk(self.lists(asker, name))
        how, first = next(ends, ("", None))
        cautions = (*self.path_cautions(asker), *search.cautions())
        variants = self.variants(asker, name, search.tried)
        if first is None:
            return self.not_found(name, search, variants, cautions)
        if first.verdict is Verdict.FATAL:
            why = f"{printable(first.path)}: {first.why}; the loader looks no further"
            return Answer(detail=why, cautions=(*cautions, *shadowed(first, ends)))
        return Answer(found=self.load(first, asker), variants=variants, how=how, cautions=cautions)

    def not_found(
        self, name: str, search: Search, variants: tuple[Loaded, ...], cautions: tuple[Caution, ...]
    ) -> Answer:
        """Return the answer where no plain file was found: copies for newer CPUs may do for some machines."""
        if variants:
            text = f"{printable(name)} is only in {variants[0].opened}: CPUs of a lower level do not find it"
            only = Caution(rule="W02", path=variants[0].opened, text=text)
            return Answer(found=variants[0], variants=variants[1:], how="glibc-hwcaps", cautions=(*cautions, only))
        return Answer(detail=search.detail() or self.hint(name), cautions=cautions)

    def hint(self, name: str) -> str:
        """Return where a library lies that only ldconfig would find."""
        for folder in self.conf:
            path = f"{folder}/{name}"
            if self.objects.candidate(path, self.loader).verdict is Verdict.GOOD:
                return f"it is {path}, but ld.so.cache does not say so: run ldconfig -r on the tree"
        return ""

    def lists(self, asker: Loaded, name: str) -> Iterator[Folders]:
        """Yield the lists of folders in the loader's order."""
        if asker.elf.runpath is None:
            yield from self.rpath_lists(asker)
        else:
            yield Folders(how=f"by RUNPATH of {asker.opened}", folders=self.elements(asker.elf.runpath, asker))
        cached = [entry.path for entry in self.cached(asker, name) if entry.level is None]
        yield Folders(how="by ld.so.cache", folders=tuple(map(folder_of, cached[:1])))
        if not asker.elf.no_default:
            yield Folders(how="in a default folder", folders=self.system)

    def rpath_lists(self, asker: Loaded) -> Iterator[Folders]:
        """Yield the RPATH of who asks and of those above it."""
        owner = asker if asker.inherited else asker.above
        while owner is not None and not self.objects.exhausted():
            yield Folders(how=f"by RPATH of {owner.opened}", folders=self.elements(owner.inherited, owner))
            owner = owner.above

    def elements(self, texts: tuple[str, ...], owner: Loaded) -> tuple[str, ...]:
        """Return the folders that a search path names.  An empty element is the current folder: / at boot."""
        expanded = [self.expand(text, owner) for text in texts]
        return tuple(each if each.startswith("/") else f"/{each}" for each in expanded if each is not None)

    def cached(self, asker: Loaded, name: str) -> list[CacheEntry]:
        """Return what the cache says about a name: nothing out of default folders where who asks forbids them."""
        found = self.cache.find(name, self.loader.machine, self.loader.bits)
        named = [entry for entry in found if entry.path.startswith("/") and entry.path.endswith(f"/{name}")]
        if asker.elf.no_default:
            return [each for each in named if not each.path.startswith(tuple(f"{folder}/" for folder in self.system))]
        return named

    def variants(self, asker: Loaded, name: str, tried: set[str]) -> tuple[Loaded, ...]:
        """Return the copies for newer CPUs in the folders that were looked into, and those that the cache knows."""
        levels = LEVELS.get((self.loader.machine, self.loader.little_endian), ())
        folders = [folder_of(path) for path in tried] if levels else []
        hwcaps = [each.rstrip("/") + "/glibc-hwcaps" for each in dict.fromkeys(folders)]
        below = [each for each in hwcaps if self.objects.folder(each).path is not None]
        paths = [f"{each}/{level}/{name}" for each in sorted(below) for level in levels]
        paths += [entry.path for entry in self.cached(asker, name) if entry.level in levels]
        found = [self.objects.candidate(path, self.loader) for path in dict.fromkeys(paths)]
        return tuple(self.load(each, asker) for each in found if each.verdict is Verdict.GOOD)

    def path_cautions(self, asker: Loaded) -> tuple[Caution, ...]:
        """Return what is doubtful about the search path of who asks: parts that depend on where it is started."""
        own = asker.inherited if asker.elf.runpath is None else asker.elf.runpath
        found = [relative(asker, text) for text in own if not text.startswith(("/", "$"))]
        if asker.origin is None and any(map(needs_origin, own)):
            found.append(without_proc(asker))
        return tuple(found)


def needs_origin(text: str) -> bool:
    """Whether $ORIGIN stands in a text."""
    return any("ORIGIN" in names for names in TOKEN.findall(text))


def inheritable(elf: Elf) -> tuple[str, ...]:
    """Return the search path that serves those loaded by an object too.  With both tags there is no RPATH."""
    return elf.rpath if elf.runpath is None else ()


def relative(asker: Loaded, text: str) -> Caution:
    """Return the warning for a path that is taken from the current folder."""
    what = printable(text) or "an empty element"
    said = f"{asker.opened} looks for libraries in the folder that it is started in ({what} in its search path)"
    return Caution(rule="W08", path=asker.opened, text=said)
