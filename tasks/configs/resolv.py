"""The nodes' resolver, resolv.conf(5): one file for each network, ``etc/bootmill/nodes/<network>/resolv.conf``.

The head node's own is its system's business.  Nodes with DHCP are told the same by the DHCP server; the files are for
images with fixed addresses, and to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tasks import paths
from tasks.configs import leftover, walls
from tasks.family import Around, Family
from tasks.inventory.model import Cluster, Site

HEADER = "# Made by Bootmill from inventory/: edits are lost.\n"
MOST_SERVERS = 3  # MAXNS in resolv.h: the C libraries ask no further one


class Resolver(NamedTuple):
    """What the nodes of a network ask."""

    network: str
    search: tuple[str, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The resolvers of all networks."""

    site: Site
    resolvers: tuple[Resolver, ...]


def frame(cluster: Cluster) -> Frame:
    """Return each network's search list, its own domain first, and its name servers."""
    site = cluster.site
    resolvers = [
        Resolver(
            network.name,
            tuple(dict.fromkeys([network.domain or site.domain, *(site.search or [site.domain])])),
            tuple(map(str, network.nameservers or site.nameservers)),
        )
        for network in cluster.networks
    ]
    return Frame(site=site.only(), resolvers=tuple(resolvers))


def render(resolver: Resolver) -> str:
    """Return a resolv.conf."""
    lines = [f"search {' '.join(map(walls.host, resolver.search))}\n"]
    for index, server in enumerate(walls.addresses(resolver.servers)):
        lines.append(f"nameserver {server}\n" if index < MOST_SERVERS else f"# one too many: {server}\n")
    return HEADER + "".join(lines)


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return every file."""
    return {
        one.network: Around(path=paths.node_file(frame.site, one.network, "resolv.conf"), head=render(one))
        for one in frame.resolvers
    }


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the files' paths."""
    return [paths.node_file(frame.site, one.network, "resolv.conf") for one in frame.resolvers]


FAMILY: Family[Frame] = Family(
    name="resolv",
    frame=frame,
    rows=lambda _frame, _nodes: (),
    text=lambda _frame, _rows: {},
    around=around,
    outputs=outputs,
    check=lambda _frame, _texts: None,  # there is no checker, and nothing in it but addresses and domain names
    leftovers=lambda frame: leftover.ours(paths.node_files(frame.site), "*/resolv.conf", outputs(frame)),
)
