"""One node's attributes: from layers (site defaults < groups < the node's own) and expressions to typed values."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tasks import template
from tasks.inventory import schema
from tasks.inventory.load import Mark, Path_
from tasks.inventory.mistakes import Mistakes, sentence
from tasks.inventory.model import SecretRef
from tasks.inventory.noderange_parser import shortened

NUMBERS = re.compile(r"[0-9]+")
COMPOUND = frozenset({"bmc", "port", "console"})  # attributes made of attributes: merged one by one, as xCAT's columns
NEEDED = {"bmc": "address", "port": "switch"}  # what a compound must have to be there at all
SECRETS = frozenset({"password", "community"})  # never evaluated, never told: the secret itself may stand there


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An attribute's value before it has a type, and where it was written."""

    value: Any
    mark: Mark
    expression: bool


Cells = dict[Path_, Cell]  # paths have one part, or two inside a compound attribute


def leaves(content: Mapping[str, Any]) -> Iterator[tuple[Path_, Any]]:
    """Yield each attribute with its path; those of `COMPOUND` are entered, all else is one value."""
    for key, value in content.items():
        if isinstance(value, dict) and key in COMPOUND:
            yield from (((key, part), inner) for part, inner in value.items())
        else:
            yield (key,), value


def cell(path: Path_, value: Any, mark: Mark) -> Cell:
    """Return a value with its place; look once whether it is an expression."""
    texts = value if isinstance(value, list) else (value,)
    expression = path[-1] not in SECRETS and any(
        isinstance(text, str) and ("{{" in text or "{%" in text) for text in texts
    )
    return Cell(value=value, mark=mark, expression=expression)


def clash(path: Path_, cells: Mapping[Path_, Cell]) -> Path_ | None:
    """Return the path that cannot stand beside `path`: itself, the compound around it, or an attribute inside it."""
    if path in cells:
        return path
    if path[0] not in COMPOUND:
        return None
    if len(path) > 1:
        return path[:1] if path[:1] in cells else None
    return next((other for other in cells if other[0] == path[0]), None)


def overlay(cells: Cells, layer: Mapping[Path_, Cell]) -> None:
    """Lay attributes over others; ``bmc: ~`` takes a whole compound away, ``bmc: {user: x}`` changes one part."""
    for path, value in layer.items():
        while path[0] in COMPOUND and (other := clash(path, cells)):
            del cells[other]
        cells[path] = value


def layered(own: Cells, groups: Mapping[str, Cells], defaults: Cells) -> Cells:
    """Return a node's attributes: of the groups in its list, the first that has an attribute wins; ``all`` is last."""
    membership = own.get(("groups",)) or defaults.get(("groups",))
    listed = schema.one_or_many(membership.value) if membership else []
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    cells = dict(defaults)
    for group in reversed(list(dict.fromkeys([*names, "all"]))):
        overlay(cells, groups.get(group, {}))
    overlay(cells, own)
    for compound, part in NEEDED.items():
        parts = [path for path in cells if path[0] == compound]
        nested = (compound,) not in cells and (compound, part) not in cells
        if nested and all(cells[path] is defaults.get(path) for path in parts):
            for path in parts:
                del cells[path]  # a password for all BMCs does not give one to a guest
    return cells


def typed(name: str, cells: Cells, home: Mark, mistakes: Mistakes) -> schema.NodeIn | None:
    """Evaluate a node's expressions and give every value its type; None after a complaint.

    `home` is where the node itself was written: the place of what is missing.
    """
    values = evaluated(name, cells, mistakes)
    if values is None:
        return None
    try:
        return schema.NodeIn.model_validate(tree(values))
    except ValidationError as error:
        for problem in error.errors():
            mistakes.add(place(problem["loc"], cells, home), sentence(problem, schema.NodeIn), subject=name)
        return None


def place(loc: Iterable[int | str], cells: Cells, home: Mark) -> Mark:
    """Return where the value of pydantic's path was written, or the nearest to it."""
    path = tuple(loc)
    found = cells.get(path[:2]) or cells.get(path[:1])
    inside = next((value.mark for other, value in cells.items() if path and other[0] == path[0]), home)
    return found.mark if found else inside


def tree(values: Mapping[Path_, Any]) -> dict[str, Any]:
    """Return attributes by path as nested mappings."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        if len(path) == 1:
            result[str(path[0])] = value
        else:
            result.setdefault(str(path[0]), {})[str(path[1])] = value
    return result


def evaluated(name: str, cells: Cells, mistakes: Mistakes) -> dict[Path_, Any] | None:
    """Return the values of all attributes, those of expressions as text; None after a complaint.

    Expressions may refer to each other: each is tried again until none comes nearer to a value.
    """
    done = {path: value.value for path, value in cells.items() if not value.expression}
    pending = {path: value for path, value in cells.items() if value.expression}
    if ("groups",) in pending:
        mistakes.add(pending[("groups",)].mark, "groups: a list of names, no expression", subject=name)
        return None
    numbers = tuple(int(number) for number in NUMBERS.findall(name))
    errors: dict[Path_, ValueError] = {}
    while pending:
        known = {**tree({path: value for path, value in done.items() if visible(value)}), "name": name, "n": numbers}
        errors = {}
        for path, value in pending.items():
            try:
                done[path] = result(value.value, known)
            except ValueError as error:
                errors[path] = error
        if len(errors) == len(pending):
            break
        pending = {path: pending[path] for path in errors}
    for path, reason in errors.items():
        where, written = ".".join(map(str, path)), shortened(str(cells[path].value))
        mistakes.add(cells[path].mark, f"{where}: {written!r}: {reason!s}{circle(reason, pending)}", subject=name)
    return None if errors else done


def visible(value: Any) -> bool:
    """Return whether expressions may use a value: a reference to a secret is no word for a configuration file."""
    return value is not None and not isinstance(value, SecretRef)


def result(value: Any, known: Mapping[str, Any]) -> Any:
    """Return what an expression, or a list with expressions in it, comes to."""
    if isinstance(value, list):
        return [result(item, known) for item in value]
    return template.expression(value, known) if isinstance(value, str) and "{" in value else value


def circle(error: ValueError, pending: Mapping[Path_, Cell]) -> str:
    """Return a remark where the undefined name is an attribute that itself waits for a value."""
    waiting = any(str(error) == f"{str(path[0])!r} is undefined" for path in pending)
    return " (attributes that refer to each other in a circle have no value)" if waiting else ""
