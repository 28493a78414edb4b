"""Warnings: what is told of an inventory that is right, where, and that it stops nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory import summary
from tasks.inventory.compile import thorough
from tests.inventory.conftest import BASE

Warnings = Callable[..., list[str]]
# The small cluster of conftest.py, with nothing in it to be warned of.
SOUND = {
    "switches": "linksys-mgt: {ip: 10.1.0.253, community: !secret env:BOOTMILL_TEST}\n",
    "nodes": "mgt: {ip: 10.1.0.1}\nn06: {ip: 10.1.0.16, osimage: debian12-x86_64-netboot-compute}\n",
}
N1 = SOUND["nodes"] + "n1: {ip: 10.1.0.11, "
NET = "mgmt: {subnet: 10.1.0.0/24}\n"


@pytest.fixture
def warnings(
    write_inventory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Return a function that tells the warnings of the small cluster with some files changed."""

    def warnings(**files: str) -> list[str]:
        write_inventory(**{**BASE, **SOUND, **files})
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BOOTMILL_TEST", "hunter2")
        return [f"{notice.mark}: {notice}" for notice in thorough(Path("inventory"))[1]]

    return warnings


def test_a_sound_inventory_has_none(warnings: Warnings) -> None:
    """Nothing is told where there is nothing to tell."""
    assert warnings() == []


CASES = [
    (
        {"nodes": N1 + "state: netboot, osimage: debian12-x86_64-netboot-compute}\n"},
        ["nodes.yaml:3:1: n1: state netboot, but no mac: it is given no address and no boot menu"],
    ),
    (
        {"nodes": N1 + "state: discover, port: {switch: linksys-mgt, port: 1}}\n"},
        [
            "nodes.yaml:3:1: n1: state discover, but no mac: it is given no address and no boot menu "
            "(discovery can find it by its switch port)"
        ],
    ),
    (
        {"nodes": N1 + "bmc: {address: 10.1.0.12}}\nn2: {ip: 10.1.0.13, bmc: {address: 10.1.0.14}}\n"},
        [
            "nodes.yaml:3:36: n1: its BMC has no password: nothing can log in to switch it",
            "nodes.yaml:4:36: n2: its BMC has no password: nothing can log in to switch it",
        ],
    ),
    (
        {"nodes": N1 + "management: ipmi}\n"},
        ["nodes.yaml:3:33: n1: management ipmi, but no bmc: nothing can switch it"],
    ),
    (
        {"nodes": N1 + "management: xen}\n"},
        ["nodes.yaml:3:33: n1: management xen, but no vm.host: nothing can switch it"],
    ),
    (
        {
            "networks": "mgmt: {subnet: 10.1.0.0/24, dhcp: false}\n",
            "nodes": N1 + "mac: 00:18:8b:f8:e3:58, state: discover}\n",
        },
        [
            "nodes.yaml:3:10: n1: state discover, but no DHCP in mgmt: it is given no address and no boot program",
        ],
    ),
    (
        {
            "networks": "mgmt: {subnet: 10.1.0.0/24}\no: {subnet: 10.2.0.0/24, subnet6: 'fd00::/64'}\n",
            "nodes": N1 + "ip6: 'fd00::1'}\n",
        },
        ["nodes.yaml:3:26: n1: 10.1.0.11 and fd00::1 are one NIC's addresses in two networks"],
    ),
    (
        {"nodes": N1 + "groups: computr}\n", "groups": "compute: {}\n"},
        [
            "groups.yaml:1:1: compute: no node is in it",
            "nodes.yaml:3:29: n1: no group 'computr' is in groups.yaml: did you mean compute?",
        ],
    ),
    (
        {"nodes": N1 + "groups: a}\n", "groups": "a: {groups: computr}\ncompute: {where: {model: x}}\n"},
        [
            "groups.yaml:1:13: a: no group 'computr' is in groups.yaml: did you mean compute?",
            "groups.yaml:2:1: compute: no node is what it asks for",
        ],
    ),
    (
        {"nodes": N1 + "groups: n1}\n", "groups": "n1: {}\n"},
        ["groups.yaml:1:1: n1: a node has the same name: a noderange means the node"],
    ),
    (
        {"switches": "linksys-mgt: {ip: 10.1.0.253}\n"},
        ["switches.yaml:1:1: linksys-mgt: SNMP version 2c without a community: its ports cannot be read"],
    ),
    (
        {"switches": "a: {ip: 10.1.0.253, user: u, community: !secret env:BOOTMILL_TEST}\n"},
        ["switches.yaml:1:27: a: user is for SNMPv3 and not used: write 'snmp: 3'"],
    ),
    (
        {"switches": "a: {ip: 10.1.0.253, snmp: 3, user: u, community: !secret env:BOOTMILL_TEST}\n"},
        [
            "switches.yaml:1:27: a: SNMPv3 without 'auth': everybody can ask in this user's name",
            "switches.yaml:1:50: a: SNMPv3 has no community: it is not used",
        ],
    ),
    ({"networks": NET + "o: {subnet: 10.2.0.0/24}\n"}, ["networks.yaml:2:1: o: no node has an address in it"]),
    (
        {"networks": "mgmt: {subnet: 10.1.0.0/24, dynamic_range: 10.1.0.90-10.1.0.99, dhcp: no}\n"},
        ["networks.yaml:1:71: mgmt: a dynamic range, but no DHCP that hands it out"],
    ),
    (
        {"networks": "mgmt: {subnet: 10.1.0.0/24, delegation: yes}\n"},
        [
            "networks.yaml:1:41: mgmt: delegation is for subnets below /24, "
            "10.1.0.0/24 has a reverse zone of its own anyway"
        ],
    ),
    (
        {"networks": NET + "o: {subnet: 10.2.0.0/24, dynamic_range: 10.2.0.8-10.2.0.9}\n"},
        [
            "networks.yaml:2:1: o: boot files come from 10.1.0.1 outside of 10.2.0.0/24, and there is no gateway: "
            "write 'gateway', or give the head node a NIC in it"
        ],
    ),
    (
        {
            "networks": NET + "o: {subnet: 10.2.0.0/24, next_server: 10.1.0.1}\n",
            "nodes": SOUND["nodes"] + "n1: {ip: 10.2.0.11, mac: 00:18:8b:f8:e3:58}\n",
        },
        [
            "networks.yaml:2:39: o: boot files come from 10.1.0.1 outside of 10.2.0.0/24, and there is no gateway: "
            "write 'gateway', or give the head node a NIC in it"
        ],
    ),
    (
        {
            "networks": NET + "".join(f"o{n}: {{subnet: 10.2.0.{n}/26, delegation: yes}}\n" for n in (64, 128)),
            "nodes": SOUND["nodes"] + "n1: {ip: 10.2.0.65}\nn2: {ip: 10.2.0.129}\n",
        },
        [
            f"networks.yaml:{line}:{column}: o{n}: nobody delegates to its reverse zone: no network without "
            "'delegation' lies in 10.2.0.0/24, whose zone would"
            for line, column, n in ((2, 41, 64), (3, 43, 128))
        ],
    ),
    (
        {"networks": "mgmt: {subnet: 10.1.0.0/24, nameservers: [10.1.0.1, 10.1.0.2, 10.1.0.3, 10.1.0.4]}\n"},
        ["networks.yaml:1:42: mgmt: resolvers read 3 name servers, and not the others"],
    ),
    (
        {
            "networks": "mgmt: {subnet: 10.1.0.0/24, link: a, mtu: 9000}\n"
            "o: {subnet: 10.2.0.0/24, link: a, gateway: 10.2.0.7, dynamic_range: 10.2.0.8-10.2.0.9}\n"
        },
        ["networks.yaml:2:1: o: MTU 1500, but mgmt on the same link has 9000"],
    ),
    (
        {"networks": "m: {subnet: 127.0.0.0/8}\n", "switches": "", "nodes": "mgt: {ip: 127.0.0.1, osimage: "
         "debian12-x86_64-netboot-compute}\n"},
        ["networks.yaml:1:13: m: 127.0.0.0/8 is this very machine: no other one can be reached there"],
    ),
    (
        {"nodes": "mgt: {ip: 10.1.0.1}\n"},
        ["osimages.yaml:1:1: debian12-x86_64-netboot-compute: no node boots it, and it is built all the same"],
    ),
    (
        {
            "site": "domain: a.b\nmaster: mgt\nnameservers: [10.1.0.1, 10.1.0.2, 10.1.0.3, 10.1.0.4]\n"
            "ntp_servers: [tick]\n"
        },
        [
            "site.yaml:3:14: resolvers read 3 name servers, and not the others",
            "site.yaml:4:14: the time server tick is no host of this site, and has no domain",
        ],
    ),
    (
        {"switches": "a: {ip: 10.1.0.253, community: !secret env:BOOTMILL_NONE}\n"},
        ["switches.yaml:1:32: the secret env:BOOTMILL_NONE is not there: export BOOTMILL_NONE"],
    ),
    (
        {"switches": "a: {ip: 10.1.0.253, community: !secret file:keys/none}\n"},
        [
            "switches.yaml:1:32: the secret file:keys/none cannot be read: inventory/keys/none: "
            "No such file or directory"
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), CASES, ids=[str(expected[0])[:60] for _, expected in CASES])
def test_warnings(warnings: Warnings, files: dict[str, str], expected: list[str]) -> None:
    """Each has a place, whom it concerns, and a sentence; it is the only one."""
    assert warnings(**files) == [f"inventory/{line}" for line in expected]


@pytest.mark.parametrize(
    "networks",
    [
        NET + "o: {subnet: 10.2.0.0/26, delegation: yes}\np: {subnet: 10.2.0.64/26}\n",  # the zone around is ours
        NET + "o: {subnet: 192.0.2.0/26, delegation: yes}\np: {subnet: 10.2.0.64/26}\n",  # a provider's
        NET + "o: {subnet: 10.2.0.0/26, gateway: 10.2.0.62}\np: {subnet: 10.2.0.64/26}\n",
        NET + "o: {subnet: 10.2.0.0/26, dhcp: no}\np: {subnet: 10.2.0.64/26}\n",
    ],
)
def test_what_is_not_doubtful(warnings: Warnings, networks: str) -> None:
    """Delegations that somebody makes; networks in which nobody boots, or whose nodes find the head node."""
    home = "192.0.2.5" if "192.0.2.0" in networks else "10.2.0.5"
    mac = ", mac: 00:18:8b:f8:e3:58" if "gateway" in networks or "dhcp" in networks else ""
    nodes = SOUND["nodes"] + f"n1: {{ip: {home}{mac}}}\nn2: {{ip: 10.2.0.70}}\n"
    assert warnings(networks=networks, nodes=nodes) == []


def test_a_secret_that_others_may_read(warnings: Warnings, tmp_path: Path) -> None:
    """A file of a password is its owner's alone; what is in it is told nowhere."""
    warnings()
    path = tmp_path / "inventory" / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o644)
    switches = "a: {ip: 10.1.0.253, community: !secret file:secret}\n"
    assert warnings(switches=switches) == [
        "inventory/switches.yaml:1:32: the secret file:secret is no secret: others may read inventory/secret "
        "(chmod 600 inventory/secret)"
    ]
    path.chmod(0o600)
    assert warnings(switches=switches) == []
    path.unlink()
    path.mkdir(mode=0o700)
    assert warnings(switches=switches)[0].endswith("cannot be read: inventory/secret is no file")


def test_a_reference_is_told_once(warnings: Warnings) -> None:
    """What a group says for a thousand nodes is one warning, with no value in it."""
    groups = "a: {bmc: {address: '10.1.0.{{ 20 + n[0] }}', password: !secret env:BOOTMILL_NONE}}\n"
    nodes = SOUND["nodes"] + "n[1-9]: {groups: a, ip: '10.1.0.{{ 40 + n[0] }}'}\n"
    assert warnings(groups=groups, nodes=nodes) == [
        "inventory/groups.yaml:1:56: the secret env:BOOTMILL_NONE is not there: export BOOTMILL_NONE"
    ]


def test_check_tells(
    load: Callable[..., object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size, how many warnings, each on a line as compilers write them; for machines the same as JSON."""
    monkeypatch.setenv("BOOTMILL_TEST", "hunter2")
    load(**{**SOUND, "switches": "a: {ip: 10.1.0.253}\n"})
    summary.check(Path("inventory"), [])
    assert capsys.readouterr().out.splitlines() == [
        "the inventory is right: 2 nodes, 1 network, 1 switch, 1 osimage, 1 medium; 1 warning:",
        "inventory/switches.yaml:1:1: warning: a: SNMP version 2c without a community: its ports cannot be read",
    ]
    summary.check(Path("inventory"), ["--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"nodes": 2, "groups": 0, "networks": 1, "switches": 1, "osimages": 1, "media": 1}
    assert found["mistakes"] == []
    assert found["warnings"] == [
        {
            "file": "inventory/switches.yaml",
            "line": 1,
            "column": 1,
            "subject": "a",
            "subjects": ["a"],
            "text": "SNMP version 2c without a community: its ports cannot be read",
        }
    ]


def test_many_of_a_kind_are_counted(load: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    """What is the same of a hundred nodes, each at its own place, does not flood the screen."""
    nodes = "".join(f"n{n}: {{ip: 10.1.0.{n}, management: ipmi}}\n" for n in range(10, 110))
    load(nodes=f"mgt: {{ip: 10.1.0.1}}\n{nodes}")
    summary.check(Path("inventory"), [])
    found = [line for line in capsys.readouterr().out.splitlines() if "management ipmi" in line]
    assert len(found) == 6
    assert found[0].startswith("inventory/nodes.yaml:2:34: warning: n10: management ipmi, but no bmc")
    assert found[5] == "and 95 more: management ipmi, but no bmc: nothing can switch it"


def test_check_refuses_strange_words() -> None:
    """A misspelt option is told, not passed over."""
    with pytest.raises(BootmillError, match="unknown word 'jsno'"):
        summary.check(Path("inventory"), ["--jsno"])
