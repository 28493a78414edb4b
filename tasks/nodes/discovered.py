"""What a machine said of itself: a line of the web server's log, or of syslog, as the discovery image makes it.  Pure.

    10.1.0.200 - - [23/Nov/2026:00:46:16 +0000] "GET /bootmill/discover?v=1&boot=52:54:…&nic=eth0,… HTTP/1.1" 204 0 …
    Nov 23 00:46:16 10.1.0.200 bootmill-discover: v=1&macs=52:54:…,…&serial=…   (short, where HTTP did not work)

Everybody on the network can write such a line, and firmware says what people typed into it: nothing is believed that
does not look like what it should be, and nothing is longer than it may be.  A field that is wrong is left out; a line
that names no network card is no report.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote
from uuid import UUID

LONGEST = 8192  # characters of a line; nginx takes no longer request (large_client_header_buffers)
MOST = 64  # network cards or disks
# The combined format of nginx and Apache, and formats that have only the address before the request.  Both write a
# quote inside the request as \x22, so that nobody can end the request early.
ACCESS = re.compile(
    r"(?P<sender>[0-9A-Fa-f.:]{2,45}) (?:\S+ \S+ \[(?P<when>[\w/:+ -]{1,40})\] )?"
    r'"GET /bootmill/discover\?(?P<query>[!#-~]{1,8000}) HTTP/1\.[01]"',
    re.ASCII,
)
# RFC 3164, as syslog daemons write it down: the traditional date or an ISO one, the sender, the tag.
SYSLOG = re.compile(
    r"(?P<when>[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT[\d:.+Z-]{8,30}) (?P<sender>[\w.:-]{1,255})"
    r" (?:\S{1,64} )?bootmill-discover(?:\[\d+\])?: (?P<query>[!-~]{1,2000})",
    re.ASCII,
)
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
PLAIN = re.compile(r"[\w./:()@ -]*", re.ASCII)
PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True, kw_only=True)
class FoundNic:
    """A network card: its MAC address in lower case, Mb/s (None: no link, or a virtual card), PCI and IP address."""

    name: str
    mac: str
    link: bool
    speed: int | None = None
    driver: str = ""
    pci: str = ""
    ip: IPv4Address | None = None


@dataclass(frozen=True, kw_only=True)
class FoundDisk:
    """A disk: its name, its size in MiB, what it calls itself."""

    name: str
    size: int
    model: str = ""
    serial: str = ""


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """A machine's report.  Texts are empty and numbers 0 where it said nothing that could be believed.

    `when` is the log's own text; `sender` is the machine's address, None where the log has a name.  `boot` is the MAC
    address of the NIC that booted.  Memory is in MiB.
    """

    when: str = ""
    sender: IPv4Address | IPv6Address | None = None
    boot: str = ""
    nics: tuple[FoundNic, ...] = ()
    macs: tuple[str, ...] = ()
    serial: str = ""
    uuid: UUID | None = None
    vendor: str = ""
    product: str = ""
    arch: str = ""
    cpus: int = 0
    cpu: str = ""
    memory: int = 0
    disks: tuple[FoundDisk, ...] = ()
    bmc: bool = False


def reports(lines: Iterable[str]) -> Iterator[Discovered]:
    """Yield the reports among the lines of a log."""
    for line in lines:
        found = parse(line)
        if found is not None:
            yield found


def parse(line: str) -> Discovered | None:
    """Return the report that a log's line holds, None where it holds none."""
    if len(line) > LONGEST or "bootmill" not in line:
        return None
    match = ACCESS.match(line) or SYSLOG.match(line)
    if match is None:
        return None
    values = fields(match["query"])
    macs = all_macs(values)
    if values.get("v") != ["1"] or not macs:
        return None
    return described(match["when"] or "", address(match["sender"]), values, macs)


def fields(query: str) -> dict[str, list[str]]:
    """Return each field's values; what is not plain once it is decoded is left out."""
    found: dict[str, list[str]] = {}
    for field in query.split("&")[: 3 * MOST]:
        name, equals, value = field.partition("=")
        value = unquote(value, errors="replace")
        if equals and all(map(PLAIN.fullmatch, value.split(","))) and len(found.setdefault(name, [])) < MOST:
            found[name].append(value)
    return found


def all_macs(values: dict[str, list[str]]) -> tuple[str, ...]:
    """Return the MAC addresses that a report names, each once, the one that booted first."""
    listed = [mac for text in values.get("macs", ()) for mac in text.split(",")]
    named = [text.split(",")[1] for text in values.get("nic", ()) if "," in text]
    macs = [mac(text) for text in [*values.get("boot", ()), *listed, *named][: 4 * MOST]]
    return tuple(dict.fromkeys(each for each in macs if each))[:MOST]


def described(
    when: str, sender: IPv4Address | IPv6Address | None, values: dict[str, list[str]], macs: tuple[str, ...]
) -> Discovered:
    """Return the report with these fields."""

    def text(name: str) -> str:
        return values.get(name, [""])[0].strip()[:64]

    return Discovered(
        when=when,
        sender=sender,
        boot=mac(text("boot")),
        nics=tuple(card for line in values.get("nic", ()) if (card := nic(line)) is not None),
        macs=macs,
        serial=text("serial"),
        uuid=uuid(text("uuid")),
        vendor=text("vendor"),
        product=text("product"),
        arch=text("arch"),
        cpus=number(text("cpus"), 65536),
        cpu=text("cpu"),
        memory=number(text("memory"), 1 << 32),
        disks=tuple(found for line in values.get("disk", ()) if (found := disk(line)) is not None),
        bmc=text("bmc") == "yes",
    )


def nic(line: str) -> FoundNic | None:
    """Return a network card; None without an Ethernet address."""
    name, hardware, link, speed, driver, pci, ip = [*line.split(","), *[""] * 7][:7]
    own = mac(hardware)
    if not own:
        return None
    return FoundNic(
        name=name[:16],
        mac=own,
        link=link == "up",
        speed=number(speed, 10**7) or None,
        driver=driver[:32],
        pci=pci if PCI.fullmatch(pci) else "",
        ip=found if isinstance(found := address(ip), IPv4Address) else None,
    )


def disk(line: str) -> FoundDisk | None:
    """Return a disk; None without a name."""
    name, size, model, serial = [*line.split(","), *[""] * 4][:4]
    if not name:
        return None
    return FoundDisk(name=name[:16], size=number(size, 1 << 44), model=model.strip()[:40], serial=serial.strip()[:40])


def mac(text: str) -> str:
    """Return a MAC address in lower case; empty where it is none, belongs to a group, or to nobody."""
    lower = text.lower()
    good = MAC.fullmatch(lower) and not int(lower[:2], 16) & 1 and lower != "00:00:00:00:00:00"
    return lower if good else ""


def uuid(text: str) -> UUID | None:
    """Return a UUID; None for what vendors write who have none: all bits alike."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text):
        return None
    found = UUID(text)
    return None if found.int in {0, (1 << 128) - 1} else found


def number(text: str, most: int) -> int:
    """Return a number between 0 and `most`; 0 where it is none."""
    value = int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0
    return value if value <= most else 0


def address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, None where it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None
