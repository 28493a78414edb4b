"""One node's attributes: from layers (site defaults < groups < the node's own) and expressions to typed values."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from tasks import template
from tasks.inventory import arithmetic, grouping, rows, schema, texts
from tasks.inventory.mistakes import Mistakes, sentence, typo
from tasks.inventory.model import Node, SecretRef
from tasks.inventory.noderange_parser import shortened
from tasks.inventory.reading import Mark, Path_

NUMBERS = re.compile(r"[0-9]+")
# Attributes made of attributes are merged one by one, as xCAT's columns: how deep each goes.
COMPOUND = {"bmc": 1, "port": 1, "console": 1, "vm": 1, "vars": 1, "nics": 2}
NEEDED = {"bmc": "address", "port": "switch", "vm": "host"}  # what a compound must have to be there at all
# Never evaluated, never told: the secret itself may stand there.
SECRETS = frozenset({"password", "community", "auth_password", "privacy_password"})


class Cell(NamedTuple):
    """An attribute's value before it has a type, and where it was written."""

    value: Any
    mark: Mark
    expression: bool
    quick: arithmetic.Quick | None = None  # what evaluates it without Jinja2, where that is possible


Cells = dict[Path_, Cell]  # paths have one part, two inside a compound attribute, three inside of nics


def leaves(content: Mapping[str, Any]) -> Iterator[tuple[Path_, Any]]:
    """Yield each attribute with its path; those of `COMPOUND` are entered, all else is one value."""
    for key, value in content.items():
        yield from entered((key,), value, COMPOUND.get(key, 0))


def entered(path: Path_, value: Any, depth: int) -> Iterator[tuple[Path_, Any]]:
    """Yield what is inside a compound attribute, `depth` deep."""
    if depth and isinstance(value, dict):
        for part, inner in value.items():
            yield from entered((*path, part), inner, depth - 1)
    else:
        yield path, value


def cell(path: Path_, value: Any, mark: Mark) -> Cell:
    """Return a value with its place; look once whether it is an expression."""
    found = value if isinstance(value, list) else (value,)
    expression = path[-1] not in SECRETS and any(
        isinstance(text, str) and ("{{" in text or "{%" in text) for text in found
    )
    # groups: a list of names, no expression; that is told where all that is left goes
    quick = arithmetic.compiled(value) if expression and isinstance(value, str) and path != ("groups",) else None
    return Cell(value, mark, expression, quick)


def clash(path: Path_, cells: Mapping[Path_, Cell]) -> Path_ | None:
    """Return the path that cannot stand beside `path`: itself, the compound around it, or an attribute inside it."""
    if path in cells:
        return path
    if path[0] not in COMPOUND:
        return None
    around = (path[:length] for length in range(1, len(path)))
    inside = (other for other in cells if other[: len(path)] == path)
    return next((other for other in around if other in cells), None) or next(inside, None)


def overlay(cells: Cells, layer: Mapping[Path_, Cell]) -> None:
    """Lay attributes over others; ``bmc: ~`` takes a whole compound away, ``bmc: {user: x}`` changes one part."""
    for path, value in layer.items():
        while path[0] in COMPOUND and (other := clash(path, cells)):
            del cells[other]
        cells[path] = value


@dataclass(frozen=True, kw_only=True)
class Base:
    """What lies below the own attributes of all nodes that name the same groups."""

    cells: Cells
    doubtful: tuple[tuple[Path_, tuple[Path_, ...]], ...]  # compounds of defaults alone: what each needs, its parts
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...]


class Layers:
    """What lies below the nodes' own attributes: groups (with ``groups`` and ``where`` of their own) and defaults."""

    def __init__(self, *, groups: Mapping[str, Cells], defaults: Cells) -> None:
        """Tell static groups from dynamic ones; the bases of nodes are made when one is asked for."""
        self.groups = groups
        self.defaults = defaults
        parents = {name: listed(cells.get(("groups",))) for name, cells in groups.items()}
        lost = {name for way in grouping.circles(parents) for name in way}
        self.parents = {name: found for name, found in parents.items() if name not in lost}
        self.dynamic: dict[str, grouping.Where] = {
            name: tuple(cells[("where",)].value.items()) for name, cells in groups.items() if ("where",) in cells
        }
        self.bases: dict[tuple[str, ...], Base] = {}
        self.orders: dict[tuple[str, ...], tuple[str, ...]] = {}

    def membership(self, own: Mapping[Path_, Cell]) -> Cell | None:
        """Return what says in which groups a node is."""
        return own.get(("groups",)) or self.defaults.get(("groups",))

    def base(self, own: Mapping[Path_, Cell]) -> Base:
        """Return what lies below a node's own attributes."""
        named = listed(self.membership(own))
        found = self.bases.get(named)
        if found is None:
            found = self.bases[named] = self.built(named)
        return found

    def built(self, named: tuple[str, ...]) -> Base:
        """Put together what lies below the nodes that name these groups."""
        cells = dict(self.defaults)
        for group in reversed(self.order(named)):
            given = self.groups.get(group, {})
            overlay(cells, {path: value for path, value in given.items() if path[0] not in {"groups", "where"}})
        doubtful = [
            ((compound, part), tuple(path for path in cells if path[0] == compound))
            for compound, part in NEEDED.items()
            if any(path[0] == compound for path in cells) and not {(compound,), (compound, part)} & cells.keys()
        ]
        mistakes = [
            f"{group} is a dynamic group: nodes join it by what they are (see groups.yaml)"
            for group in named
            if group in self.dynamic
        ]
        unknown = [group for group in named if group not in self.groups and group != grouping.ALL]
        return Base(
            cells=cells,
            doubtful=tuple(
                (needed, parts)
                for needed, parts in doubtful
                if all(cells[path] is self.defaults.get(path) for path in parts)
            ),
            mistakes=tuple(mistakes),
            warnings=tuple(text for group in unknown if (text := typo("group", group, self.groups))),
        )

    def order(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """Return the groups of a node that names some, in the order in which they win."""
        found = self.orders.get(named)
        if found is None:
            found = self.orders[named] = grouping.order(named, self.parents)
        return found

    def cells(self, own: Cells) -> Cells:
        """Return all of a node's attributes.

        A compound of which defaults alone speak, and not of what it needs, is not there: a password for all BMCs does
        not give one to a guest.
        """
        base = self.base(own)
        cells = dict(base.cells)
        overlay(cells, own)
        for needed, parts in base.doubtful:
            if not any(path[0] == needed[0] for path in own):
                for path in parts:
                    del cells[path]
        return cells

    def node(self, name: str, own: Cells, home: Mark, mistakes: Mistakes) -> Node | None:
        """Return a node, None after a complaint; `home` is where it was written: the place of what is missing."""
        self.complain(name, own, home, mistakes)
        row = typed(name, self.cells(own), home, mistakes)
        if row is None:
            return None
        groups = self.order(tuple(row.groups))
        node = rows.node(name, row, groups)
        more = tuple(group for group, where in self.dynamic.items() if grouping.joined(node, where))
        return replace(node, groups=(*groups[:-1], *more, grouping.ALL)) if more else node

    def complain(self, name: str, own: Cells, home: Mark, mistakes: Mistakes) -> None:
        """Say what is wrong with a node's groups."""
        base = self.base(own)
        if base.mistakes or base.warnings:
            named = self.membership(own)
            mark = named.mark if named else home
            for text in base.mistakes:
                mistakes.add(mark, text, subject=name)
            for text in base.warnings:
                mistakes.warn(mark, text, subject=name)


def listed(cell: Cell | None) -> tuple[str, ...]:
    """Return the groups that a cell names, as far as they are words: what is wrong with it is told elsewhere."""
    if cell is None:
        return ()
    value = texts.one_or_many(cell.value)
    return tuple([name for name in value if isinstance(name, str)]) if isinstance(value, list) else ()


# -- from cells to values ----------------------------------------------------------------------------------------------


def typed(name: str, cells: Cells, home: Mark, mistakes: Mistakes) -> schema.NodeIn | None:
    """Evaluate a node's expressions and give every value its type; None after a complaint."""
    values = evaluated(name, cells, mistakes)
    if values is None:
        return None
    try:
        return schema.NodeIn.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            mistakes.add(place(problem["loc"], cells, home), sentence(problem, schema.NodeIn), subject=name)
        return None


def place(loc: Iterable[int | str], cells: Mapping[Path_, Cell], home: Mark) -> Mark:
    """Return where the value of pydantic's path was written, or the nearest to it."""
    path = tuple(loc)
    for length in range(len(path), 0, -1):
        if path[:length] in cells:
            return cells[path[:length]].mark
        inside = next((value.mark for other, value in cells.items() if other[:length] == path[:length]), None)
        if inside:
            return inside
    return home


def plant(tree: dict[str, Any], path: Path_, value: Any) -> None:
    """Put a value into nested mappings; what is empty (``bmc: ~``) is not there."""
    if value is None:
        return
    for part in path[:-1]:
        tree = tree.setdefault(str(part), {})
    tree[str(path[-1])] = value


def evaluated(name: str, cells: Cells, mistakes: Mistakes) -> dict[str, Any] | None:
    """Return the values of all attributes, nested, those of expressions as text; None after a complaint."""
    numbers: tuple[int, ...] | None = None
    tree: dict[str, Any] = {}
    pending: Cells = {}
    for path, written in cells.items():
        value = written.value
        if written.expression:
            if written.quick is None:
                pending[path] = written
                continue
            if numbers is None:
                numbers = tuple(map(int, NUMBERS.findall(name)))
            try:
                value = written.quick(name, numbers)
            except (ArithmeticError, LookupError):
                pending[path] = written
                continue
        if len(path) == 1 and value is not None:
            tree[path[0]] = value  # type: ignore[index]  # the first part is a name
        else:
            plant(tree, path, value)
    return pend(name, tree, pending, mistakes) if pending else tree


def pend(name: str, tree: dict[str, Any], pending: Cells, mistakes: Mistakes) -> dict[str, Any] | None:
    """Add the values of the other expressions to a tree; None after a complaint.

    Expressions may refer to each other: each is tried again until none comes nearer to a value.
    """
    if ("groups",) in pending:
        mistakes.add(pending[("groups",)].mark, "groups: a list of names, no expression", subject=name)
        return None
    own = {"name": name, "n": tuple(map(int, NUMBERS.findall(name)))}
    errors: dict[Path_, ValueError] = {}
    while pending:
        known = {**visible(tree), **own}
        errors = {}
        for path, written in pending.items():
            try:
                plant(tree, path, result(written.value, known))
            except ValueError as error:
                errors[path] = error
        if len(errors) == len(pending):
            break
        pending = {path: pending[path] for path in errors}
    for path, reason in errors.items():
        where, shown = ".".join(map(str, path)), shortened(str(pending[path].value))
        mistakes.add(pending[path].mark, f"{where}: {shown!r}: {reason!s}{circle(reason, pending)}", subject=name)
    return None if errors else tree


def visible(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return what expressions may use: a reference to a secret is no word for a configuration file."""
    return {
        key: visible(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if not isinstance(value, SecretRef)
    }


def result(value: Any, known: Mapping[str, Any]) -> Any:
    """Return what an expression, or a list with expressions in it, comes to."""
    if isinstance(value, list):
        return [result(item, known) for item in value]
    return template.expression(value, known) if isinstance(value, str) and "{" in value else value


def circle(error: ValueError, pending: Mapping[Path_, Cell]) -> str:
    """Return a remark where the undefined name is an attribute that itself waits for a value."""
    waiting = any(str(error) == f"{str(path[0])!r} is undefined" for path in pending)
    return " (attributes that refer to each other in a circle have no value)" if waiting else ""
