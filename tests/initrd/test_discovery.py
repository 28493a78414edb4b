"""The discovery image's scripts: what they say of a machine, what they believe, and when they reboot it."""

import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tasks.initrd import discovery
from tests.initrd.firststages import Stage

pytestmark = pytest.mark.integration
MAC, OTHER = "52:54:00:12:34:56", "52:54:00:12:34:57"
URL = "http://10.1.0.1:8080/bootmill/discover"
# What the kernel and udhcpc set; nothing is mounted, and pauses are short.
TAMED = """
pause() { echo "pause $1" >>"$root/calls"; }
sleep() { :; }
rest() { exit 9; }
"""
HEAD = """
case "$*" in
*pxelinux.cfg*) cat {root}/menu 2>/dev/null || exit 1 ;;
esac >"$3"
"""


def run(machine: Stage, commands: str) -> str:
    """Run shell commands after all functions of init are defined; return what they print."""
    root = machine.root
    places = f"proc={root}/proc sys={root}/sys dev={root}/dev state={root}/run etc={root}/etc root={root}\n"
    file = root / "script"
    text = f"{discovery.script('init')}\n{places}PATH={machine.path}\n{TAMED}read_words ''\n{commands}"
    file.write_text(text)
    argv = [*machine.interpreter, str(file)]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def box(machine: Stage) -> Stage:
    """Return a machine with firmware that has something to say, two network cards and three disks."""
    root = machine.root
    dmi = {"product_serial": "SN 12;$(reboot)&a=b\n", "product_uuid": "4C4C4544-0035\n", "sys_vendor": "Dell Inc.\n"}
    texts = {f"sys/class/dmi/id/{name}": text for name, text in dmi.items()}
    texts["sys/class/dmi/id/product_name"] = "PowerEdge\x1b[2J 860" + "x" * 200
    texts["proc/cpuinfo"] = "processor : 0\nmodel name\t: Xeon(R) 3040\nprocessor : 1\nmodel name\t: Xeon(R) 3040\n"
    texts["sys/block/sda/size"] = "976773168\n"
    texts["sys/block/sda/device/model"] = "ST3500320NS     \n"
    texts["sys/block/sda/device/vpd_pg80"] = "\0\x80\0\x14     9QM0ABCD\n"
    texts["sys/block/vdb/size"] = "2048\n"
    texts["sys/block/vdb/serial"] = "V1"
    texts["sys/block/vdb/device/x"] = ""
    texts["sys/block/loop0/size"] = "8\n"
    texts["sys/block/sr0/size"] = "8\n"
    texts["sys/block/sr0/device/model"] = "DVD\n"
    texts["proc/modules"] = ""
    texts["dev/x"] = ""
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    machine.nic("eth0", MAC)
    machine.nic("eth1", OTHER, link=False)
    machine.nic("bond0", "52:54:00:99:99:99", hardware=False)
    (root / "sys/class/net/eth0/speed").write_text("1000\n")
    pci = root / "sys/devices/pci0000:00/0000:00:1c.5/0000:05:00.0"
    pci.mkdir(parents=True)
    (pci / "driver").symlink_to("../../../../bus/pci/drivers/tg3")
    (root / "sys/class/net/eth0/device").rmdir()
    (root / "sys/class/net/eth0/device").symlink_to(pci)
    (root / "run/lease.eth0").write_text("ip=10.1.0.200\n")
    machine.fake("wget", HEAD.format(root=root))
    machine.fake("logger")
    machine.fake("syslogd")
    return machine


def gathered(box: Stage) -> list[str]:
    """Return the report's lines."""
    return run(box, f"bootif={MAC}\ngather").splitlines()


# -- the scripts themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["init", "udhcpc"])
@pytest.mark.parametrize("shell", [["busybox", "sh", "-n"], ["dash", "-n"]], ids=["busybox", "dash"])
def test_the_shell_parses_it(name: str, shell: list[str]) -> None:
    """Both shells read the script without an error."""
    subprocess.run([*shell, "/dev/stdin"], input=discovery.script(name, start=True), text=True, check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed (package shellcheck)")
@pytest.mark.parametrize("name", ["init", "udhcpc"])
def test_shellcheck_is_content(name: str) -> None:
    """No finding; what is excluded has its reason here.

    SC2013, SC2045, SC2010, SC2012: words of /proc/cmdline and names in sysfs have no blanks and are no patterns.
    SC2154: udhcpc sets the lease's variables.
    """
    command = ["shellcheck", "--shell=sh", "--exclude=SC2013,SC2045,SC2010,SC2012,SC2154", "-"]
    script = discovery.script(name, start=True)
    done = subprocess.run(command, input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_busybox_has_what_they_call(applets: Path) -> None:
    """Each program that init calls is one of busybox's."""
    assert not [name for name in discovery.APPLETS if not (applets / name).is_symlink()]


# -- what is reported --------------------------------------------------------------------------------------------------


def test_the_report_tells_what_the_machine_is(box: Stage) -> None:
    """Cards with link, speed, driver and place; disks without loops and DVDs; firmware's texts, made plain."""
    lines = gathered(box)
    assert lines[:4] == [
        "v=1",
        f"boot={MAC}",
        f"nic=eth0,{MAC},up,1000,tg3,0000:05:00.0,10.1.0.200",
        f"nic=eth1,{OTHER},down,,,,",
    ]
    assert "serial=SN 12 (reboot) a b" in lines
    assert "uuid=4C4C4544-0035" in lines
    assert "vendor=Dell Inc." in lines
    assert f"product=PowerEdge 2J 860{'x' * 48}" in lines
    assert "cpus=2" in lines
    assert "cpu=Xeon(R) 3040" in lines
    assert "memory=1000" in lines
    assert [line for line in lines if line.startswith("disk=")] == [
        "disk=sda,476940,ST3500320NS,9QM0ABCD",
        "disk=vdb,1,,V1",
    ]
    assert lines[-1] == "bmc=no"


@pytest.mark.parametrize("text", ["Not Specified", "To Be Filled By O.E.M.", "None", "", "   ", "\0\0\0"])
def test_a_fillers_serial_number_is_none(box: Stage, text: str) -> None:
    """What vendors write who have no serial number is not taken for one; a device tree's counts then."""
    (box.root / "sys/class/dmi/id/product_serial").write_text(text)
    assert "serial=" in gathered(box)


def test_a_device_tree_names_the_machine(box: Stage) -> None:
    """Arm boards without SMBIOS say who they are in the device tree, with a zero byte at the end."""
    shutil.rmtree(box.root / "sys/class/dmi")
    (box.root / "proc/device-tree").mkdir()
    (box.root / "proc/device-tree/serial-number").write_bytes(b"10000000abcdef\0")
    (box.root / "proc/device-tree/model").write_bytes(b"Raspberry Pi 4 Model B\0")
    assert {"serial=10000000abcdef", "product=Raspberry Pi 4 Model B", "uuid="} <= set(gathered(box))


@pytest.mark.parametrize("place", ["dev/ipmi0", "sys/firmware/dmi/entries/38-0"])
def test_a_bmc_is_seen(box: Stage, place: str) -> None:
    """Its driver's device, or the firmware's table entry."""
    (box.root / place).parent.mkdir(parents=True, exist_ok=True)
    (box.root / place).write_text("")
    assert gathered(box)[-1] == "bmc=yes"


def test_a_flood_of_cards_and_disks_ends(box: Stage) -> None:
    """A report stays a line that web servers take, whatever is plugged in."""
    for number in range(40):
        box.nic(f"eth{number + 2}", f"02:00:00:00:00:{number:02x}")
        (box.root / f"sys/block/sd{chr(97 + number % 26)}{number}/device").mkdir(parents=True)
    lines = gathered(box)
    assert sum(line.startswith("nic=") for line in lines) == 16
    assert sum(line.startswith("disk=") for line in lines) == 32
    run(box, f"discover={URL}\ngather >$state/report\nsend")
    assert len(box.calls("wget")[0].split("?")[1]) <= 4000


def test_the_report_goes_out_as_a_query(box: Stage) -> None:
    """One GET with the report's lines; a blank is the only character that has to be encoded."""
    run(box, f"discover={URL}\nbootif={MAC}\ngather >$state/report\nsend")
    (call,) = box.calls("wget")
    query = call.split(f" {URL}?")[1]
    assert " " not in query
    assert [unquote(field) for field in query.split("&")] == gathered(box)


def test_the_table_is_readable(box: Stage) -> None:
    """What is reported stands on the console, too."""
    text = run(box, "gather >$state/report\nshow_report")
    assert f"  NIC       eth0 {MAC} link up 1000 Mb/s tg3 0000:05:00.0 10.1.0.200\n" in text
    assert "  Disk      sda 476940 MiB ST3500320NS 9QM0ABCD\n" in text


def test_syslog_is_told_where_http_does_not_work(box: Stage) -> None:
    """After each failure a short line goes to the head node's syslog; pauses between them grow, and have an end."""
    box.fake("wget", f'test "$(grep -c ^wget {box.root}/calls)" -gt 12')
    run(box, f"discover={URL}\nbootif=\ngather >$state/report\nsend_first")
    assert box.calls("syslogd")[0] == "syslogd -n -R 10.1.0.1 -O /dev/null"
    short = f"v=1&macs={MAC},{OTHER}&serial=SN%2012%20(reboot)%20a%20b&uuid=4C4C4544-0035"
    assert box.calls("logger")[0] == f"logger -t bootmill-discover -p local0.info {short}"
    pauses = [int(line.split()[1]) for line in box.calls("pause")]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2, 32)


# -- where to, and what then -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "server", "url"),
    [
        (f"quiet discover={URL}", "", URL),
        ("quiet", "10.1.0.9", "http://10.1.0.9/bootmill/discover"),
        (f"discover={URL}", "10.1.0.9", URL),
        ("discover=http:///bootmill/discover", "10.1.0.9", "http://10.1.0.9/bootmill/discover"),
        ("discover=ftp://10.1.0.1/bootmill/discover", "10.1.0.9", "http://10.1.0.9/bootmill/discover"),
        ("discover=http://$(reboot)/bootmill/discover", "10.1.0.9", "http://10.1.0.9/bootmill/discover"),
        ("discover=http://10.1.0.1/other", "10.1.0.9", "http://10.1.0.9/bootmill/discover"),
    ],
)
def test_the_head_node_is_found(box: Stage, words: str, server: str, url: str) -> None:
    """By the command line, else by what DHCP said; a word that is no such URL is told and passed over."""
    (box.root / "run/server").write_text(f"{server}\n" if server else "")
    said = run(box, f"read_discover '{words}'\nhead_node\necho \"$url $base $host\"").splitlines()
    assert said[-1].split() == [url, url.removesuffix("/bootmill/discover"), url.split("/")[2].split(":")[0]]
    assert (len(said) == 1) == (words == "quiet" or URL in words)


def test_nobody_is_asked_while_there_is_no_lease(box: Stage) -> None:
    """Without a head node nothing is fetched."""
    assert "no" in run(box, "head_node || echo no\ntold")
    assert box.calls("wget") == []


@pytest.mark.parametrize(
    ("menu", "reboots"),
    [
        (None, False),
        ("DEFAULT discover\n", False),
        ("", False),
        ("<html>\n", False),
        ("SERIAL 0 115200\n# Made by Bootmill: n01\nDEFAULT netboot\nPROMPT 0\n", True),
        ("DEFAULT local\n", True),
        ("DEFAULT offline\n", True),
    ],
)
def test_it_reboots_into_a_menu_of_its_own(box: Stage, menu: str | None, reboots: bool) -> None:
    """As soon as the head node has a menu for its MAC address that says something else, and never before."""
    if menu is not None:
        (box.root / "menu").write_text(menu)
    run(box, f"discover={URL}\nbootif={MAC}\ntold")
    assert box.calls("wget")[0].endswith("http://10.1.0.1:8080/tftpboot/pxelinux.cfg/01-52-54-00-12-34-56")
    assert bool(box.calls("reboot")) is reboots


def test_an_endless_menu_does_not_fill_the_memory(box: Stage) -> None:
    """A server that sends and sends is left after 64 KiB: /run is memory."""
    box.fake("wget", 'exec head -c 1000000 /dev/zero >"$3"')
    run(box, f"discover={URL}\nbootif={MAC}\ntold")
    assert (box.root / "run/menu").stat().st_size <= 65536
    assert box.calls("reboot") == []


def test_without_bootif_the_cards_with_a_lease_count(box: Stage) -> None:
    """A menu for a card that cannot have booted the machine would only send it round in circles."""
    assert run(box, "menu_macs") == "52-54-00-12-34-56\n"
    assert run(box, f"bootif={OTHER}\nmenu_macs") == "52-54-00-12-34-57\n"


def test_it_asks_less_and_less_often(box: Stage) -> None:
    """Ten thousand waiting machines: a dozen polls at 10 s and more, then at 30 s and more."""
    stop = 'pause() { echo "pause $1" >>"$root/calls"; [ "$(grep -c ^pause "$root/calls")" -lt 60 ] || exit 0; }\n'
    run(box, f"{stop}discover={URL}\nbootif={MAC}\nwait_for_word")
    pauses = [int(line.split()[1]) for line in box.calls("pause")]
    assert pauses[0] == 10
    assert pauses[-1] == 30
    assert pauses == sorted(pauses)
    reports = [call for call in box.calls("wget") if "/bootmill/discover?" in call]
    assert 1 <= len(reports) <= 3


# -- DHCP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ({"siaddr": "10.1.0.1", "serverid": "10.1.0.9"}, "10.1.0.1"),
        ({"siaddr": "0.0.0.0", "serverid": "10.1.0.9"}, "10.1.0.9"),
        ({"serverid": "10.1.0.9"}, "10.1.0.9"),
        ({"siaddr": "$(reboot)", "serverid": "10.1.0.9"}, "10.1.0.9"),
        ({"siaddr": "a b", "serverid": "x/../y"}, ""),
    ],
)
def test_a_lease_names_the_head_node(box: Stage, given: dict[str, str], server: str) -> None:
    """The server of the boot files (next-server) goes first; what is no address is nobody's."""
    script = (
        discovery.script("udhcpc").replace("/run/bootmill", str(box.root / "run")).replace("/sys", f"{box.root}/sys")
    )
    (box.root / "udhcpc").write_text(script)
    answer = {"PATH": box.path, "interface": "eth1", "ip": "10.1.0.201", "mask": "24", "router": "10.1.0.254", **given}
    subprocess.run([*box.interpreter, str(box.root / "udhcpc"), "bound"], env=answer, check=True)
    assert "ip addr replace 10.1.0.201/24 dev eth1" in box.calls("ip")
    assert (box.root / "run/lease.eth1").read_text() == "ip=10.1.0.201\n"
    place = box.root / "run/server"
    assert (place.read_text().strip() if place.exists() else "") == server
