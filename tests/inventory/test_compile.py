"""From files to the model: resolution order, types, references, duplicates, and every mistake at its place."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from tasks import inventory
from tasks.errors import InventoryError
from tasks.inventory.model import (
    BootState,
    Cluster,
    Console,
    Firmware,
    Management,
    Netboot,
    Nic,
    SecretKind,
    SecretRef,
    SwitchPort,
    Vm,
)

Load = Callable[..., Cluster]
Complaints = Callable[..., list[str]]
SITE = "domain: renci.ben\nmaster: mgt\n"
HEAD = "mgt: {ip: 10.1.0.1}\n"


# -- the sample and the order of resolution ----------------------------------------------------------------------------


def test_the_sample_is_the_seeds_cluster(cluster: Cluster) -> None:
    """The sample inventory is right, complete and in natural order."""
    assert [node.name for node in cluster.nodes] == ["kvm1", "mgt", "n01", "n02", "n03", "n04", "n05", "n06", "xen1"]
    node = cluster.node("n05")
    assert (node.ip, node.mac, node.firmware, node.netboot) == (
        IPv4Address("10.1.0.15"),
        "00:19:b9:c4:17:05",
        Firmware.UEFI,
        Netboot.GRUB,
    )
    assert node.bmc is not None
    assert (node.bmc.name, node.bmc.address, node.bmc.user) == ("n05-ipmi", IPv4Address("10.1.0.115"), "root")
    assert node.bmc.password == SecretRef(kind=SecretKind.ENV, where="BOOTMILL_BMC_PASSWORD")
    assert (node.port, node.console) == (SwitchPort(switch="linksys-mgt", port="5"), Console(port=0, speed=115200))
    assert (node.groups, node.model, node.state) == (("compute", "pe2950", "uefi", "all"), "PE 2950", BootState.NETBOOT)
    assert cluster.site.nameservers == (IPv4Address("10.1.0.1"),)
    assert cluster.site.dns_contact == "hostmaster.renci.ben"
    assert cluster.networks[0].next_server == IPv4Address("10.1.0.1")


def test_the_same_files_give_the_same_model(load: Load) -> None:
    """Two loads are equal down to their repr, on which digests are built."""
    assert repr(load()) == repr(load())


@pytest.mark.parametrize(
    ("site", "groups", "node", "expected"),
    [
        ("", "", "", 1024),
        ("defaults: {memory: 100}\n", "", "", 100),
        ("defaults: {memory: 100}\n", "b: {memory: 300}\n", "", 300),
        ("defaults: {memory: 100}\n", "b: {memory: 300}\na: {memory: 200}\n", "", 200),
        ("defaults: {memory: 100}\n", "all: {memory: 400}\n", "", 400),
        ("", "all: {memory: 400}\nb: {memory: 300}\n", "", 300),
        ("defaults: {memory: 100}\n", "a: {memory: 200}\n", "n1: {memory: 500}\n", 500),
        ("", "c: {memory: 200}\n", "", 1024),
    ],
)
def test_resolution_order(load: Load, site: str, groups: str, node: str, expected: int) -> None:
    """Site defaults, then groups (the first in the node's list wins, ``all`` comes last), then the node itself."""
    nodes = f"{HEAD}n[1-2]: {{groups: [a, b], ip: '10.1.0.{{{{ 10 + n[0] }}}}'}}\n{node}"
    cluster = load(site=SITE + site, groups=groups, nodes=nodes)
    assert cluster.node("n1").memory == expected


def test_compound_attributes_are_merged_part_by_part(load: Load) -> None:
    """A node may change its BMC's user alone; the rest comes from its groups and the site."""
    cluster = load(
        site=f"{SITE}defaults: {{bmc: {{user: site, password: !secret env:P}}, console: {{speed: 9600}}}}\n",
        groups="a: {bmc: {address: '10.1.0.{{ 110 + n[0] }}'}, console: {port: 1}}\nb: {bmc: {user: b}}\n",
        nodes=HEAD + "n[1-3]: {groups: [a, b], ip: '10.1.0.{{ 10 + n[0] }}'}\nn2: {bmc: {user: own}}\nn3: {bmc: ~}\n",
    )
    one, two, three = (cluster.node(name).bmc for name in ("n1", "n2", "n3"))
    assert one is not None
    assert two is not None
    assert (one.address, one.user, str(one.password)) == (IPv4Address("10.1.0.111"), "b", "env:P")
    assert (two.address, two.user, str(two.password)) == (IPv4Address("10.1.0.112"), "own", "env:P")
    assert three is None
    assert cluster.node("n1").console == Console(port=1, speed=9600)


def test_nics_are_merged_nic_by_nic(load: Load) -> None:
    """A node may change one value of one NIC; a NIC, or all, are taken away by nothing; expressions are inside."""
    cluster = load(
        site=f"{SITE}defaults: {{nics: {{eth1: {{mtu: 9000}}}}}}\n",
        groups="a:\n  nics:\n    eth1: {ip: '10.1.0.{{ 100 + n[0] }}', names: ['{{ name }}-st', 'st{{ n[0] }}']}\n"
        "    ib0: {vlan: 7}\n",
        nodes=HEAD.replace("}", ", nics: ~}")
        + "n[1-4]: {groups: a, ip: '10.1.0.{{ 10 + n[0] }}'}\n"
        + "n2: {nics: {eth1: {mtu: 1500, names: a}, eth2: {mac: 00:18:8b:f8:e3:58}}}\nn3: {nics: {ib0: ~}}\n"
        + "n4: {nics: ~}\n",
    )
    one, two, three, four = (cluster.node(f"n{number}").nics for number in range(1, 5))
    eth1 = Nic(name="eth1", names=("n1-st", "st1"), ip=IPv4Address("10.1.0.101"), mtu=9000)
    assert one == (eth1, Nic(name="ib0", names=("n1-ib0",), vlan=7))
    assert two == (
        replace(eth1, names=("a",), ip=IPv4Address("10.1.0.102"), mtu=1500),
        Nic(name="ib0", names=("n2-ib0",), vlan=7),
        Nic(name="eth2", names=("n2-eth2",), mac="00:18:8b:f8:e3:58"),
    )
    assert [nic.name for nic in three] == ["eth1"]
    assert (four, cluster.node("mgt").nics) == ((), ())


def test_other_new_attributes(load: Load) -> None:
    """Variables and virtual machines are merged part by part; IPv6, management and service nodes are resolved too."""
    cluster = load(
        networks="mgmt: {subnet: 10.1.0.0/24, subnet6: 'fd00:1::/64'}\n",
        groups="g: {vars: {rack: r1, row: a}, vm: {cpus: 2, host: mgt}, management: kvm, ip6: 'fd00:1::{{ n[0] }}'}\n",
        nodes="mgt: {ip: 10.1.0.1}\nn[1-2]: {groups: g, ip: '10.1.0.{{ 10 + n[0] }}', service_node: mgt}\n"
        "n2: {vars: {row: ~, slot: '{{ n[0] }}'}, vm: {disk: 20G}}\n",
    )
    two = cluster.node("n2")
    assert (two.vars, two.vm) == ((("rack", "r1"), ("slot", "2")), Vm(host="mgt", cpus=2, disk="20G"))
    assert (two.management, str(two.ip6), two.service_node) == (Management.KVM, "fd00:1::2", "mgt")
    assert cluster.service_nodes == (("mgt", IPv4Address("10.1.0.1")),)
    assert cluster.network_of(IPv6Address("fd00:1::77")).name == "mgmt"


def test_defaults_alone_give_no_machine_a_bmc(load: Load) -> None:
    """A user and a password for all BMCs do not claim that guests have one."""
    cluster = load(site=f"{SITE}defaults: {{bmc: {{user: admin}}, port: {{port: 1}}}}\n", nodes=HEAD)
    assert (cluster.node("mgt").bmc, cluster.node("mgt").port) == (None, None)


def test_machine_written_files_lie_over_the_nodes(load: Load) -> None:
    """Discovery adds MACs; nodeset's boot state goes before what nodes.yaml says."""
    cluster = load(
        nodes=f"{HEAD}n[1-2]: {{ip: '10.1.0.{{{{ 10 + n[0] }}}}', state: shell}}\n",
        discovered="n1: {mac: 00:18:8b:f8:e3:58}\n",
        bootstate="n[1-2]: {state: discover}\n",
    )
    assert [(node.mac, node.state) for node in cluster.nodes[1:]] == [
        ("00:18:8b:f8:e3:58", BootState.DISCOVER),
        (None, BootState.DISCOVER),
    ]


def test_expressions_use_other_attributes(load: Load) -> None:
    """Expressions may refer to attributes, to parts of compound ones and to each other, and stand in lists."""
    cluster = load(
        nodes=HEAD + "n7:\n  model: rack {{ memory }}\n  memory: '{{ 64 * n[0] }}'\n  ip: 10.1.0.{{ n[0] }}\n"
        "  bmc: {address: '10.1.0.{{ 100 + n[0] }}', user: 'u{{ port.port }}'}\n"
        "  port: {switch: linksys-mgt, port: 5}\n"
        "  aliases: ['{{ name }}-{{ bmc.user }}', web]\n  kernel_args: ['ip={{ ip }}']\n"
    )
    node = cluster.node("n7")
    assert (node.model, node.memory, str(node.ip)) == ("rack 448", 448, "10.1.0.7")
    assert node.bmc is not None
    assert (str(node.bmc.address), node.bmc.user) == ("10.1.0.107", "u5")
    assert (node.aliases, node.kernel_args) == (("n7-u5", "web"), ("ip=10.1.0.7",))


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_a_duplicate_names_both_lines(complaints: Complaints) -> None:
    """A MAC that two nodes have is told where the second stands, with the line of the first."""
    nodes = f"""\
# who is who
{HEAD.strip()}


n03:
  ip: 10.1.0.13
  # the second of the rack

  mac: 00:18:8b:f8:e3:58
n07:
  ip: 10.1.0.17
  mac: 00:18:8B:F8:E3:58
"""
    assert complaints(nodes=nodes) == [
        "inventory/nodes.yaml:12:8: n07: mac 00:18:8b:f8:e3:58 belongs to n03 already (line 9)"
    ]


SECRETS = [
    "bmc: {address: 10.1.0.5, password: hunter2}",
    "bmc: {address: 10.1.0.5, password: [hunter2]}",
    "bmc: {address: 10.1.0.5, password: {a: hunter2}}",
    "bmc: {address: 10.1.0.5, password: 'hunter2{{'}",
    "bmc: {address: 10.1.0.5, password: '{{ hunter2 }}'}",
    "bmc: {address: 10.1.0.5, password: !secret hunter2}",
    "bmc: {address: 10.1.0.5, password: !secret [hunter2]}",
    "bmc: {address: 10.1.0.5, password: !hash hunter2}",
    "bmc: {address: 10.1.0.5, passwort: hunter2}",
    "bmc: root:hunter2",
    "bmc: [root, hunter2]",
    "password: hunter2",
]


@pytest.mark.parametrize("attribute", SECRETS)
@pytest.mark.parametrize("table", ["nodes", "groups", "site"])
def test_plain_secrets_are_refused_and_not_repeated(complaints: Complaints, attribute: str, table: str) -> None:
    """A password in the inventory is a mistake, and the mistake does not carry it into a log."""
    texts = {
        "nodes": {"nodes": f"{HEAD}n1: {{ip: 10.1.0.11, {attribute}}}\n"},
        "groups": {"nodes": f"{HEAD}n1: {{ip: 10.1.0.11, groups: g}}\n", "groups": f"g: {{{attribute}}}\n"},
        "site": {"nodes": HEAD, "site": f"{SITE}defaults: {{{attribute}}}\n"},
    }
    found = complaints(**texts[table])
    assert found
    assert "hunter2" not in "\n".join(found)


def test_a_plain_community_is_refused_and_not_repeated(complaints: Complaints) -> None:
    """An SNMP community is a secret too."""
    found = complaints(switches="linksys-mgt: {ip: 10.1.0.253, community: hunter2}\n")
    assert found == [
        "inventory/switches.yaml:1:42: linksys-mgt: community: a secret is never written here: "
        "use '!secret env:NAME' or '!secret file:PATH'"
    ]


def test_the_same_attribute_from_two_entries(complaints: Complaints) -> None:
    """Neither of two entries is the obvious winner: a compound and a part of it exclude each other too."""
    nodes = f"{HEAD}n[1-2]: {{ip: 10.1.0.11, memory: 99, bmc: ~}}\nn2: {{memory: 99, bmc: {{user: a}}}}\n"
    assert complaints(nodes=nodes)[:2] == [
        "inventory/nodes.yaml:3:14: n2: memory is given twice (also line 2)",
        "inventory/nodes.yaml:3:30: n2: bmc.user is given twice (also line 2)",
    ]


def test_a_mistake_in_a_group_is_told_once(complaints: Complaints) -> None:
    """What a hundred nodes inherit is one mistake, at the group, with the first of the nodes."""
    nodes = f"{HEAD}n[1-100]: {{groups: g, ip: '10.1.0.{{{{ 10 + n[0] }}}}'}}\n"
    assert complaints(nodes=nodes, groups="g:\n  memory: x\n  modle: y\n") == [
        "inventory/groups.yaml:2:11: n1 and 99 more: memory: 'x' is no whole number",
        "inventory/groups.yaml:3:10: g: unknown attribute 'modle' (did you mean model?)",
    ]


def test_many_mistakes_at_one_place_are_counted(complaints: Complaints) -> None:
    """An expression that is wrong for each node in another way does not flood the screen."""
    nodes = f"{HEAD}n[1-100]: {{ip: '10.2.0.{{{{ 10 + n[0] }}}}'}}\n"
    found = complaints(nodes=nodes)
    assert len(found) == 9
    assert found[0] == "inventory/nodes.yaml:2:16: n1: 10.2.0.11 is in no network (known: mgmt 10.1.0.0/24)"
    assert found[8] == "inventory/nodes.yaml:2:16: and 92 more mistakes at this place"


def test_all_mistakes_at_once_in_reading_order(complaints: Complaints) -> None:
    """Mistakes of every kind come together, by file and line: a wrong row hides no mistake of another."""
    found = complaints(
        bootstate="n9: {state: local}\n",
        groups="g: {memory: x}\n",
        media="debian12-x86_64: {suit: bookworm}\n",
        networks="mgmt: {subnet: 10.1.0.0/24, gateway: 10.9.0.1}\n",
        nodes="mgt: {ip: 10.1.0.1, mac: 00:18:8b:f8:e3:58}\n"
        "n2: {groups: g, ip: 10.1.0.12}\n"
        "n1: {ip: 10.1.0.12, mac: 00:18:8b:f8:e3:58}\n"
        "n3: {ip: 10.1.0.13, ip: 10.1.0.14}\n",
        osimages="a1-b-netboot-c: {media: debian12-x86_64, packages: [], drivers: [], kernal: x}\n",
        site=f"{SITE}destdr: x\n",
        switches="s: {ip: x}\n",
    )
    assert [line.removeprefix("inventory/").partition(": ")[0] for line in found] == [
        "bootstate.yaml:1:1",
        "groups.yaml:1:13",
        "media.yaml:1:25",
        "networks.yaml:1:38",
        "nodes.yaml:3:26",
        "nodes.yaml:4:21",
        "osimages.yaml:1:77",
        "site.yaml:3:9",
        "switches.yaml:1:9",
    ]


@pytest.mark.parametrize("table", ["groups", "nodes", "site", "networks", "osimages", "media", "switches", "bootstate"])
def test_a_broken_file_brings_no_mistakes_that_follow(complaints: Complaints, table: str) -> None:
    """Where a file cannot be read, only this is told: nobody is sent after names that it may hold."""
    found = complaints(**{table: "a: [\n"})
    assert len(found) == 1
    assert found[0].startswith(f"inventory/{table}.yaml:2:1: broken YAML:")


def test_a_link_of_two_addresses_has_no_ends(complaints: Complaints) -> None:
    """Both addresses of a /31 are hosts (RFC 3021); of a /30 only the middle ones are."""
    nodes = "mgt: {ip: 10.1.0.0}\nn1: {ip: 10.1.0.1}\n"
    assert complaints(nodes=nodes, networks="m: {subnet: 10.1.0.0/31}\n", switches="") == []
    assert complaints(nodes=nodes, networks="m: {subnet: 10.1.0.0/30}\n", switches="") == [
        "inventory/nodes.yaml:1:11: mgt: 10.1.0.0 is the network or broadcast address of m"
    ]


def test_only_three_files_are_needed(load: Load) -> None:
    """A cluster of one head node needs no more than site, networks and nodes."""
    optional = ("bootstate", "discovered", "groups", "media", "osimages", "switches")
    cluster = load(site=SITE, nodes=HEAD, **dict.fromkeys(optional))
    assert [node.name for node in cluster.nodes] == ["mgt"]
    assert cluster.osimages == ()


def test_an_inventory_in_another_place_names_that_place(tmp_path: Path) -> None:
    """Mistakes carry the path under which the inventory was loaded."""
    with pytest.raises(InventoryError) as caught:
        inventory.load(tmp_path)
    assert caught.value.mistakes == [
        f"{tmp_path}/{table}.yaml:1:1: is missing: copy the sample from Bootmill's inventory/"
        for table in ("networks", "nodes", "site")
    ]


def test_a_link_local_gateway_is_one(complaints: Callable[..., list[str]]) -> None:
    """Most IPv6 routers are known by an address of no subnet."""
    networks = "mgmt: {subnet: 10.1.0.0/24, subnet6: 'fd00::/64', gateway6: 'fe80::1'}\n"
    assert complaints(networks=networks) == []


HOMES = "mgmt: {subnet: 10.1.0.0/24}\nib: {subnet: 10.2.0.0/24}\nbmc: {subnet: 10.3.0.0/24, next_server: 10.3.0.9}\n"


@pytest.mark.parametrize(
    ("site", "asked"), [(SITE, ["", "10.2.0.1", "10.3.0.1"]), (f"{SITE}nameservers: [10.1.0.9]\n", ["", "", ""])]
)
def test_a_head_node_is_asked_where_it_is_at_home(load: Load, site: str, asked: list[str]) -> None:
    """Boot files and names come from its address in the network, where nobody else is named."""
    nics = "ib0: {ip: 10.2.0.1}, eth2: {ip: 10.3.0.1}"
    networks = HOMES + "far: {subnet: 10.4.0.0/24}\nown: {subnet: 10.5.0.0/24, nameservers: [10.5.0.9]}\n"
    nodes = f"mgt: {{ip: 10.1.0.1, nics: {{{nics}, eth5: {{ip: 10.5.0.1}}}}}}\n"
    cluster = load(site=site, nodes=nodes, networks=networks)
    found = [str(network.next_server) for network in cluster.networks]
    assert found == ["10.1.0.1", "10.2.0.1", "10.3.0.9", "10.1.0.1", "10.5.0.1"]
    names = [" ".join(map(str, network.nameservers)) for network in cluster.networks]
    assert names == [*asked, "", "10.5.0.9"]  # none: the site's
