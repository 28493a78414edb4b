"""What glibc's and musl's loaders have in common: a question, an answer, the list of folders to be tried in order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tasks.initrd.loader.elf import Elf, Identity
from tasks.initrd.loader.objects import Candidate, Loaded, Objects, Verdict
from tasks.initrd.loader.plan import Caution, printable


@dataclass(frozen=True, kw_only=True)
class Folders:
    """One list of folders of a search and where it comes from, in words; links without end leave the list."""

    how: str
    folders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a loader finds for a name: the file, or why not.

    `found` is the object, None where there is none; `variants` are copies that only some CPUs get; `satisfied` says
    that nothing has to be loaded; `how` names the rule that found it, `detail` the cause why nothing was found.
    """

    found: Loaded | None = None
    variants: tuple[Loaded, ...] = ()
    satisfied: bool = False
    how: str = ""
    detail: str = ""
    cautions: tuple[Caution, ...] = ()


class Rules(Protocol):
    """How one dynamic loader of a tree finds libraries."""

    loader: Elf
    """The loader itself."""
    is_glibc: bool
    """Whether its libc opens libgcc_s and libnss_* while programs run."""

    def start(self, opened: str, real: str, elf: Elf, *, proc: bool) -> Loaded:
        """Return the main program as loaded."""

    def find(self, asker: Loaded, name: str) -> Answer:
        """Return what the loader finds where `asker` needs `name`."""

    def expand(self, text: str, owner: Loaded) -> str | None:
        """Return a text with its tokens replaced, None where it is to be passed over."""

    def known_as(self, loaded: Loaded, asked: str) -> set[str]:
        """Return the names that an object satisfies once it is loaded."""


@dataclass
class Search:
    """One look-up on its way: what was passed over, and the first file that ends it."""

    objects: Objects
    like: Identity
    name: str
    passed: list[Candidate] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)

    def probe(self, folder: str) -> Candidate | None:
        """Look into one folder; None where the search goes on behind it, or where it was tried before."""
        path = f"{folder.rstrip('/')}/{self.name}"
        if path in self.tried or self.objects.exhausted():
            return None
        self.tried.add(path)
        found = self.objects.candidate(path, self.like)
        if found.verdict is Verdict.FOREIGN:
            self.passed.append(found)
        return None if found.verdict in {Verdict.ABSENT, Verdict.FOREIGN} else found

    def walk(self, lists: Iterator[Folders], *, loop_ends_all: bool = False) -> Iterator[tuple[str, Candidate]]:
        """Yield (how, file) for each file that would end the search, in order; a loop of links ends its own list."""
        for each in lists:
            for folder in each.folders:
                found = self.probe(folder)
                if found is not None and found.verdict is Verdict.LOOP:
                    if loop_ends_all:
                        return
                    break
                if found is not None:
                    yield each.how, found

    def cautions(self) -> tuple[Caution, ...]:
        """Return what was passed over: it lies where it helps nobody."""
        return tuple(
            Caution(
                rule="W08",
                path=each.path,
                text=f"{printable(each.path)} is passed over by programs that need {printable(self.name)}: {each.why}",
            )
            for each in self.passed
        )

    def detail(self) -> str:
        """Return why nothing was found, as far as it is known."""
        if self.objects.exhausted():
            return "the search was given up: this tree asks for more look-ups than any honest one"
        return "; ".join(f"{printable(each.path)} is passed over: {each.why}" for each in self.passed)


def shadowed(first: Candidate, rest: Iterator[tuple[str, Candidate]]) -> tuple[Caution, ...]:
    """Return the warning for a broken file that hides a good one, nothing where it hides none."""
    good = next((found for _, found in rest if found.verdict is Verdict.GOOD), None)
    if good is None:
        return ()
    text = f"{printable(first.path)} hides the good {printable(good.path)}: {first.why}; the loader stops there"
    return (Caution(rule="W09", path=first.path, text=text),)


def without_proc(asker: Loaded) -> Caution:
    """Return the warning for a program that needs $ORIGIN where the loader does not know it."""
    said = f"{asker.opened} looks for libraries relative to $ORIGIN, which is not known before /proc is mounted"
    return Caution(rule="E06", path=asker.opened, text=said)
