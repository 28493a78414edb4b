"""groups.yaml: the attributes that nodes share, and what makes a group: those it is in, and who joins it."""

from collections.abc import Iterator, Mapping

from tasks.inventory import grouping, schema
from tasks.inventory.mistakes import typo
from tasks.inventory.model import Group
from tasks.inventory.noderange import near
from tasks.inventory.reading import Mark, Path_
from tasks.inventory.resolve import Cell, Cells, listed

OWN = frozenset(schema.GroupIn.model_fields)  # what is the group's, not its nodes'
Complaint = tuple[Mark, str, str]  # place, group, sentence


def plain_vars(cells: Mapping[Path_, Cell]) -> Iterator[tuple[str, str]]:
    """Yield the variables that are the same for all of a group's nodes."""
    for path, cell in cells.items():
        if path[0] == "vars" and len(path) > 1 and isinstance(cell.value, str) and not cell.expression:
            yield str(path[1]), cell.value


def wrong(name: str, cells: Cells, group: Group) -> Iterator[Complaint]:
    """Yield what is wrong with one group."""
    of_group = [cells[(key,)].mark for key in sorted(OWN) if (key,) in cells]
    if name == grouping.ALL and of_group:
        yield of_group[0], name, "every node is in 'all': it is in no group, and nobody needs to join it"
    if ("where",) not in cells:
        return
    mark = cells[("where",)].mark
    if not group.where:
        yield mark, name, "where: write what its nodes have, such as {model: PE 860}"
    for attribute, value in group.where:
        if grouping.asks_for_nothing(attribute):
            yield mark, name, f"where: unknown attribute {attribute!r}{near(attribute, grouping.ASKABLE)}"
        if "{{" in value:
            yield mark, name, f"where: {attribute} is compared with a plain text, not with an expression"
    others = [(path, cell) for path, cell in cells.items() if path != ("where",)]
    if others:
        path, cell = others[0]
        what = "is in no group" if path == ("groups",) else f"gives no attributes ({path[0]})"
        text = f"a dynamic group {what}: nodes join it by the attributes that they have without it"
        yield cell.mark, name, text


def between(groups: Mapping[str, Cells]) -> Iterator[Complaint]:
    """Yield what is wrong with groups that are in groups."""
    parents = {name: listed(cells.get(("groups",))) for name, cells in groups.items()}
    for way in grouping.circles(parents):
        yield groups[way[0]][("groups",)].mark, way[0], f"groups in a circle: {' in '.join(way)}"
    for name, named in parents.items():
        for parent in named:
            if ("where",) in groups.get(parent, {}):
                yield groups[name][("groups",)].mark, name, f"{parent} is a dynamic group: no group is in it"


def slips(groups: Mapping[str, Cells]) -> Iterator[Complaint]:
    """Yield the groups that are named in groups.yaml and have no row there, where one has nearly this name."""
    for name, cells in groups.items():
        for parent in listed(cells.get(("groups",))):
            text = "" if parent in groups or parent == grouping.ALL else typo("group", parent, groups)
            if text:
                yield cells[("groups",)].mark, name, text
