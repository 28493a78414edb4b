"""xCAT's tables → nodes: what every column comes to for every node, and from which group it has it."""

from tasks.inventory import texts
from tasks.inventory.model import SecretRef
from tasks.tables import parse
from tasks.tables.dump import Lost
from tasks.tables.hardware import hardware
from tasks.tables.interfaces import interfaces, macs
from tasks.tables.nodevalues import METHODS, NEEDS_OSIMAGE, NETBOOT_IN, STATES_IN, VARS
from tasks.tables.reader import Machine, Path, Reader, Value
from tasks.tables.secrets import REFERENCE, referred

LISTS = frozenset({"aliases", "kernel_args", "names"})


def machines(reader: Reader) -> list[Machine]:
    """Return all nodes that have an address."""
    found = [machine(reader, name) for name in reader.dump.groups]
    return [one for one in found if one]


def machine(reader: Reader, name: str) -> Machine | None:
    """Return a node; one without an address is listed as lost."""
    made = Machine(name=name, groups=groups(reader, name))
    reader.column(made, ("ip",), "hosts", "ip", lambda text: str(parse.address(text)))
    if ("ip",) not in made.attributes:
        why = "has no address in the table hosts: left out"
        reader.dump.lost.append(Lost(table="nodelist", row=name, column="node", why=why))
        return None
    reader.column(made, ("aliases",), "hosts", "hostnames", lambda text: aliases(reader, name, text))
    reader.column(made, ("model",), "vpd", "mtm", texts.hardware)
    reader.column(made, ("netboot",), "noderes", "netboot", netboot)
    reader.column(made, ("kernel_args",), "bootparams", "addkcmdline", parse.kernel_words)
    for table, column in VARS:
        reader.column(made, ("vars", column), table, column, lambda text: text)
    hardware(reader, made)
    interfaces(reader, made)
    servers(reader, made)
    boot(reader, made)
    overlay(reader, made)
    macs(reader, made)
    return made


def groups(reader: Reader, name: str) -> tuple[str, ...]:
    """Return a node's groups; one that cannot be a group's name here is listed as lost."""
    for group in reader.dump.groups[name]:
        if not parse.is_label(group):
            why = f"{group!r} is no name for a group here: its attributes are written at the nodes"
            reader.dump.lost.append(Lost(table="nodelist", row=name, column="groups", why=why))
    return tuple(group for group in reader.dump.groups[name] if parse.is_label(group))


def aliases(reader: Reader, name: str, text: str) -> tuple[str, ...]:
    """Return a node's aliases; its own names in full are made anyway."""
    implied = {name, f"{name}.{reader.domain}"}
    return tuple(texts.host_name(item) for item in parse.listed(text) if item not in implied)


def netboot(text: str) -> str:
    """Return the kind of boot program."""
    if text not in NETBOOT_IN:
        message = f"Bootmill does not boot by {text!r}: {', '.join(sorted(NETBOOT_IN))} are known"
        raise ValueError(message)
    return NETBOOT_IN[text]


def servers(reader: Reader, made: Machine) -> None:
    """Set the service node; see that boot files come from it, or from where they come from here."""
    cell = reader.cell(made, "noderes", "servicenode")
    first, *more = parse.listed(cell.value) if cell else ("",)
    if cell and parse.is_label(parse.short_name(first)):
        made.put(("service_node",), parse.short_name(first), cell)
    if cell and (more or ("service_node",) not in made.attributes):
        reader.refuse(cell, made, f"one service node, by its name, is carried over, of {cell}")
    known = {*reader.heads, first, parse.short_name(first), str(reader.book.get(parse.short_name(first)))} - {
        "",
        "None",
    }
    for column in ("tftpserver", "nfsserver", "xcatmaster"):
        cell = reader.cell(made, "noderes", column)
        short = parse.short_name(cell.value) if cell else ""
        if cell and {cell.value, short, str(reader.book.get(short))}.isdisjoint(known):
            reader.refuse(cell, made, "boot files come from the service node or the network's next_server")


def boot(reader: Reader, made: Machine) -> None:
    """Set the osimage and the boot state."""
    cell = reader.cell(made, "chain", "currstate")
    word = cell.value.split()[0] if cell and cell.value.split() else ""
    osimage(reader, made, word)
    if cell is None:
        return
    state = STATES_IN.get(word)
    if state is None:
        reader.refuse(cell, made, f"{word!r} is no boot state here")
    elif state in NEEDS_OSIMAGE and ("osimage",) not in made.attributes:
        reader.refuse(cell, made, f"{word} needs an osimage")
    else:
        made.put(("state",), state.value, cell)


def osimage(reader: Reader, made: Machine, word: str) -> None:
    """Set the osimage: nodetype names it, or its parts."""
    cells = [reader.cell(made, "nodetype", column) for column in ("os", "arch", "profile", "provmethod")]
    *parts, method = cells
    if method and method.value in reader.estate.image_names:
        made.put(("osimage",), reader.estate.image_names[method.value], method, "")
        return
    first = next((cell for cell in cells if cell), None)
    if first is None:
        return
    by = method.value if method else word
    os, arch, profile = (cell.value if cell else "" for cell in parts)
    name = f"{os}-{arch}-{by}-{profile}"
    known = reader.estate.imagine(reader.dump, name, first.row) if by in METHODS else None
    if known:
        made.put(("osimage",), known, first, "")
        return
    why = f"there is no osimage {by!r}" if by else "does not say whether it is netboot or install"
    reader.refuse(method or first, made, why)


def overlay(reader: Reader, made: Machine) -> None:
    """Lay the attributes of our own table over those of xCAT's."""
    lists: dict[Path, tuple[str, ...]] = {}
    for row in filter(lambda row: row.get("attribute"), reader.own.get(made.name, ())):
        path = way(row.get("attribute"))
        value = reader.dump.take(row, "value", "attribute", "name")
        if path[-1] in LISTS:
            lists[path] = (*lists.get(path, ()), value)
        else:
            made.put(path, plain(value))
    for path, values in lists.items():
        made.put(path, ",".join(values) if path[0] == "nics" else values)


def way(attribute: str) -> Path:
    """Return an attribute's path; an interface's name may have dots in it: ``nics.eth0.12.mtu``."""
    first, dot, rest = attribute.partition(".")
    if first != "nics" or not dot:
        return (first, rest) if dot else (first,)
    name, _, last = rest.rpartition(".")
    return (first, name, last)


def plain(value: str) -> Value:
    """Return a value of our own table: nothing, a reference to a secret, or a text."""
    reference: SecretRef | None = referred(value) if REFERENCE.fullmatch(value) else None
    return reference or value or None
