"""The last walls before files that name addresses: a zone of an IPv6 address may be any text, and reaches none."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any

import pytest

from tasks.configs import chrony, clients, nfs, resolv, walls, zone
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Export, Network, Site
from tests.configs.whole import plain

Change = Callable[[Site, Network], tuple[Site, Network]]
NET = IPv6Network("fd00:1::%x(rw,no_root_squash) */64")
ONE = IPv6Address("fd00:1::1%x; }")


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain, with an export."""
    cluster = plain(cluster)
    exports = (Export(path="/home", networks=(), options=("ro",)),)
    return replace(cluster, site=replace(cluster.site, exports=exports))


def of_site(**values: Any) -> Change:
    """Return what changes the site."""
    return lambda site, network: (replace(site, **values), network)


def of_network(**values: Any) -> Change:
    """Return what changes the network."""
    return lambda site, network: (site, replace(network, **values))


@pytest.mark.parametrize(
    ("family", "change"),
    [
        (nfs, of_network(subnet6=NET)),
        (chrony, of_network(subnet6=NET)),
        (chrony, of_network(ntp_servers=("fe80::1%eth0 prefer",))),
        (chrony, of_site(ntp_servers=("fe80::1%eth0 prefer",))),
        (chrony, of_site(ntp_servers=("a\ncommand",))),
        (resolv, of_network(nameservers=(ONE,))),
        (resolv, of_site(nameservers=(ONE,))),
        (resolv, of_network(domain="a\nnameserver 192.0.2.1")),
        (zone, of_network(subnet6=NET)),
        (zone, of_site(forwarders=(ONE,))),
        (zone, of_site(secondaries=(ONE,))),
        (clients, of_network(subnet6=NET)),
        (clients, of_network(next_server6=ONE)),
        (clients, of_network(dynamic_range6=(ONE, ONE))),
        (clients, of_network(nameservers=(ONE,))),
        (clients, of_site(nameservers=(ONE,))),
        (clients, of_network(ntp_servers=(str(ONE),))),
    ],
)
def test_a_zone_reaches_no_file(cluster: Cluster, family: Any, change: Change) -> None:
    """Each file's own wall holds where the inventory's border let something through."""
    render(family, cluster)
    site, network = change(cluster.site, cluster.networks[0])
    with pytest.raises(BootmillError, match=r"is no (host name or )?address: it cannot be written"):
        render(family, replace(cluster, site=site, networks=(network,)))


def render(family: Any, cluster: Cluster) -> None:
    """Render what does not depend on nodes."""
    frame = family.frame(cluster)
    if family is not clients:
        family.around(frame, {})


@pytest.mark.parametrize("value", [IPv4Address("10.1.0.1"), IPv6Network("fd00::/64"), "::ffff:10.1.0.1", "10.0.0.0/8"])
def test_addresses_pass(value: object) -> None:
    """As they are."""
    assert walls.address(value) == str(value)
    assert walls.host("ntp.example.org") == "ntp.example.org"


@pytest.mark.parametrize("text", ["", "a.example", "10.1.0.1 ", "10.1.0.1\n", "fe80::1%eth0", "1.2.3.4/24/1", "::1;"])
def test_nothing_else_does(text: str) -> None:
    """No blank, no line end, no zone."""
    with pytest.raises(BootmillError):
        walls.address(text)
