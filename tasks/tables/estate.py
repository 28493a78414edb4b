"""xCAT's tables → what is not a machine: site, networks, switches, osimages, media."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tasks.errors import BootmillError
from tasks.inventory.model import DEBIAN_ARCH
from tasks.tables import parse
from tasks.tables.columns import OURS
from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump, Lost
from tasks.tables.lists import excluded, lines, packages
from tasks.tables.secrets import Secrets
from tasks.tables.yamltext import Value

MOST_PORTS = 4096
PORTS = 48
IMPLIED = frozenset({("tftpdir", "/tftpboot"), ("installdir", "/install")})
OWN_KEYS = {f"bootmill.{name}": name for name in ("destdir", "dns_contact", "ssh_key")}


@dataclass(kw_only=True)
class Estate:
    """The rows of site.yaml, networks.yaml, switches.yaml, osimages.yaml and media.yaml."""

    site: dict[str, Value] = field(default_factory=dict)
    master: str = ""  # as the site table has it: an address or a name
    networks: dict[str, dict[str, Value]] = field(default_factory=dict)
    switches: dict[str, dict[str, Value]] = field(default_factory=dict)
    osimages: dict[str, dict[str, Value]] = field(default_factory=dict)
    media: dict[str, dict[str, Value]] = field(default_factory=dict)
    image_names: dict[str, str] = field(default_factory=dict)  # xCAT's → ours

    def imagine(self, dump: Dump, name: str, row: Row) -> str | None:
        """Return the osimage of this name; one that no table describes is made, without packages."""
        if name in self.image_names:
            return self.image_names[name]
        if not is_image_name(name):
            return None
        medium = "-".join(name.split("-")[:2])
        self.osimages[name] = {"media": medium, "packages": (), "drivers": ()}
        self.image_names[name] = name
        self.medium(dump, medium, row, "os")
        dump.lose(row, "profile", f"no table says which packages {name} has: write them into osimages.yaml")
        return name

    def medium(self, dump: Dump, name: str, row: Row, column: str) -> None:
        """See to it that a medium exists; where it is, xCAT does not know."""
        if name not in self.media:
            self.media[name] = {"iso": f"{name}.iso"}
            dump.lose(row, column, f"no table says where the ISO of {name} is: write it into media.yaml")


def estate(dump: Dump, secrets: Secrets, book: Mapping[str, IPv4Address]) -> Estate:
    """Return all that is not a machine; `book` has the addresses of the table hosts by name."""
    result = Estate()
    site(dump, result)
    head = book.get(parse.short_name(result.master)) or result.master
    networks(dump, result, str(head))
    switches(dump, result, secrets, book)
    for row in ours(dump, "media"):
        medium = result.media.setdefault(row.get("name"), {})
        medium[row.get("attribute")] = dump.take(row, "value", "attribute", "name")
    osimages(dump, result)
    return result


def ours(dump: Dump, table: str) -> list[Row]:
    """Return the rows of our own table that belong to a file of the inventory."""
    return [row for row in dump.rows(OURS) if row.get("table") == table]


# -- site and networks -----------------------------------------------------------------------------------------------


def site(dump: Dump, result: Estate) -> None:
    """Fill in site.yaml; the domain and the master have to be there."""
    values = {row.key: row for row in dump.rows("site") if row.get("value")}
    missing = [f"{dump.folder / 'site.csv'}: {key} is missing" for key in ("domain", "master") if key not in values]
    if missing:
        raise BootmillError("\n".join(missing), hint="every cluster has a domain and a head node: chtab key=domain …")
    result.site["domain"] = dump.take(values["domain"], "value").lower().strip(".")
    result.master = dump.take(values["master"], "value").strip().lower()
    for key in ("nameservers", "forwarders"):
        if key in values:
            result.site[key] = servers(dump, values[key], result.master)
    for key, name in OWN_KEYS.items():
        if key in values:
            result.site[name] = dump.take(values[key], "value")
    for key, row in values.items():
        if (key, row.get("value")) in IMPLIED:
            dump.take(row, "value")


def servers(dump: Dump, row: Row, master: str) -> tuple[str, ...]:
    """Return the addresses of name servers; ``<xcatmaster>`` is the head node."""
    found = []
    for text in parse.listed(dump.take(row, "value")):
        try:
            found.append(str(parse.address(master if text == parse.HEAD else text)))
        except ValueError as error:
            dump.lose(row, "value", str(error))
    return tuple(found)


def networks(dump: Dump, result: Estate, head: str) -> None:
    """Fill in networks.yaml."""
    for row in dump.rows("networks"):
        try:
            subnet = parse.subnet(row.get("net"), row.get("mask"))
        except ValueError as error:
            dump.drop(row, str(error))
            continue
        dump.take(row, "net", "mask")
        name = network_name(row, result)
        if name != row.key:
            dump.lost.append(Lost(table="networks", row=row.key, column="netname", why=f"is called {name} here"))
        values: dict[str, Value] = {"subnet": str(subnet)}
        for column, attribute in (("gateway", "gateway"), ("tftpserver", "next_server")):
            value = network_address(dump, row, column, head)
            if value and not (row.get(column) == parse.HEAD and attribute == "next_server"):
                values[attribute] = value
        if row.get("dynamicrange"):
            values |= dynamic_range(dump, row)
        for column in ("dhcpserver", "nameservers"):
            if row.get(column) in {head, parse.HEAD}:
                dump.take(row, column)
        result.networks[name] = values


def network_name(row: Row, result: Estate) -> str:
    """Return a network's name as a host name; xCAT makes names such as ``10_1_0_0-255_255_255_0``."""
    plain = row.key.lower().replace("_", "-").replace(".", "-")
    name = plain if parse.is_label(plain) else f"net-{row.get('net').replace('.', '-').strip()}"
    return name if name not in result.networks else f"{name[:50]}-{len(result.networks) + 1}"


def network_address(dump: Dump, row: Row, column: str, head: str) -> str:
    """Return an address in a network's row, an empty text where there is none."""
    text = row.get(column)
    if not text:
        return ""
    try:
        value = parse.address(head if text == parse.HEAD else text)
    except ValueError as error:
        dump.lose(row, column, str(error))
        return ""
    dump.take(row, column)
    return str(value)


def dynamic_range(dump: Dump, row: Row) -> dict[str, Value]:
    """Return a network's first dynamic range; Bootmill has one a network."""
    first, *more = [part for part in row.get("dynamicrange").replace(";", ",").split(",") if part.strip()] or [""]
    begin, dash, end = first.partition("-")
    try:
        text = f"{parse.address(begin)}-{parse.address(end if dash else begin)}"
    except ValueError as error:
        dump.lose(row, "dynamicrange", str(error))
        return {}
    dump.take(row, "dynamicrange")
    if more:
        dump.lose(row, "dynamicrange", f"a network has one dynamic range here: {', '.join(more)} is left out")
    return {"dynamic_range": text}


# -- switches --------------------------------------------------------------------------------------------------------


def switch_names(dump: Dump) -> tuple[str, ...]:
    """Return the switches: those of the table switches, then those that only the table switch names."""
    own = [row.key for row in dump.rows("switches")]
    plugged = sorted({row.get("switch") for row in dump.rows("switch")})
    return tuple(dict.fromkeys(name for name in (*own, *plugged) if parse.is_label(name)))


def switches(dump: Dump, result: Estate, secrets: Secrets, book: Mapping[str, IPv4Address]) -> None:
    """Fill in switches.yaml; a switch without an address is left out."""
    rows = {row.key: row for row in dump.rows("switches")}
    ports = {row.get("name"): row for row in ours(dump, "switches") if row.get("attribute") == "ports"}
    for name in switch_names(dump):
        if name not in book:
            why = "has no address in the table hosts: left out"
            dump.lost.append(Lost(table="switches", row=name, column="switch", why=why))
            continue
        for host in dump.index.get(("hosts", name), ()):
            dump.take(host, "ip")
        values: dict[str, Value] = {"ip": str(book[name]), "ports": str(port_count(dump, name))}
        if name in ports:
            values["ports"] = dump.take(ports[name], "value", "attribute", "name")
        if name in rows and rows[name].get("password"):
            values["community"] = secrets.reference(dump, rows[name], "password")
        result.switches[name] = values


def port_count(dump: Dump, name: str) -> int:
    """Return how many ports a switch has at least: xCAT does not know."""
    numbers = [int(row.get("port")) for row in dump.rows("switch") if row.get("switch") == name and is_port(row)]
    return max([PORTS, *numbers])


def is_port(row: Row) -> bool:
    """Return whether a row's port is a number that a switch can have."""
    port = row.get("port")
    return port.isascii() and port.isdigit() and len(port) < 5 and int(port) <= MOST_PORTS


# -- osimages --------------------------------------------------------------------------------------------------------


def osimages(dump: Dump, result: Estate) -> None:
    """Fill in osimages.yaml, and media.yaml with what they are built from."""
    details = {row.key: row for row in dump.rows("linuximage")}
    for row in dump.rows("osimage"):
        name = image_name(row)
        if name is None or name in result.osimages:
            form = f"is not <os>-<{'|'.join(DEBIAN_ARCH)}>-<netboot|install>-<profile>"
            why = form if name is None else f"{name} is there already"
            dump.drop(row, f"{why}: left out")
            for detail in filter(None, [details.get(row.key)]):
                dump.drop(detail, "its osimage is left out")
            continue
        if name != row.key:
            dump.lost.append(Lost(table="osimage", row=row.key, column="imagename", why=f"is called {name} here"))
        result.image_names[row.key] = name
        result.image_names[name] = name
        result.osimages[name] = image(dump, result, row, name, details.get(row.key))


def image_name(row: Row) -> str | None:
    """Return an osimage's name here: its own, or one made of its columns; None where neither will do."""
    made = "-".join(row.get(column) for column in ("osvers", "osarch", "provmethod", "profile"))
    return next((name for name in (row.key, made) if is_image_name(name)), None)


def is_image_name(name: str) -> bool:
    """Return whether a text is an osimage's name, of an architecture that Bootmill builds for."""
    return bool(parse.OSIMAGE.fullmatch(name)) and name.split("-")[1] in DEBIAN_ARCH


def image(dump: Dump, result: Estate, row: Row, name: str, details: Row | None) -> dict[str, Value]:
    """Return one row of osimages.yaml."""
    dump.take(row, "profile", "provmethod", "osvers", "osarch")
    for column, usual in (("imagetype", "linux"), ("osname", "linux")):
        if row.get(column).lower() == usual:
            dump.take(row, column)
    medium = "-".join(name.split("-")[:2])
    if row.get("osdistroname") == medium:
        dump.take(row, "osdistroname")
    result.medium(dump, medium, row, "osdistroname")
    values: dict[str, Value] = {"media": medium, "packages": (), "drivers": ()}
    if details:
        values |= made_of(dump, details)
    for own in ours(dump, "osimages"):
        if own.get("name") == row.key:
            earlier = values.get(own.get("attribute"), ())
            item = dump.take(own, "value", "attribute", "name")
            values[own.get("attribute")] = (*(earlier if isinstance(earlier, tuple) else ()), item)
    return values


def made_of(dump: Dump, row: Row) -> dict[str, Value]:
    """Return what linuximage says of an osimage."""
    values: dict[str, Value] = {"packages": packages(dump, row), "drivers": drivers(dump, row)}
    if row.get("kernelver"):
        values["kernel"] = dump.take(row, "kernelver")
    if row.get("addkcmdline"):
        try:
            values["kernel_args"] = parse.kernel_words(row.get("addkcmdline"))
            dump.take(row, "addkcmdline")
        except ValueError as error:
            dump.lose(row, "addkcmdline", str(error))
    if row.get("exlist"):
        values["exclude"] = tuple(excluded(dump, row, lines(dump, row, "exlist")))
    return {name: value for name, value in values.items() if value or name in {"packages", "drivers"}}


def drivers(dump: Dump, row: Row) -> tuple[str, ...]:
    """Return the names of kernel modules; xCAT also takes ``tg3.ko``."""
    found = []
    for text in parse.listed(dump.take(row, "netdrivers")):
        name = text.removesuffix(".xz").removesuffix(".gz").removesuffix(".ko")
        if parse.DRIVER.fullmatch(name):
            found.append(name)
        else:
            dump.lose(row, "netdrivers", f"{text!r} is no kernel module name")
    return tuple(found)
