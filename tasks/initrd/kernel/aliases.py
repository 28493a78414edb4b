"""Which patterns a name matches, as kmod asks fnmatch(3), in bounded time.  Pure.

`fnmatch` of Python knows no ``[^…]`` and no backslash, and what it compiles a pattern to may take long for a hostile
one.  Here the work is counted: at most `MOST_STEPS` for all questions about one kernel.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

WILD = re.compile(r"[*?\[\\]")
MOST_STEPS = 20_000_000  # comparisons of one character; a question about all of Debian's USB aliases takes 0.5 million
GLANCE = 16  # so many aliases are passed over by their beginning in the time of one step


@dataclass
class Budget:
    """How much work is left."""

    steps: int = field(default_factory=lambda: MOST_STEPS)

    def spend(self, steps: int) -> None:
        """Take some; `ValueError` when there is no more."""
        self.steps -= steps
        if self.steps < 0:
            message = "its aliases are too many and too wild to look through"
            raise ValueError(message)


@dataclass(frozen=True)
class Aliases:
    """Alias patterns and whose they are: (what a pattern begins with up to its first wildcard, pattern, module)."""

    exact: Mapping[str, tuple[str, ...]]
    wild: tuple[tuple[str, str, str], ...]
    budget: Budget = field(default_factory=Budget, repr=False, compare=False)

    @classmethod
    def of(cls, patterns: Mapping[str, Iterable[str]]) -> "Aliases":
        """Build from {module: its patterns}."""
        exact: dict[str, list[str]] = {}
        wild: list[tuple[str, str, str]] = []
        for name, texts in patterns.items():
            for text in texts:
                begin = literal(text)
                if len(begin) == len(text):
                    exact.setdefault(text, []).append(name)
                else:
                    wild.append((begin, text, name))
        return cls({text: tuple(names) for text, names in exact.items()}, tuple(wild))

    def find(self, word: str) -> set[str]:
        """Return the modules whose patterns meet a word.

        The word is a modalias (``pci:v000014E4d00001639sv…``), which patterns match, or itself a pattern
        (``pci:v000014E4d*``), which matches patterns as they are written.  `ValueError` where that takes too long.
        """
        self.budget.spend(len(self.wild) // GLANCE)
        found = set(self.exact.get(word, ()))
        found |= {
            name for begin, text, name in self.wild if word.startswith(begin) and matches(text, word, self.budget)
        }
        begin = literal(word)
        if len(begin) < len(word):
            found |= self.written(word, begin)
        return found

    def written(self, pattern: str, begin: str) -> set[str]:
        """Return the modules that have an alias which, as it is written, matches a pattern with this beginning."""
        pairs = [(text, name) for _, text, name in self.wild]
        pairs += [(text, name) for text, names in self.exact.items() for name in names]
        return {name for text, name in pairs if text.startswith(begin) and matches(pattern, text, self.budget)}


def literal(pattern: str) -> str:
    """Return what a pattern begins with up to its first wildcard."""
    found = WILD.search(pattern)
    return pattern[: found.start()] if found else pattern


def matches(pattern: str, word: str, budget: Budget) -> bool:
    """Return whether a pattern matches the whole of a word: fnmatch(3) without flags."""
    at = here = 0
    star, resume = -1, 0
    while here < len(word):
        budget.spend(1)
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
            continue
        length = step(pattern, at, word[here], budget) if at < len(pattern) else 0
        if length:
            at, here = at + length, here + 1
        elif star >= 0:  # let the last star take one character more
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def step(pattern: str, at: int, char: str, budget: Budget) -> int:
    """Return how much of a pattern one character takes up, 0 where it does not match."""
    sign = pattern[at]
    if sign == "?":
        return 1
    if sign == "\\" and at + 1 < len(pattern):
        return 2 if pattern[at + 1] == char else 0
    if sign == "[":
        end = pattern.find("]", at + (3 if pattern[at + 1 : at + 2] in {"!", "^"} else 2))
        if end > 0:
            budget.spend(end - at)
            return end + 1 - at if within(pattern[at + 1 : end], char) else 0
    return 1 if sign == char else 0


def within(inside: str, char: str) -> bool:
    """Return whether a character is in a bracket's list, given without its brackets."""
    negated = inside[:1] in {"!", "^"}
    rest = inside[1:] if negated else inside
    at = 0
    found = False
    while at < len(rest):
        if rest[at + 1 : at + 2] == "-" and at + 2 < len(rest):
            found |= rest[at] <= char <= rest[at + 2]
            at += 3
        else:
            found |= rest[at] == char
            at += 1
    return found is not negated
