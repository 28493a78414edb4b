"""Only what changed: which file depends on which part of the inventory."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from tasks import configs
from tasks.actions import TaskDict
from tasks.inventory.model import BootState, Cluster, Firmware

TASKS: dict[str, Callable[[Cluster], TaskDict]] = {
    "hosts": configs.hosts,
    "zone": configs.zone,
    "dhcpd": configs.dhcpd,
    "menus": configs.menus,
    "httpd": configs.httpd,
}


def slices(cluster: Cluster) -> dict[str, Any]:
    """Return what each task is given."""
    return {name: task(cluster)["actions"][0][1][-1] for name, task in TASKS.items()}


def touched(before: Cluster, after: Cluster) -> set[str]:
    """Return the tasks that an edit runs again."""
    old, new = slices(before), slices(after)
    return {name for name in TASKS if repr(old[name]) != repr(new[name])}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"mac": "00:18:8b:f8:e3:77"}, {"dhcpd", "menus"}),
        ({"mac": None}, {"dhcpd", "menus"}),
        ({"ip": IPv4Address("10.1.0.99")}, {"hosts", "zone", "dhcpd"}),
        ({"aliases": ("first",)}, {"hosts", "zone"}),
        ({"state": BootState.LOCAL}, {"menus"}),
        ({"kernel_args": ("quiet",)}, {"menus"}),
        ({"console": None}, {"menus"}),
        ({"firmware": Firmware.UEFI}, {"dhcpd"}),
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
        ({"nameservers": (IPv4Address("10.1.0.9"),)}, {"dhcpd"}),
        ({"domain": "other.example"}, {"hosts", "zone", "dhcpd"}),
        ({"ssh_key": "keys/other"}, set()),
    ],
)
def test_an_edited_site_touches_its_files_alone(cluster: Cluster, values: dict[str, Any], expected: set[str]) -> None:
    """Values of the site reach the files that tell them."""
    assert touched(cluster, replace(cluster, site=replace(cluster.site, **values))) == expected


def test_a_dynamic_range_is_dhcpds_alone(cluster: Cluster) -> None:
    """A moved dynamic range does not touch a zone."""
    network = replace(cluster.networks[0], dynamic_range=None)
    assert touched(cluster, replace(cluster, networks=(network,))) == {"dhcpd"}


def test_images_reach_the_menus_by_their_digests(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """A rebuilt image rewrites menus, but only where some node is to load it."""

    def images(cluster: Cluster) -> list[str]:
        return [name for name in configs.menus(cluster)["file_dep"] if name.endswith(".sha256")]

    assert len(images(cluster)) == 2
    nodes = tuple(replace(node, state=BootState.LOCAL) for node in cluster.nodes)
    assert images(replace(cluster, nodes=nodes)) == []
