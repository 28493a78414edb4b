"""The hosts file."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tasks.configs.hosts import render_hosts
from tasks.configs.slices import Record, natural, records
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster


def record(name: str, *aliases: str) -> Record:
    """Return a record with some address."""
    return Record(name=name, aliases=aliases, ip=IPv4Address("10.1.0.7"))


def test_the_sample_clusters_hosts_file(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the hosts file that was read and found good."""
    golden("hosts", render_hosts(cluster.site, records(cluster)))


def test_the_canonical_name_comes_first(cluster: Cluster) -> None:
    """A line is: address, full name, name, aliases; programs take the first name for the machine's own."""
    line = render_hosts(cluster.site, (record("n7", "seven", "lucky"),)).splitlines()[-1]
    assert line.split() == ["10.1.0.7", "n7.renci.ben", "n7", "seven", "lucky"]


def test_the_loopback_is_there_without_any_machine(cluster: Cluster) -> None:
    """An empty inventory leaves a machine that can still talk to itself."""
    assert "127.0.0.1 localhost\n::1       localhost " in render_hosts(cluster.site, ())


@pytest.mark.parametrize("name", ["localhost", "ip6-loopback"])
def test_no_machine_is_called_like_the_loopback(cluster: Cluster, name: str) -> None:
    """A node (or an alias) called localhost is an error that names it, not a head node that is cut off from itself."""
    for bad in (record(name), record("n7", name)):
        with pytest.raises(BootmillError, match=name):
            render_hosts(cluster.site, (bad,))


def test_bmcs_and_switches_have_names(cluster: Cluster) -> None:
    """Every node with a BMC has `<node>-ipmi`, and every switch its own line."""
    names = [record.name for record in records(cluster)]
    assert {"n01", "n01-ipmi", "linksys-mgt"} <= set(names)
    assert "kvm1-ipmi" not in names


def test_machines_stand_in_the_order_in_which_people_count(cluster: Cluster) -> None:
    """n2 comes before n10, and padding makes a difference, so that the order is total."""
    assert sorted(["n10", "n2", "n02", "a", "n"], key=natural) == ["a", "n", "n02", "n2", "n10"]
    node = cluster.node("n01")
    nodes = tuple(replace(node, name=name, bmc=None) for name in ("n10", "n9"))
    assert [record.name for record in records(replace(cluster, nodes=nodes, switches=()))] == ["n9", "n10"]
