"""What is wrong with an inventory: collected with its place, told all at once, as sentences of ours.

Warnings are kept apart: they stop nothing, and `doit check` tells them.
"""

import difflib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.errors import InventoryError
from tasks.inventory import schema
from tasks.inventory.model import SecretRef
from tasks.inventory.noderange import near
from tasks.inventory.noderange_parser import shortened
from tasks.inventory.reading import Mark

NEAR = 0.75  # of difflib's ratio: `computr` is near `compute`, `gpu` is not near `cpu`
MOST_AT_ONE_PLACE = 8  # a wrong expression in a group is wrong for each of ten thousand nodes

# pydantic's kinds of errors → ours, where its own words do not say it best.
PROSE = {
    "ip_v4_address": "is no IPv4 address",
    "ip_v6_address": "is no IPv6 address (write fd00:1::11)",
    "ip_v6_network": "is no IPv6 network (write fd00:1::/64)",
    "bool_parsing": "is neither true nor false",
    "ip_v4_network": "is no IPv4 network (write 10.1.0.0/24)",
    "int_parsing": "is no whole number",
    "int_parsing_size": "is no whole number",
    "int_from_float": "is no whole number",
}
SHAPES = {
    "list_type": "is a list: write [a, b] or one '- item' a line",
    "dict_type": "holds attributes: write 'name: value' below it",
    "model_type": "holds attributes: write 'name: value' below it",
    "model_attributes_type": "holds attributes: write 'name: value' below it",
    "string_type": "is one plain word",
    "int_type": "is a whole number",
    "bool_type": "is true or false",
}


class Notice(NamedTuple):
    """Something to say of a place: whom it concerns, how many, and what."""

    mark: Mark
    subjects: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        """Return it for people, without its place."""
        return f"{told(self.subjects)}{self.text}"


Found = dict[tuple[Mark, str], dict[str, None]]  # place and sentence → those whom it concerns, each once


@dataclass(kw_only=True)
class Mistakes:
    """What is wrong, by place and sentence, with those whom it concerns; `finish()` raises all of it at once."""

    found: Found = field(default_factory=dict)
    doubts: Found = field(default_factory=dict)

    def add(self, mark: Mark, text: str, *, subject: str = "") -> None:
        """Note a mistake; the same one at the same place is told once, with the first of its subjects."""
        subjects = self.found.setdefault((mark, text), {})
        if subject:
            subjects[subject] = None

    def warn(self, mark: Mark, text: str, *, subject: str = "") -> None:
        """Note a warning: what is likely to be not what was meant.  It never stops anything."""
        subjects = self.doubts.setdefault((mark, text), {})
        if subject:
            subjects[subject] = None

    def finish(self) -> None:
        """Raise an `InventoryError` with every mistake in reading order, if there is one."""
        if self.found:
            raise InventoryError(lines(notices(self.found), "mistakes"))

    @property
    def warnings(self) -> list[Notice]:
        """Return the warnings in reading order."""
        return notices(self.doubts)


def notices(found: Found) -> list[Notice]:
    """Return what was found, in reading order."""
    told = [Notice(mark, tuple(subjects), text) for (mark, text), subjects in found.items()]
    return sorted(told, key=lambda notice: (notice.mark.file, notice.mark.line, notice.mark.column))


def lines(found: Iterable[Notice], what: str, prefix: str = "") -> list[str]:
    """Return what was found as lines for people; of very many at one place the first ones."""
    result: list[str] = []
    for mark, group in itertools.groupby(found, key=lambda notice: notice.mark):
        texts = list(group)
        result += [f"{mark}: {prefix}{notice}" for notice in texts[:MOST_AT_ONE_PLACE]]
        if len(texts) > MOST_AT_ONE_PLACE:
            result.append(f"{mark}: and {len(texts) - MOST_AT_ONE_PLACE} more {what} at this place")
    return result


def told(names: Sequence[str]) -> str:
    """Return ``n01: `` or ``n01 and 3 more: ``."""
    if not names:
        return ""
    return f"{names[0]}: " if len(names) == 1 else f"{names[0]} and {len(names) - 1} more: "


def typo(what: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that may be a slip of the pen, nothing where no known name is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=NEAR)
    return f"no {what} {word!r} is in {what}s.yaml: did you mean {close[0]}?" if close else ""


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that nothing bears, with the nearest names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=2)
    if close:
        return f"unknown {what} {word!r}: did you mean {' or '.join(close)}?"
    return f"unknown {what} {word!r}: known are {', '.join(names[:8]) or 'none'}"


def sentence(problem: Any, kind: type[schema.Table]) -> str:
    """Return pydantic's complaint (one item of `ValidationError.errors()`) as a sentence of ours.

    What was given is repeated only where it cannot be a secret.
    """
    where = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    given = problem.get("input")
    start = f"{where}: " if where else ""
    match problem["type"]:
        case "extra_forbidden":
            return unknown_attribute(problem["loc"], kind)
        case "missing":
            return f"{where} is missing"
        case "value_error":
            return f"{start}{problem['ctx']['error']}"
        case "string_type" if isinstance(given, SecretRef):
            return f"{start}no secret belongs here: only passwords and communities are secrets"
        case "is_instance_of":
            return f"{start}a secret is never written here: use '!secret env:NAME' or '!secret file:PATH'"
        case "enum" | "literal_error":
            expected = problem["ctx"]["expected"]
            hint = near(str(given), re.findall(r"[A-Za-z0-9]+", expected))
            return f"{start}{shortened(repr(given))} is none of {expected}{hint}"
        case shape if shape in SHAPES:
            return f"{where} {SHAPES[shape]}" if where else f"this {SHAPES[shape]}"
        case prose if prose in PROSE:
            return f"{start}{shortened(repr(given))} {PROSE[prose]}"
    message = problem["msg"].removeprefix("Input ").removeprefix("String ")
    shown = f"{shortened(repr(given))} " if isinstance(given, str) else "this "
    return f"{start}{shown}{message[0].lower()}{message[1:]}"


def unknown_attribute(path: tuple[Any, ...], kind: type[schema.Table]) -> str:
    """Return the sentence for an attribute that a table does not have."""
    last = str(path[-1])
    inside = f" in {'.'.join(map(str, path[:-1]))}" if len(path) > 1 else ""
    return f"unknown attribute {last!r}{inside}{near(last, columns(kind, path[:-1]))}"


def is_column(kind: type[schema.Table], path: tuple[Any, ...]) -> bool:
    """Return whether a table has this attribute; names that the site chooses itself (variables, NICs) are any."""
    known = columns(kind, path[:-1])
    return not known or path[-1] in known


def columns(kind: type[schema.Table], path: Iterable[Any] = ()) -> list[str]:
    """Return the attribute names that are known at a place of a table."""
    parts, fields = iter(path), kind.model_fields
    for part in parts:
        annotation = str(fields[part].annotation) if part in fields else ""
        inner = next((table for table in schema.Table.__subclasses__() if table.__name__ in annotation), None)
        if inner is None:
            return []
        fields = inner.model_fields
        if annotation.startswith(("dict", "list")) and next(parts, None) is None:
            return []  # a row's name or number comes first
    return list(fields)
