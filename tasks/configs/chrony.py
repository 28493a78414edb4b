"""The time, chrony.conf(5): the head node serves its networks, the nodes ask it or what the inventory names.

For the head node a part of its chrony.conf, ``etc/chrony/conf.d/bootmill.conf``, which Debian's includes: the drift
file, the keys and the log stay the distribution's.  For nodes the whole file, for each network one:
``etc/bootmill/nodes/<network>/chrony.conf``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tasks import paths, template
from tasks.configs import leftover, walls
from tasks.configs.check import ask, candidate
from tasks.family import Around, Family
from tasks.inventory.model import Cluster, Site

TEMPLATES = Path(__file__).parent / "templates"
HEAD = "head"


class Clock(NamedTuple):
    """Whom the nodes of a network ask."""

    network: str
    servers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Whom the head node asks, whom it serves, whom the nodes of each network ask."""

    site: Site
    upstream: tuple[str, ...]
    subnets: tuple[str, ...]
    clocks: tuple[Clock, ...]


def frame(cluster: Cluster) -> Frame:
    """Return who asks whom.  The head node never asks itself, although the nodes may be told to ask it by address."""
    site = cluster.site
    head = f"{site.master}.{site.domain}"
    own = {site.master, head, *map(str, cluster.served_addresses())}
    return Frame(
        site=site.only(),
        upstream=tuple(server for server in site.ntp_servers if server not in own),
        subnets=tuple(str(subnet) for network in cluster.networks for subnet in network.subnets),
        clocks=tuple(
            Clock(network.name, network.ntp_servers or site.ntp_servers or (head,)) for network in cluster.networks
        ),
    )


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return every file."""
    upstream, subnets = tuple(map(walls.host, frame.upstream)), walls.addresses(frame.subnets)
    head = template.render(TEMPLATES / "chrony_head.conf.j2", upstream=upstream, subnets=subnets)
    nodes = {
        f"nodes/{clock.network}": Around(
            path=paths.node_file(frame.site, clock.network, "chrony.conf"),
            head=template.render(TEMPLATES / "chrony_nodes.conf.j2", servers=tuple(map(walls.host, clock.servers))),
        )
        for clock in frame.clocks
    }
    return {HEAD: Around(path=paths.chrony_conf(frame.site), head=head)} | nodes


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the files' paths."""
    nodes = [paths.node_file(frame.site, clock.network, "chrony.conf") for clock in frame.clocks]
    return [paths.chrony_conf(frame.site), *nodes]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Ask chronyd to read each text that is unlike the others; it prints what it has read."""
    with candidate("chrony") as folder:
        for text in dict.fromkeys(texts.values()):
            path = folder / "chrony.conf"
            path.write_text(text)
            ask(["chronyd", "-p", "-f", path], about=paths.chrony_conf(frame.site))


def leftovers(frame: Frame) -> Sequence[Path]:
    """Return the files of networks that are gone."""
    return leftover.ours(paths.node_files(frame.site), "*/chrony.conf", outputs(frame))


FAMILY: Family[Frame] = Family(
    name="chrony",
    frame=frame,
    rows=lambda _frame, _nodes: (),
    text=lambda _frame, _rows: {},
    around=around,
    outputs=outputs,
    check=check,
    leftovers=leftovers,
)
