"""What the dynamic loader maps for one program: breadth first, each name satisfied once (glibc elf/dl-deps.c).

Breadth first matters: a library that the program itself finds by its RUNPATH satisfies what others ask for later,
although they could not find it (a depth-first scan gets this wrong).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.initrd.loader.elf import Elf
from tasks.initrd.loader.objects import Loaded, Objects
from tasks.initrd.loader.plan import Caution, Lack, Missing, printable
from tasks.initrd.loader.rules import Answer, Rules


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A library that is mapped, and why."""

    loaded: Loaded
    reason: str


@dataclass
class Process:
    """One program's libraries, as far as they were found."""

    objects: Objects
    rules: Rules
    main: Loaded
    mapped: list[Mapped] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    files: dict[str, Loaded] = field(default_factory=dict)

    def load_all(self, loader: Elf, interpreter: str) -> None:
        """Map all that the program needs; the loader itself is there already, under its name and its SONAME."""
        self.names |= {interpreter, loader.soname or interpreter}
        self.names |= self.rules.known_as(self.main, self.main.elf.soname or self.main.opened)
        self.files[self.main.real] = self.main
        self.load_needs(deque([self.main]))

    def load_needs(self, todo: deque[Loaded]) -> None:
        """Map what the objects need, then what those need, and so on."""
        while todo:
            asker = todo.popleft()
            for name, optional in requests(asker.elf):
                self.objects.probes += 1
                answer = self.answer(asker, name)
                if answer is not None:
                    todo.extend(self.settle(asker, name, answer, optional=optional))

    def answer(self, asker: Loaded, name: str) -> Answer | None:
        """Return what the loader finds for a needed name, None where it has it already."""
        expanded = self.rules.expand(name, asker)
        if expanded is None:
            return Answer(detail="its $ORIGIN is not known before /proc is mounted")
        if expanded in self.names:
            return None
        self.names.add(expanded)
        return self.rules.find(asker, expanded)

    def settle(self, asker: Loaded, name: str, answer: Answer, *, optional: bool) -> Iterator[Loaded]:
        """Note an answer; yield the objects that are new by it."""
        self.cautions += answer.cautions
        if answer.found is not None:
            self.names |= self.rules.known_as(answer.found, name)
            yield from self.map(answer.found, f"needed by {asker.opened}, {answer.how}")
            for variant in answer.variants:
                yield from self.map(variant, f"variant of {printable(name)} for newer CPUs")
        elif not answer.satisfied and not optional:
            self.missing.append(Missing(lack=Lack.LIBRARY, name=name, by=asker.opened, detail=answer.detail))

    def map(self, loaded: Loaded, reason: str) -> Iterator[Loaded]:
        """Map an object, under whatever name it was found; yield it where its file is new."""
        self.mapped.append(Mapped(loaded=loaded, reason=reason))
        if loaded.real not in self.files:
            self.files[loaded.real] = loaded
            yield loaded

    def dlopen(self, asker: Loaded, name: str, reason: str) -> bool:
        """Map a library that `asker` opens while it runs, with all that it needs; return whether it was found."""
        if name in self.names:
            return True
        answer = self.rules.find(asker, name)
        if answer.satisfied or answer.found is None:
            return answer.satisfied
        self.names |= {name, *self.rules.known_as(answer.found, name)}
        self.load_needs(deque(self.map(answer.found, reason)))
        return True

    def check_versions(self) -> None:
        """Miss the symbol versions that libraries do not have: they are too old, or others' (elf/dl-version.c).

        A library without any versions is taken as it is.  Each of its own stands in its strings.
        """
        providers = {each.elf.soname: each for each in self.files.values() if each.elf.soname and each.elf.versioned}
        for asker in list(self.files.values()):
            for library, version in asker.elf.versions:
                found = providers.get(library)
                if found and not self.objects.mentions(found.real, (version,)):
                    detail = f"{found.opened} has no version {printable(version)}"
                    self.missing.append(Missing(lack=Lack.LIBRARY, name=library, by=asker.opened, detail=detail))

    def named(self, soname: str) -> Loaded:
        """Return the object of a SONAME, the main program where there is none."""
        return next((each for each in self.files.values() if each.elf.soname == soname), self.main)


def requests(elf: Elf) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether it may be absent) in the order in which the loader takes them (DT_FILTER, DT_AUXILIARY)."""
    yield from ((name, False) for name in elf.needed)
    yield from ((name, False) for name in elf.filters)
    yield from ((name, True) for name in elf.auxiliaries)
