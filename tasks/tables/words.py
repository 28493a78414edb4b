"""The words behind a command's name: options apart from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.errors import BootmillError


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How a command is called: its synopsis, each option's spellings → its name, how many words it takes."""

    synopsis: str
    options: tuple[tuple[str, str], ...]
    least: int = 0
    most: int = 1_000_000

    def misused(self, message: str) -> BootmillError:
        """Return the error for words that make no sense."""
        return BootmillError(message, hint=f"usage: {self.synopsis}")

    def understand(self, words: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return the plain words and the names of the options; `BootmillError` says which word is wrong.

        A lone ``--`` is passed over: doit hands on everything behind a command's name, with or without it.
        """
        known = dict(self.options)
        dashed = [word for word in words if word.startswith("-") and word != "--" and not word[1:2].isalnum()]
        dashed += [word for word in words if word in known]
        strange = [word for word in dashed if word not in known]
        if strange:
            message = f"unknown option {strange[0]!r}"
            raise self.misused(message)
        plain = tuple(word for word in words if word not in known and word != "--")
        if not self.least <= len(plain) <= self.most:
            wanted = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            message = f"{len(plain)} words are given, {wanted} are wanted"
            raise self.misused(message)
        return plain, frozenset(known[word] for word in words if word in known)
