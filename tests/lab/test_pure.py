"""What the laboratory is made of, before anything is started: wires, command lines, views, words."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Firmware, Whole
from tasks.lab import boot, head, machine, network, outside, ra, state, timeline, verbs
from tasks.lab.state import Ask, Reply, Request, Settings
from tasks.lab.timeline import Source, Watch
from tasks.lab.verbs import LabVerb, Order


def test_switch_has_every_bmc_and_a_port_per_machine(cluster: Cluster) -> None:
    """Each BMC's address is on the bridge; each node with a MAC, apart from the head node, has a tap."""
    lines = network.switch_lines(cluster)
    assert "address add 10.1.0.253/32 dev br0" in lines
    assert {f"address add {node.bmc.address}/32 dev br0" for node in cluster.nodes if node.bmc} <= set(lines)
    taps = [line for line in lines if line.startswith("tuntap add")]
    assert len(taps) == len([node for node in cluster.nodes if node.mac and node.name != "mgt"])


def test_head_node_has_its_address_and_reaches_other_networks(cluster: Cluster) -> None:
    """The head node's eth0 has the inventory's address; a second network is on the same wire."""
    second = replace(cluster.networks[0], name="bmc", subnet=type(cluster.networks[0].subnet)("10.2.0.0/16"))
    lines = network.head_lines(replace(cluster, networks=(*cluster.networks, second)))
    assert "address add 10.1.0.1/24 broadcast 10.1.0.255 dev eth0" in lines
    assert "link set eth0 address 00:18:8b:f8:e3:01" in lines
    assert lines[-1] == "route add 10.2.0.0/16 dev eth0"


def test_interface_names_fit(cluster: Cluster) -> None:
    """A tap's name fits into IFNAMSIZ however many nodes there are."""
    assert len(network.tap_name(99_999)) < 16


def test_bios_machine(cluster: Cluster) -> None:
    """A BIOS node is a PC with the inventory's card, MAC and memory, and boots disk before network."""
    argv = machine.qemu_argv(cluster.node("n01"), tap="tap1", accelerator="tcg", network_once=False)
    assert argv[argv.index("-machine") + 1] == "pc,graphics=off"
    assert "e1000,netdev=eth0,mac=00:18:8b:f8:e3:58" in argv
    assert argv[argv.index("-m") + 1] == "1024"
    assert argv[-2:] == ["-boot", "order=cn"]
    assert not any("OVMF" in word for word in argv)


def test_boot_device_is_honoured(cluster: Cluster) -> None:
    """`rsetboot net` puts the network first, for one boot."""
    argv = machine.qemu_argv(cluster.node("n01"), tap="tap1", accelerator="tcg", network_once=True)
    assert argv[-1] == "order=cn,once=n"


@pytest.mark.parametrize(("nic", "ends"), [("virtio_net", ",romfile=,bootindex=1"), ("e1000", ":05,bootindex=1")])
def test_uefi_machine(cluster: Cluster, nic: str, ends: str) -> None:
    """A UEFI node runs OVMF; the firmware's own PXE serves the card that it knows, the card's ROM any other."""
    node = replace(cluster.node("n05"), nic=nic, firmware=Firmware.UEFI)
    argv = machine.qemu_argv(node, tap="tap5", accelerator="tcg", network_once=True)
    assert argv[argv.index("-machine") + 1] == "q35,graphics=off"
    assert any(str(machine.OVMF_CODE) in word for word in argv)
    assert next(word for word in argv if "netdev=eth0" in word).endswith(ends)


def test_unknown_cards_are_told_at_once(cluster: Cluster) -> None:
    """Every node whose card cannot be emulated is named before anything starts."""
    nodes = tuple(replace(node, nic="tg3") if node.name in {"n01", "n02"} else node for node in cluster.nodes)
    with pytest.raises(BootmillError) as caught:
        machine.check_machines(replace(cluster, shards=(Whole(nodes),)))
    assert "n01: " in caught.value.message
    assert "n02: " in caught.value.message
    assert "virtio_net" in caught.value.hint


def test_head_sees_generated_files_and_not_the_hosts(cluster: Cluster) -> None:
    """Generated folders lie at their real paths; the host's /etc, /var and /run are not mounted."""
    root = [Path("/usr"), Path("/etc"), Path("/var"), Path("/run"), Path("/home")]
    argv = head.bwrap_argv(cluster, info_fd=9, host_root=root, checkout=Path("/srv/bootmill"))
    pairs = set(pairwise(argv))
    for target in ("/etc/dhcp", "/etc/bind", "/etc/hosts", "/tftpboot", "/install"):
        place = argv.index(target)
        assert argv[place - 1].endswith(f"build{target}")
        assert argv[place - 2] == "--ro-bind"
    assert not {("--bind", "/etc"), ("--bind", "/var"), ("--bind", "/run"), ("--bind", "/usr")} & pairs
    assert argv.index("/srv/bootmill") > argv.index("/var")


def test_missing_files_are_named(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without staged files the laboratory says which are missing and what makes them."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BootmillError) as caught:
        head.check_published(cluster)
    assert "build/etc/dhcp/dhcpd.conf" in caught.value.message
    assert caught.value.hint == "doit stage"


def test_secrets_are_invented(cluster: Cluster) -> None:
    """Each secret of the environment gets a random value that fits IPMI's 16 bytes, another one each time."""
    first, second = outside.invent_secrets(cluster), outside.invent_secrets(cluster)
    assert set(first) == {"env:BOOTMILL_BMC_PASSWORD", "env:BOOTMILL_SNMP_COMMUNITY"}
    assert all(len(value) == 16 for value in first.values())
    assert not set(first.values()) & set(second.values())


def test_settings_survive_the_pipe(cluster: Cluster) -> None:
    """What the supervisor reads is what was written, types and all."""
    settings = state.settings(cluster, {"env:A": "b"})
    assert state.parse(Settings, state.dump(settings)) == settings


@pytest.mark.parametrize("data", [b"", b"{}", b'{"ask": "format"}', b"\xff\n", b"[" * 5000])
def test_strange_requests_are_refused(data: bytes) -> None:
    """A request that is none is a sentence, not a traceback."""
    with pytest.raises(BootmillError):
        state.parse(Request, data)


def test_replies_name_what_they_hold() -> None:
    """A reply crosses the socket unchanged."""
    assert state.parse(Request, state.dump(Request(ask=Ask.POWER, node="n01", verb="on"))).verb == "on"
    assert state.parse(Reply, state.dump(Reply(error="no"))) == Reply(error="no")


def test_router_advertisement() -> None:
    """The answer is 16 bytes of type 134 with router lifetime 0; only solicitations are answered."""
    assert ra.advertisement() == bytes([134, 0, 0, 0, 64, 0, 0, 0]) + bytes(8)
    assert ra.answers(bytes([133, 0, 0, 0]))
    assert not ra.answers(ra.advertisement())
    assert not ra.answers(b"")


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("up", Order(verb=LabVerb.UP)),
        ("status --json", Order(verb=LabVerb.STATUS, json=True)),
        ("boot n01", Order(verb=LabVerb.BOOT, node="n01")),
        ("boot --keep n01 --timeout 90", Order(verb=LabVerb.BOOT, node="n01", keep=True, timeout=90.0)),
        ("boot n01 --timeout=90", Order(verb=LabVerb.BOOT, node="n01", timeout=90.0)),
        ("ssh n01 ls --all", Order(verb=LabVerb.SSH, node="n01", rest=("ls", "--all"))),
        ("exec dig --help", Order(verb=LabVerb.EXEC, rest=("dig", "--help"))),
    ],
)
def test_words(words: str, order: Order) -> None:
    """Words become an order; options of a command that is passed on are the command's own."""
    assert verbs.parse(words.split()) == order


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("", "what should"),
        ("start", "'start'"),
        ("boot", "wants one node"),
        ("boot n01 n02", "wants one node"),
        ("up now", "no further word"),
        ("up --keep", "no option --keep"),
        ("boot n01 --timeout", "number of seconds"),
        ("boot n01 --timeout 0", "number of seconds"),
        ("ssh", "a node is missing"),
        ("exec", "a command is missing"),
    ],
)
def test_wrong_words(words: str, what: str) -> None:
    """Words that are not understood are answered with the usage."""
    with pytest.raises(BootmillError, match=what) as caught:
        verbs.parse(words.split())
    assert "doit lab boot NODE" in caught.value.hint


# -- the timeline ----------------------------------------------------------------------------------------------------


def watch(cluster: Cluster) -> Watch:
    """Return a watch on n01."""
    return Watch(stages=timeline.stages(cluster.node("n01")))


@pytest.mark.parametrize(
    ("source", "line", "stage"),
    [
        (Source.SUPERVISOR, "    4.12 n01: on, boots from disk, then network", "power on"),
        (Source.DHCPD, "DHCPACK on 10.1.0.11 to 00:18:8b:f8:e3:58 via eth0", "DHCP"),
        (Source.TFTPD, "Nov 22 in.tftpd[45]: RRQ from 10.1.0.11 filename pxelinux.0", "boot program"),
        (Source.TFTPD, "in.tftpd[4]: RRQ from 10.1.0.11 filename /grub/grub.cfg", "boot menu"),
        (Source.TFTPD, "in.tftpd[4]: RRQ from 10.1.0.11 filename boot/x/0a/kernel", "kernel fetched"),
        (Source.CONSOLE, "[    0.000000] Linux version 6.1.0-9-amd64 (gcc)", "kernel started"),
        (Source.CONSOLE, "bootmill[2.20] first stage of x", "init"),
        (Source.NGINX, '10.1.0.11 "GET /install/netboot/d/r.gz HTTP/1.1" 200 9 0.2', "root image fetched"),
        (Source.CONSOLE, "bootmill[9.20] handing over to /sbin/init", "root switched"),
    ],
)
def test_stages(cluster: Cluster, source: Source, line: str, stage: str) -> None:
    """Each stage is known by its line, with a carriage return and colours, and shown once."""
    following = watch(cluster)
    coloured = f"\x1b[0m{line}\r\n"
    assert stage in [each.name for each in following.feed({source: coloured}, 3.0)]
    assert following.feed({source: coloured}, 4.0) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (Source.DHCPD, "DHCPACK on 10.1.0.111 to 00:18:8b:f8:e3:58 via eth0"),
        (Source.TFTPD, "in.tftpd[4]: RRQ from 10.1.0.110 filename pxelinux.0"),
        (Source.SUPERVISOR, "    4.12 kn01: on, boots"),
        (Source.NGINX, '10.1.0.11 "GET /install/netboot/d/r.gz HTTP/1.1" 404 9 0.2'),
        (Source.CONSOLE, "GRUB: Welcome to GRUB!"),
    ],
)
def test_other_nodes_are_not_ours(cluster: Cluster, source: Source, line: str) -> None:
    """Lines about another node, or about a failure, show no stage."""
    assert watch(cluster).feed({source: line + "\n"}, 3.0) == []


def test_lines_in_pieces(cluster: Cluster) -> None:
    """A line that comes in pieces counts when it is whole; what is there of it is the console's last word."""
    following = watch(cluster)
    assert following.feed({Source.CONSOLE: "[ 0.0] Linux ver"}, 1.0) == []
    assert following.last_words() == "[ 0.0] Linux ver"
    assert [each.name for each in following.feed({Source.CONSOLE: "sion 6.1\n"}, 2.0)] == ["kernel started"]


@pytest.mark.parametrize(
    ("line", "fatal"),
    [
        ("[ 1.9] Kernel panic - not syncing: No working init found.", True),
        ("/bin/busybox: error while loading shared libraries: libresolv.so.2", True),
        ("bootmill[9.1] FAILED: no link on eth0", True),
        ("[ 0.0] Command line: BOOT_IMAGE=x panic=1 init=/sbin/init", False),
        ("Booting from Hard Disk...", False),
    ],
)
def test_fatal_lines(cluster: Cluster, line: str, fatal: bool) -> None:
    """A panic ends the wait; the kernel command line is no panic."""
    following = watch(cluster)
    following.feed({Source.CONSOLE: line + "\n"}, 1.0)
    assert bool(following.fatal) is fatal


def test_failure_shows_the_panic(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed boot shows the panic, although the machine has started anew, and what the daemons said to this node."""
    monkeypatch.chdir(tmp_path)
    node = cluster.node("n01")
    logs, following = boot.Logs(node), watch(cluster)
    state.console_log("n01").parent.mkdir(parents=True)
    panic = "[ 1.9] Kernel panic - not syncing: No working init found."
    state.console_log("n01").write_text("\n".join(["before", panic, *(f"anew {n}" for n in range(99)), ""]))
    state.daemon_log("dhcpd").write_text("DHCPACK on 10.1.0.11 to 00:18:8b:f8:e3:58\nDHCPACK on 10.1.0.12 to n02\n")
    following.feed(logs.grown(), 2.0)
    told = boot.failure(node, "n01 cannot boot", logs, following).message
    assert f"| before\n    | {panic}" in told
    assert "anew 90" not in told
    assert "DHCPACK on 10.1.0.11" in told
    assert "10.1.0.12" not in told
    assert "nothing about this node" in told


def test_verdict(cluster: Cluster) -> None:
    """A node that has its name and address and sees DNS is right; each deviation is a sentence."""
    node = cluster.node("n01")
    right = {"n01.renci.ben": ("10.1.0.11", "Address: 10.1.0.11\n")}
    assert list(timeline.verdict(node, "n01", "2: eth0 inet 10.1.0.11/24 brd", right)) == []
    wrong = {"n01.renci.ben": ("10.1.0.11", "Address: 10.1.0.110\n")}
    assert len(list(timeline.verdict(node, "localhost", "2: eth0 inet 10.1.0.111/24", wrong))) == 3
