"""xCAT's table networks → networks.yaml.  There an IPv6 subnet is a row of its own, here it belongs to a network."""

from ipaddress import IPv6Network

from tasks.inventory import texts
from tasks.tables import parse
from tasks.tables.csvtext import Row
from tasks.tables.dump import Dump, Lost
from tasks.tables.estate import Estate, ours
from tasks.tables.yamltext import Value

SUFFIX6 = "-ipv6"  # behind the network's name, in the name of its IPv6 row
REMOTE = "!remote!"  # before the head node's NIC: a network behind a relay agent
Values = dict[str, Value]


def networks(dump: Dump, result: Estate, head: str) -> None:
    """Fill in networks.yaml; `head` is the head node's address."""
    sixes: list[tuple[Row, IPv6Network]] = []
    for row in dump.rows("networks"):
        try:
            subnet = parse.subnet(row.get("net"), row.get("mask"))
        except ValueError as error:
            dump.drop(row, str(error))
            continue
        dump.take(row, "net", "mask")
        if isinstance(subnet, IPv6Network):
            sixes.append((row, subnet))
            continue
        name = network_name(row, result)
        if name != row.key:
            dump.lost.append(Lost(table="networks", row=row.key, column="netname", why=f"is called {name} here"))
        result.network_names |= {row.key: name, name: name}
        result.networks[name] = {"subnet": str(subnet), **network(dump, row, head), **common(dump, row, head)}
        if row.get("dhcpserver") in {head, parse.HEAD}:
            dump.take(row, "dhcpserver")
    for row, six in sixes:
        add_six(dump, row, six, result, head)
    log_servers(dump, result)
    for row in ours(dump, "networks"):
        if row.get("name") in result.networks:
            result.networks[row.get("name")][row.get("attribute")] = dump.take(row, "value", "attribute", "name")
    served(dump, result)


def network_name(row: Row, result: Estate) -> str:
    """Return a network's name as a host name; xCAT makes names such as ``10_1_0_0-255_255_255_0``."""
    plain = row.key.lower().replace("_", "-").replace(".", "-")
    name = plain if parse.is_label(plain) else f"net-{row.get('net').replace('.', '-').strip()}"
    return name if name not in result.networks else f"{name[:50]}-{len(result.networks) + 1}"


def network(dump: Dump, row: Row, head: str) -> Values:
    """Return what only a row of IPv4 says."""
    values: Values = {}
    put(dump, row, "gateway", values, "gateway", lambda text: str(parse.address(head if text == parse.HEAD else text)))
    if row.get("tftpserver") == parse.HEAD:
        dump.take(row, "tftpserver")
    put(dump, row, "tftpserver", values, "next_server", lambda text: str(parse.address(text)))
    put(dump, row, "dynamicrange", values, "dynamic_range", lambda text: dynamic_range(text, texts.address_range))
    put(dump, row, "vlanid", values, "vlan", lambda text: parse.whole(text, 1, 4094))
    put(dump, row, "domain", values, "domain", lambda text: texts.domain_name(text.lower().strip(".")))
    return values | interface(dump, row, values)


def common(dump: Dump, row: Row, head: str) -> Values:
    """Return what the rows of both address families may say."""
    values: Values = {}
    put(dump, row, "mtu", values, "mtu", lambda text: parse.whole(text, 576, 9216))
    for column, attribute in (("nameservers", "nameservers"), ("ntpservers", "ntp_servers")):
        if found := servers(dump, row, column, head):
            values[attribute] = found
    return values


def put(dump: Dump, row: Row, column: str, values: Values, attribute: str, parsed: parse.Parser) -> None:
    """Set an attribute from a cell that nobody has accounted for; what the parser refuses is listed as lost."""
    text = row.get(column)
    if not text or (row.table, row.line, column) in dump.used:
        return
    try:
        values[attribute] = parsed(text)
    except ValueError as error:
        dump.lose(row, column, str(error))
    else:
        dump.take(row, column)


def dynamic_range(text: str, parsed: parse.Ends) -> str:
    """Return a network's only dynamic range as the inventory writes it; a lone address is a range."""
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    if len(parts) != 1:
        return parse.fail(text, "dynamic range: a network has one here")
    first, last = parsed(parts[0] if "-" in parts[0] else f"{parts[0]}-{parts[0]}")
    return f"{first}-{last}"


def interface(dump: Dump, row: Row, known: Values) -> Values:
    """Return the head node's NIC on a network; of a remote one also the address of the relay agent: its gateway."""
    text = row.get("mgtifname")
    values: Values = {}
    if text.startswith(REMOTE):
        if "gateway" in known:
            values["relay"] = known["gateway"]
        elif not any(one.get("attribute") == "relay" and one.get("name") == row.key for one in ours(dump, "networks")):
            dump.lose(row, "mgtifname", "has no gateway, which is what relays DHCP: write 'relay' into networks.yaml")
        text = text.removeprefix(REMOTE)
    try:
        if text:
            values["interface"] = texts.interface_name(text)
    except ValueError as error:
        dump.lose(row, "mgtifname", str(error))
    dump.take(row, "mgtifname")
    return values


def servers(dump: Dump, row: Row, column: str, head: str) -> tuple[str, ...]:
    """Return the servers of a cell, by address, time servers also by name; ``<xcatmaster>`` is the head node."""
    parsed = texts.host_or_address if column == "ntpservers" else lambda text: str(texts.any_address(text))
    found = []
    for text in parse.listed(dump.take(row, column)):
        try:
            found.append(parsed(head if text == parse.HEAD else text))
        except ValueError as error:
            dump.lose(row, column, str(error))
    return tuple(found)


def add_six(dump: Dump, row: Row, subnet: IPv6Network, result: Estate, head: str) -> None:
    """Add an IPv6 subnet to the network that its name says, else to the only one on the same NIC."""
    named = result.network_names.get(row.key.removesuffix(SUFFIX6)) if row.key.endswith(SUFFIX6) else None
    nic = row.get("mgtifname").removeprefix(REMOTE)
    alike = [name for name, values in result.networks.items() if nic and values.get("interface") == nic]
    name = named or (alike[0] if len(alike) == 1 else None)
    if name is None or "subnet6" in result.networks[name]:
        dump.drop(row, "belongs to no single IPv4 network: write it as subnet6 of one into networks.yaml")
        return
    dump.take(row, "mgtifname")
    result.network_names[row.key] = name
    values: Values = {"subnet6": str(subnet)}
    if row.get("tftpserver") == parse.HEAD:
        dump.take(row, "tftpserver")
    put(dump, row, "gateway", values, "gateway6", lambda text: str(parse.address6(text)))
    put(dump, row, "tftpserver", values, "next_server6", lambda text: str(parse.address6(text)))
    put(dump, row, "dynamicrange", values, "dynamic_range6", lambda text: dynamic_range(text, texts.address_range6))
    home = result.networks[name]
    for attribute, value in common(dump, row, head).items():
        before = home.get(attribute)
        both = isinstance(before, tuple) and isinstance(value, tuple)  # what either row names
        values[attribute] = tuple(dict.fromkeys((*before, *value))) if both else value  # type: ignore[misc]  # narrowed
    home.update(values)


def log_servers(dump: Dump, result: Estate) -> None:
    """Set the site's log servers: all that a network names."""
    found: dict[str, None] = {}
    for row in dump.rows("networks"):
        for text in parse.listed(row.get("logservers")):
            try:
                found[str(parse.address(text))] = None
            except ValueError as error:
                dump.lose(row, "logservers", str(error))
        dump.take(row, "logservers")
    if found:
        result.site["log_servers"] = tuple(found)


def served(dump: Dump, result: Estate) -> None:
    """Take the networks whose NIC site.dhcpinterfaces (``mgt|eth0,eth1;service|eth2``) leaves out from our server."""
    row = next((row for row in dump.rows("site") if row.key == "dhcpinterfaces" and row.get("value")), None)
    if row is None:
        return
    parts = [part.strip() for part in dump.take(row, "value").split(";") if part.strip()]
    heads = [
        part.rpartition("|")[2]
        for part in parts
        if "|" not in part or parse.short_name(part.partition("|")[0]) in result.heads
    ]
    if len(heads) < len(parts):
        dump.lose(row, "value", "only what it says of the head node is carried over")
    nics = {nic.partition(":")[0] for part in heads for nic in parse.listed(part)}
    if any(":" in part for part in heads):
        dump.lose(row, "value", "':noboot' is not known here")
    for values in result.networks.values():
        if nics and "relay" not in values and values.get("interface", "") not in {"", *nics}:
            values["dhcp"] = "false"
