"""The words behind ``doit deploy`` and ``doit plan``.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import BootmillError


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user typed: plain words, options that are switched on, options that have a value."""

    words: tuple[str, ...]
    on: frozenset[str]
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How a command is called: switches, options with their values (none listed: any), and a synopsis."""

    synopsis: str
    switches: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]

    def misused(self, message: str) -> BootmillError:
        """Return the error for words that make no sense."""
        return BootmillError(message, hint=f"usage: {self.synopsis}")

    def understand(self, words: Sequence[str]) -> Order:
        """Return the order behind the words; ``--root DIR`` and ``--root=DIR`` are the same."""
        plain: list[str] = []
        on: set[str] = set()
        values: dict[str, str] = {}
        todo = [word for word in words if word != "--"]
        while todo:
            word = todo.pop(0)
            name, equals, value = word.partition("=")
            if name in self.values:
                if not equals and not todo:
                    message = f"{name} needs a value"
                    raise self.misused(message)
                values[name] = value if equals else todo.pop(0)
                choices = self.values[name]
                if choices and values[name] not in choices:
                    message = f"{name} is one of {', '.join(choices)}, not {values[name]!r}"
                    raise self.misused(message)
            elif word in self.switches:
                on.add(word)
            elif word.startswith("-"):
                message = f"unknown option {word!r}"
                raise self.misused(message)
            else:
                plain.append(word)
        return Order(words=tuple(plain), on=frozenset(on), values=values)


DEPLOY = Usage(
    synopsis="doit deploy [SERVICE…] [--dry-run] [--undo] [--take-over] [--root DIR] [--json]",
    switches=("--dry-run", "--undo", "--take-over", "--json"),
    values={"--root": ()},
)
PLAN = Usage(
    synopsis="doit plan [--full] [--check] [--color=auto|always|never] [--json]",
    switches=("--full", "--check", "--json"),
    values={"--color": ("auto", "always", "never")},
)
