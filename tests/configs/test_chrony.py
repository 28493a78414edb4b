"""The time: whom the head node and the nodes ask."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Network

import pytest

from tasks import inventory, paths
from tasks.configs.chrony import FAMILY
from tasks.inventory.model import Cluster
from tests.configs.whole import SAMPLE, plain, render


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


def words(cluster: Cluster) -> tuple[list[str], list[str]]:
    """Return what the head node's file and the nodes' say."""
    texts = render(FAMILY, cluster)
    found = texts[paths.chrony_conf(cluster.site)], texts[paths.node_file(cluster.site, "mgmt", "chrony.conf")]
    head, nodes = ([line for line in text.splitlines() if not line.startswith("#")] for text in found)
    return head, nodes


def test_the_sample_clusters_time(golden: Callable[[str, str], None]) -> None:
    """The head node's part and the file of each network, as they were read and found good."""
    for path, text in render(FAMILY, inventory.load(SAMPLE)).items():
        golden(f"chrony.{path.parent.name}.conf", text)


def test_without_a_server_the_head_node_is_the_clock(cluster: Cluster) -> None:
    """It serves its own time to every network, and the nodes ask it."""
    networks = (replace(cluster.networks[0], subnet6=IPv6Network("fd00::/64")),)
    head, nodes = words(replace(cluster, networks=networks))
    assert head == ["local stratum 10", "allow 10.1.0.0/24", "allow fd00::/64"]
    assert nodes[0] == "server mgt.renci.ben iburst"


def test_the_sites_servers_are_asked(cluster: Cluster) -> None:
    """By the head node, and by nodes whose network names no others."""
    site = replace(cluster.site, ntp_servers=("ntp.example.org", "192.0.2.1"))
    head, nodes = words(replace(cluster, site=site))
    assert head == ["server ntp.example.org iburst", "server 192.0.2.1 iburst", "allow 10.1.0.0/24"]
    assert nodes[:2] == head[:2]
    own = replace(cluster.networks[0], ntp_servers=("10.1.0.9",))
    assert words(replace(cluster, site=site, networks=(own,)))[1][0] == "server 10.1.0.9 iburst"


@pytest.mark.parametrize("name", ["mgt", "mgt.renci.ben", "10.1.0.1"])
def test_the_head_node_never_asks_itself(cluster: Cluster, name: str) -> None:
    """A site may name it as everybody's server: then it is the clock, not its own client."""
    assert cluster.served_addresses() == (IPv4Address("10.1.0.1"),)
    head, nodes = words(replace(cluster, site=replace(cluster.site, ntp_servers=(name,))))
    assert head[0] == "local stratum 10"
    assert nodes[0] == f"server {name} iburst"
