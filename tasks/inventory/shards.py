"""Which nodes are compiled together, from which entries: shards.  Pure.

A shard is the nodes that are at home in one piece of nodes.yaml: a node's home is the entry that names the fewest nodes
(``n07:`` rather than ``n[01-99]:``), the last of them.  What other pieces say of it belongs to the shard's digest, so a
shard is compiled again when an entry that names one of its nodes changed, and only then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.inventory import check, check_between, check_names, check_site, grouping, resolve, schema, texts
from tasks.inventory.check_base import Tables
from tasks.inventory.chunks import Entry, sha256
from tasks.inventory.mistakes import Mistakes
from tasks.inventory.model import Node
from tasks.inventory.reading import Mark, UnsureError
from tasks.inventory.resolve import Cells, Layers

NOWHERE = Mark(file="", line=0, column=0)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a file: the table it belongs to, its digest, its entries."""

    table: str
    digest: str
    entries: tuple[tuple[tuple[str, ...], str], ...]  # names and digest of each


Said = dict[str, str]  # what a shard says to the others: kind → values, a line each
Spot = tuple[int, int]  # the number of a piece, the number of an entry in it


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a shard is compiled from: its nodes in the inventory's order, and where entries stand that name them."""

    digest: str
    members: tuple[str, ...]
    spots: tuple[Spot, ...]


def plans(pieces: Sequence[Piece], layers: str) -> Iterator[Plan]:
    """Yield the shards; `layers` is the digest of all that lies below the nodes' own attributes (groups, defaults)."""
    homes, several = at_home(pieces)
    foreign: dict[int, set[Spot]] = {}
    for number, piece in enumerate(pieces):
        for index, (names, _) in enumerate(piece.entries):
            if piece.table == "nodes" and several.isdisjoint(names):
                continue
            for name in names:
                if name not in homes:
                    raise UnsureError  # a machine-written entry for a node that is gone
                home = homes[name][1]
                if home != number:
                    foreign.setdefault(home, set()).add((number, index))
    for number, piece in enumerate(pieces):
        if piece.table != "nodes":
            continue
        named = [name for names, _ in piece.entries for name in names]
        members = tuple(named)
        if not several.isdisjoint(named):
            spots = enumerate(piece.entries)
            members = tuple(name for index, (names, _) in spots for name in names if homes[name][1:] == (number, index))
        if not members:
            continue
        others = sorted(foreign.get(number, ()))
        said = [pieces[spot[0]].table + pieces[spot[0]].entries[spot[1]][1] for spot in others]
        seen = "" if len(members) == len(named) else repr(members)
        yield Plan(
            digest=sha256("\n".join([layers, piece.digest, seen, *said])),
            members=members,
            spots=tuple(sorted([*((number, index) for index in range(len(piece.entries))), *others])),
        )


def at_home(pieces: Sequence[Piece]) -> tuple[dict[str, tuple[int, int, int]], set[str]]:
    """Return each node's home (size of the entry, piece, entry), and the nodes that several entries name."""
    homes: dict[str, tuple[int, int, int]] = {}
    several: set[str] = set()
    for number, piece in enumerate(pieces):
        if piece.table != "nodes":
            continue
        for index, (names, _) in enumerate(piece.entries):
            here = (len(names), number, index)
            for name in names:
                home = homes.setdefault(name, here)
                if home is not here:
                    several.add(name)
                    if here[0] <= home[0]:
                        homes[name] = here
    return homes, several


def in_order(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the nodes in the inventory's order: each where its home is.  It does not depend on where files are cut."""
    homes, _ = at_home(pieces)
    for number, piece in enumerate(pieces):
        for index, (names, _) in enumerate(piece.entries if piece.table == "nodes" else ()):
            yield from (name for name in names if homes[name][1:] == (number, index))


# -- compiling ---------------------------------------------------------------------------------------------------------


def compiled(plan: Plan, entries: Sequence[tuple[str, Entry]], layers: Layers) -> tuple[Node, ...]:
    """Return a shard's nodes; `entries` are those at the plan's spots, with their tables.

    `UnsureError` where anything is wrong: the thorough way will find it, and say where.
    """
    own: dict[str, Cells] = {name: {} for name in plan.members}
    for table in ("nodes", "discovered", "bootstate"):
        for home, entry in entries:
            if home == table:
                lay(own, entry, overlaid=table == "bootstate")
    mistakes = Mistakes()
    found = []
    for name, cells in own.items():
        texts.host_name(name)
        node = layers.node(name, cells, NOWHERE, mistakes)
        if node is None or mistakes.found:
            raise UnsureError
        found.append(node)
    return tuple(found)


def lay(own: dict[str, Cells], entry: Entry, *, overlaid: bool) -> None:
    """Add an entry's attributes to the nodes that it names."""
    content: dict[str, Any] = entry.content or {}
    if overlaid and not content.keys() <= schema.BootStateIn.model_fields.keys():
        raise UnsureError
    cells = {leaf: resolve.cell(leaf, value, NOWHERE) for leaf, value in resolve.leaves(content)}
    for name in entry.names:
        into = own.get(name)
        if into is None:
            continue
        if overlaid:
            resolve.overlay(into, cells)
        elif any(resolve.clash(leaf, into) for leaf in cells):
            raise UnsureError
        else:
            into.update(cells)


def checked(around: Tables) -> None:
    """Raise `UnsureError` where something is wrong with rows that are compared."""
    if next(iter(check.alone(around, check.NOWHERE)), None) is not None:
        raise UnsureError


def claims(nodes: Sequence[Node], tables: Tables) -> Said:
    """Return what a shard says to the others, a line each: names, what only one may have, which nodes it needs.

    What its names are in DNS is only said where a record of the site could point to one.
    """
    kinds = ("node", "spoken", *check_between.KINDS, *check_between.NEEDS)
    found: dict[str, list[object]] = {kind: [] for kind in kinds}
    if next(check_names.pointers(tables), None):
        found["spoken"] = [" ".join(one) for one in check_names.of_nodes(nodes, tables)]
    for node in nodes:
        found["node"].append(node.name)
        for claim in check_between.claims(node):
            found[claim.kind].append(claim.value)
        for need in check_between.needs(node):
            found[need.kind].append(f"{node.name} {need.other}")
    return {kind: "".join(f"{value}\n" for value in values) for kind, values in found.items()}


def agree(said: Sequence[Said], tables: Tables) -> None:
    """Raise `UnsureError` where two claim the same, or somebody needs a name that is not there."""
    standing: dict[str, list[str]] = {kind: [] for kind in check_between.KINDS}
    for _, _, claim in check_between.standing(tables):
        standing[claim.kind].append(str(claim.value))
    for kind, others in standing.items():
        values = lines(said, kind) + others
        if len(set(values)) < len(values):
            raise UnsureError
    needs = {kind: dict(line.split() for line in lines(said, kind)) for kind in check_between.NEEDS}
    if any(needs.values()):
        known = set(lines(said, "node"))
        for way in needs.values():
            circles = grouping.circles({name: (other,) for name, other in way.items()})
            if not known.issuperset(way.values()) or next(circles, None):
                raise UnsureError
    named = {target for _, _, target in check_site.pointers(tables)}
    if named and not named <= {*lines(said, "host name"), *standing["host name"], *check_site.own_names(tables)}:
        raise UnsureError
    spoken = [*check_names.of_switches(tables), *(check_names.Spoken(*one.split(" ")) for one in lines(said, "spoken"))]
    if next(check_names.misdirected(tables, check.NOWHERE, spoken), None):
        raise UnsureError


def lines(said: Sequence[Said], kind: str) -> list[str]:
    """Return what all shards say of a kind."""
    return "".join([one[kind] for one in said]).splitlines()
