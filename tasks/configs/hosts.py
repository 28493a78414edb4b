"""The hosts file, hosts(5): ``address  name.domain  name  aliases``.

The full name comes first: it is the canonical one (gethostbyaddr(3), ``hostname --fqdn``), unless the site wants its
short names first.  Each interface of a node has a line for each of its addresses, and so has its BMC.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks import paths, template
from tasks.configs.names import BLOCK4, OCTETS, Domains, Named, domains, dotted4, named, of_switch, text6
from tasks.errors import BootmillError
from tasks.family import Around, Family, Rows
from tasks.hostsfile import contradictions, staged
from tasks.inventory.model import Cluster, Node, Site

TEMPLATE = Path(__file__).parent / "templates" / "hosts.j2"
KEY = "hosts"
# The names that the loopback lines of the template give away.
LOOPBACK = frozenset({"localhost", "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters"})


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What every line depends on, and the switches."""

    site: Site
    domains: Domains
    switches: tuple[Named, ...]


def frame(cluster: Cluster) -> Frame:
    """Return what is the same for all nodes."""
    return Frame(
        site=cluster.site.only("domain", "master", "short_names_first"),
        domains=domains(cluster),
        switches=tuple(map(of_switch, cluster.switches)),
    )


def rows(_frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return the nodes' names and addresses."""
    return named(nodes)


def text(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return the lines of some nodes."""
    return {KEY: lines(frame, rows)}  # type: ignore[arg-type]  # the rows are Named


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return the loopback's and the switches' lines, before those of the nodes."""
    head = template.render(TEMPLATE, switches=lines(frame, frame.switches))
    return {KEY: Around(path=paths.hosts(frame.site), head=head, merge=staged, remarks=contradictions)}


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the one file."""
    return [paths.hosts(frame.site)]


def check(_frame: Frame, _texts: Mapping[str, str]) -> None:
    """Ask nobody: no program reads a hosts file but to use it."""


# -- lines -----------------------------------------------------------------------------------------------------------


class Places(dict[int, tuple[str, str]]):
    """Block of addresses → its first three octets (with the dot) and the domain of its names."""

    def __init__(self, domains: Domains) -> None:
        """Look at every block when it is met first."""
        super().__init__()
        self.domains = domains
        self.shift = domains.finest(4, BLOCK4)

    def __missing__(self, block: int) -> tuple[str, str]:
        number = block << self.shift
        place = dotted4(number).rpartition(".")[0] + ".", self.domains.of(4, number)
        self[block] = place
        return place


def lines(frame: Frame, machines: Iterable[Named]) -> str:
    """Return the lines of machines.  One that is called like the loopback would cut programs off: an error."""
    places = Places(frame.domains)
    shift, of, master = places.shift, frame.domains.of, frame.site.master
    found: list[str] = []
    names_at = short_first if frame.site.short_names_first else long_first

    def add(names: tuple[str, ...], ip: int | None, ip6: int | None) -> None:
        if not LOOPBACK.isdisjoint(names):
            refuse(names)
        if ip is not None:
            octets, domain = places[ip >> shift]
            found.append(f"{octets + OCTETS[ip & 255]:<15} {names_at(names, domain)}{also(names, domain)}\n")
        if ip6 is not None:
            domain = of(6, ip6)
            found.append(f"{text6(ip6):<15} {names_at(names, domain)}{also(names, domain)}\n")

    def also(names: tuple[str, ...], domain: str) -> str:
        """The head node has its name in the site's domain, too, wherever it lies: the zones name it."""
        default = frame.domains.default
        return f" {master}.{default}" if names[0] == master and domain != default else ""

    for machine in machines:
        add((machine.name, *machine.aliases), machine.ip, machine.ip6)
        for nic in machine.nics:
            add(*nic)
        if machine.bmc is not None:
            add((machine.bmc[0],), machine.bmc[1], None)
    return "".join(found)


def long_first(names: tuple[str, ...], domain: str) -> str:
    """Return the full name, then all others."""
    return f"{names[0]}.{domain} {' '.join(names)}"


def short_first(names: tuple[str, ...], domain: str) -> str:
    """Return the short name, the full name, the aliases."""
    return " ".join((names[0], f"{names[0]}.{domain}", *names[1:]))


def refuse(names: tuple[str, ...]) -> None:
    """Raise the error for a machine that has a name of the loopback."""
    taken = ", ".join(sorted(LOOPBACK.intersection(names)))
    message = f"{names[0]}: no machine can be called {taken}, it is the loopback's name in every hosts file"
    raise BootmillError(message, hint="choose another name in inventory/nodes.yaml or inventory/switches.yaml")


FAMILY: Family[Frame] = Family(
    name="hosts", frame=frame, rows=rows, text=text, around=around, outputs=outputs, check=check
)
