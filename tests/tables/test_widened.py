"""import-xcat, what xCAT has beyond the seed's tables: interfaces, IPv6, SNMP version 3, groups, virtual machines."""

import csv
import io
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.compile import load_cluster
from tasks.inventory.model import Cluster, Management, SnmpVersion
from tasks.tables import imported

Tables = Callable[..., Path]
BASE = {
    "site": ["key,value", "domain,x.example", "master,10.1.0.1"],
    "networks": ["netname,net,mask,mgtifname,gateway", "mgmt,10.1.0.0,255.255.255.0,eth0,", "ib,10.2.0.0,/16,ib0,"],
    "nodelist": ["node,groups", "mgt,all", *(f'n{number:02d},"compute,all"' for number in range(1, 5))],
    "hosts": ["node,ip,otherinterfaces", "mgt,10.1.0.1,", r"compute,|n(\d+)|10.1.0.($1+10)|,", "sw1,10.1.0.250,"],
}


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Return what writes tables, a list of lines each, over those of a small cluster."""

    def write(**changed: list[str]) -> Path:
        for name, lines in {**BASE, **changed}.items():
            (tmp_path / f"{name}.csv").write_text("#" + "\n".join(lines) + "\n")
        return tmp_path

    return write


def cluster(folder: Path) -> Cluster:
    """Return the cluster that tables become."""
    imported.write(imported.converted(folder), folder / "new")
    return load_cluster(folder / "new")


def lost(folder: Path) -> set[tuple[str, str, str]]:
    """Return table, row and column of what stays behind, but for what every small cluster loses."""
    return {(item.table, item.row, item.column) for item in imported.converted(folder).lost}


def test_interfaces(tables: Tables) -> None:
    """The table nics: addresses of both families, suffixes, aliases, MTU; the one that boots is not another one."""
    folder = tables(
        nics=[
            "node,nicips,nichostnamesuffixes,nictypes,nicnetworks,nicaliases,nicextraparams",
            r'compute,"|n(\d+)|eth0!10.1.0.($1+10),ib0!10.2.0.($1+0)|","ib0!-hsn","ib0!Infiniband","ib0!ib",,"ib0!MTU=2044"',
            'n02,"ib0!10.2.9.2|fd00::2,eth1.7!10.1.0.99","ib0!-hsn|-hsn6","eth1.7!vlan",,"ib0!moe larry",',
        ],
        networks=[*BASE["networks"], "ib-ipv6,fd00::,64,,"],
        noderes=["node,installnic,primarynic", "compute,eth0,mac"],
        mac=["node,interface,mac", "n01,,52:54:00:00:00:01|52:54:00:00:00:02!n01-hsn", "n02,,525400000003!n02"],
    )
    found = cluster(folder)
    (one,) = found.node("n01").nics
    assert (one.name, one.names, one.ip, one.mtu) == ("ib0", ("n01-hsn",), IPv4Address("10.2.0.1"), 2044)
    assert (found.node("n01").mac, one.mac) == ("52:54:00:00:00:01", "52:54:00:00:00:02")
    assert found.node("n01").interface == "eth0"
    first, second = found.node("n02").nics
    assert {first.name: first.names, second.name: second.vlan} == {
        "ib0": ("n02-hsn", "n02-hsn6", "moe", "larry"),
        "eth1.7": 7,
    }
    ib = next(nic for nic in (first, second) if nic.name == "ib0")
    assert (ib.ip, ib.ip6) == (IPv4Address("10.2.9.2"), IPv6Address("fd00::2"))
    assert not {item for item in lost(folder) if item[0] in {"nics", "mac", "noderes"}}


def test_interfaces_become_expressions(tables: Tables) -> None:
    """What a rule says of an interface is written once, at the group."""
    folder = tables(
        nics=["node,nicips,nichostnamesuffixes", r'compute,"|n(\d+)|eth1!10.1.0.($1+100),ib0!10.2.0.($1*2)|",ib0!-hsn']
    )
    groups = imported.converted(folder).documents["groups"]
    assert 'eth1: {ip: "10.1.0.{{ n[0] + 100 }}"}' in groups
    assert 'ib0: {ip: "10.2.0.{{ n[0] * 2 }}", names: "{{ name }}-hsn"}' in groups


def test_the_order_of_interfaces(tables: Tables) -> None:
    """A node whose own row has other interfaces than its group's has them in the order of that row."""
    rule = r'compute,"|n(\d+)|ib0!10.2.0.($1+0),ib1!10.2.1.($1+0)|"'
    folder = tables(nics=["node,nicips", rule, 'n02,"eth1!10.2.2.2,ib0!10.2.0.2"', 'n03,"ib1!10.2.1.3,ib0!10.2.0.3"'])
    found = cluster(folder)
    order = {node.name: [nic.name for nic in node.nics] for node in found.nodes if node.nics}
    assert order == {"n01": ["ib0", "ib1"], "n02": ["eth1", "ib0"], "n03": ["ib1", "ib0"], "n04": ["ib0", "ib1"]}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("nicips", "eth1!10.2.0.1|10.2.0.2"),
        ("nicips", "eth1!nowhere"),
        ("nicips", "10.2.0.1"),
        ("nicips", "a/b!10.2.0.1"),
        ("nicnetworks", "eth1!elsewhere"),
        ("nicextraparams", "eth1!BOOTPROTO=none"),
        ("nicaliases", "eth1!Not_A_Name"),
        ("nicdevices", "bond0!eth0|eth1"),
        ("niccustomscripts", "eth1!configeth eth1"),
    ],
)
def test_interfaces_that_stay_behind(tables: Tables, column: str, cell: str) -> None:
    """What an interface cannot have here is listed."""
    assert ("nics", "n01", column) in lost(tables(nics=[f"node,{column}", f'n01,"{cell}"']))


def test_other_interfaces(tables: Tables) -> None:
    """hosts.otherinterfaces, as xCAT had them before: by suffix, by name, IPv6 behind an exclamation mark."""
    folder = tables(
        hosts=[*BASE["hosts"], 'n01,,"-ib0:10.2.0.1,login:10.2.0.2,n01!fd00:1::1,-ipmi:10.1.0.101"'],
        ipmi=["node,bmc", "n01,n01-ipmi"],
        networks=[*BASE["networks"], "mgmt-ipv6,fd00:1::,64,,"],
    )
    node = cluster(folder).node("n01")
    assert [(nic.name, nic.names, str(nic.ip)) for nic in node.nics] == [
        ("ib0", ("n01-ib0",), "10.2.0.1"),
        ("login", ("login",), "10.2.0.2"),
    ]
    assert node.ip6 == IPv6Address("fd00:1::1")
    assert node.bmc is not None


def test_networks(tables: Tables) -> None:
    """VLAN, MTU, domain, servers, a relay, an IPv6 row by name or by NIC, and the NICs that DHCP listens on."""
    folder = tables(
        site=[
            *BASE["site"],
            'dhcpinterfaces,"xcatmn|eth0;service|eth9"',
            "ntpservers,ntp.example.org",
            "FQDNfirst,yes",
        ],
        networks=[
            "netname,net,mask,mgtifname,gateway,vlanid,mtu,domain,nameservers,ntpservers,logservers,tftpserver",
            'mgmt,10.1.0.0,255.255.255.0,eth0,,12,9000,,"<xcatmaster>,fd00::53",10.1.0.9,10.1.0.8,<xcatmaster>',
            "ib,10.2.0.0,255.255.0.0,ib0,,,,ib.x.example,,,,",
            "far,10.5.0.0,255.255.255.0,!remote!eth0,10.5.0.254,,,,,,,",
            "fd00:1::/64,fd00:1::/64,/64,ib0,fd00:1::fe,,,,,,,",
            "lonely,fd00:2::,64,eth7,,,,,,,,",
        ],
    )
    found = cluster(folder)
    mgmt, ib, far = found.networks
    assert (mgmt.vlan, mgmt.mtu, mgmt.interface, mgmt.dhcp) == (12, 9000, "eth0", True)
    assert mgmt.nameservers == (IPv4Address("10.1.0.1"), IPv6Address("fd00::53"))
    assert (mgmt.ntp_servers, found.site.ntp_servers) == (("10.1.0.9",), ("ntp.example.org",))
    assert found.site.log_servers == (IPv4Address("10.1.0.8"),)
    assert (ib.domain, ib.dhcp, ib.subnet6) == ("ib.x.example", False, IPv6Network("fd00:1::/64"))
    assert (far.relay, far.dhcp) == (IPv4Address("10.5.0.254"), True)
    assert found.site.short_names_first is False
    assert {("networks", "lonely", "*"), ("site", "dhcpinterfaces", "value")} <= lost(folder)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("ib,10.2.0.0,255.255.0.0,!remote!eth0,,,", "mgtifname"),
        ("ib,10.2.0.0,255.255.0.0,a b,,,", "mgtifname"),
        ("ib,10.2.0.0,255.255.0.0,,,5000,", "vlanid"),
        ("ib,10.2.0.0,255.255.0.0,,nowhere,,", "gateway"),
        ('ib,10.2.0.0,255.255.0.0,,,,"10.2.1.0-10.2.1.9;10.2.2.0-10.2.2.9"', "dynamicrange"),
        ("ib,10.2.0.0,255.0.255.0,,,,", "*"),
    ],
)
def test_networks_that_stay_behind(tables: Tables, row: str, column: str) -> None:
    """What a network cannot have here is listed."""
    folder = tables(networks=["netname,net,mask,mgtifname,gateway,vlanid,dynamicrange", "mgmt,10.1.0.0,/24,,,,", row])
    assert ("networks", "ib", column) in lost(folder)


def test_switches(tables: Tables) -> None:
    """SNMP version 3 has one password in xCAT: it is that of both protocols; version 1 is what nothing says."""
    folder = tables(
        switches=[
            "switch,snmpversion,username,password,privacy,auth,switchtype",
            "sw1,3,admin,geheim99,AES,,Cisco",
            "sw2,,,public,,,",
        ],
        hosts=[*BASE["hosts"], "sw2,10.1.0.251,"],
    )
    one, two = cluster(folder).switches
    assert (one.snmp, one.user, one.auth, one.privacy, one.model) == (SnmpVersion.V3, "admin", "sha", "aes", "Cisco")
    assert one.auth_password == one.privacy_password is not None
    assert (two.snmp, two.community is not None) == (SnmpVersion.V1, True)
    texts = [path.read_text() for path in (folder / "new").glob("*.*")]
    assert "geheim99" not in "".join(texts)
    assert "geheim99\n" in [path.read_text() for path in (folder / "new/keys").iterdir()]


def test_groups(tables: Tables) -> None:
    """Groups in groups and groups that ask stay what they are; a question that cannot be asked becomes its answer."""
    folder = tables(
        nodelist=["node,groups", "mgt,all", 'n01,"compute,asked"', "n02,compute", "n03,", "n04,compute"],
        hosts=[*BASE["hosts"], "n03,10.1.0.13,"],
        nodegroup=[
            "groupname,grouptype,members,membergroups,wherevals",
            "hall,static,static,compute,",
            "asked,dynamic,dynamic,,mgt==ipmi::netboot==xnba",
            "today,dynamic,dynamic,,mgt=~/^ip/",
            "never,dynamic,dynamic,,colour==red",
            'listed,,"n03,n09",,',
        ],
        nodehm=["node,mgt", "compute,ipmi", "n04,kvm"],
        noderes=["node,netboot", "n01,xnba"],
    )
    found = cluster(folder)
    groups = {group.name: group for group in found.groups}
    assert groups["compute"].groups == ("hall",)
    assert groups["asked"].where == (("management", "ipmi"), ("netboot", "ipxe"))
    assert [node.name for node in found.nodes if "asked" in node.groups] == ["n01"]
    assert [node.name for node in found.nodes if "today" in node.groups] == ["n01", "n02"]
    assert [node.name for node in found.nodes if "hall" in node.groups] == ["n01", "n02", "n04"]
    assert "listed" in found.node("n03").groups
    assert {("nodegroup", name, "wherevals") for name in ("today", "never")} <= lost(folder)
    assert ("nodegroup", "listed", "members") in lost(folder)


def test_a_question_that_never_ends(tables: Tables) -> None:
    """A pattern with endless ways to fail is given up, and told."""
    long = "a" * 60
    folder = tables(
        nodelist=[
            "node,groups,status",
            f"mgt,all,{long}",
            *(f"n{number:02d},compute,{long}" for number in range(1, 5)),
        ],
        nodegroup=["groupname,grouptype,wherevals", "bad,dynamic,status=~(a+)+b"],
    )
    assert ("nodegroup", "bad", "wherevals") in lost(folder)


def test_virtual_machines(tables: Tables) -> None:
    """Host, processors, disk and bridge of a guest; of several only the first, and the others are told."""
    folder = tables(
        nodehm=["node,power,mgt,cons,serialport,serialspeed,serialflow", "n01,kvm,kvm,kvm,0,115200,hard"],
        vm=["node,host,storage,memory,cpus,nics,nicmodel", 'n01,mgt.x.example,"dir:///vms,phy:/dev/x",2G,4,br0,virtio'],
    )
    node = cluster(folder).node("n01")
    assert node.vm is not None
    assert (node.vm.host, node.vm.cpus, node.vm.disk, node.vm.bridge) == ("mgt", 4, "dir:///vms", "br0")
    assert (node.memory, node.nic, node.management) == (2048, "virtio_net", Management.KVM)
    assert node.console is not None
    assert node.console.flow
    assert ("vm", "n01", "storage") in lost(folder)


def test_service_nodes_and_places(tables: Tables) -> None:
    """A service node is who serves; where a node stands, and its serial number, are variables."""
    folder = tables(
        noderes=["node,servicenode,xcatmaster,tftpserver", 'n02,"n01,n03",n01,10.1.0.11', "n03,,elsewhere,"],
        nodepos=["node,rack,u", "n02,7,12"],
        vpd=["node,serial,mtm", "n02,ABC-1,PE 860"],
    )
    node = cluster(folder).node("n02")
    assert (node.service_node, node.model) == ("n01", "PE 860")
    assert node.vars == (("rack", "7"), ("serial", "ABC-1"), ("u", "12"))
    assert {("noderes", "n02", "servicenode"), ("noderes", "n03", "xcatmaster")} <= lost(folder)
    assert ("noderes", "n02", "tftpserver") not in lost(folder)


def test_passwords_of_the_site(tables: Tables) -> None:
    """The table passwd: by use, by reference; the first row of a use counts, one without a password does not."""
    folder = tables(passwd=["key,username,password", "system,root,tops3cret", "system,more,other", "omapi,xcat_key,"])
    (one,) = cluster(folder).site.passwords
    assert (one.key, one.user) == ("system", "root")
    assert (folder / "new" / one.password.where).read_text() == "tops3cret\n"
    assert {("passwd", "system", "*"), ("passwd", "omapi", "*")} <= lost(folder)


# -- hostile tables --------------------------------------------------------------------------------------------------


def test_no_formula_and_no_escape_in_the_list(tables: Tables) -> None:
    """A spreadsheet opens the list, a terminal shows the summary: neither is told what to do."""
    names = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\x1b]0;x\x07")
    folder = tables(
        nodelist=[*BASE["nodelist"], *(f'"{name}",compute' for name in names)],
        mac=["node,mac,\x1b[31mcolumn", "n01,=1+1,x"],
    )
    result = imported.converted(folder)
    text = imported.listed(result.lost)
    assert "\x1b" not in text + "\n".join(imported.summary(result.lost))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell[:1] in set("=+-@")]


@pytest.mark.parametrize(
    "lines",
    [
        ["node,mac", "n01,\x00"],
        ["node,mac", "\x00,52:54:00:00:00:01"],
        ["node,mac", "n01," + "x" * 100_000],
        ["node,mac", "n01,|" + "(" * 100_000 + "|"],
        ["node,mac", "n01," + "52:54:00:00:00:01!a|" * 5_000],
    ],
    ids=["nul", "nul name", "long", "parentheses", "many"],
)
def test_odd_cells_are_listed(tables: Tables, lines: list[str]) -> None:
    """Whatever stands in a cell, the import ends, and lists it."""
    assert "mac" in {table for table, _, _ in lost(tables(mac=lines))}


def test_odd_attributes_of_our_own_table(tables: Tables) -> None:
    """What a row of our own table calls an attribute cannot break out of the YAML: the check tells it."""
    hostile = ["x: {y", 'a}: b, "c', "bmc.[a, b]", "nics.eth1: {.ip", "vars.a\u2028b"]
    quoted = [one.replace('"', '""') for one in hostile]
    folder = tables(bootmill=["table,name,attribute,value", *(f'nodes,n01,"{one}",v' for one in quoted)])
    nodes = imported.converted(folder).documents["nodes"]
    assert '"x: {y": v' in nodes
    assert nodes.splitlines()[5:] == [f"n{number:02d}: {{ip: 10.1.0.{number + 10}}}" for number in (2, 3, 4)]


def test_a_folder_of_surprises(tables: Tables) -> None:
    """Tables that are no files, and names that are no tables."""
    folder = tables()
    (folder / "mac.csv").mkdir()
    with pytest.raises(BootmillError, match=r"mac\.csv: is no file"):
        imported.converted(folder)
    (folder / "mac.csv").rmdir()
    (folder / "=evil.csv").write_text("x")
    assert "'=evil" in imported.listed(imported.converted(folder).lost)
