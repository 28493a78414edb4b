"""Only what changed: which file depends on which part of the inventory."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tasks import configs, paths
from tasks.actions import TaskDict
from tasks.inventory.model import BootState, Cluster, Firmware, Whole

FAMILIES = ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs")
TASKS: dict[str, Callable[[Cluster], TaskDict]] = {
    **{name: partial(configs.family, name=name) for name in FAMILIES},
    "menus": configs.boot_menus,
    "httpd": configs.web_server,
}
DHCP = {"dhcpd", "kea", "dnsmasq"}


@pytest.fixture(autouse=True)
def _checkout(scratch: Path) -> None:
    """Stand in a checkout of our own: what is known of shards is kept there."""


def slices(cluster: Cluster) -> dict[str, str]:
    """Return what each task is made from."""
    return {name: str(task(cluster)["uptodate"][0][1][1]) for name, task in TASKS.items()}


def touched(before: Cluster, after: Cluster) -> set[str]:
    """Return the tasks that an edit runs again."""
    old, new = slices(before), slices(after)
    return {name for name in TASKS if old[name] != new[name]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mac": "00:18:8b:f8:e3:77"}, {*DHCP, "menus"}),
        ({"mac": None}, {*DHCP, "menus"}),
        ({"ip": IPv4Address("10.1.0.99")}, {"hosts", "zone", *DHCP}),
        ({"aliases": ("first",)}, {"hosts", "zone"}),
        ({"state": BootState.LOCAL}, {"menus"}),
        ({"kernel_args": ("quiet",)}, {"menus"}),
        ({"console": None}, {"menus"}),
        ({"firmware": Firmware.UEFI}, set()),  # it says at each boot what it is (option 93)
        ({"bmc": None}, {"hosts", "zone"}),
        ({"port": None}, set()),
        ({"memory": 4096}, set()),
        ({"groups": ("other",)}, set()),
    ],
)
def test_an_edited_node_touches_its_files_alone(
    cluster: Cluster, edited: Callable[..., Cluster], values: dict[str, Any], expected: set[str]
) -> None:
    """An edited MAC renders dhcpd.conf and menus, never hosts or a zone; what no file tells touches none."""
    assert touched(cluster, edited("n01", **values)) == expected


def test_a_local_node_does_not_depend_on_what_it_would_boot(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """The head node boots from its disk: an osimage or kernel arguments make no menu of it new."""
    values = {"osimage": cluster.osimages[0].name, "kernel_args": ("quiet",)}
    assert touched(cluster, edited("mgt", **values)) == set()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"forwarders": ()}, {"zone"}),
        ({"nameservers": (IPv4Address("10.1.0.9"),)}, {*DHCP, "resolv"}),
        ({"domain": "other.example"}, {"hosts", "zone", *DHCP, "resolv", "chrony"}),
        ({"ssh_key": "keys/other"}, set()),
    ],
)
def test_an_edited_site_touches_its_files_alone(cluster: Cluster, values: dict[str, Any], expected: set[str]) -> None:
    """Values of the site reach the files that tell them."""
    assert touched(cluster, replace(cluster, site=replace(cluster.site, **values))) == expected


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((IPv4Address("10.1.0.210"), IPv4Address("10.1.0.220")), DHCP), (None, {*DHCP, "menus"})],
    ids=["moved", "gone"],
)
def test_a_dynamic_range_is_dhcpds(cluster: Cluster, ends: Any, expected: set[str]) -> None:
    """A moved dynamic range touches no zone; without one there are no unknown machines for whom there was a menu."""
    network = replace(cluster.networks[0], dynamic_range=ends)
    assert touched(cluster, replace(cluster, networks=(network,))) == expected


def test_images_reach_the_menus_by_their_digests(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """A rebuilt image rewrites menus, but only where some node is to load it."""

    def images(cluster: Cluster) -> list[str]:
        return [name for name in configs.boot_menus(cluster)["file_dep"] if name.endswith(".sha256")]

    assert len(images(cluster)) == 3
    nodes = tuple(replace(node, state=BootState.LOCAL) for node in cluster.nodes)
    local = replace(cluster, shards=(Whole(nodes),))
    assert images(local) == [str(paths.discovery_digest("x86_64"))]
    rangeless = replace(cluster.networks[0], dynamic_range=None)
    assert images(replace(local, networks=(rangeless,))) == []
