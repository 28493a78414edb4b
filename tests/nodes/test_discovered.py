"""Reports of the discovery image: what it says is understood, what others write is not believed."""

from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import pytest

from tasks.nodes.discovered import Discovered, FoundDisk, FoundNic, parse, reports

MAC = "52:54:00:12:34:56"
QUERY = (
    f"v=1&boot={MAC}&nic=eth0,52:54:00:12:34:57,up,1000,e1000,0000:00:03.0,10.0.2.15"
    f"&nic=eth1,{MAC},down,,virtio_net,0000:00:02.0,&serial=SN%2012%20(x)%20a%20b"
    "&uuid=11111111-2222-3333-4444-555555555555&vendor=Acme%20Inc.&product=Box&arch=x86_64&cpus=2"
    "&cpu=QEMU%20TCG%20CPU&memory=455&disk=vda,64,,DISKSER1&disk=sda,476940,ST500,9XY&bmc=yes"
)
WHEN = "23/Nov/2026:00:46:16 +0000"
LINE = f'10.1.0.200 - - [{WHEN}] "GET /bootmill/discover?{QUERY} HTTP/1.1" 204 0 "-" "Wget"'
CARD = FoundNic(name="e", mac="02:00:00:00:00:01", link=True, speed=1, driver="x")
WHOLE = Discovered(
    when=WHEN,
    sender=IPv4Address("10.1.0.200"),
    boot=MAC,
    nics=(
        FoundNic(
            name="eth0",
            mac="52:54:00:12:34:57",
            link=True,
            speed=1000,
            driver="e1000",
            pci="0000:00:03.0",
            ip=IPv4Address("10.0.2.15"),
        ),
        FoundNic(name="eth1", mac=MAC, link=False, driver="virtio_net", pci="0000:00:02.0"),
    ),
    macs=(MAC, "52:54:00:12:34:57"),
    serial="SN 12 (x) a b",
    uuid=UUID("11111111-2222-3333-4444-555555555555"),
    vendor="Acme Inc.",
    product="Box",
    arch="x86_64",
    cpus=2,
    cpu="QEMU TCG CPU",
    memory=455,
    disks=(
        FoundDisk(name="vda", size=64, serial="DISKSER1"),
        FoundDisk(name="sda", size=476940, model="ST500", serial="9XY"),
    ),
    bmc=True,
)


def of(query: str) -> Discovered | None:
    """Return the report with this query."""
    return parse(f'10.1.0.200 - - [{WHEN}] "GET /bootmill/discover?{query} HTTP/1.1" 204 0')


def test_a_whole_report_is_understood() -> None:
    """Every value arrives, as what it is."""
    assert parse(LINE) == WHOLE


@pytest.mark.parametrize(
    ("line", "when", "sender"),
    [
        (f'10.1.0.9 "GET /bootmill/discover?v=1&boot={MAC} HTTP/1.1" 204 0 0.000', "", "10.1.0.9"),
        (f'fd00::9 - - [x] "GET /bootmill/discover?v=1&boot={MAC} HTTP/1.0" 204 0', "x", "fd00::9"),
        (f"Nov 23 00:46:16 10.1.0.9 bootmill-discover: v=1&macs={MAC}", "Nov 23 00:46:16", "10.1.0.9"),
        (f"Nov  3 00:46:16 10.1.0.9 (none) bootmill-discover: v=1&macs={MAC}", "Nov  3 00:46:16", "10.1.0.9"),
        (
            f"2026-11-23T00:46:16.1+01:00 box bootmill-discover[7]: v=1&macs={MAC}",
            "2026-11-23T00:46:16.1+01:00",
            "None",
        ),
    ],
)
def test_logs_of_other_kinds(line: str, when: str, sender: str) -> None:
    """A short format of a web server, IPv6, and syslog with either date."""
    found = parse(line)
    assert found is not None
    assert (found.when, str(found.sender), found.macs) == (when, sender, (MAC,))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "bootmill",
        LINE.replace("v=1", "v=2"),
        LINE.replace("GET", "POST"),
        LINE.replace("/discover", "/discovery"),
        f'10.1.0.9 - - [x] "GET /x HTTP/1.1" 404 0 "-" "GET /bootmill/discover?v=1&boot={MAC} HTTP/1.1"',
        f'10.1.0.9 - - [x] "GET /x?y=\\x22GET /bootmill/discover?v=1&boot={MAC} HTTP/1.1" 404 0',
        f'10.1.0.9 - - [x] "GET /x HTTP/1.1" 404 0 "-" "bootmill-discover: v=1&macs={MAC}"',
        f"Nov 23 00:46:16 10.1.0.9 sshd[7]: user bootmill-discover: v=1&macs={MAC}",
        LINE.replace(WHEN, "23/Nov/2026\x1b[2J"),
        LINE.replace(WHEN, "\u202e23/Nov/2026"),
        f"Nov \u0662\u0663 00:46:16 10.1.0.9 bootmill-discover: v=1&macs={MAC}",
        LINE + "x" * 8000,
    ],
)
def test_other_lines_are_no_reports(line: str) -> None:
    """Neither what is not ours nor what a client wrote into its own line to look like it."""
    assert parse(line) is None


@pytest.mark.parametrize(
    "macs",
    [
        "",
        "boot=",
        "boot=ff:ff:ff:ff:ff:ff",
        "boot=00:00:00:00:00:00",
        "boot=01:00:5e:00:00:01",
        "boot=52-54-00-12-34-56",
        "nic=eth0",
        "nic=ib0,80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:0f:41,up",
        "macs=%00",
        "boot=%FF%FE",
    ],
)
def test_a_report_without_a_card_is_none(macs: str) -> None:
    """A MAC address of a group or of nobody is no card's."""
    assert of(f"v=1&{macs}&serial=x") is None


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("serial=%0A10.1.0.1%20mgt", "serial", ""),
        ("serial=%3B$(reboot)", "serial", ""),
        ("serial=%1B[2J", "serial", ""),
        ("serial=%E2%80%AE", "serial", ""),
        ("serial=" + "A" * 500, "serial", "A" * 64),
        ("uuid=00000000-0000-0000-0000-000000000000", "uuid", None),
        ("uuid=FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "uuid", None),
        ("uuid=../../etc/passwd", "uuid", None),
        ("memory=99999999999999", "memory", 0),
        ("memory=" + "9" * 5000, "memory", 0),
        ("memory=-1", "memory", 0),
        ("cpus=%D9%A1", "cpus", 0),
        ("disk=,5", "disks", ()),
        ("unknown=5", "serial", ""),
        ("nic=e,02:00:00:00:00:01,up,1,x,../..,999.1.1.1", "nics", (CARD,)),
    ],
)
def test_what_is_not_plain_is_left_out(field: str, name: str, value: Any) -> None:
    """A field with control characters, shell words or impossible numbers says nothing; the rest counts."""
    found = of(f"v=1&boot={MAC}&{field}")
    assert found is not None
    assert getattr(found, name) == value
    assert MAC in found.macs


def test_a_flood_of_cards_ends() -> None:
    """No report names more than 64 cards."""
    cards = "&".join(f"nic=e,02:00:00:00:00:{number:02x},up" for number in range(200))
    found = of(f"v=1&{cards}")
    assert found is not None
    assert len(found.nics) == len(found.macs) == 64


def test_reports_of_a_log() -> None:
    """The lines of a log that hold one."""
    assert list(reports(["x", LINE, "", LINE])) == [WHOLE, WHOLE]
