"""xCAT's tables → what is neither a machine nor a network: site, switches, osimages, media."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tasks.errors import BootmillError
from tasks.inventory import texts
from tasks.inventory.model import DEBIAN_ARCH
from tasks.tables import parse
from tasks.tables.columns import OURS
from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump, Lost
from tasks.tables.lists import excluded, lines, packages
from tasks.tables.secrets import REFERENCE, Secrets, referred
from tasks.tables.yamltext import Value

MOST_PORTS = 4096
PORTS = 48
IMPLIED = frozenset({("tftpdir", "/tftpboot"), ("installdir", "/install")})
OWN_TEXTS = ("destdir", "dns_contact", "ssh_key", "serial_floor", "dhcp_server")  # site.bootmill.<name>
OWN_LISTS = ("search", "secondaries", "records", "exports", "boot_programs")  # the same, as JSON
SNMP = {"": "1", "1": "1", "v1": "1", "2": "2c", "2c": "2c", "v2": "2c", "v2c": "2c", "3": "3", "v3": "3"}
AUTH = ("md5", "sha", "sha256", "sha512")
PRIVACY = ("des", "aes", "aes256")


@dataclass(kw_only=True)
class Estate:
    """The rows of site.yaml, networks.yaml, switches.yaml, osimages.yaml and media.yaml."""

    site: dict[str, Value] = field(default_factory=dict)
    master: str = ""  # as the site table has it: an address or a name
    networks: dict[str, dict[str, Value]] = field(default_factory=dict)
    switches: dict[str, dict[str, Value]] = field(default_factory=dict)
    osimages: dict[str, dict[str, Value]] = field(default_factory=dict)
    media: dict[str, dict[str, Value]] = field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)  # name → groups, where, vars
    image_names: dict[str, str] = field(default_factory=dict)  # xCAT's → ours
    network_names: dict[str, str] = field(default_factory=dict)  # xCAT's → ours
    closed: bool = False  # whether our own table says which groups have rows
    heads: frozenset[str] = frozenset()  # what the head node is called

    def group(self, name: str) -> dict[str, dict[str, str]]:
        """Return what makes a group, to be filled in."""
        return self.groups.setdefault(name, {})

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


def ours(dump: Dump, table: str) -> list[Row]:
    """Return the rows of our own table that belong to a file of the inventory."""
    return [row for row in dump.rows(OURS) if row.get("table") == table]


# -- site ------------------------------------------------------------------------------------------------------------


def site(dump: Dump, result: Estate, secrets: Secrets) -> None:
    """Fill in site.yaml; the domain and the master have to be there."""
    values = {row.key: row for row in dump.rows("site") if row.get("value")}
    missing = [f"{dump.folder / 'site.csv'}: {key} is missing" for key in ("domain", "master") if key not in values]
    if missing:
        raise BootmillError("\n".join(missing), hint="every cluster has a domain and a head node: chtab key=domain …")
    result.site["domain"] = dump.take(values["domain"], "value").lower().strip(".")
    result.master = dump.take(values["master"], "value").strip().lower()
    result.heads = frozenset({"xcatmn", result.master, parse.short_name(result.master)} - {""})
    for key, name in (("nameservers", "nameservers"), ("forwarders", "forwarders"), ("ntpservers", "ntp_servers")):
        if key in values:
            result.site[name] = servers(dump, values[key], result.master, named=key == "ntpservers")
    if "FQDNfirst" not in values or not parse.truth(dump.take(values["FQDNfirst"], "value")):
        result.site["short_names_first"] = "true"
    for name in OWN_TEXTS:
        if f"bootmill.{name}" in values:
            result.site[name] = dump.take(values[f"bootmill.{name}"], "value")
    for name in OWN_LISTS:
        if f"bootmill.{name}" in values:
            result.site[name] = structure(dump, values[f"bootmill.{name}"])
    for key, row in values.items():
        if (key, row.get("value")) in IMPLIED:
            dump.take(row, "value")
    passwords(dump, result, secrets)


def structure(dump: Dump, row: Row) -> Value:
    """Return a list that is written as JSON."""
    try:
        found = texts_only(json.loads(row.get("value")))
    except (ValueError, RecursionError):
        dump.lose(row, "value", "is no JSON")
        return ()
    dump.take(row, "value")
    return found


def texts_only(value: object) -> Value:
    """Return what JSON holds with texts in it, and nothing else."""
    if isinstance(value, dict):
        return {name: texts_only(inner) for name, inner in value.items()}
    return tuple(map(texts_only, value)) if isinstance(value, list) else str(value)


def servers(dump: Dump, row: Row, master: str, *, named: bool) -> tuple[str, ...]:
    """Return the addresses of servers, or names where there may be some; ``<xcatmaster>`` is the head node."""
    found = []
    for text in parse.listed(dump.take(row, "value")):
        try:
            plain = master if text == parse.HEAD else text
            found.append(texts.host_or_address(plain) if named else str(texts.any_address(plain)))
        except ValueError as error:
            dump.lose(row, "value", str(error))
    return tuple(found)


def passwords(dump: Dump, result: Estate, secrets: Secrets) -> None:
    """Fill in the passwords by their use; of several for one use the first counts."""
    found: dict[str, Value] = {}
    for row in dump.rows("passwd"):
        if row.key in found:
            dump.drop(row, "there is one already for this use")
        elif not parse.is_label(row.key) or not row.get("password"):
            why = f"{row.key!r} is no name for a use" if row.get("password") else "has no password"
            dump.drop(row, f"{why}: left out")
        else:
            found[row.key] = {**user(dump, row, 32), "password": secrets.reference(dump, row, "password")}
    if found:
        result.site["passwords"] = found


def user(dump: Dump, row: Row, most: int) -> dict[str, Value]:
    """Return a row's user, if it can be one here."""
    text = row.get("username")
    try:
        if text and len(text) > most:
            parse.fail(text, f"user's name: {most} characters at most")
        found: dict[str, Value] = {"user": texts.login(text)} if text else {}
    except ValueError as error:
        dump.lose(row, "username", str(error))
        return {}
    dump.take(row, "username")
    return found


# -- switches --------------------------------------------------------------------------------------------------------


def switch_names(dump: Dump) -> tuple[str, ...]:
    """Return the switches: those of the table switches, then those that only the table switch names."""
    own = [row.key for row in dump.rows("switches")]
    plugged = sorted({row.get("switch") for row in dump.rows("switch")})
    return tuple(dict.fromkeys(name for name in (*own, *plugged) if parse.is_label(name)))


def switches(dump: Dump, result: Estate, secrets: Secrets, book: Mapping[str, IPv4Address]) -> None:
    """Fill in switches.yaml; a switch without an address is left out."""
    rows = {row.key: row for row in dump.rows("switches")}
    counts = port_counts(dump)
    for name in switch_names(dump):
        if name not in book:
            why = "has no address in the table hosts: left out"
            dump.lost.append(Lost(table="switches", row=name, column="switch", why=why))
            continue
        for host in dump.index.get(("hosts", name), ()):
            dump.take(host, "ip")
        values: dict[str, Value] = {"ip": str(book[name]), "ports": str(counts.get(name, PORTS))}
        for row in dump.index.get(("mac", name), ()):
            try:
                values["mac"] = parse.mac(dump.take(row, "mac").partition("!")[0])
            except ValueError as error:
                dump.lose(row, "mac", str(error))
        result.switches[name] = values | (snmp(dump, rows[name], secrets) if name in rows else {})
    for row in ours(dump, "switches"):
        text = dump.take(row, "value", "attribute", "name")
        if row.get("name") in result.switches:
            result.switches[row.get("name")][row.get("attribute")] = referred(text) if REFERENCE.match(text) else text


def snmp(dump: Dump, row: Row, secrets: Secrets) -> dict[str, Value]:
    """Return how a switch is asked.  xCAT has one password: the community, or in version 3 that of both protocols."""
    version = SNMP.get(row.get("snmpversion").lower().removeprefix("snmp"))
    if version is None:
        dump.lose(row, "snmpversion", f"{row.get('snmpversion')!r} is no version of SNMP")
    dump.take(row, "snmpversion")
    values: dict[str, Value] = {"snmp": version or "1", **user(dump, row, 32)}
    password = secrets.reference(dump, row, "password") if row.get("password") else None
    for column, known in (("auth", AUTH), ("privacy", PRIVACY)):
        text = row.get(column).lower()
        if text in known:
            values[column] = dump.take(row, column).lower()
        elif text:
            dump.lose(row, column, f"{text!r} is none of {', '.join(known)}")
    if version == "3":
        values |= {"auth": "sha", **values} if password else {}
        values |= {f"{column}_password": password for column in ("auth", "privacy") if password and column in values}
    elif password:
        values["community"] = password
    if row.get("switchtype"):
        try:
            values["model"] = texts.hardware(dump.take(row, "switchtype"))
        except ValueError as error:
            dump.lose(row, "switchtype", str(error))
    return values


def port_counts(dump: Dump) -> dict[str, int]:
    """Return how many ports each switch has at least: xCAT does not know."""
    counts: dict[str, int] = {}
    for row in dump.rows("switch"):
        if is_port(row):
            counts[row.get("switch")] = max(counts.get(row.get("switch"), PORTS), int(row.get("port")))
    return counts


def media(dump: Dump, result: Estate) -> None:
    """Fill in where media are, as far as our own table says it."""
    for row in ours(dump, "media"):
        medium = result.media.setdefault(row.get("name"), {})
        medium[row.get("attribute")] = dump.take(row, "value", "attribute", "name")


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
            attribute = own.get("attribute")
            item = dump.take(own, "value", "attribute", "name")
            earlier = values.get(attribute, ())
            several = (*(earlier if isinstance(earlier, tuple) else ()), item)
            values[attribute] = item if attribute == "compression" else several
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
        if texts.MODULE.fullmatch(name) or texts.ALIAS.fullmatch(name):
            found.append(name)
        else:
            dump.lose(row, "netdrivers", f"{text!r} is no kernel module name")
    return tuple(found)
