"""Warnings: what is right as it stands and yet hardly meant.  Pure; `Mistakes.warn` keeps them, `doit check` tells.

Only what somebody would want to be told at every check: no style, nothing that a sound inventory has by the dozen.
"""

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Network

from tasks.inventory.check_addresses import of_node
from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.check_between import claims, standing
from tasks.inventory.model import BootState, Management, Network, Node, SnmpVersion, Switch

OVER_NETWORK = frozenset({BootState.NETBOOT, BootState.INSTALL, BootState.DISCOVER, BootState.SHELL})
RESOLVER = 3  # name servers that a resolver reads (resolv.conf(5), MAXNS)
RARE_MTU = 1500
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # RFC 1918


def doubts(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield every warning."""
    ipmi = any(password.key == "ipmi" for password in tables.site.passwords) if tables.site else False
    for node in tables.nodes:
        for path, text in of_one(node, tables, ipmi=ipmi):
            yield marks.place("nodes", node.name, *path), node.name, text
    for switch in tables.switches:
        for attribute, text in of_switch(switch):
            yield marks.place("switches", switch.name, attribute), switch.name, text
    booting = {id(tables.finder.find(node.ip)) for node in tables.nodes if node.mac}
    for network in tables.networks:
        doubtful = [*of_network(network, tables), *reach(network, boots=id(network) in booting)]
        for attribute, text in [*doubtful, *orphan(network, tables)]:
            yield marks.place("networks", network.name, attribute), network.name, text
    yield from unused(tables, marks)
    yield from of_site(tables, marks)


def of_one(node: Node, tables: Tables, *, ipmi: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is doubtful with a node: attribute, sentence."""
    boots = node.state in OVER_NETWORK
    if boots and node.mac is None:
        found = " (discovery can find it by its switch port)" if node.port else ""
        yield (), f"state {node.state}, but no mac: it is given no address and no boot menu{found}"
    if node.bmc and node.bmc.password is None and not ipmi:
        yield ("bmc",), "its BMC has no password: nothing can log in to switch it"
    if node.management is Management.IPMI and node.bmc is None:
        yield ("management",), "management ipmi, but no bmc: nothing can switch it"
    if node.management in {Management.KVM, Management.XEN} and node.vm is None:
        yield ("management",), f"management {node.management}, but no vm.host: nothing can switch it"
    home = tables.finder.find(node.ip)
    if home is not None:
        if boots and node.mac and not home.dhcp:
            yield ("ip",), f"state {node.state}, but no DHCP in {home.name}: it is given no address and no boot program"
        if node.ip6 and tables.finder.find(node.ip6) not in {None, home}:
            yield ("ip6",), f"{node.ip} and {node.ip6} are one NIC's addresses in two networks"


def of_switch(switch: Switch) -> Iterator[tuple[str, str]]:
    """Yield what is doubtful with a switch: attribute, sentence."""
    version3 = ("user", "auth", "auth_password", "privacy", "privacy_password")
    if switch.snmp is SnmpVersion.V3:
        if switch.community is not None:
            yield "community", "SNMPv3 has no community: it is not used"
        if switch.auth is None and switch.user is not None:
            yield "snmp", "SNMPv3 without 'auth': everybody can ask in this user's name"
        return
    if switch.community is None:
        yield "", f"SNMP version {switch.snmp} without a community: its ports cannot be read"
    for attribute in version3:
        if getattr(switch, attribute) is not None:
            yield attribute, f"{attribute} is for SNMPv3 and not used: write 'snmp: 3'"


def of_network(network: Network, tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield what is doubtful with a network: attribute, sentence."""
    if (network.dynamic_range or network.dynamic_range6) and not network.dhcp:
        yield "dhcp", "a dynamic range, but no DHCP that hands it out"
    if network.delegation and network.subnet.prefixlen <= 24:
        yield (
            "delegation",
            f"delegation is for subnets below /24, {network.subnet} has a reverse zone of its own anyway",
        )
    if network.subnet.is_loopback:
        yield "subnet", f"{network.subnet} is this very machine: no other one can be reached there"
    if len(network.nameservers) > RESOLVER:
        yield "nameservers", f"resolvers read {RESOLVER} name servers, and not the others"
    first = next(other for other in tables.networks if other.link == network.link)
    if (first.mtu or RARE_MTU) != (network.mtu or RARE_MTU):
        yield "mtu", f"MTU {network.mtu or RARE_MTU}, but {first.name} on the same link has {first.mtu or RARE_MTU}"


def reach(network: Network, *, boots: bool) -> Iterator[tuple[str, str]]:
    """Yield that nobody who boots in a network can reach its boot server: attribute, sentence."""
    served = network.dhcp and (boots or network.dynamic_range is not None)
    if served and network.gateway is None and network.next_server not in network.subnet:
        text = f"boot files come from {network.next_server} outside of {network.subnet}, and there is no gateway"
        yield "next_server", f"{text}: write 'gateway', or give the head node a NIC in it"


def orphan(network: Network, tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield that nobody delegates to a network's own reverse zone: attribute, sentence.

    The zone around it (RFC 2317) is ours where another network in its /24 has none of its own; of private addresses no
    provider has one.
    """
    subnet = network.subnet
    if not network.delegation or subnet.prefixlen <= 24 or not any(subnet.subnet_of(one) for one in PRIVATE):
        return
    around = subnet.supernet(new_prefix=24)
    if not any(other.subnet.overlaps(around) and not other.delegation for other in tables.networks):
        text = f"nobody delegates to its reverse zone: no network without 'delegation' lies in {around}"
        yield "delegation", f"{text}, whose zone would"


def unused(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield rows that nothing refers to: networks, groups, osimages."""
    if not tables.nodes:
        return
    homes = {id(tables.finder.find(held.address)) for node in tables.nodes for held in of_node(node)}
    homes |= {id(tables.finder.find(switch.ip)) for switch in tables.switches}
    for network in tables.networks:
        if id(network) not in homes and not (network.dynamic_range or network.dynamic_range6):
            yield marks.place("networks", network.name), network.name, "no node has an address in it"
    members = Counter(group for node in tables.nodes for group in node.groups)
    parents = {parent for group in tables.groups for parent in group.groups}
    names = {node.name for node in tables.nodes}
    for group in tables.groups:
        mark = marks.place("groups", group.name)
        if group.name not in members and group.name not in parents:
            text = "no node is what it asks for" if group.where else "no node is in it"
            yield mark, group.name, text
        if group.name in names:
            yield mark, group.name, "a node has the same name: a noderange means the node"
    images = {node.osimage for node in tables.nodes}
    for image in tables.osimages:
        if image.name not in images:
            yield marks.place("osimages", image.name), image.name, "no node boots it, and it is built all the same"


def of_site(tables: Tables, marks: Marks) -> Iterator[Mistake]:
    """Yield what is doubtful with site.yaml."""
    if tables.site is None:
        return
    if len(tables.site.nameservers) > RESOLVER:
        mark = marks.place("site", "", "nameservers")
        yield mark, "", f"resolvers read {RESOLVER} name servers, and not the others"
    places = [("site", "", tables.site.ntp_servers)]
    places += [("networks", network.name, network.ntp_servers) for network in tables.networks]
    asked = {server for _, _, servers in places for server in servers if "." not in server and ":" not in server}
    if not asked:
        return
    known = {claim.value for node in tables.nodes for claim in claims(node) if claim.kind == "host name"}
    known |= {claim.value for _, _, claim in standing(tables)} | {record.name for record in tables.site.records}
    for table, row, servers in places:
        for server in servers:
            if server in asked - known:
                text = f"the time server {server} is no host of this site, and has no domain"
                yield marks.place(table, row, "ntp_servers"), row, text
