"""DNS: the forward zones and the reverse zones, each with its serial.

    names (names.py) ─┬─▶ forward zones: the site's domain, and each domain that a network has of its own
    subnets ──────────┼─▶ reverse zones (zone_reverse.py)
    site.records ─────┘   (zone_records.py)         ─▶ named-checkconf ─▶ serial (serial.py) ─▶ db.<zone>
                          named.conf (zone_conf.py)

A machine has an address record in the domain of the network that the address lies in, a PTR record for each address,
and its aliases as CNAMEs.  The head node has its name in the site's domain, too: the zones name it as their server.
Every zone of ours that lies below another one of ours is delegated there, so that the zones can be handed to others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from tasks import paths, template
from tasks.configs import leftover, serial, walls, zone_conf, zone_records
from tasks.configs.check import candidate
from tasks.configs.names import BLOCK4, OCTETS, Domains, Named, domains, dotted4, named, of_switch, text6
from tasks.configs.zone_reverse import Homes, Part, Reverse, nibbles, reverses, subnets
from tasks.errors import BootmillError
from tasks.family import Around, Family, Rows
from tasks.inventory.model import Cluster, Node, Site
from tasks.serials import Known

TEMPLATES = Path(__file__).parent / "templates"
HEADER = "; Made by Bootmill from inventory/: edits are lost.\n"
UNNUMBERED = "1 0000000000000000"
NOTHING = hashlib.sha256(b"").hexdigest()  # the digest of a zone file without a part
# Seconds: how long an answer holds; for the secondaries: look for news, look again after a failure, give up; how long
# "no such name" holds.
TTL, REFRESH, RETRY, EXPIRE, NEGATIVE = 300, 3600, 600, 604800, 300


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What every record depends on, and the switches."""

    site: Site
    domains: Domains
    subnets: tuple[tuple[Part, bool], ...]  # and whether each has a zone of its own (RFC 2317)
    switches: tuple[Named, ...]
    primaries: tuple[str, ...]  # the head node, for the secondary servers; empty where there are none

    @cached_property
    def reverses(self) -> tuple[Reverse, ...]:
        """Return the reverse zones."""
        return reverses(self.subnets)

    @cached_property
    def homes(self) -> Homes:
        """Return what finds an address's reverse zone."""
        return Homes(self.reverses)

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """Return the names of all zones, the site's domain first."""
        return (*self.domains.names, *(zone.name for zone in self.reverses))

    @cached_property
    def servers(self) -> tuple[str, ...]:
        """Return the full names of the name servers, the head node first."""
        numbers = range(1, len(self.site.secondaries) + 1)
        return tuple(f"{name}.{self.site.domain}." for name in (self.site.master, *map(secondary, numbers)))

    @cached_property
    def taken(self) -> dict[tuple[str, str], str]:
        """Return the names that no machine can have: (domain, name) → what has it."""
        found = {(around, own): f"the zone {zone}" for zone, around, own in cuts(self.zones)}
        for number in range(1, len(self.site.secondaries) + 1):
            found[self.site.domain, secondary(number)] = f"the secondary name server {number}"
        return found


def secondary(number: int) -> str:
    """Return what a secondary name server is called in our zones; its own name need not be one of ours."""
    return f"secondary-{number}"


def file_of(zone: str) -> str:
    """Return the name of a zone's file."""
    return f"db.{zone}"


def frame(cluster: Cluster) -> Frame:
    """Return what is the same for all nodes."""
    site = cluster.site
    return Frame(
        site=site.only("domain", "master", "forwarders", "dns_contact", "secondaries", "serial_floor", "records"),
        domains=domains(cluster),
        subnets=subnets(cluster.networks),
        switches=tuple(map(of_switch, cluster.switches)),
        primaries=primaries(cluster) if site.secondaries else (),
    )


def primaries(cluster: Cluster) -> tuple[str, ...]:
    """Return where secondary servers find the head node.

    It is what nodes ask, but neither a secondary nor a server outside of our networks; else what they fetch from.
    """
    asked = [one for one in cluster.site.nameservers if cluster.finder.find(one) is not None]
    found = [one for one in asked if one not in cluster.site.secondaries]
    return tuple(map(str, found or cluster.served_addresses()))


def rows(_frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return the nodes' names and addresses."""
    return named(nodes)


def text(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return the records of some nodes, by zone file."""
    return machine_lines(frame, rows)  # type: ignore[arg-type]  # the rows are Named


# -- the records of machines -----------------------------------------------------------------------------------------

Place = tuple[str, str, list[str], list[str] | None, str]


class Places(dict[int, Place]):
    """Block of IPv4 addresses → first three octets, domain, lines of its zone and reverse zone, rest of the labels."""

    def __init__(self, frame: Frame, lines: dict[str, list[str]]) -> None:
        """Look at every block when it is met first."""
        super().__init__()
        self.frame, self.lines = frame, lines
        self.shift = min(frame.domains.finest(4, BLOCK4), frame.homes.finest(4, BLOCK4))

    def __missing__(self, block: int) -> Place:
        number = block << self.shift
        domain, home = self.frame.domains.of(4, number), self.frame.homes.of(4, number)
        reverse = self.lines[file_of(home.name)] if home else None  # none: somebody else's network, and zone
        octets = dotted4(number).rpartition(".")[0] + "."
        place = octets, domain, self.lines[file_of(domain)], reverse, home.rest(number) if home else ""
        self[block] = place
        return place


def machine_lines(frame: Frame, machines: Iterable[Named]) -> dict[str, str]:
    """Return the records of machines, by zone file."""
    lines: dict[str, list[str]] = defaultdict(list)
    places = Places(frame, lines)
    shift, taken, master, default = places.shift, frame.taken, frame.site.master, frame.site.domain

    def add4(name: str, ip: int) -> str:
        octets, domain, forward, reverse, rest = places[ip >> shift]
        last = OCTETS[ip & 255]
        forward.append(f"{name} IN A {octets}{last}\n")
        if reverse is not None:
            reverse.append(f"{last}{rest} IN PTR {name}.{domain}.\n")
        if taken and (domain, name) in taken:
            refuse(name, domain, taken[domain, name])
        if name == master and domain != default:
            lines[file_of(default)].append(f"{name} IN A {octets}{last}\n")
        return domain

    def add6(name: str, ip6: int) -> str:
        domain, home = frame.domains.of(6, ip6), frame.homes.of(6, ip6)
        lines[file_of(domain)].append(f"{name} IN AAAA {text6(ip6)}\n")
        if home is not None:
            lines[file_of(home.name)].append(f"{nibbles(ip6, home)} IN PTR {name}.{domain}.\n")
        if taken and (domain, name) in taken:
            refuse(name, domain, taken[domain, name])
        if name == master and domain != default:
            lines[file_of(default)].append(f"{name} IN AAAA {text6(ip6)}\n")
        return domain

    def add(name: str, aliases: tuple[str, ...], ip: int | None, ip6: int | None) -> None:
        domain6 = add6(name, ip6) if ip6 is not None else default
        domain = add4(name, ip) if ip is not None else domain6
        for alias in aliases:
            if taken and (domain, alias) in taken:
                refuse(alias, domain, taken[domain, alias])
            lines[file_of(domain)].append(f"{alias} IN CNAME {name}\n")

    for machine in machines:
        add(machine.name, machine.aliases, machine.ip, machine.ip6)
        for nic in machine.nics:
            add(nic.names[0], nic.names[1:], nic.ip, nic.ip6)
        if machine.bmc is not None:
            add4(*machine.bmc)
    return {file: "".join(found) for file, found in lines.items()}


def refuse(name: str, domain: str, what: str) -> None:
    """Raise the error for a machine whose name is taken."""
    message = f"{name}.{domain}: no machine can be called so, it is {what}"
    raise BootmillError(message, hint="choose another name in the inventory")


# -- the records of the frame ----------------------------------------------------------------------------------------


def cuts(zones: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each zone that lies below another: its name, the closest zone around it, and its own label in that."""
    names = frozenset(zones)
    for zone in zones:
        labels = zone.split(".")
        around = (".".join(labels[start:]) for start in range(1, len(labels)))
        found = next((name for name in around if name in names), None)
        if found is not None:
            yield zone, found, zone.removesuffix(f".{found}")


def frame_lines(frame: Frame) -> dict[str, list[str]]:
    """Return the records that do not depend on a node, by zone file."""
    lines = {file_of(zone): [f"@ IN NS {server}\n" for server in frame.servers] for zone in frame.zones}
    for number, address in enumerate(frame.site.secondaries, start=1):
        kind = "A" if address.version == 4 else "AAAA"
        lines[file_of(frame.site.domain)].append(f"{secondary(number)} IN {kind} {walls.address(address)}\n")
    by_name = {zone.name: zone for zone in frame.reverses}
    for zone, around, label in cuts(frame.zones):
        below = lines[file_of(around)]
        below += [f"{label} IN NS {server}\n" for server in frame.servers]
        if zone in by_name and by_name[zone].delegated:
            rest = label.partition(".")[1] + label.partition(".")[2]
            below += [f"{last}{rest} IN CNAME {last}.{zone}.\n" for last in by_name[zone].octets()]
    for one in frame.site.records:
        name, data = zone_records.record(one, frame.site.domain)
        zone = zone_around(frame, name)
        lines[file_of(zone)].append(f"{name.removesuffix(zone).removesuffix('.') or '@'} {data}\n")
    for file, found in machine_lines(frame, frame.switches).items():
        lines[file].append(found)
    return lines


def zone_around(frame: Frame, name: str) -> str:
    """Return the smallest of our forward zones that a name lies in; the site's domain holds all records."""
    return max((zone for zone in frame.domains.names if f".{name}".endswith(f".{zone}")), key=len)


# -- files -----------------------------------------------------------------------------------------------------------


def number(frame: Frame, sums: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``serial digest`` by zone file: see `serial`."""
    state = serial.read(paths.SERIALS)
    lines = frame_lines(frame)
    found = {}
    for zone in frame.zones:
        file = file_of(zone)
        digest = content(frame, lines[file], sums.get(file, NOTHING))
        known = [*filter(None, [state.get(zone)]), *serial.published(paths.zone_dir(frame.site) / file)]
        found[file] = f"{serial.following(known, digest, frame.site.serial_floor)} {digest}"
    return found


def content(frame: Frame, lines: Sequence[str], body: str) -> str:
    """Return the digest of what a zone says: the values of its SOA record but the serial, and its other records."""
    soa = (TTL, frame.servers[0], frame.site.dns_contact, REFRESH, RETRY, EXPIRE, NEGATIVE)
    return hashlib.sha256(repr((soa, "".join(lines), body)).encode()).hexdigest()[:16]


def keep(frame: Frame, numbers: Mapping[str, str]) -> Mapping[Path, str]:
    """Return the file of the serials.

    It is written before the zones are published: whatever happens then, no serial is given twice.
    """
    state = serial.read(paths.SERIALS)
    for zone in frame.zones:
        found, digest = numbers[file_of(zone)].split()
        state[zone] = Known(int(found), digest)
    return {paths.SERIALS: serial.text(state)}


def around(frame: Frame, numbers: Mapping[str, str]) -> Mapping[str, Around]:
    """Return each zone's beginning with its serial (from `number`), and named's configuration."""
    folder = paths.zone_dir(frame.site)
    lines = frame_lines(frame)
    files_ = {
        file_of(zone): Around(path=folder / file_of(zone), head=head(frame, zone, lines[file_of(zone)], numbers))
        for zone in frame.zones
    }
    return files_ | {path.name: Around(path=path, head=found) for path, found in confs(frame).items()}


def head(frame: Frame, zone: str, lines: Sequence[str], numbers: Mapping[str, str]) -> str:
    """Return the beginning of a zone file: SOA, NS and what else does not depend on a node.

    Who only asks which files there are has no numbers yet.
    """
    found, digest = numbers.get(file_of(zone), UNNUMBERED).split()
    return HEADER + template.render(
        TEMPLATES / "zone.j2",
        zone=zone,
        serial=found,
        digest=digest,
        master=frame.servers[0],
        contact=f"{frame.site.dns_contact}.",
        times={"ttl": TTL, "refresh": REFRESH, "retry": RETRY, "expire": EXPIRE, "negative": NEGATIVE},
        lines="".join(lines),
    )


def confs(frame: Frame) -> dict[Path, str]:
    """Return the files that named's own configuration includes."""
    site = frame.site
    found = {
        paths.named_conf(site): zone_conf.named_conf(frame.zones, site.secondaries),
        paths.named_options(site): options(frame),
    }
    if site.secondaries:
        found[paths.named_secondary(site)] = zone_conf.secondary_conf(frame.zones, frame.primaries)
    return found


def options(frame: Frame, directory: str = zone_conf.CACHE) -> str:
    """Return whom named serves and whom it asks."""
    networks = [str(subnet) for subnet, _ in frame.subnets]
    return zone_conf.options(networks, frame.site.secondaries, frame.site.forwarders, directory)


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the zone files, named's configuration, and where the serials are written down."""
    folder = paths.zone_dir(frame.site)
    secondaries = [paths.named_secondary(frame.site)] if frame.site.secondaries else []
    conf = [paths.named_conf(frame.site), paths.named_options(frame.site), *secondaries]
    return [*conf, *(folder / file_of(zone) for zone in frame.zones), paths.SERIALS]


def leftovers(frame: Frame) -> Sequence[Path]:
    """Return the files that we made for networks, domains and secondary servers that are gone; others' stay."""
    folder, conf = paths.zone_dir(frame.site), paths.named_secondary(frame.site)
    return [*leftover.ours(folder, "db.*", outputs(frame)), *leftover.ours(conf.parent, conf.name, outputs(frame))]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Ask named's checker about all zones at once, as named would load them.

    The head node's record may be in a part that is not asked about: without one no zone would be taken.
    """
    zones = [zone for zone in frame.zones if file_of(zone) in texts]
    master, default = frame.site.master, file_of(frame.site.domain)
    with candidate("zone") as folder:
        for zone in zones:
            found = texts[file_of(zone)]
            if file_of(zone) == default and f"\n{master} IN A" not in found:
                found += f"{master} IN A {ip_address(0)}\n"
            (folder / file_of(zone)).write_text(found)
        (folder / "named.conf").write_text(
            options(frame, "/") + zone_conf.named_conf(zones, frame.site.secondaries, str(folder))
        )
        zone_conf.ask_named(folder / "named.conf", paths.named_conf(frame.site), paths.zone_dir(frame.site))
        if frame.site.secondaries:
            (folder / "secondary.conf").write_text(zone_conf.secondary_conf(frame.zones, frame.primaries))
            zone_conf.ask_named(folder / "secondary.conf", paths.named_secondary(frame.site), folder)


FAMILY: Family[Frame] = Family(
    name="zone",
    frame=frame,
    rows=rows,
    text=text,
    number=number,
    around=around,
    outputs=outputs,
    check=check,
    keep=keep,
    leftovers=leftovers,
)
