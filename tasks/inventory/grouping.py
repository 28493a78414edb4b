"""Groups: who is in which, in what order.  Pure.

Static groups are named at the nodes; groups.yaml may put a group into others (``groups:``); nodes join a dynamic group
by what they are (``where:``).  Of a node's groups the first that has an attribute wins: a group goes before those that
it is in itself, ``all`` is last.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from tasks.inventory.model import Node

ALL = "all"
Parents = Mapping[str, tuple[str, ...]]
Where = tuple[tuple[str, str], ...]
# What a dynamic group may ask for; parts of compound attributes are written with a dot.
SCALARS = (
    "aliases", "driver", "firmware", "groups", "interface", "ip", "ip6", "kernel_args", "mac", "management", "memory",
    "model", "netboot", "nic", "osimage", "service_node", "state",
)  # fmt: skip
PARTS = {
    "bmc": ("address", "mac", "model", "port", "user"),
    "console": ("flow", "port", "speed"),
    "port": ("port", "switch"),
    "vm": ("bridge", "cpus", "disk", "host"),
}
ASKABLE = (*SCALARS, *(f"{compound}.{part}" for compound, parts in PARTS.items() for part in parts))


def order(named: Iterable[str], parents: Parents) -> tuple[str, ...]:
    """Return the groups of a node that names some of them, each once, a group before its parents, ``all`` last.

    Depth first, from the last to the first, turned around: what is named first comes as early as its children allow.
    `parents` has no circle (`circles` finds them).
    """
    done: dict[str, None] = {}
    todo = [(name, False) for name in named]
    while todo:
        name, left = todo.pop()
        if left:
            done[name] = None
        elif name not in done:
            todo.append((name, True))
            todo.extend((parent, False) for parent in parents.get(name, ()) if parent not in done)
    done.pop(ALL, None)
    return (*reversed(done), ALL)


def circles(parents: Parents) -> Iterator[tuple[str, ...]]:
    """Yield each circle of groups that are in each other, as the way around."""
    seen: set[str] = set()
    for start in parents:
        way: dict[str, None] = {}
        todo = [(start, False)]
        while todo:
            name, left = todo.pop()
            if left:
                way.pop(name)
                seen.add(name)
            elif name in way:
                names = [*way]
                yield (*names[names.index(name) :], name)
            elif name not in seen:
                way[name] = None
                todo.append((name, True))
                todo.extend((parent, False) for parent in reversed(parents.get(name, ())))


def joined(node: Node, where: Where) -> bool:
    """Return whether a node is what a dynamic group asks for."""
    return all(wanted in texts(node, attribute) for attribute, wanted in where)


def texts(node: Node, attribute: str) -> tuple[str, ...]:
    """Return an attribute's texts: one, or those of a list; none where the node has no such attribute."""
    first, _, rest = attribute.partition(".")
    if first == "vars":
        return tuple(value for name, value in node.vars if name == rest)
    value = getattr(node, first)
    if rest and value is not None:
        value = getattr(value, rest)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (text(value),)


def text(value: str | bool | int | IPv4Address | IPv6Address) -> str:
    """Return a value as the inventory writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def asks_for_nothing(attribute: str) -> bool:
    """Return whether no node can have an attribute of this name."""
    return attribute not in ASKABLE and not (attribute.startswith("vars.") and attribute != "vars.")
