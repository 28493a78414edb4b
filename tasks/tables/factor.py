"""Nodes → groups.yaml and nodes.yaml: what the nodes of a group have in common is written once, at the group.

What a group says is a plain value, or a Jinja2 expression where one has the wanted value for every node that takes it
from there: xCAT's rule in other words, or a guess at how values count.  Whatever comes out of that, each node is
compared with what it would inherit and gets the difference: no choice of expressions can change a value.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.inventory import grouping, noderange
from tasks.tables import rule, yamltext
from tasks.tables.reader import Machine, Path, Value

ALL = grouping.ALL
COMPOUND = {
    "bmc": "address",
    "port": "switch",
    "console": "port",
    "vm": "host",
}  # and the part without which there is none
COUNTED = frozenset({"bmc", "ip", "ip6", "nics", "port", "vm"})  # what is worth a guess
PRIVATE = frozenset({"mac", "vars"})  # never a group's: variables of groups are written by hand
FEWEST = 2  # nodes that make it worth while to write something at their group

# What a node has that says nothing: written where a group would say something else.
UNSAID: dict[Path, Value] = {
    ("model",): "generic",
    ("firmware",): "bios",
    ("netboot",): "pxe",
    ("state",): "local",
    ("memory",): "1024",
    ("nic",): "e1000",
    ("aliases",): (),
    ("kernel_args",): (),
    ("bmc", "user"): "root",
    ("bmc", "port"): "623",
    ("console", "speed"): "115200",
    ("console", "flow"): "false",
    ("vm", "cpus"): "1",
}
Said = dict[Path, Value]


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What groups.yaml and nodes.yaml hold."""

    groups: Mapping[str, Mapping[str, yamltext.Value]]
    membership: Mapping[str, yamltext.Value]  # by node range
    nodes: Mapping[str, yamltext.Value]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What groups are before attributes are shared: those that may say something, what they are in, what they say."""

    own: Mapping[str, Mapping[str, Mapping[str, str]]]  # name → groups, where, vars
    closed: bool  # whether no other group may have a row

    @property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """Return the groups that each group is in, those in a circle apart: the inventory's check tells them."""
        found = {name: tuple(parts["groups"]) for name, parts in self.own.items() if "groups" in parts}
        lost = {name for way in grouping.circles(found) for name in way}
        return {name: parents for name, parents in found.items() if name not in lost}

    def may_say(self, group: str) -> bool:
        """Return whether attributes can be written at a group: dynamic ones give none."""
        return "where" not in self.own.get(group, {}) and (group in self.own or not self.closed)


def factored(machines: Iterable[Machine], given: Given) -> Documents:
    """Return the documents that say of every machine what it is."""
    listed = list(machines)
    orders = Orders(given.parents)
    said = shared(listed, orders, given)
    for name, parts in given.own.items():
        said.setdefault(name, {}).update(
            {("vars", key): rule.literal(text) for key, text in parts.get("vars", {}).items()}
        )
    own = {machine.name: tree(difference(machine, orders.of(machine), said)) for machine in listed}
    together = membership(listed)
    named = frozenset(name for key in together for name in noderange.names(key))
    for name in own.keys() & together.keys():  # a range of one node is that node's own line
        own[name] = {**together.pop(name), **own[name]}
    return Documents(
        groups={name: group(given.own.get(name, {}), said.get(name, {})) for name in rows(given, said)},
        membership={key: together[key] for key in noderange.natural(together)},
        nodes={name: own[name] for name in noderange.natural(own) if own[name] or name not in named},
    )


def rows(given: Given, said: Mapping[str, Said]) -> Sequence[str]:
    """Return the groups that have something to say, in the order of their rows."""
    return [*given.own] if given.closed else sorted({*given.own, *(name for name, values in said.items() if values)})


def group(own: Mapping[str, Mapping[str, str]], values: Said) -> dict[str, yamltext.Value]:
    """Return a row of groups.yaml: what makes the group, then what its nodes share."""
    made: dict[str, yamltext.Value] = {}
    if own.get("groups"):
        made["groups"] = tuple(own["groups"])
    if own.get("where"):
        made["where"] = dict(own["where"])
    return {**made, **tree(values)}


class Orders:
    """In which order the groups of a node win; most nodes have the same."""

    def __init__(self, parents: Mapping[str, tuple[str, ...]]) -> None:
        """Keep which group is in which."""
        self.parents = parents
        self.known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, machine: Machine) -> tuple[str, ...]:
        """Return a node's groups, ``all`` last."""
        if machine.groups not in self.known:
            self.known[machine.groups] = grouping.order(machine.groups, self.parents)
        return self.known[machine.groups]


# -- what groups say -------------------------------------------------------------------------------------------------


def shared(machines: Sequence[Machine], orders: Orders, given: Given) -> dict[str, Said]:
    """Return what each group can say: first what xCAT's groups say, then what all nodes of a group say alike."""
    said: dict[str, Said] = {}
    for (name, slot), takers in sorted(by_source(machines).items()):
        if given.may_say(name):
            said.setdefault(name, {}).update(common(slot, takers))
    everyone = members(machines, orders)
    for slot, speakers in by_slot(machines).items():
        left = set(speakers)
        for name, own in everyone.items():
            if (
                len(own) >= FEWEST
                and given.may_say(name)
                and not left.isdisjoint(own)
                and speakers.keys() >= own.keys()
            ):
                found = common(slot, list(own.values()))
                if found:
                    said.setdefault(name, {}).update(found)
                    left -= own.keys()
    return said


def by_source(machines: Iterable[Machine]) -> dict[tuple[str, Path], list[Machine]]:
    """Return who takes what from which group's row."""
    takers: dict[tuple[str, Path], list[Machine]] = {}
    for machine in machines:
        for slot, source in slots(machine):
            if source in machine.groups:
                takers.setdefault((str(source), slot), []).append(machine)
    return takers


def by_slot(machines: Iterable[Machine]) -> dict[Path, dict[str, Machine]]:
    """Return who says what in a row of its own."""
    speakers: dict[Path, dict[str, Machine]] = {}
    for machine in machines:
        for slot, source in slots(machine):
            if source is None:
                speakers.setdefault(slot, {})[machine.name] = machine
    return speakers


def slots(machine: Machine) -> Iterator[tuple[Path, str | None]]:
    """Yield what a group can say or leave, and which group says it: an attribute, or all interfaces together."""
    for path in machine.attributes:
        if path[0] not in PRIVATE and path[0] != "nics":
            yield path, machine.sources[path].group
    groups = {machine.sources[path].group for path in machine.attributes if path[0] == "nics"}
    if groups:  # the order of interfaces counts: some from here and some from there would change it
        yield ("nics",), groups.pop() if len(groups) == 1 else ""


def members(machines: Iterable[Machine], orders: Orders) -> dict[str, dict[str, Machine]]:
    """Return the nodes of each group, the largest groups first."""
    found: dict[str, dict[str, Machine]] = {}
    for machine in machines:
        for name in orders.of(machine):
            found.setdefault(name, {})[machine.name] = machine
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def common(slot: Path, machines: Sequence[Machine]) -> Said:
    """Return the values or expressions that are right for all of the machines; nothing where there are none."""
    if slot != ("nics",):
        value = alike(slot, machines)
        return {} if value is None else {slot: value}
    paths = [path for path in machines[0].attributes if path[0] == "nics"]
    if any([path for path in one.attributes if path[0] == "nics"] != paths for one in machines):
        return {}
    found = {path: alike(path, machines) for path in paths}
    return {} if None in found.values() else found


def alike(path: Path, machines: Sequence[Machine]) -> Value:
    """Return the one value or expression that is right for an attribute of all machines; None where there is none."""
    first = machines[0].attributes[path]
    if all(machine.attributes[path] == first for machine in machines):
        return rule.literal(first) if isinstance(first, str) else first
    values = [machine.attributes[path] for machine in machines]
    wanted = [value for value in values if isinstance(value, str)]
    if len(wanted) < len(values):
        return None
    names = [machine.name for machine in machines]
    written = {machine.sources[path].written for machine in machines}
    if len(written) == 1 and rule.is_rule(text := written.pop()):
        made = rule.expression(text, names)
        if made and rule.agrees(made, names, wanted):
            return made
    elif path[0] not in COUNTED:
        return None
    return rule.fitted(names, wanted)


# -- what nodes say themselves ---------------------------------------------------------------------------------------


def difference(machine: Machine, groups: Iterable[str], said: Mapping[str, Said]) -> Said:
    """Return what a node has to say itself; `groups`: those that it is in, the first that has an attribute wins."""
    given: Said = {}
    for name in groups:
        for path, value in said.get(name, {}).items():
            if path not in given:
                given[path] = evaluated(machine.name, value)
    wanted = machine.attributes
    own = {path: said_alone(value) for path, value in wanted.items() if given.get(path, UNSAID.get(path)) != value}
    if interfaces(given) != interfaces(wanted):  # what a node says itself comes last: all of it, in its order
        own |= {path: said_alone(value) for path, value in wanted.items() if path[0] == "nics"}
    for path in given.keys() - wanted.keys():
        own |= taken_away(path, given[path], wanted)
    return own


def said_alone(value: Value) -> Value:
    """Return a value as an inventory says it: braces in a text would be an expression."""
    return rule.literal(value) if isinstance(value, str) else value


def evaluated(node: str, value: Value) -> Value:
    """Return what a group's value comes to for a node; an expression that fails equals nothing."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    found = rule.meaning(value, node)
    return ("", "") if found is None else found


def interfaces(values: Iterable[Path]) -> list[str]:
    """Return the names of interfaces, in their order."""
    return list(dict.fromkeys(path[1] for path in values if path[0] == "nics"))


def taken_away(path: Path, value: Value, wanted: Mapping[Path, Value]) -> Said:
    """Return what says that a node does not have what its group says: the whole compound, or one part of it."""
    name = path[0]
    if name in COMPOUND and (name, COMPOUND[name]) not in wanted:
        return {(name,): None}
    if name == "nics" and not any(other[:2] == path[:2] for other in wanted):
        return {path[:2]: None}
    return {} if value == UNSAID.get(path) is not None else {path: UNSAID.get(path)}


# -- how it is written -----------------------------------------------------------------------------------------------


def tree(attributes: Said) -> dict[str, yamltext.Value]:
    """Return attributes by path as they are written: compounds as mappings, the address first, the rest by name."""
    found: dict[str, yamltext.Value] = {}
    for path, value in sorted(attributes.items(), key=place):
        if len(path) > 1 and found.get(path[0], "") is None:
            continue  # the whole compound is taken away
        inside: dict[str, yamltext.Value] = found
        for part in path[:-1]:
            inside = inside.setdefault(part, {})  # type: ignore[assignment]  # nested mappings are mappings
        inside[path[-1]] = value
    return found


def place(item: tuple[Path, Value]) -> tuple[bool, Path]:
    """Return where an attribute is written; interfaces keep their order."""
    path = item[0]
    return path[0] != "ip", path[:1] if path[0] == "nics" else path


def membership(machines: Iterable[Machine]) -> dict[str, dict[str, yamltext.Value]]:
    """Return the groups by node range: nodes with the same list share a line."""
    sharing: dict[tuple[str, ...], list[str]] = {}
    for machine in machines:
        groups = machine.groups[:-1] if machine.groups[-1:] == (ALL,) else machine.groups  # it is last anyway
        sharing.setdefault(groups, []).append(machine.name)
    return {folded(names): {"groups": groups} for groups, names in sharing.items() if groups}


def folded(names: list[str]) -> str:
    """Return names in their shortest form, if that form names just them."""
    short = noderange.fold(names)
    try:
        same = set(noderange.names(short)) == set(names)
    except ValueError:
        same = False
    return short if same else ",".join(noderange.natural(names))
