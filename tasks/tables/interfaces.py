"""Interfaces of nodes: the tables nics and mac, and hosts.otherinterfaces, where xCAT had them before."""

from ipaddress import ip_address

from tasks.inventory import texts
from tasks.tables import nics, parse, rule
from tasks.tables.dump import Cell
from tasks.tables.members import others
from tasks.tables.nodevalues import BMC_SUFFIX
from tasks.tables.reader import Machine, Reader

FAMILIES = {4: "ip", 6: "ip6"}
MOST_MTU, LEAST_MTU, MOST_VLAN = 9216, 576, 4094


def interfaces(reader: Reader, machine: Machine) -> None:
    """Set a node's further interfaces, and what the tables say of the one that boots."""
    boots(reader, machine)
    types, addresses = (each(reader, machine, column) for column in ("nictypes", "nicips"))
    whole = {name for name, _, _ in types} >= {name for name, _, _ in addresses}  # then in the order of the types
    names: dict[str, list[str]] = {name: [] for name, _, _ in (types + addresses if whole else addresses + types)}
    for name, values, cell in addresses:
        for index, text in enumerate(values):
            address(reader, machine, cell, name, text, nics.origin(cell.written, name, index))
    for name, values, cell in types:
        device, dot, number = name.rpartition(".")
        if values[0].lower() == nics.VLAN and dot and device:
            number_of(reader, machine, cell, name, "vlan", number, MOST_VLAN)
    affixes(reader, machine, names)
    details(reader, machine, names)
    older(reader, machine, names)
    for name, own in names.items():
        named(machine, name, tuple(dict.fromkeys(own)))
    places = {name: place for place, name in enumerate(names)}
    for path in sorted(machine.inside("nics"), key=lambda path: places[path[1]]):
        machine.attributes[path] = machine.attributes.pop(path)  # in the order of the table


def each(reader: Reader, machine: Machine, column: str) -> list[tuple[str, list[str], Cell]]:
    """Return the interfaces of a column with their values; what is no interface's name is listed as lost."""
    cell = reader.cell(machine, "nics", column)
    if cell is None:
        return []
    try:
        found = [(texts.interface_name(name), values, cell) for name, values in nics.items(cell.value)]
    except ValueError as error:
        reader.refuse(cell, machine, str(error))
        return []
    return found


def boots(reader: Reader, machine: Machine) -> None:
    """Set the name of the interface that boots; two tables that say different things are told."""
    cells = [reader.cell(machine, *where) for where in (("mac", "interface"), ("noderes", "installnic"))]
    for cell in filter(None, [*cells, reader.cell(machine, "noderes", "primarynic")]):
        try:
            name = "" if cell.value.lower() == "mac" else texts.interface_name(cell.value)
        except ValueError as error:
            reader.refuse(cell, machine, str(error))
            continue
        known = machine.attributes.get(("interface",))
        if name and known is None:
            machine.put(("interface",), name, cell)
        elif name and name != known:
            reader.refuse(cell, machine, f"{name}: the node boots from {known}")


def address(reader: Reader, machine: Machine, cell: Cell, name: str, text: str, written: str) -> None:
    """Set an interface's address; the one that has the node's is the one that boots, and so is one without a name."""
    try:
        value = ip_address(text.strip())
    except ValueError:
        reader.refuse(cell, machine, f"{name}: {text!r} is no address")
        return
    home = not name or name == machine.attributes.get(("interface",)) or str(value) == machine.attributes["ip",]
    path = (FAMILIES[value.version],) if home else ("nics", name, FAMILIES[value.version])
    if machine.attributes.get(path, str(value)) != str(value):
        reader.refuse(cell, machine, f"{name or 'the node'}: {value}: an interface has one address of each kind")
        return
    if path != ("ip",):
        machine.put(path, str(value), cell, written)
    if home and name:
        machine.attributes.setdefault(("interface",), name)
        machine.sources.setdefault(("interface",), machine.sources["ip",])


def number_of(
    reader: Reader, machine: Machine, cell: Cell, name: str, attribute: str, text: str, most: int, least: int = 1
) -> None:
    """Set a number of an interface."""
    try:
        machine.put(("nics", name, attribute), parse.whole(text, least, most), cell)
    except ValueError as error:
        reader.refuse(cell, machine, f"{name}: {attribute}: {error}")


def affixes(reader: Reader, machine: Machine, names: dict[str, list[str]]) -> None:
    """Make the names of interfaces: prefix, the node's name, suffix; then their aliases."""
    before = {name: values for name, values, _ in each(reader, machine, "nichostnameprefixes")}
    behind = {name: values for name, values, _ in each(reader, machine, "nichostnamesuffixes")}
    aliases = {name: values for name, values, _ in each(reader, machine, "nicaliases")}
    for name in {**before, **behind, **aliases}:
        heads, tails = before.get(name, [""]), behind.get(name, [""])
        count = max(len(heads), len(tails))
        made = [
            f"{head}{machine.name}{tail}"
            for head, tail in zip(
                heads + heads[-1:] * (count - len(heads)), tails + tails[-1:] * (count - len(tails)), strict=True
            )
        ]
        names.setdefault(name, []).extend(own for own in made if own != machine.name)
        names[name] += [alias for value in aliases.get(name, ()) for alias in value.split()]
    for column in ("nichostnameprefixes", "nichostnamesuffixes", "nicaliases"):
        for name, _, cell in each(reader, machine, column):
            for wrong in [own for own in names[name] if not parse.is_label(own)]:
                reader.refuse(cell, machine, f"{name}: {wrong!r} is no host name")
                names[name].remove(wrong)


def details(reader: Reader, machine: Machine, names: dict[str, list[str]]) -> None:
    """Set the MTU; look whether networks are those that the addresses are in anyway."""
    for name, values, cell in each(reader, machine, "nicextraparams"):
        for word in " ".join(values).replace(";", " ").split():
            key, _, text = word.partition("=")
            if key.upper() == "MTU" and name in names:
                number_of(reader, machine, cell, name, "mtu", text, MOST_MTU, LEAST_MTU)
            else:
                reader.refuse(cell, machine, f"{name}: {word!r} is no setting of an interface here")
    for name, values, cell in each(reader, machine, "nicnetworks"):
        for text in values:
            if text not in reader.estate.network_names:
                reader.refuse(cell, machine, f"{name}: there is no network {text!r}")


def older(reader: Reader, machine: Machine, names: dict[str, list[str]]) -> None:
    """Make interfaces of hosts.otherinterfaces, the BMC's and those that the table nics has apart."""
    cell = reader.cell(machine, "hosts", "otherinterfaces")
    if cell is None:
        return
    known = {value for path, value in machine.attributes.items() if path[-1] in {"ip", "ip6", "address"}}
    for (label, text), written in zip(
        others(reader.dump, machine.name), origins(cell.written, cell.value), strict=True
    ):
        if text in known or label == f"{machine.name}{BMC_SUFFIX}":
            bmc(reader, machine, cell, label, text)
            continue
        if label == machine.name:
            address(reader, machine, cell, "", text, "")
            continue
        name = label.removeprefix(f"{machine.name}-")
        if not parse.is_label(label) or not texts.INTERFACE.fullmatch(name) or name in names:
            reader.refuse(cell, machine, f"{label} {text}: cannot be the name of another interface")
            continue
        address(reader, machine, cell, name, text, rule.without(written, f"-{name}:"))
        names[name] = [label]


def origins(written: str, value: str) -> list[str]:
    """Return the rules that make the items of a list; texts where the list is none, or too odd to be taken apart."""
    count, found = len(parse.listed(value)), [*filter(None, rule.pieces(written, ","))]
    return found if len(found) == count else [""] * count


def bmc(reader: Reader, machine: Machine, cell: Cell, label: str, text: str) -> None:
    """List an address as lost that looks like the BMC's but is not."""
    known = machine.attributes.get(("bmc", "address"))
    if label == f"{machine.name}{BMC_SUFFIX}" and known != text:
        reader.refuse(cell, machine, f"{label} {text}: the node has no such BMC")


def named(machine: Machine, name: str, own: tuple[str, ...]) -> None:
    """Set an interface's names where they are not what it is called anyway; of the one that boots they are aliases."""
    if name == machine.attributes.get(("interface",)):
        more = [one for one in own if one != machine.name]
        if more:
            machine.put(("aliases",), tuple(dict.fromkeys((*names_of(machine, ("aliases",)), *more))))
        return
    sources = [machine.sources[path] for path in machine.attributes if path[:2] == ("nics", name)]
    if own not in {(), (usual(machine, name),)} or not sources:
        machine.put(("nics", name, "names"), ",".join(own or (usual(machine, name),)))
        if sources:
            machine.sources["nics", name, "names"] = sources[0]


def macs(reader: Reader, machine: Machine) -> None:
    """Set the MACs of ``mac!host|mac!host``: the node's, those of its interfaces and of its BMC; others are lost.

    The names of the interfaces have to be known.
    """
    cell = reader.cell(machine, "mac", "mac")
    if cell is None:
        return
    hosts: dict[str, tuple[str, ...]] = dict.fromkeys((machine.name, *names_of(machine, ("aliases",))), ("mac",))
    for name in {path[1] for path in machine.inside("nics")}:
        own = names_of(machine, ("nics", name, "names")) or (usual(machine, name),)
        hosts |= dict.fromkeys(own, ("nics", name, "mac"))
    if ("bmc", "address") in machine.attributes:
        hosts[f"{machine.name}{BMC_SUFFIX}"] = ("bmc", "mac")
    for item in cell.value.split("|"):
        text, _, host = item.partition("!")
        path = hosts.get(host.removesuffix(f".{reader.domain}") or machine.name)
        try:
            value = parse.mac(text.strip())
        except ValueError as error:
            reader.refuse(cell, machine, str(error))
            continue
        if path is None or path in machine.attributes:
            why = "no interface of this node is called so" if path is None else "there is one already"
            reader.refuse(cell, machine, f"{item}: {why}")
        else:
            machine.put(path, value, cell)


def names_of(machine: Machine, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that a node has been given, as a list or between commas."""
    value = machine.attributes.get(path) or ()
    return tuple(value.split(",")) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def usual(machine: Machine, name: str) -> str:
    """Return what an interface is called that has no name of its own."""
    return f"{machine.name}-{name}".replace(".", "-").replace("_", "-").lower()
