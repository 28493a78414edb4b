"""ssh: a configuration for ssh_config(5) that knows every node, and a list of the nodes for ssh-keyscan(1).

    ssh -F build/etc/bootmill/ssh/config n01        or, in ~/.ssh/config: Include /etc/bootmill/ssh/config
    ssh-keyscan -t ed25519 -f build/etc/bootmill/ssh/hosts > known_hosts

There is no known_hosts to render: a node makes its host key itself (one in the image would be the same on all nodes,
and known to all who can fetch the image), so that a diskless node has another one after each boot.  What is known
before are the names and addresses that a key belongs to; ssh-keyscan adds the keys of the nodes that are up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, cast

from tasks import paths
from tasks.exports.quote import NAME, WORD, inspect, wall
from tasks.family import Around, Family, Rows
from tasks.inventory.model import Cluster, Network, NetworkFinder, Node, Site

CONFIG_HEAD = """\
# Made by Bootmill from inventory/: edits are lost.  In ~/.ssh/config: Include <this file>; or: ssh -F <this file> n01
# The key is found from the checkout's folder; elsewhere: ssh -i <the checkout>/inventory/keys/...
"""
HOSTS_HEAD = """\
# Made by Bootmill from inventory/: edits are lost.  Whom a host key belongs to: ssh-keyscan -t ed25519 -f <this file>
# The keys are not here: each node makes its own, a diskless one at every boot.  ssh-keyscan believes whoever answers;
# run it where you trust the network, and again after diskless nodes were booted.
"""
CONFIG, HOSTS = "config", "hosts"
FULL = rf"{NAME}(?:\.{NAME})*+"
ADDRESS = r"[0-9.]{7,15}"
CONFIG_LINE = wall(
    rf"(?:Host {NAME}(?: {FULL})*+|    HostName {ADDRESS}|    User root|    IdentityFile {WORD.pattern}"
    rf"|    ProxyJump {NAME})"
)
HOSTS_LINE = wall(rf"{ADDRESS} {FULL}(?:,{FULL})++")


class Host(NamedTuple):
    """A node as ssh knows it."""

    names: tuple[str, ...]  # short and full ones
    ip: str
    is_ours: bool  # it runs an image of ours: root is whom the site's key lets in
    jump: str | None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the files depend on besides the nodes: networks have no more than their subnets, domain and relay."""

    site: Site
    networks: tuple[Network, ...]


def frame(cluster: Cluster) -> Frame:
    """Return what the files depend on besides the nodes."""
    return Frame(site=cluster.site.only("domain", "ssh_key"), networks=tuple(map(bare, cluster.networks)))


def bare(network: Network) -> Network:
    """Return a network with all blank that ssh does not ask for."""
    return Network(
        name=network.name,
        subnet=network.subnet,
        subnet6=network.subnet6,
        domain=network.domain,
        relay=network.relay,
        gateway=None,
        dynamic_range=None,
        next_server=network.subnet.network_address,
    )


def rows(frame: Frame, nodes: Sequence[Node]) -> Rows:
    """Return the nodes' names and addresses, and behind which node they are."""
    finder = NetworkFinder(frame.networks)
    return tuple(host(frame, finder.find(node.ip), node) for node in nodes)


def host(frame: Frame, network: Network | None, node: Node) -> Host:
    """Return a node as ssh knows it.  One in a remote network is reached through the node that serves it."""
    domain = (network and network.domain) or frame.site.domain
    names = node.name, *node.aliases
    remote = network is not None and network.relay is not None and node.service_node != node.name
    return Host(
        names=(*names, *(f"{name}.{domain}" for name in names)),
        ip=str(node.ip),
        is_ours=node.osimage is not None,
        jump=node.service_node if remote else None,
    )


def text(frame: Frame, rows: Rows) -> Mapping[str, str]:
    """Return a block for each node, and a line for its key."""
    key = str(paths.site_key(frame.site))
    login = "    User root\n" + (f"    IdentityFile {key}\n" if WORD.fullmatch(key) else "")
    config, hosts = [], []
    for names, ip, is_ours, jump in cast("tuple[Host, ...]", rows):
        proxy = f"    ProxyJump {jump}\n" if jump else ""
        config.append(f"Host {' '.join(names)}\n    HostName {ip}\n{login if is_ours else ''}{proxy}")
        hosts.append(f"{ip} {','.join(names)},{ip}\n")
    return {CONFIG: "".join(config), HOSTS: "".join(hosts)}


def around(frame: Frame, _sums: Mapping[str, str]) -> Mapping[str, Around]:
    """Return what stands before the nodes."""
    config, hosts = outputs(frame)
    return {CONFIG: Around(path=config, head=CONFIG_HEAD), HOSTS: Around(path=hosts, head=HOSTS_HEAD)}


def outputs(frame: Frame) -> Sequence[Path]:
    """Return the configuration and the list for ssh-keyscan."""
    return [paths.for_tools(frame.site, f"ssh/{name}") for name in (CONFIG, HOSTS)]


def check(frame: Frame, texts: Mapping[str, str]) -> None:
    """Look at every line."""
    config, hosts = outputs(frame)
    inspect(config, texts[CONFIG], CONFIG_LINE)
    inspect(hosts, texts[HOSTS], HOSTS_LINE)


FAMILY: Final = Family(name="ssh", frame=frame, rows=rows, text=text, around=around, outputs=outputs, check=check)
