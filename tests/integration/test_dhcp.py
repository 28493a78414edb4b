"""The DHCP servers: their own checkers before what we render, and real servers that answer clients from it."""

import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import system
from tasks.configs import dhcpd, dnsmasq, kea
from tasks.errors import BootmillError, MissingToolError
from tasks.inventory.model import Cluster, Netboot, Network, Node, Whole
from tests.configs import estates
from tests.integration.dhcpclient import Answer, Question
from tests.integration.dhcpserver import FAMILIES, PROGRAMS, needs, serve, whole

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- checkers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sample_passes_the_checkers(name: str, cluster: Cluster, scratch: Path) -> None:
    """The sample inventory's files are accepted, and nothing of the check is left."""
    needs(*PROGRAMS[name])
    FAMILIES[name].check(*whole(FAMILIES[name], cluster))
    assert not list((scratch / "build/checks").iterdir())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("programs", ["ours", "all"])
def test_everything_that_can_be_told_passes_the_checkers(name: str, programs: str) -> None:
    """Shared and relayed networks, both address families, service nodes, BMCs, every boot program."""
    needs(*PROGRAMS[name])
    FAMILIES[name].check(*whole(FAMILIES[name], estates.estate() if programs == "ours" else estates.everything()))


@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_nodes_pass_the_checkers(name: str) -> None:
    """Twenty thousand clients are accepted."""
    needs(*PROGRAMS[name])
    FAMILIES[name].check(*whole(FAMILIES[name], estates.large(10_000)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("prefix", [12, 20, 22, 25, 30, 31])
def test_odd_subnets_pass_the_checkers(name: str, prefix: int) -> None:
    """Networks that do not end at an octet, and those without room for a gateway."""
    needs(*PROGRAMS[name])
    network = estates.network("odd", f"10.128.0.0/{prefix}", next_server=IPv4Address("10.128.0.1"))
    nodes = (estates.node("mgt", "10.128.0.1", "02:00:00:00:00:01"),)
    FAMILIES[name].check(*whole(FAMILIES[name], with_rows((network,), nodes)))


@pytest.mark.parametrize("name", FAMILIES)
def test_any_host_name_is_a_host_name(name: str) -> None:
    """Names that look like numbers, keywords or times are names all the same."""
    needs(*PROGRAMS[name])
    names = ["10", "0a", "1e3", "host", "subnet", "if", "deny", "a--b", "x" * 63, "12h", "infinite", "ignore", "class"]
    nodes = tuple(
        estates.node(each, f"10.1.0.{index}", f"02:00:00:00:00:{index:02x}") for index, each in enumerate(names, 10)
    )
    FAMILIES[name].check(*whole(FAMILIES[name], with_rows(estates.NETWORKS, nodes)))


def with_rows(networks: tuple[Network, ...], nodes: tuple[Node, ...]) -> Cluster:
    """Return a cluster of these."""
    return replace(estates.estate(), networks=networks, shards=(Whole(nodes),), switches=(), service_nodes=())


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw an inventory that the check would let through: networks apart, addresses and names each used once."""
    count = draw(st.integers(1, 6))
    networks = tuple(drawn_network(draw, index) for index in range(count))
    nodes = []
    for index in range(draw(st.integers(0, 8))):
        home = draw(st.sampled_from(networks))
        name = draw(st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)) + f"x{index}"
        node = estates.node(name, str(home.subnet.network_address + 10 + index), f"02:00:00:00:00:{index:02x}")
        ip6 = home.subnet6.network_address + 10 + index if home.subnet6 else None
        nodes.append(replace(node, ip6=ip6, netboot=draw(st.sampled_from([Netboot.PXE, Netboot.IPXE]))))
    return with_rows(networks, tuple(nodes))


def drawn_network(draw: st.DrawFn, index: int) -> Network:
    """Draw one network of its own part of the addresses."""
    maybe = st.booleans()
    subnet = IPv4Network(f"10.{index}.0.0/{draw(st.integers(16, 26))}")
    base = subnet.network_address
    six = IPv6Network(f"fd00:{index}::/{draw(st.integers(48, 112))}") if draw(maybe) else None
    ends6 = (six.network_address + 256, six.network_address + 300) if six and draw(maybe) else None
    return estates.network(
        f"net{index}",
        str(subnet),
        link=draw(st.sampled_from(["wire", "other", f"net{index}"])),
        gateway=base + 1 if draw(maybe) else None,
        dynamic_range=(base + 40, base + 50) if draw(maybe) else None,
        subnet6=six,
        dynamic_range6=ends6,
        next_server6=IPv6Address("fd00::1") if draw(maybe) else None,
        mtu=draw(st.none() | st.integers(576, 9216)),
        dhcp=draw(st.integers(0, 5)) > 0,
        relay=draw(st.sampled_from([None, base + 2, IPv4Address(f"192.168.{index}.1")])),
        interface=draw(st.sampled_from([None, "eth9"])),
        domain=draw(st.sampled_from([None, "a.example"])),
        nameservers=draw(st.sampled_from([(), (IPv6Address("fd00::53"),), (base + 3, IPv6Address("fd00::53"))])),
        ntp_servers=draw(st.sampled_from([(), ("ntp.example.org",), ("10.0.0.3", "fd00::3")])),
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_random_inventories_pass_the_checkers(name: str) -> None:
    """Whatever networks and nodes there are, the daemons accept what we write about them."""
    needs(*PROGRAMS[name])

    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(clusters())
    def holds(cluster: Cluster) -> None:
        FAMILIES[name].check(*whole(FAMILIES[name], cluster))

    holds()


def test_a_refusal_shows_the_daemons_words(scratch: Path) -> None:
    """A range outside its subnet: dhcpd's words and line are shown, and the candidate can be tried by hand."""
    needs("dhcpd")
    network = replace(estates.NETWORKS[0], dynamic_range=estates.ends("10.9.0.1", "10.9.0.9"))
    with pytest.raises(BootmillError, match=r"dhcpd\.conf: not replaced") as caught:
        dhcpd.FAMILY.check(*whole(dhcpd.FAMILY, with_rows((network,), ())))
    assert "bad range, address 10.9.0.1 not in subnet 10.1.0.0" in caught.value.message
    assert "Internet Systems Consortium" not in caught.value.message
    assert "submitting" not in caught.value.message
    assert "10.9.0.1" in (scratch / "build/checks/dhcpd/dhcpd.conf").read_text()
    assert by_hand(caught.value.hint).returncode == 1


def test_a_refusal_of_kea_can_be_tried_by_hand() -> None:
    """The command of the hint runs in a shell that knows nothing of our folders, and fails for the same reason."""
    needs("kea-dhcp4")
    network = replace(estates.NETWORKS[0], dynamic_range=estates.ends("10.9.0.1", "10.9.0.9"))
    with pytest.raises(BootmillError, match=r"kea-dhcp4\.conf: not replaced") as caught:
        kea.FAMILY.check(*whole(kea.FAMILY, with_rows((network,), ())))
    assert "10.9.0.1" in caught.value.message
    assert "does not match" in (done := by_hand(caught.value.hint)).stderr + done.stdout


def test_a_refusal_of_dnsmasq_names_the_file() -> None:
    """An unknown option is told with dnsmasq's words; a line of the machines' file with its number."""
    needs("dnsmasq")
    frame, texts = whole(dnsmasq.FAMILY, estates.estate())
    with pytest.raises(BootmillError, match=r"bootmill\.conf: not replaced: dnsmasq failed"):
        dnsmasq.FAMILY.check(frame, {**texts, "conf": texts["conf"] + "no-such-option\n"})
    with pytest.raises(BootmillError, match=r"line 2 is no dhcp-host line: 'n01'"):
        dnsmasq.FAMILY.check(frame, {"conf": "", "hosts": "# head\nn01\n"})


def by_hand(hint: str) -> "subprocess.CompletedProcess[str]":
    """Type the command of a hint into a shell."""
    command = hint.removeprefix("try it by hand: ")
    return subprocess.run(command, shell=True, env={"PATH": system.PATH}, capture_output=True, text=True, check=False)  # noqa: S602


@pytest.mark.parametrize(
    ("name", "package"), [("dhcpd", "isc-dhcp-server"), ("kea", "kea-dhcp4"), ("dnsmasq", "dnsmasq-base")]
)
def test_a_missing_checker_is_named_with_its_package(
    name: str, package: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its checker nothing is accepted unseen: the error names the package to install."""
    monkeypatch.setattr("tasks.run.PATH", "/nowhere")
    with pytest.raises(MissingToolError) as caught:
        FAMILIES[name].check(*whole(FAMILIES[name], cluster))
    assert package in caught.value.hint


# -- daemons ---------------------------------------------------------------------------------------------------------

# What each architecture is given: by its firmware, and to a node with netboot: ipxe.  Written down by hand from IANA's
# "Processor Architecture Types"; HTTP stands for a URL of the node's server and the word HTTPClient in the reply.
GIVEN = {
    0x00: ("pxelinux.0", "ipxe/undionly.kpxe"),
    0x01: ("", ""),  # NEC PC-98
    0x02: ("", ""),  # Itanium
    0x06: ("grub/grubia32.efi", "ipxe/snponly-ia32.efi"),
    0x07: ("grub/grubx64.efi", "ipxe/snponly.efi"),
    0x08: ("", ""),  # XScale
    0x09: ("grub/grubx64.efi", "ipxe/snponly.efi"),
    0x0A: ("grub/grubarm.efi", "ipxe/snponly-arm32.efi"),
    0x0B: ("grub/grubaa64.efi", "ipxe/snponly-arm64.efi"),
    0x0C: ("grub/grubppc.elf", "grub/grubppc.elf"),
    0x0D: ("", ""),  # PowerPC ePAPR
    0x0E: ("", ""),  # OPAL: a path prefix
    0x0F: ("HTTP ipxe/snponly-ia32.efi", "HTTP ipxe/snponly-ia32.efi"),
    0x10: ("HTTP ipxe/snponly.efi", "HTTP ipxe/snponly.efi"),
    0x11: ("HTTP ipxe/snponly.efi", "HTTP ipxe/snponly.efi"),
    0x12: ("HTTP ipxe/snponly-arm32.efi", "HTTP ipxe/snponly-arm32.efi"),
    0x13: ("HTTP ipxe/snponly-arm64.efi", "HTTP ipxe/snponly-arm64.efi"),
    0x14: ("", ""),  # a BIOS that boots from HTTP
    0x1B: ("grub/grubriscv64.efi", "ipxe/snponly-riscv64.efi"),
    0x1C: ("HTTP ipxe/snponly-riscv64.efi", "HTTP ipxe/snponly-riscv64.efi"),
    0x1F: ("", ""),  # s390
    0x27: ("grub/grubloongarch64.efi", "ipxe/snponly-loongarch64.efi"),
    0x28: ("HTTP ipxe/snponly-loongarch64.efi", "HTTP ipxe/snponly-loongarch64.efi"),
}
N1, N3, N21, NEW = (f"02:00:00:00:00:{last}" for last in ("11", "13", "21", "99"))
SERVERS = {N1: "10.1.0.1", N3: "10.1.0.1", N21: "10.1.0.20", NEW: "10.1.0.1"}


def expected(mac: str, arch: int, *, ipxe: bool) -> str:
    """Return what a client is to be given."""
    server = SERVERS[mac]
    if ipxe:
        return "pxelinux.0" if arch == 0 and mac != N3 else f"http://{server}/tftpboot/ipxe/boot.ipxe"
    given = GIVEN[arch][mac == N3]
    return f"http://{server}/tftpboot/{given.removeprefix('HTTP ')}" if given.startswith("HTTP") else given


@pytest.mark.parametrize("name", FAMILIES)
def test_every_architecture_gets_its_boot_file(name: str, scratch: Path) -> None:
    """A node, one with netboot: ipxe, one with a service node, an unknown machine: each as firmware and as iPXE."""
    asked = [(mac, arch, ipxe) for mac in SERVERS for arch in GIVEN for ipxe in (False, True)]
    questions = [Question(mac=mac, arch=arch, ipxe=ipxe) for mac, arch, ipxe in asked]
    answers = serve(name, estates.everything(), questions, scratch)
    got = {
        each: (answer["server"], answer["file"]) if answer else None
        for each, answer in zip(asked, answers, strict=True)
    }
    wanted = {(mac, arch, ipxe): (SERVERS[mac], expected(mac, arch, ipxe=ipxe)) for mac, arch, ipxe in asked}
    assert {each: (got[each], wanted[each]) for each in asked if not like(got[each], wanted[each])} == {}
    for (mac, arch, ipxe), answer in zip(asked, answers, strict=True):
        assert answer is not None
        http = not ipxe and GIVEN[arch][0].startswith("HTTP")
        assert answer["options"].get("60", "") == (b"HTTPClient".hex() if http else "")
        prefix = f"http://{SERVERS[mac]}/tftpboot/" if arch == 0x0E and not ipxe else ""
        assert bytes.fromhex(answer["options"].get("210", "")).decode() == prefix


def like(got: tuple[str, str] | None, wanted: tuple[str, str]) -> bool:
    """Return whether an answer is as wanted; who is offered no file need not be told where files are."""
    return got is not None and got[1] == wanted[1] and (got[0] == wanted[0] or not wanted[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_program_that_is_not_there_is_not_offered(name: str, scratch: Path) -> None:
    """A site without programs of its own: what is published is offered, other architectures get an address alone."""
    macs = {N1: 0, N3: 1}
    asked = [(mac, arch) for mac in macs for arch in GIVEN]
    answers = serve(name, estates.estate(), [Question(mac=mac, arch=arch) for mac, arch in asked], scratch)
    offered = {arch for (_, arch), answer in zip(asked, answers, strict=True) if answer and answer["file"]}
    assert offered == {0x00, 0x06, 0x07, 0x09, 0x10, 0x11}
    files = {each: answer and answer["file"] for each, answer in zip(asked, answers, strict=True)}
    assert files[N3, 6] == "grub/grubia32.efi"  # no iPXE for it: its firmware's program
    assert all(answer and answer["address"].startswith("10.1.0.1") for answer in answers)


@pytest.mark.parametrize("name", FAMILIES)
def test_clients_are_told_what_the_inventory_says(name: str, scratch: Path) -> None:
    """Addresses on every kind of network, options of the client's own network, names; no boot file but for nodes."""
    asked: dict[str, tuple[Question, dict[str, object]]] = {
        "a node": (
            Question(mac=N1, arch=0),
            {"address": "10.1.0.11", "1": "ffffff00", "3": "0a0100fe", "6": "0a010001", "12": b"n1", "42": "0a010003"},
        ),
        "on the second subnet of its wire": (
            Question(mac="02:00:00:00:00:14", arch=0),
            {"address": "10.2.1.14", "1": "fffffc00", "3": None, "15": b"storage.renci.ben", "26": f"{9000:04x}"},
        ),
        "with netboot: ipxe there": (
            Question(mac="02:00:00:00:00:24", arch=7),
            {"address": "10.2.1.24", "file": "ipxe/snponly.efi", "26": f"{9000:04x}"},
        ),
        "behind a relay": (
            Question(mac="02:00:00:00:00:16", arch=0, giaddr="10.3.0.254"),
            {"address": "10.3.0.16", "server": "10.3.0.1", "file": "pxelinux.0"},
        ),
        "behind a relay outside of its subnet": (
            Question(mac="02:00:00:00:00:17", arch=0, giaddr="192.168.77.1"),
            {"address": "10.4.0.17", "server": "10.1.0.1", "3": "0a0400fe", "file": "ipxe/undionly.kpxe"},
        ),
        "its BMC": (Question(mac="02:00:00:00:01:15", arch=0), {"address": "10.1.0.115", "12": b"n5-ipmi", "file": ""}),
        "its second NIC": (Question(mac="02:00:00:00:02:15", arch=7), {"address": "10.2.0.15", "12": None, "file": ""}),
        "a switch": (Question(mac="02:00:00:00:00:f1", arch=0), {"address": "10.1.0.253", "12": b"sw1", "file": ""}),
        "a name that is a number": (Question(mac="02:00:00:00:00:19"), {"address": "10.1.0.19", "12": b"10"}),
        "with a service node": (Question(mac=N21, arch=0), {"address": "10.1.0.21", "server": "10.1.0.20"}),
    }
    answers = serve(name, estates.everything(), [question for question, _ in asked.values()], scratch)
    for (who, (_, wanted)), answer in zip(asked.items(), answers, strict=True):
        assert answer is not None, who
        assert {key: found(answer, key, value) for key, value in wanted.items()} == wanted, who


def found(answer: Answer, key: str, wanted: object) -> object:
    """Return a value of an answer, or one of its options (None where it has none) as the wanted one is written."""
    if not key.isdigit():
        return answer[key]
    option = answer["options"].get(key)
    return bytes.fromhex(option) if isinstance(wanted, bytes) and option else option


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_machines_get_addresses_of_the_dynamic_range(name: str, scratch: Path) -> None:
    """Unknown MACs, nodes without one, and nodes on a foreign wire: a short lease where there is a range, else none."""
    asked = [
        Question(mac=NEW, arch=0),
        Question(mac=NEW, arch=0, giaddr="10.3.0.254"),
        Question(mac="02:00:00:00:00:16", arch=0),  # a node of another network
        Question(mac="02:00:00:00:00:18", arch=0),  # a node of a network that is not served
        Question(mac=NEW, arch=0, giaddr="192.168.77.1"),
    ]
    *answers, none = serve(name, estates.estate(), asked, scratch)
    assert none is None
    local, remote = estates.ends("10.1.0.200", "10.1.0.230"), estates.ends("10.3.0.200", "10.3.0.210")
    for answer, (first, last) in zip(answers, (local, remote, local, local), strict=True):
        assert answer is not None
        assert first <= IPv4Address(answer["address"]) <= last
        assert int(answer["options"]["51"], 16) == 600


@pytest.mark.parametrize("name", FAMILIES)
def test_a_machine_is_its_mac_whatever_it_calls_itself(name: str, scratch: Path) -> None:
    """Boot ROM, iPXE and system send different client identifiers: one machine keeps one address, one lease."""
    asked = [Question(mac=mac, arch=0, cid=cid) for mac in (N1, NEW) for cid in ("rom", "ipxe", "system")]
    answers = serve(name, estates.estate(), asked, scratch)
    got = [answer and answer["address"] for answer in answers]
    assert got[:3] == ["10.1.0.11"] * 3
    assert got[3] is not None
    assert got[3:] == [got[3]] * 3


@pytest.mark.parametrize("name", FAMILIES)
def test_dhcpv6_names_the_boot_file_by_its_url(name: str, scratch: Path) -> None:
    """SOLICITs with each architecture: the node's address and the URL of its program; an iPXE gets the script."""
    asked = [(mac, arch, ipxe) for mac in (N1, N3) for arch in GIVEN for ipxe in (False, True)]
    if name == "dnsmasq":  # it looks at the frame for the MAC, and the wire has one
        asked = [each for each in asked if each[0] == N1]
    answers = serve(
        name,
        estates.everything(),
        [Question(mac=mac, arch=arch, ipxe=ipxe, v6=True) for mac, arch, ipxe in asked],
        scratch,
    )
    for (mac, arch, ipxe), answer in zip(asked, answers, strict=True):
        assert answer is not None
        assert answer["address"] == {N1: "fd00:1::11", N3: "fd00:1::13"}[mac]
        assert answer["file"] == expected6(name, mac, arch, ipxe=ipxe), (mac, hex(arch), ipxe)
        http = not ipxe and answer["file"].startswith("http")
        assert answer["options"].get("16", "") == ("00000157000a" + b"HTTPClient".hex() if http else "")


def expected6(name: str, mac: str, arch: int, *, ipxe: bool) -> str:
    """Return the URL that a client is to be given over IPv6: none where what reads it has no IPv6."""
    base = "http://[fd00:1::1]/tftpboot/"
    if ipxe:
        return f"{base}ipxe/boot.ipxe"
    given = GIVEN[arch][mac == N3]
    if given.startswith("HTTP"):
        return "" if name == "dnsmasq" else base + given.removeprefix("HTTP ")
    return "" if not given or arch in {0x00, 0x0C} else f"tftp://[fd00:1::1]/{given}"


@pytest.mark.parametrize("name", FAMILIES)
def test_dhcpv6_gives_unknown_machines_an_address_of_the_range(name: str, scratch: Path) -> None:
    """An unknown DUID, on a wire with a MAC that nobody has."""
    (answer,) = serve(name, estates.estate(), [Question(mac=NEW, arch=7, v6=True)], scratch)
    assert answer is not None
    assert IPv6Address("fd00:1::1:0") <= IPv6Address(answer["address"]) <= IPv6Address("fd00:1::1:ff")
    assert answer["file"] == "tftp://[fd00:1::1]/grub/grubx64.efi"
