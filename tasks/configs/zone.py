"""DNS: the forward zone, the reverse zones and named's configuration.

**Which reverse zones.**  Reverse zones end at octets, subnets do not.  A subnet longer than /24 belongs to the /24
zone around it (RFC 2317 delegation is for networks of several owners; ours have one), a shorter one is cut at the next
octet: 10.1.0.0/22 makes four /24 zones, 10.0.0.0/16 one /16 zone, 10.0.0.0/12 sixteen of them.  So we never claim more
than the /24 that a subnet lies in, and no subnet makes more than 128 zones.

**The serial** is the first 32 bits of the sha256 of the zone without its serial.  It changes exactly when the zone
changes, and the same inventory gives the same bytes on every machine, whatever was built before; both would be lost
with a counter or a date.  The price: it does not only rise (RFC 1982), so a secondary server would not notice every
change.  Bootmill's zones have one primary server and no secondary (``allow-transfer`` and ``notify`` are off, and say
so); a primary takes what it finds when it is told to reload, whatever the serial.

**Two files for named**, since named.conf may hold only one ``options`` and Debian keeps it apart from the zones:
``named.conf.bootmill`` declares the zones, ``named.conf.bootmill-options`` says whom to serve and whom to ask.
Neither takes a name that Debian's bind9 brings, so an existing named.conf stays and includes them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path, PurePosixPath

from tasks import files, paths, template
from tasks.configs.check import ask, candidate
from tasks.configs.slices import Record
from tasks.inventory.model import Site

TEMPLATES = Path(__file__).parent / "templates"
ON_HEAD_NODE = PurePosixPath("/etc/bind/zones")
CACHE = PurePosixPath("/var/cache/bind")  # Debian's working directory of named
ANY_FOLDER = PurePosixPath("/")  # named-checkconf goes to the working directory; a machine without named has no CACHE
HEADER = "; Made by Bootmill from inventory/: edits are lost.\n"


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone: its name without the last dot, and the records below it."""

    name: str
    lines: tuple[str, ...]

    @property
    def file(self) -> str:
        """Return the name of its file."""
        return f"db.{self.name}"


def write_zones(site: Site, subnets: tuple[IPv4Network, ...], records: tuple[Record, ...]) -> None:
    """Render everything, have everything checked, then publish: zones first, then what names them."""
    texts = {zone.file: render_zone(site, zone) for zone in zones(site, subnets, records)}
    names = tuple(file.removeprefix("db.") for file in texts)
    conf = render_named_conf(names)
    with candidate("zone") as folder:
        check(site, texts, render_options(site, subnets, ANY_FOLDER) + conf, folder)
    for file, text in texts.items():
        files.write_ours(paths.zone_dir(site) / file, text)
    files.write_ours(paths.named_options(site), render_options(site, subnets, CACHE))
    files.write_ours(paths.named_conf(site), conf)
    remove_others(paths.zone_dir(site), set(texts))


def check(site: Site, texts: dict[str, str], conf: str, folder: Path) -> None:
    """Ask named's checkers about a copy of everything in `folder`.

    ``-i local``: the default looks names outside the zone up in whatever DNS this machine uses.
    """
    for file, text in texts.items():
        path = folder / file
        path.write_text(text)
        zone = file.removeprefix("db.")
        ask(["named-checkzone", "-i", "local", "-k", "fail", zone, path], about=paths.zone_dir(site) / file)
    path = folder / "named.conf"
    path.write_text(conf)
    ask(["named-checkconf", path], about=paths.named_conf(site))


def remove_others(folder: Path, keep: set[str]) -> None:
    """Remove the zone files that we made for networks that are gone; files of others stay."""
    for path in sorted(folder.glob("db.*")):
        if path.name not in keep and path.is_file() and path.read_bytes().startswith(HEADER.encode()):
            path.unlink()


# -- which zones -----------------------------------------------------------------------------------------------------


def zone_files(site: Site, subnets: tuple[IPv4Network, ...]) -> list[Path]:
    """Return the zone files of a site."""
    return [paths.zone_dir(site) / zone.file for zone in zones(site, subnets, ())]


def zones(site: Site, subnets: tuple[IPv4Network, ...], records: tuple[Record, ...]) -> Iterator[Zone]:
    """Yield the forward zone and the reverse zones with their records."""
    yield Zone(name=site.domain, lines=tuple(line for record in records for line in forward(record)))
    owned: dict[IPv4Network, list[Record]] = {part: [] for part in sorted({*parts(subnets)})}
    lengths = sorted({part.prefixlen for part in owned}, reverse=True)
    for record in sorted(records, key=lambda record: record.ip):
        around = (IPv4Network((record.ip, length), strict=False) for length in lengths)
        home = next((part for part in around if part in owned), None)
        if home is not None:
            owned[home].append(record)
    for part, members in owned.items():
        lines = tuple(f"{label(record, part)} IN PTR {record.name}.{site.domain}." for record in members)
        yield Zone(name=reverse_name(part), lines=lines)


def parts(subnets: tuple[IPv4Network, ...]) -> Iterator[IPv4Network]:
    """Yield the octet-aligned parts of every subnet: /24, /16 or /8 (see above)."""
    for subnet in subnets:
        if subnet.prefixlen >= 24:
            yield subnet.supernet(new_prefix=24)
        else:
            yield from subnet.subnets(new_prefix=max(8, -(-subnet.prefixlen // 8) * 8))


def octets(part: IPv4Network) -> list[str]:
    """Return the octets that all addresses of a zone share."""
    return str(part.network_address).split(".")[: part.prefixlen // 8]


def reverse_name(part: IPv4Network) -> str:
    """Return a zone's name (RFC 1035 3.5): 10.1.0.0/24 → ``0.1.10.in-addr.arpa``."""
    return ".".join([*reversed(octets(part)), "in-addr", "arpa"])


def label(record: Record, part: IPv4Network) -> str:
    """Return an address's name inside its zone: 10.1.2.3 in 10.1.0.0/16 → ``3.2``."""
    return ".".join(reversed(str(record.ip).split(".")[part.prefixlen // 8 :]))


def forward(record: Record) -> Iterator[str]:
    """Yield a machine's lines in the forward zone: its address, and its aliases as CNAMEs."""
    yield f"{record.name} IN A {record.ip}"
    for alias in record.aliases:
        yield f"{alias} IN CNAME {record.name}"


# -- text ------------------------------------------------------------------------------------------------------------


def render_zone(site: Site, zone: Zone) -> str:
    """Return a zone file with the serial that its content has."""
    text = zone_text(site, zone, serial=0)
    return zone_text(site, zone, serial=serial_of(text))


def serial_of(text: str) -> int:
    """Return 32 bits of a text's sha256; never 0, which named skips, too (dns_update_soaserial())."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) or 1


def zone_text(site: Site, zone: Zone, *, serial: int) -> str:
    """Return a zone file."""
    return HEADER + template.render(
        TEMPLATES / "zone.j2",
        zone=zone,
        serial=serial,
        master=f"{site.master}.{site.domain}.",
        contact=f"{site.dns_contact}.",
    )


def render_named_conf(names: tuple[str, ...]) -> str:
    """Return the zones' clauses, with the files where the head node has them."""
    return template.render(TEMPLATES / "zone_named.conf.j2", names=names, folder=ON_HEAD_NODE)


def render_options(site: Site, subnets: tuple[IPv4Network, ...], directory: PurePosixPath) -> str:
    """Return the options: whom named serves and whom it asks."""
    return template.render(
        TEMPLATES / "zone_named.options.j2", forwarders=site.forwarders, subnets=subnets, directory=directory
    )
