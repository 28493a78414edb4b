"""Collect what drivers need: their dependencies, what is asked for softly, the bus below them.  Pure."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from tasks.initrd.kernel import drivers
from tasks.initrd.kernel.loading import loading_order
from tasks.initrd.kernel.modindex import Index


class Known(Protocol):
    """What is asked of a kernel's modules."""

    index: Index

    def find(self, word: str) -> tuple[str, ...]:
        """Return the names that a word means."""


class Wanted:
    """What some words mean and what those modules need: collected first, brought into order then.

    `rank`: module → which of the words asked for it first.  `why`: who needs it.  `hard`, `soft`: what is to come
    before it.  `missing`: a sentence for each module that another one cannot do without and that is not there.
    """

    def __init__(self, known: Known, words: Iterable[str]) -> None:
        """Collect; nothing is read of the modules themselves."""
        self.known = known
        self.index = known.index
        self.rank: dict[str, int] = {}
        self.why: dict[str, str] = {}
        self.hard: dict[str, set[str]] = {}
        self.soft: dict[str, set[str]] = {}
        self.missing: list[str] = []
        named = [name for word in words for name in known.find(word)]
        for rank, name in enumerate(named):
            self.add(name, rank, "asked for")

    def add(self, first: str, rank: int, why: str) -> None:
        """Add a module and, step by step, all that it needs or is followed by."""
        todo = [(first, why)]
        while todo:
            name, why = todo.pop()
            if name in self.rank or name not in self.index.paths:
                continue
            self.rank[name], self.why[name] = rank, why
            before, after = self.soft_of(name)
            self.hard[name] = set(self.hard_of(name))
            self.soft.setdefault(name, set()).update(before)
            for other in after:
                self.soft.setdefault(other, set()).add(name)
            todo += [(other, f"needed by {name}") for other in (*self.hard[name], *before)]
            todo += [(other, f"follows {name}") for other in after]

    def hard_of(self, name: str) -> Iterator[str]:
        """Yield what a module cannot be loaded without, and note what is missing of it."""
        for other in self.index.depends.get(name, ()):
            if other in self.index.paths:
                yield other
            elif other not in self.index.builtin:
                self.missing.append(f"module {name} needs {other}, which is not there")

    def soft_of(self, name: str) -> tuple[set[str], set[str]]:
        """Return what should come before and after a module, where the kernel has it."""
        before = {found for word in self.index.before.get(name, ()) for found in self.known.find(word)}
        after = {found for word in self.index.after.get(name, ()) for found in self.known.find(word)}
        before |= {other for other in drivers.below(self.index.aliases.get(name, ())) if other in self.index.paths}
        after |= {other for other in drivers.ABOVE.get(name, ()) if other in self.index.paths}
        return before - {name}, after - {name}

    def order(self) -> list[str]:
        """Return all in loading order.  Who is weakly depended on comes first too, if he is there anyway."""
        for name in self.rank:
            weak = {found for word in self.index.weak.get(name, ()) for found in self.known.find(word)}
            self.soft[name] |= weak & self.rank.keys()
        return loading_order(self.rank, self.hard, self.soft)
