"""xCAT's tables → nodes: what every column comes to for every node, and from which group it has it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tasks.inventory import noderange
from tasks.inventory.model import BootState, SecretRef
from tasks.tables import parse
from tasks.tables.csvtext import Row
from tasks.tables.dump import Cell, Dump, Lost
from tasks.tables.estate import Estate, ours, switch_names
from tasks.tables.secrets import Secrets

Path = tuple[str, ...]  # ("ip",), ("bmc", "address")
Value = str | tuple[str, ...] | SecretRef | None
NETBOOT = {"pxe": "pxe", "xnba": "ipxe", "grub2": "grub", "grub2-http": "grub", "grub2-tftp": "grub"}
STATES = {"boot": BootState.LOCAL, **{state.value: state for state in BootState}}
METHODS = ("netboot", "install")
NEEDS_OSIMAGE = frozenset({BootState.NETBOOT, BootState.INSTALL, BootState.SHELL})
NICS = {"virtio": "virtio_net"}
LISTS = frozenset({"aliases", "kernel_args"})


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an attribute comes from: a group's row or the node's own (None), and what was written there."""

    group: str | None
    written: str


@dataclass(kw_only=True)
class Machine:
    """A node: its groups, its attributes, where each is from."""

    name: str
    groups: tuple[str, ...]
    attributes: dict[Path, Value] = field(default_factory=dict)
    sources: dict[Path, Source] = field(default_factory=dict)

    def put(self, path: Path, value: Value, cell: Cell | None = None) -> None:
        """Set an attribute."""
        self.attributes[path] = value
        key = cell.row.key if cell else self.name
        group = None if key == self.name else key
        self.sources[path] = Source(group=group, written=cell.written if cell else "")


def members(dump: Dump) -> None:
    """Find out who is in which group; what is no node's name here is listed as lost."""
    switches = set(switch_names(dump))
    for row in dump.rows("nodelist"):
        name = row.key
        if not parse.is_label(name):
            dump.drop(row, f"{name!r} is no host name (small letters, digits, inner hyphens): left out")
        elif is_range(name):
            dump.drop(row, f"{name!r} stands for a range of names here: left out")
        elif name in switches:
            dump.take(row, "groups")  # xCAT keeps switches among the nodes, Bootmill apart
        elif name in dump.groups:
            dump.drop(row, "is there already: only the first row counts")
        else:
            dump.groups[name] = parse.listed(dump.take(row, "groups"))
    for row in dump.rows("nodegroup"):
        more_members(dump, row)


def is_range(name: str) -> bool:
    """Return whether a name would be read as several, as ``n1-n3`` is."""
    try:
        return noderange.names(name) != (name,)
    except ValueError:
        return True


def more_members(dump: Dump, row: Row) -> None:
    """Add the nodes that the table nodegroup names; a group that is a question becomes the answer of this day."""
    written = row.get("members")
    if row.get("wherevals") or row.get("membergroups"):
        dump.drop(row, "groups are lists of nodes here: name the group at its nodes")
        return
    dump.take(row, "grouptype", "members")
    if written in {"", "static"}:
        return
    for name in parse.listed(written):
        if name in dump.groups:
            dump.groups[name] = tuple(dict.fromkeys((*dump.groups[name], row.key)))
        else:
            dump.lose(row, "members", f"there is no node {name!r}")


def addresses(dump: Dump) -> dict[str, IPv4Address]:
    """Return the addresses that the table hosts has for names: nodes, their other interfaces, and anything else."""
    book: dict[str, IPv4Address] = {}
    groups = {group for groups in dump.groups.values() for group in groups}
    for row in dump.rows("hosts"):
        if row.key not in dump.groups and row.key not in groups:
            note(book, row.key, row.get("ip"))
    for node in dump.groups:
        for cell in filter(None, [dump.cell("hosts", node, "ip")]):
            note(book, node, cell.value)
        for name, text in others(dump, node):
            note(book, name, text)
    return book


def note(book: dict[str, IPv4Address], name: str, text: str) -> None:
    """Note an address, if it is one; whoever needs it complains otherwise."""
    try:
        book.setdefault(name, parse.address(text))
    except ValueError:
        return


def others(dump: Dump, node: str) -> Iterator[tuple[str, str]]:
    """Yield the names and addresses of a node's other interfaces: ``-ipmi:10.1.0.111,n01-ib:10.2.0.11``."""
    cell = dump.cell("hosts", node, "otherinterfaces")
    for item in parse.listed(cell.value) if cell else ():
        name, _, text = item.rpartition(":")
        yield f"{node}{name}" if name.startswith("-") else name, text


class Reader:
    """Reads machines from the tables, one attribute after the other."""

    def __init__(self, dump: Dump, estate: Estate, book: Mapping[str, IPv4Address], secrets: Secrets) -> None:
        """Keep what all machines are looked up in."""
        self.dump, self.estate, self.book, self.secrets = dump, estate, book, secrets
        self.domain = str(estate.site["domain"])
        master = parse.short_name(estate.master)
        self.heads = {parse.HEAD, estate.master, master, str(book.get(master))} - {"", "None"}
        self.own: dict[str, list[Row]] = {}
        for row in ours(dump, "nodes"):
            self.own.setdefault(row.get("name"), []).append(row)

    def machines(self) -> list[Machine]:
        """Return all nodes that have an address."""
        found = [self.machine(name) for name in self.dump.groups]
        return [machine for machine in found if machine]

    def machine(self, name: str) -> Machine | None:
        """Return a node; one without an address is listed as lost."""
        machine = Machine(name=name, groups=self.groups(name))
        self.column(machine, ("ip",), "hosts", "ip", lambda text: str(parse.address(text)))
        if ("ip",) not in machine.attributes:
            self.interfaces(machine)
            why = "has no address in the table hosts: left out"
            self.dump.lost.append(Lost(table="nodelist", row=name, column="node", why=why))
            return None
        self.column(machine, ("aliases",), "hosts", "hostnames", lambda text: self.aliases(name, text))
        self.column(machine, ("mac",), "mac", "mac", lambda text: self.mac(name, text))
        self.column(machine, ("model",), "vpd", "mtm", lambda text: parse.matching(parse.MODEL, text, "model"))
        self.column(machine, ("netboot",), "noderes", "netboot", netboot)
        self.column(machine, ("kernel_args",), "bootparams", "addkcmdline", parse.kernel_words)
        self.column(machine, ("memory",), "vm", "memory", parse.memory)
        self.column(machine, ("nic",), "vm", "nicmodel", nic)
        self.column(machine, ("console", "port"), "nodehm", "serialport", lambda text: parse.whole(text, 0, 7))
        if ("console", "port") in machine.attributes:
            speed = ("console", "speed")
            self.column(machine, speed, "nodehm", "serialspeed", lambda text: parse.whole(text, 300, 4_000_000))
        self.bmc(machine)
        self.interfaces(machine)
        self.servers(machine.name)
        self.port(machine)
        self.boot(machine)
        self.overlay(machine)
        return machine

    def groups(self, name: str) -> tuple[str, ...]:
        """Return a node's groups; one that cannot be a group's name here is listed as lost."""
        for group in self.dump.groups[name]:
            if not parse.is_label(group):
                why = f"{group!r} is no name for a group here: its attributes are written at the nodes"
                self.dump.lost.append(Lost(table="nodelist", row=name, column="groups", why=why))
        return tuple(group for group in self.dump.groups[name] if parse.is_label(group))

    def column(
        self, machine: Machine, path: Path, table: str, column: str, parsed: Callable[[str], str | tuple[str, ...]]
    ) -> None:
        """Set an attribute from a column; what the parser refuses is listed as lost."""
        cell = self.dump.cell(table, machine.name, column)
        if cell is None:
            return
        try:
            value = parsed(cell.value)
        except ValueError as error:
            self.dump.refuse(cell, machine.name, str(error))
            return
        if value:
            machine.put(path, value, cell)

    def aliases(self, name: str, text: str) -> tuple[str, ...]:
        """Return a node's aliases; its own names in full are made anyway."""
        implied = {name, f"{name}.{self.domain}"}
        return tuple(parse.label(item) for item in parse.listed(text) if item not in implied)

    def mac(self, name: str, text: str) -> str:
        """Return the first MAC of ``aa:bb:…!host|cc:dd:…``; the others are listed as lost."""
        first, *more = text.split("|")
        address, _, host = first.partition("!")
        value = parse.mac(address.strip())
        cell = self.dump.cell("mac", name, "mac")
        if cell and (more or host not in {"", name}):
            self.dump.refuse(cell, name, f"only the first MAC is carried over, of {text}")
        return value

    def bmc(self, machine: Machine) -> None:
        """Set the BMC of a node that is switched by IPMI."""
        method = self.dump.cell("nodehm", machine.name, "power") or self.dump.cell("nodehm", machine.name, "mgt")
        self.dump.cell("nodehm", machine.name, "mgt")
        if method and method.value != "ipmi":
            self.dump.refuse(method, machine.name, f"{method}: only nodes with IPMI are switched by Bootmill")
            return
        cell = self.dump.cell("ipmi", machine.name, "bmc")
        address = self.bmc_address(machine, cell) if cell else None
        if cell is None or address is None:
            return
        machine.put(("bmc", "address"), str(address), cell)
        self.addressed(machine, str(address))
        user = self.dump.cell("ipmi", machine.name, "username")
        default = next((row for row in self.dump.rows("passwd") if row.key == "ipmi"), None)
        if user and len(user.value) > 16:
            self.dump.refuse(user, machine.name, "an IPMI user has 16 characters at most")
        elif user:
            machine.put(("bmc", "user"), user.value, user)
        elif default and default.get("username"):
            machine.put(("bmc", "user"), self.dump.take(default, "username"), cell)
        self.password(machine, cell, default)

    def addressed(self, machine: Machine, address: str) -> None:
        """Remember the rule that the address is from, where hosts.otherinterfaces has one: it may be an expression."""
        cell, source = self.dump.cell("hosts", machine.name, "otherinterfaces"), machine.sources["bmc", "address"]
        if cell and cell.written.startswith("|") and cell.value == f"-ipmi:{address}":
            rule = cell.written.replace("|-ipmi:", "|", 1)
            machine.sources["bmc", "address"] = Source(group=source.group, written=rule)

    def interfaces(self, machine: Machine) -> None:
        """List the node's other interfaces as lost, its BMC apart."""
        cell = self.dump.cell("hosts", machine.name, "otherinterfaces")
        for name, text in others(self.dump, machine.name):
            if cell and machine.attributes.get(("bmc", "address")) != text:
                self.dump.refuse(cell, machine.name, f"{name} {text}: nodes have one address here, and one for the BMC")

    def servers(self, name: str) -> None:
        """See that boot files come from where they come from here; other servers are listed as lost."""
        for column in ("tftpserver", "nfsserver", "xcatmaster"):
            cell = self.dump.cell("noderes", name, column)
            short = parse.short_name(cell.value) if cell else ""
            if cell and {cell.value, short, str(self.book.get(short))}.isdisjoint(self.heads):
                self.dump.refuse(cell, name, "boot files come from the network's next_server")

    def bmc_address(self, machine: Machine, cell: Cell) -> IPv4Address | None:
        """Return the address behind ``ipmi.bmc``: an address or a name of the table hosts."""
        name = cell.value.removesuffix(f".{self.domain}")
        try:
            return parse.address(cell.value)
        except ValueError:
            if name not in self.book:
                self.dump.refuse(cell, machine.name, f"{cell} has no address in the table hosts")
                return None
        for row in self.dump.index.get(("hosts", name), ()):
            self.dump.take(row, "ip", "hostnames")
        if name != f"{machine.name}-ipmi":
            self.dump.refuse(cell, machine.name, f"{name} is called {machine.name}-ipmi here")
        return self.book[name]

    def password(self, machine: Machine, bmc: Cell, default: Row | None) -> None:
        """Set the reference to a BMC's password: the node's, else that of the table passwd."""
        cell = self.dump.cell("ipmi", machine.name, "password")
        if cell:
            owner = machine.name if cell.value != cell.written else ""
            reference = self.secrets.reference(self.dump, cell.row, "password", cell.value, owner)
            machine.put(("bmc", "password"), reference, cell)
        elif default and default.get("password"):
            machine.put(("bmc", "password"), self.secrets.reference(self.dump, default, "password"), bmc)

    def port(self, machine: Machine) -> None:
        """Set where a node is plugged in, if the switch has an address."""
        cell = self.dump.cell("switch", machine.name, "switch")
        port = self.dump.cell("switch", machine.name, "port")
        overlaid = any(row.get("attribute") == "port.port" for row in self.own.get(machine.name, ()))
        if cell is None or not (port or overlaid):
            return
        if cell.value not in self.estate.switches:
            self.dump.refuse(cell, machine.name, f"there is no switch {cell} with an address")
            return
        machine.put(("port", "switch"), cell.value, cell)
        if port:
            self.column(machine, ("port", "port"), "switch", "port", plug)
        if ("port", "port") not in machine.attributes and not overlaid:
            del machine.attributes["port", "switch"]

    def boot(self, machine: Machine) -> None:
        """Set the osimage and the boot state."""
        cell = self.dump.cell("chain", machine.name, "currstate")
        word = cell.value.split()[0] if cell and cell.value.split() else ""
        self.osimage(machine, word)
        if cell is None:
            return
        state = STATES.get(word)
        if state is None:
            self.dump.refuse(cell, machine.name, f"{word!r} is no boot state here")
        elif state in NEEDS_OSIMAGE and ("osimage",) not in machine.attributes:
            self.dump.refuse(cell, machine.name, f"{word} needs an osimage")
        else:
            machine.put(("state",), state.value, cell)

    def osimage(self, machine: Machine, word: str) -> None:
        """Set the osimage: nodetype names it, or its parts."""
        cells = [self.dump.cell("nodetype", machine.name, column) for column in ("os", "arch", "profile", "provmethod")]
        *parts, method = cells
        if method and method.value in self.estate.image_names:
            machine.put(("osimage",), self.estate.image_names[method.value], method)
            return
        first = next((cell for cell in cells if cell), None)
        if first is None:
            return
        by = method.value if method else word
        os, arch, profile = (cell.value if cell else "" for cell in parts)
        name = f"{os}-{arch}-{by}-{profile}"
        known = self.estate.imagine(self.dump, name, first.row) if by in METHODS else None
        if known:
            machine.put(("osimage",), known, first)
            return
        why = f"there is no osimage {by!r}" if by else "does not say whether it is netboot or install"
        self.dump.refuse(method or first, machine.name, why)

    def overlay(self, machine: Machine) -> None:
        """Lay the attributes of our own table over those of xCAT's."""
        lists: dict[Path, tuple[str, ...]] = {}
        for row in self.own.get(machine.name, ()):
            path = tuple(row.get("attribute").split("."))
            value = self.dump.take(row, "value", "attribute", "name")
            if path[0] in LISTS:
                lists[path] = (*lists.get(path, ()), value)
            else:
                machine.put(path, value)
        for path, values in lists.items():
            machine.put(path, values)


def netboot(text: str) -> str:
    """Return the kind of boot program."""
    if text not in NETBOOT:
        message = f"Bootmill does not boot by {text!r}: {', '.join(sorted(NETBOOT))} are known"
        raise ValueError(message)
    return NETBOOT[text]


def nic(text: str) -> str:
    """Return a NIC model: the name of its driver."""
    return parse.matching(parse.DRIVER, NICS.get(text, text), "NIC model")


def plug(text: str) -> str:
    """Return a switch port, by number or by name."""
    return parse.kernel_word(text.strip())[:64]
