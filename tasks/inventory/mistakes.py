"""What is wrong with an inventory: collected with its place, told all at once, as sentences of ours."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import InventoryError
from tasks.inventory import schema
from tasks.inventory.load import Mark
from tasks.inventory.noderange import near
from tasks.inventory.noderange_parser import shortened

MOST_AT_ONE_PLACE = 8  # a wrong expression in a group is wrong for each of ten thousand nodes

# pydantic's kinds of errors → ours, where its own words do not say it best.
PROSE = {
    "ip_v4_address": "is no IPv4 address",
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
}


@dataclass(kw_only=True)
class Mistakes:
    """What is wrong, by place and sentence, with those whom it concerns; `finish()` raises all of it at once."""

    found: dict[tuple[Mark, str], list[str]] = field(default_factory=dict)

    def add(self, mark: Mark, text: str, *, subject: str = "") -> None:
        """Note a mistake; the same one at the same place is told once, with the first of its subjects."""
        subjects = self.found.setdefault((mark, text), [])
        if subject:
            subjects.append(subject)

    def finish(self) -> None:
        """Raise an `InventoryError` with every mistake in reading order, if there is one."""
        places: dict[Mark, list[str]] = {}
        for (mark, text), subjects in self.found.items():
            places.setdefault(mark, []).append(f"{told(subjects)}{text}")
        lines: list[str] = []
        for mark in sorted(places, key=lambda mark: (mark.file, mark.line, mark.column)):
            texts = places[mark]
            lines += [f"{mark}: {text}" for text in texts[:MOST_AT_ONE_PLACE]]
            if len(texts) > MOST_AT_ONE_PLACE:
                lines.append(f"{mark}: and {len(texts) - MOST_AT_ONE_PLACE} more mistakes at this place")
        if lines:
            raise InventoryError(lines)


def told(subjects: list[str]) -> str:
    """Return ``n01: `` or ``n01 and 3 more: ``."""
    names = list(dict.fromkeys(subjects))
    if not names:
        return ""
    return f"{names[0]}: " if len(names) == 1 else f"{names[0]} and {len(names) - 1} more: "


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
    where = ".".join(str(part) for part in problem["loc"])
    given = problem.get("input")
    start = f"{where}: " if where else ""
    match problem["type"]:
        case "extra_forbidden":
            return unknown_attribute(problem["loc"], kind)
        case "missing":
            return f"{where} is missing"
        case "value_error":
            return f"{start}{problem['ctx']['error']}"
        case "is_instance_of":
            return f"{start}a secret is never written here: use '!secret env:NAME' or '!secret file:PATH'"
        case "enum":
            expected = problem["ctx"]["expected"]
            hint = near(str(given), re.findall(r"[a-z]+", expected))
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


def columns(kind: type[schema.Table], path: Iterable[Any] = ()) -> list[str]:
    """Return the attribute names that are known at a place of a table."""
    fields: Any = kind.model_fields
    for part in path:
        annotation = str(fields[part].annotation) if part in fields else ""
        inner = next((table for table in schema.Table.__subclasses__() if table.__name__ in annotation), None)
        if inner is None:
            return []
        fields = inner.model_fields
    return list(fields)
