"""How nodes are switched and where they run: the tables nodehm, ipmi, passwd, switch, vm."""

from ipaddress import IPv4Address

from tasks.inventory import texts
from tasks.inventory.model import Management
from tasks.tables import parse, rule
from tasks.tables.csvtext import Row
from tasks.tables.dump import Cell
from tasks.tables.nodevalues import BMC_SUFFIX, NICS_IN
from tasks.tables.reader import Machine, Reader

MOST_SPEED, LEAST_SPEED = 4_000_000, 300
FLOWS = {"hard": "true", "soft": "false", "none": "false"}


def hardware(reader: Reader, machine: Machine) -> None:
    """Set who switches a node, its BMC, its console, its switch port, its hypervisor."""
    method = management(reader, machine)
    bmc(reader, machine, method)
    console(reader, machine, method)
    port(reader, machine)
    vm(reader, machine)


def management(reader: Reader, machine: Machine) -> Cell | None:
    """Set who switches a node; xCAT's `power` goes before its `mgt`."""
    power, mgt = (reader.cell(machine, "nodehm", column) for column in ("power", "mgt"))
    method = power or mgt
    if method is None:
        return None
    if method.value not in set(Management):
        reader.refuse(method, machine, f"{method}: nodes are switched by {', '.join(Management)} here")
        return method
    machine.put(("management",), method.value, method)
    if mgt and mgt.value != method.value:
        reader.refuse(mgt, machine, f"{mgt}: the node is switched by {method}")
    return method


def bmc(reader: Reader, machine: Machine, method: Cell | None) -> None:
    """Set a node's BMC.  A node that is switched otherwise has one only if a row of its own says so."""
    cell = reader.cell(machine, "ipmi", "bmc")
    if cell and method and method.value != Management.IPMI and cell.row.key != machine.name:
        return
    found = bmc_address(reader, machine, cell) if cell else None
    if cell is None or found is None:
        return
    machine.put(("bmc", "address"), str(found), cell, origin(reader, machine, str(found)))
    user = reader.cell(machine, "ipmi", "username")
    default = next((row for row in reader.dump.rows("passwd") if row.key == "ipmi"), None)
    try:
        if user:
            machine.put(("bmc", "user"), ipmi_user(user.value), user)
        elif default and default.get("username"):
            machine.put(("bmc", "user"), ipmi_user(reader.dump.take(default, "username")), cell)
    except ValueError as error:
        reader.refuse(user or cell, machine, str(error))
    password(reader, machine, cell, default)


def ipmi_user(text: str) -> str:
    """Return an IPMI user: 16 bytes at most."""
    return texts.login(text) if len(text) <= 16 else parse.fail(text, "IPMI user: 16 characters at most")


def origin(reader: Reader, machine: Machine, address: str) -> str | None:
    """Return the rule that makes a BMC's address, where hosts.otherinterfaces has it: it may be an expression."""
    cell = reader.cell(machine, "hosts", "otherinterfaces")
    if cell is None or f"{BMC_SUFFIX}:{address}" not in parse.listed(cell.value):
        return None
    parts = (rule.without(item, f"{BMC_SUFFIX}:") for item in rule.pieces(cell.written, ","))
    return next(filter(None, parts), None)


def bmc_address(reader: Reader, machine: Machine, cell: Cell) -> IPv4Address | None:
    """Return the address behind ``ipmi.bmc``: an address or a name of the table hosts."""
    name = cell.value.removesuffix(f".{reader.domain}")
    try:
        return parse.address(cell.value)
    except ValueError:
        if name not in reader.book:
            reader.refuse(cell, machine, f"{cell} has no address in the table hosts")
            return None
    for row in reader.dump.index.get(("hosts", name), ()):
        reader.dump.take(row, "ip", "hostnames")
    if name != f"{machine.name}{BMC_SUFFIX}":
        reader.refuse(cell, machine, f"{name} is called {machine.name}{BMC_SUFFIX} here")
    return reader.book[name]


def password(reader: Reader, machine: Machine, bmc: Cell, default: Row | None) -> None:
    """Set the reference to a BMC's password: the node's, else that of the table passwd."""
    cell = reader.cell(machine, "ipmi", "password")
    if cell:
        owner = machine.name if cell.value != cell.written else ""
        reference = reader.secrets.reference(reader.dump, cell.row, "password", cell.value, owner)
        machine.put(("bmc", "password"), reference, cell)
    elif default and default.get("password"):
        machine.put(("bmc", "password"), reader.secrets.reference(reader.dump, default, "password"), bmc)


def console(reader: Reader, machine: Machine, method: Cell | None) -> None:
    """Set a node's serial console."""
    column = reader.column
    if column(machine, ("console", "port"), "nodehm", "serialport", lambda text: parse.whole(text, 0, 7)) is None:
        return
    speed = ("console", "speed")
    column(machine, speed, "nodehm", "serialspeed", lambda text: parse.whole(text, LEAST_SPEED, MOST_SPEED))
    column(machine, ("console", "flow"), "nodehm", "serialflow", flow)
    cons = reader.cell(machine, "nodehm", "cons")
    if cons and not (method and cons.value == method.value):
        reader.refuse(cons, machine, f"{cons}: the console is reached by what switches the node")


def flow(text: str) -> str:
    """Return whether there is hardware flow control."""
    return FLOWS.get(text.lower()) or parse.fail(text, f"flow control: {', '.join(FLOWS)}")


def port(reader: Reader, machine: Machine) -> None:
    """Set where a node is plugged in, if the switch has an address."""
    switch, number = (reader.cell(machine, "switch", column) for column in ("switch", "port"))
    overlaid = any(row.get("attribute") == "port.port" for row in reader.own.get(machine.name, ()))
    if switch is None or not (number or overlaid):
        return
    if switch.value not in reader.estate.switches:
        reader.refuse(switch, machine, f"there is no switch {switch} with an address")
        return
    if number:
        reader.column(machine, ("port", "port"), "switch", "port", lambda text: texts.kernel_word(text.strip())[:64])
    if ("port", "port") in machine.attributes or overlaid:
        machine.put(("port", "switch"), switch.value, switch)
    interface = reader.cell(machine, "switch", "interface")
    known = {"", "primary", str(machine.attributes.get(("interface",), ""))}
    if interface and interface.value.removeprefix("primary:") not in known:
        reader.refuse(interface, machine, f"{interface}: where its further interfaces are plugged in is not known here")


def vm(reader: Reader, machine: Machine) -> None:
    """Set what a virtual machine gets and who runs it; the laboratory gives memory and NIC to any machine."""
    column = reader.column
    column(machine, ("memory",), "vm", "memory", parse.memory)
    column(machine, ("nic",), "vm", "nicmodel", lambda text: texts.driver(NICS_IN.get(text, text)))
    if reader.cell(machine, "vm", "host") is None:
        return
    if column(machine, ("vm", "host"), "vm", "host", lambda text: texts.host_name(parse.short_name(text))) is None:
        return
    column(machine, ("vm", "cpus"), "vm", "cpus", lambda text: parse.whole(text, 1, 1024))
    first(reader, machine, "disk", "storage", texts.kernel_word)
    first(reader, machine, "bridge", "nics", texts.interface_name)


def first(reader: Reader, machine: Machine, attribute: str, column: str, parsed: parse.Parser) -> None:
    """Set a virtual machine's first disk or bridge; more are listed as lost."""
    cell = reader.column(machine, ("vm", attribute), "vm", column, lambda text: parsed(text.split(",")[0].strip()))
    if cell and "," in cell.value:
        reader.refuse(cell, machine, f"only the first is carried over, of {cell}")
