"""The nodes' resolver."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from tasks import inventory, paths
from tasks.configs.resolv import FAMILY
from tasks.inventory.model import Cluster
from tests.configs.whole import SAMPLE, plain, render


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


def test_the_sample_clusters_resolver(golden: Callable[[str, str], None]) -> None:
    """A file for each network, as it was read and found good."""
    for path, text in render(FAMILY, inventory.load(SAMPLE)).items():
        assert path.match("build/etc/bootmill/nodes/*/resolv.conf")
        golden(f"resolv.{path.parent.name}.conf", text)


def test_a_network_may_ask_others(cluster: Cluster) -> None:
    """Its own domain is searched first, its own servers are asked; a fourth server would never be."""
    servers = (IPv6Address("fd00::1"), IPv4Address("10.2.0.1"), IPv4Address("10.2.0.2"), IPv4Address("10.2.0.3"))
    other = replace(cluster.networks[0], name="ib", domain="ib.renci.ben", nameservers=servers)
    site = replace(cluster.site, search=("renci.ben", "example.org"))
    texts = render(FAMILY, replace(cluster, site=site, networks=(*cluster.networks, other)))
    assert texts[paths.node_file(site, "ib", "resolv.conf")].splitlines()[1:] == [
        "search ib.renci.ben renci.ben example.org",
        "nameserver fd00::1",
        "nameserver 10.2.0.1",
        "nameserver 10.2.0.2",
        "# one too many: 10.2.0.3",
    ]
    assert "search renci.ben example.org\n" in texts[paths.node_file(site, "mgmt", "resolv.conf")]


@pytest.mark.usefixtures("scratch")
def test_files_of_networks_that_left_are_left_over(cluster: Cluster) -> None:
    """Only those that we made."""
    for network, text in {"gone": "# Made by Bootmill\n", "mgmt": "# Made by Bootmill\n", "own": "search x\n"}.items():
        path = paths.node_file(cluster.site, network, "resolv.conf")
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert FAMILY.leftovers is not None
    assert FAMILY.leftovers(FAMILY.frame(cluster)) == [paths.node_file(cluster.site, "gone", "resolv.conf")]
