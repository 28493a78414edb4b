"""ISC dhcpd's configurations, as text."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.configs.dhcpd import FAMILY
from tasks.inventory.model import Cluster
from tests.configs import estates
from tests.configs.whole import render


def rendered(cluster: Cluster, *, six: bool = False) -> str:
    """Return the cluster's dhcpd.conf, or its dhcpd6.conf."""
    return render(FAMILY, cluster)[Path("build/etc/dhcp") / ("dhcpd6.conf" if six else "dhcpd.conf")]


def test_the_sample_clusters_files(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the files that were read and found good."""
    golden("dhcpd.conf", rendered(cluster))
    golden("dhcpd6.conf", rendered(cluster, six=True))


def test_everything_that_can_be_told(golden: Callable[[str, str], None]) -> None:
    """Shared and relayed networks, service nodes, IPv6, machines that do not boot."""
    golden("estate/dhcpd.conf", rendered(estates.estate()))
    golden("estate/dhcpd6.conf", rendered(estates.estate(), six=True))


@pytest.mark.parametrize("six", [False, True])
def test_parts_are_the_whole(six: bool) -> None:
    """However the nodes are cut into parts, the file is the same."""
    cluster = estates.estate()
    path = Path("build/etc/dhcp") / ("dhcpd6.conf" if six else "dhcpd.conf")
    assert render(FAMILY, cluster, chunks=1)[path] == render(FAMILY, cluster, chunks=5)[path]


def test_a_node_without_a_mac_has_no_host_entry(edited: Callable[..., Cluster]) -> None:
    """What dhcpd cannot recognise it is not told about."""
    text = rendered(edited("n01", mac=None))
    assert "host n01 " not in text
    assert "host n02 " in text


def test_a_foreign_network_is_only_declared_where_it_shares_a_wire() -> None:
    """Without it dhcpd would refuse addresses there in the name of the other server."""
    text = rendered(estates.estate())
    assert "subnet 10.5.0.0 netmask 255.255.255.0 {\n        not authoritative;" in text
    assert "10.9.0" not in text


def test_a_network_without_a_server_of_its_own_over_ipv6_offers_nothing() -> None:
    """Who has the boot files is not known: addresses only."""
    networks = tuple(replace(network, next_server6=None) for network in estates.NETWORKS)
    text = rendered(replace(estates.estate(), networks=networks), six=True)
    assert "subnet6 fd00:1::/64" in text
    assert "bootfile-url" not in text
