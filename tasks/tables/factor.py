"""Nodes → groups.yaml and nodes.yaml: what nodes have from a group is written once, at the group.

What a group says is a plain value, or a Jinja2 expression where xCAT had a rule and one expression has the wanted value
for every node.  Whatever comes out of that, each node is compared with what it would inherit and gets the difference:
no choice of expressions can change a value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks import template
from tasks.inventory import noderange
from tasks.tables import rule, yamltext
from tasks.tables.machines import Machine, Path, Value

COMPOUND = {"bmc": "address", "port": "switch", "console": "port"}  # and the part without which there is none

# What a node has that says nothing: written where a group would say something else.
UNSAID: dict[str, Value] = {
    "mac": None,
    "osimage": None,
    "model": "generic",
    "firmware": "bios",
    "netboot": "pxe",
    "state": "local",
    "memory": "1024",
    "nic": "e1000",
    "aliases": (),
    "kernel_args": (),
}
UNSAID_PARTS: dict[Path, Value] = {("bmc", "user"): "root", ("bmc", "password"): None, ("console", "speed"): "115200"}
Groups = dict[str, dict[Path, Value]]


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What groups.yaml and nodes.yaml hold."""

    groups: Mapping[str, Mapping[str, yamltext.Value]]
    membership: Mapping[str, yamltext.Value]  # by node range
    nodes: Mapping[str, yamltext.Value]


def factored(machines: Iterable[Machine]) -> Documents:
    """Return the documents that say of every machine what it is."""
    listed = list(machines)
    groups = shared(listed)
    own = {machine.name: tree(difference(machine, groups)) for machine in listed}
    together = membership(listed)
    named = frozenset(name for key in together for name in noderange.names(key))
    for name in own.keys() & together.keys():  # a range of one node is that node's own line
        own[name] = {**together.pop(name), **own[name]}
    return Documents(
        groups={name: tree(groups[name]) for name in sorted(groups)},
        membership={key: together[key] for key in noderange.natural(together)},
        nodes={name: own[name] for name in noderange.natural(own) if own[name] or name not in named},
    )


def shared(machines: Iterable[Machine]) -> Groups:
    """Return what each group can say for the nodes that have it from there."""
    takers: dict[tuple[str, Path], list[Machine]] = {}
    for machine in machines:
        for path, source in machine.sources.items():
            if source.group in machine.groups and path in machine.attributes:
                takers.setdefault((str(source.group), path), []).append(machine)
    groups: Groups = {}
    for (group, path), found in sorted(takers.items()):
        value = common(path, found)
        if value is not None:
            groups.setdefault(group, {})[path] = value
    return groups


def common(path: Path, machines: list[Machine]) -> Value:
    """Return the one value or expression that is right for all of the machines; None where there is none."""
    values = [machine.attributes[path] for machine in machines]
    names = [machine.name for machine in machines]
    texts = [value for value in values if isinstance(value, str)]
    written = {machine.sources[path].written for machine in machines}
    if len(texts) == len(values) and len(written) == 1 and rule.is_rule(text := written.pop()):
        made = rule.expression(text, names)
        if made and rule.agrees(made, names, texts):
            return made
        if fit := rule.fitted(names, texts):
            return fit
    if all(value == values[0] for value in values):
        return said(values[0])
    return rule.fitted(names, texts) if len(texts) == len(values) and path[0] in {"bmc", "port", "ip"} else None


def said(value: Value) -> Value:
    """Return a value as an inventory says it: braces in a text would be an expression."""
    return rule.literal(value) if isinstance(value, str) else value


def inherited(machine: Machine, groups: Groups) -> dict[Path, Value]:
    """Return what a node would have from its groups: the first that has an attribute wins, ``all`` is last."""
    found: dict[Path, Value] = {}
    for group in dict.fromkeys((*machine.groups, "all")):
        for path, value in groups.get(group, {}).items():
            found.setdefault(path, value)
    return {path: evaluated(machine.name, value) for path, value in found.items()}


def evaluated(node: str, value: Value) -> Value:
    """Return what a group's value comes to for a node; an expression that fails equals nothing."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        return template.expression(value, rule.known(node))
    except ValueError:
        return ("", "")


def difference(machine: Machine, groups: Groups) -> dict[Path, Value]:
    """Return what a node has to say itself."""
    given = inherited(machine, groups)
    wanted = machine.attributes
    own: dict[Path, Value] = {
        path: said(value) for path, value in wanted.items() if given.get(path, unsaid(path)) != value
    }
    for path in given:
        name = path[0]
        if path in wanted or given[path] == unsaid(path) is not None:
            continue
        if name in COMPOUND and (name, COMPOUND[name]) not in wanted:
            own[name,] = None
        else:
            own[path] = unsaid(path)
    return own


def unsaid(path: Path) -> Value:
    """Return what an attribute is where nobody says anything; nothing for what has to be said."""
    return UNSAID.get(path[0]) if len(path) == 1 else UNSAID_PARTS.get(path)


def tree(attributes: Mapping[Path, Value]) -> dict[str, yamltext.Value]:
    """Return attributes by path as they are written: compounds as mappings, in the order of their names."""
    flat: dict[str, yamltext.Value] = {}
    nested: dict[str, dict[str, yamltext.Value]] = {}
    for path, value in sorted(attributes.items(), key=lambda item: item[0]):
        if len(path) == 1:
            flat[path[0]] = value
        else:
            nested.setdefault(path[0], {})[path[1]] = value
    return dict(sorted({**flat, **nested}.items(), key=lambda item: (item[0] != "ip", item[0])))


def membership(machines: Iterable[Machine]) -> dict[str, dict[str, yamltext.Value]]:
    """Return the groups by node range: nodes with the same list share a line."""
    sharing: dict[tuple[str, ...], list[str]] = {}
    for machine in machines:
        groups = machine.groups[:-1] if machine.groups[-1:] == ("all",) else machine.groups  # it is last anyway
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
