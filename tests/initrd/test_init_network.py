"""Which network interface is taken, and how it gets its address."""

import pytest

from tests.initrd.firststages import Stage

pytestmark = pytest.mark.integration
FIRST, SECOND = "00:18:8b:f8:e3:58", "00:18:8b:f8:e3:59"
LEASE = """
case "$*" in *"{nic} "*) ;; *) exit 1 ;; esac
interface={nic} ip=10.1.0.11 mask=24 router=10.1.0.254 hostname=n01 domain=renci.ben dns=10.1.0.1 serverid=10.1.0.1 \\
    {root}/etc/udhcpc.script bound
"""
QUICK = "patience=0\npause() { :; }\nsleep() { :; }\nread_words tries=2\n"


def gives_leases(machine: Stage, nic: str) -> None:
    """Let DHCP answer on one interface only."""
    machine.fake("udhcpc", LEASE.format(nic=nic, root=machine.root))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "eth0 eth1"),
        (f"BOOTIF=01-{SECOND.replace(':', '-')}", "eth1"),
        (f"BOOTIF=01-{SECOND.replace(':', '-').upper()} nic=eth0", "eth1"),
        ("nic=eth0", "eth0"),
        (f"nic={SECOND}", "eth1"),
        ("ip=::::n01:eth1:dhcp", "eth1"),
        ("nic=eth7", ""),
        ("BOOTIF=01-52-54-00-00-00-01", ""),
    ],
)
def test_candidates(machine: Stage, words: str, expected: str) -> None:
    """The firmware's word goes first, then the menu's; without either all hardware counts, and nothing else does."""
    machine.nic("eth0", FIRST)
    machine.nic("eth1", SECOND)
    machine.nic("lo", "00:00:00:00:00:00", hardware=False)
    machine.nic("sit0", "00:00:00:00", hardware=False)
    assert machine.says(f"read_words '{words}'\ncandidates").split() == expected.split()


def test_the_one_with_a_lease_is_taken(machine: Stage) -> None:
    """Without BOOTIF each interface with a link is asked in turn, those without are left alone."""
    machine.nic("eth0", FIRST)
    machine.nic("eth1", SECOND, link=False)
    machine.nic("eth2", "00:18:8b:f8:e3:5a")
    gives_leases(machine, "eth2")
    said = machine.says(QUICK + 'start_network; echo "$nic $address/$mask $hostname"')
    assert said.endswith("eth2 10.1.0.11/24 n01")
    assert [line.split()[2] for line in machine.calls("udhcpc")] == ["eth0", "eth2"]
    assert (machine.root / "run/resolv.conf").read_text() == "search renci.ben\nnameserver 10.1.0.1\n"
    assert "hostname n01" in machine.calls("hostname")


def test_an_answer_that_cannot_be_used_is_no_lease(machine: Stage) -> None:
    """What DHCP said first cannot be set; the other interface's answer is taken, and nothing of the first is left."""
    machine.nic("eth0", FIRST)
    machine.nic("eth1", SECOND)
    machine.fake(
        "udhcpc",
        f'for last in eth0 eth1; do case "$*" in *"$last "*) break ;; esac; done\n'
        f"address=10.1.0.11; [ $last = eth1 ] || address=10..1\n"
        f"interface=$last ip=$address mask=24 {machine.root}/etc/udhcpc.script bound; exit 0",
    )
    machine.fake("ip", 'case "$*" in "addr add 10..1"*) exit 1 ;; esac')
    (machine.root / "run/lease").write_text("ip=10.9.9.9\nmask=8\n")
    said = machine.says(QUICK + 'start_network; echo "$nic $address/$mask"')
    assert said.endswith("eth1 10.1.0.11/24")


@pytest.mark.parametrize(
    ("words", "link", "cause"),
    [
        ("nic=eth7", True, "no network interface that is eth7; there are: eth0"),
        ("BOOTIF=01-52-54-00-00-00-01", True, "no network interface with address 52:54:00:00:00:01"),
        ("", False, "no link on eth0"),
        ("", True, "no DHCP lease on eth0 after 2 rounds"),
    ],
)
def test_the_end_says_what_was_missing(machine: Stage, words: str, link: bool, cause: str) -> None:
    """No interface, no link, no lease: three different sentences, on one screen with the interfaces that there are."""
    machine.nic("eth0", FIRST, link=link)
    machine.fake("udhcpc", "exit 1")
    done = machine.run(QUICK + f"read_words 'tries=2 {words}'\nstart_network")
    assert done.returncode == 9
    assert f"FAILED: {cause}" in done.stdout
    assert f"eth0 {FIRST} {'has' if link else 'no'} link" in done.stdout
    assert "Remedy:" in done.stdout


def test_a_late_interface_is_waited_for(machine: Stage) -> None:
    """A driver that waits for its firmware brings its interface seconds after the others."""
    folder = machine.root / "sys/class/net"
    machine.nic("eth0", FIRST)
    (folder / "eth0").rename(machine.root / "later")
    gives_leases(machine, "eth0")
    appears = f"sleep() {{ [ ! -e {machine.root}/later ] || mv {machine.root}/later {folder}/eth0; }}\n"
    said = machine.says("patience=3\n" + appears + 'start_network; echo "$nic"')
    assert said.endswith("eth0")
    assert machine.calls("modprobe -a"), "devices that have come are given their drivers"


def test_dhcp_is_asked_again(machine: Stage) -> None:
    """A lost answer or a relay that is not ready yet costs a round, not the boot."""
    machine.nic("eth0", FIRST)
    machine.fake("udhcpc", f"[ -e {machine.root}/second ] || {{ >{machine.root}/second; exit 1; }}" + LEASE.format(
        nic="eth0", root=machine.root
    ))  # fmt: skip
    assert "no DHCP lease yet (round 1)" in machine.says(QUICK + "start_network")
    assert len(machine.calls("udhcpc")) == 2


def test_vlan(machine: Stage) -> None:
    """DHCP runs on the VLAN, which is made on the interface with the link."""
    machine.nic("eth0", FIRST)
    gives_leases(machine, "eth0.100")
    assert "VLAN 100 on eth0" in machine.says(QUICK + "read_words vlan=100\nstart_network")
    assert machine.calls("vconfig") == ["vconfig add eth0 100"]
    assert "modprobe -q 8021q" in machine.calls("modprobe")
    assert "ip addr add 10.1.0.11/24 broadcast + dev eth0.100" in machine.calls("ip")


def test_static_address(machine: Stage) -> None:
    """An address from the command line is set without DHCP, and handed over as a lease is."""
    machine.nic("eth0", FIRST)
    word = "ip=10.1.0.11::10.1.0.254:255.255.0.0:n01::off:10.1.0.1:10.1.0.2"
    said = machine.says(QUICK + f"read_words '{word}'\nstart_network; echo $hostname")
    assert said.endswith("n01")
    assert not machine.calls("udhcpc")
    assert [line for line in machine.calls("ip") if "add" in line.split()] == [
        "ip addr add 10.1.0.11/255.255.0.0 broadcast + dev eth0",
        "ip route add default via 10.1.0.254 dev eth0",
    ]
    assert (machine.root / "run/resolv.conf").read_text() == "nameserver 10.1.0.1\nnameserver 10.1.0.2\n"
    assert "ip=10.1.0.11" in (machine.root / "run/lease").read_text()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"hostname": "n01"}, "hostname=n01"),
        ({"hostname": "n01.evil.example"}, "hostname=n01"),
        ({"hostname": "$(reboot)"}, "hostname="),
        ({"hostname": "a;b"}, "hostname="),
        ({"hostname": "--file=x"}, "hostname="),
        ({"domain": "x\ny"}, "domain="),
        ({"domain": "-x"}, "domain="),
        ({"serverid": "10.1.0.1"}, "serverid=10.1.0.1"),
        ({"router": "10.1.0.254 10.1.0.253"}, "router=10.1.0.254"),
        ({"router": "dev"}, "router="),
    ],
)
def test_a_lease_cannot_run_commands(machine: Stage, given: dict[str, str], kept: str) -> None:
    """A DHCP answer with shell words or options in it becomes an empty value."""
    machine.lease(**{"mask": "24", "dns": "10.1.0.1 `x`", **given})
    assert kept in (machine.root / "run/lease").read_text().splitlines()
    assert "`" not in (machine.root / "run/resolv.conf").read_text()
    assert not [line for line in machine.calls("hostname") if line not in {"hostname n01"}]


@pytest.mark.parametrize("mtu", ["9000", "575", "x", "1e9", "123456", ""])
def test_a_lease_sets_the_mtu(machine: Stage, mtu: str) -> None:
    """Jumbo frames as DHCP says (option 26); nonsense is passed over (RFC 2132 5.1: at least 68, IPv4 needs 576)."""
    machine.lease(mtu=mtu)
    assert ("ip link set eth0 mtu 9000" in machine.calls("ip")) == (mtu == "9000")
    assert sum(" mtu " in line for line in machine.calls("ip")) == (mtu == "9000")


@pytest.mark.parametrize("status", ["", "http://10.1.0.1/log"])
def test_report(machine: Stage, status: str) -> None:
    """One GET with plain characters only, where a place for it is named; its failure is nobody's concern."""
    machine.nic("eth0", FIRST)
    machine.fake("wget", "exit 1")
    word = f"status={status}" if status else ""
    machine.says(f"read_words '{word}'\nnic=eth0 hostname=n01 cause='no & <x> `y`'\nreport failed; wait")
    asked = f"{status}?stage=failed&mac={FIRST}&host=n01&seconds=1&cause=no____x___y_"
    assert machine.calls("wget") == ([f"wget -q -O /dev/null {asked}"] if status else [])


def test_drivers_are_loaded_in_order(machine: Stage) -> None:
    """Those that the osimage names, as listed; then what the hardware asks for, which modprobe looks up."""
    (machine.root / "etc/bootmill/drivers").write_text("usr/lib/modules/6/libphy.ko\nusr/lib/modules/6/tg3.ko\n")
    device = machine.root / "sys/devices/pci0/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "modalias").write_text("pci:v000014E4d00001659sv*\n")
    machine.fake("insmod", "[ $1 != /usr/lib/modules/6/tg3.ko ]")
    assert "driver /usr/lib/modules/6/tg3.ko does not load" in machine.says("load_drivers")
    assert machine.calls() == [
        "insmod /usr/lib/modules/6/libphy.ko",
        "insmod /usr/lib/modules/6/tg3.ko",
        "modprobe -a -q pci:v000014E4d00001659sv*",
    ]
