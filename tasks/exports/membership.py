"""Which groups a node is in, those around its groups included, and what else nodes have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.exports.folding import Block, blocks
from tasks.family import Rows
from tasks.inventory.model import Cluster, Node, Site

GROUP = ""  # the kind of a label that is a group of the inventory; other kinds are words
OURS = ("model", "osimage", "switch")
Label = tuple[str, str]  # (kind, value): ("", "compute"), ("model", "PE 860"), a site's variable ("rack", "r1")
Labels = tuple[Label, ...]
Summary = tuple[tuple[Labels, tuple[Block, ...]], ...]  # of a shard: labels, and the nodes that have exactly these
Alike = tuple[tuple[str, ...], tuple[str | None, ...], tuple[tuple[str, str], ...]]
Nesting = tuple[tuple[str, tuple[str, ...]], ...]


def nesting(cluster: Cluster) -> Nesting:
    """Return each group with those that it is in."""
    return tuple((group.name, group.groups) for group in cluster.groups)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What files that tell of groups depend on besides the nodes."""

    site: Site
    nesting: Nesting


def frame(cluster: Cluster) -> Frame:
    """Return what files that tell of groups depend on besides the nodes."""
    return Frame(site=cluster.site.only(), nesting=nesting(cluster))


def rows(frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return what the nodes have in common."""
    return labels_of(nodes, frame.nesting)


def around(groups: Iterable[str], parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return groups and all that they are in, sorted, each once; a circle ends where it closes."""
    found = set(groups)
    todo = list(found)
    while todo:
        new = set(parents.get(todo.pop(), ())) - found
        found |= new
        todo.extend(new)
    return tuple(sorted(found))


def groups_of(nodes: Sequence[Node], nested: Nesting) -> Summary:
    """Return which groups the nodes are in."""
    parents = dict(nested)
    members: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        members.setdefault(node.groups, []).append(node.name)
    return tuple(
        (tuple((GROUP, name) for name in around(groups, parents)), blocks(names)) for groups, names in members.items()
    )


def labels_of(nodes: Sequence[Node], nested: Nesting) -> Summary:
    """Return what nodes have in common: groups, model, osimage, switch, the site's variables (ours go first)."""
    parents = dict(nested)
    alike: dict[Alike, list[str]] = {}
    for node in nodes:
        key = node.groups, (node.model, node.osimage, node.port.switch if node.port else None), node.vars
        alike.setdefault(key, []).append(node.name)
    return tuple(
        (
            (
                *((GROUP, name) for name in around(groups, parents)),
                *((kind, value) for kind, value in zip(OURS, known, strict=True) if value),
                *(pair for pair in variables if pair[0] not in OURS),
            ),
            blocks(names),
        )
        for (groups, known, variables), names in alike.items()
    )
