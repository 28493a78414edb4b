"""Two clusters → changes, causes and what must boot again."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from tasks.deploy.difference import Change, Kind, node_changes, pairs, tables
from tasks.deploy.effects import reboots
from tasks.inventory.model import BootState, Cluster, Console, FstabEntry, Nic, SecretKind, SecretRef, Whole


@pytest.fixture
def edited(cluster: Cluster) -> Callable[..., Cluster]:
    """Return a function that changes a node of the sample cluster: ``edited("n01", mac="…")``."""

    def edit(name: str, **values: Any) -> Cluster:
        nodes = tuple(replace(node, **values) if node.name == name else node for node in cluster.nodes)
        return replace(cluster, shards=(Whole(nodes),))

    return edit


def changes(old: Cluster, new: Cluster) -> list[str]:
    """Return every change as people read it."""
    return [str(change) for change in tables(old, new)] + [
        str(change) for pair in pairs(old, new) for change in node_changes(pair)
    ]


def test_nothing_changed(cluster: Cluster) -> None:
    """The same cluster, cut otherwise, has no change."""
    half = len(cluster.nodes) // 2
    cut = replace(cluster, shards=(Whole(cluster.nodes[:half]), Whole(cluster.nodes[half:])))
    assert changes(cluster, cluster) == changes(cluster, cut) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mac": "00:00:00:00:00:01"}, ["n01: mac 00:18:8b:f8:e3:58 → 00:00:00:00:00:01"]),
        ({"ip": IPv4Address("10.1.0.99")}, ["n01: ip 10.1.0.11 → 10.1.0.99"]),
        ({"mac": None}, ["n01: mac 00:18:8b:f8:e3:58 → nothing"]),
        ({"state": BootState.LOCAL}, ["n01: state netboot → local"]),
        ({"kernel_args": ("a=1", "b")}, ["n01: kernel_args nothing → a=1, b"]),
        ({"console": Console(port=1, speed=9600)}, ["n01: console.port 0 → 1", "n01: console.speed 115200 → 9600"]),
        ({"vars": (("rack", "7"),)}, ["n01: vars nothing → rack=7"]),
        (
            {"nics": (Nic(name="eth1", names=("n01-eth1",), ip=IPv4Address("10.1.0.98")),)},
            ["n01: nics.eth1.names nothing → n01-eth1", "n01: nics.eth1.ip nothing → 10.1.0.98"],
        ),
    ],
)
def test_attributes(cluster: Cluster, edited: Callable[..., Cluster], values: dict[str, Any], told: list[str]) -> None:
    """Each attribute that differs is one change, those inside others with dots."""
    assert changes(cluster, edited("n01", **values)) == told


def test_a_secret_is_told_as_a_reference(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """Never more than where it lies."""
    bmc = cluster.node("n01").bmc
    assert bmc is not None
    new = edited("n01", bmc=replace(bmc, password=SecretRef(kind=SecretKind.FILE, where="keys/bmc")))
    assert changes(cluster, new) == ["n01: bmc.password env:BOOTMILL_BMC_PASSWORD → file:keys/bmc"]


def test_a_long_list_is_told_by_what_comes_and_goes(cluster: Cluster) -> None:
    """Nobody reads eight packages twice; programs get all of them."""
    image = cluster.osimages[0]
    packages = (*(name for name in image.packages if name != "udev"), "less")
    new = replace(cluster, osimages=(replace(image, packages=packages),))
    assert changes(cluster, new) == [f"{image.name}: packages with less; without udev"]
    assert tables(cluster, new)[0].new.startswith("busybox, dbus")
    turned = replace(cluster, osimages=(replace(image, packages=image.packages[::-1]),))
    assert changes(cluster, turned) == [f"{image.name}: packages in another order"]


def test_rows_come_and_go(cluster: Cluster) -> None:
    """A node, a switch, an osimage; the site and a network that change."""
    fewer = replace(cluster, shards=(Whole(tuple(node for node in cluster.nodes if node.name != "n02")),), media=())
    name = cluster.media[0].name
    assert changes(cluster, fewer) == [f"{name}: gone in media", "n02: gone in nodes"]
    assert changes(fewer, cluster) == [f"{name}: new in media", "n02: new in nodes"]
    mgmt, *others = cluster.networks
    other = replace(
        cluster,
        site=replace(cluster.site, domain="example"),
        networks=(replace(mgmt, gateway=None), *others),
    )
    assert changes(cluster, other) == [
        "site: domain renci.ben → example",
        f"{mgmt.name}: gateway {mgmt.gateway} → nothing",
    ]


def test_what_must_boot_again(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """What a node has from its last boot; not what only others know of it, never the head node."""

    def told(new: Cluster) -> dict[str, list[str]]:
        changed = [(pair, node_changes(pair)) for pair in pairs(cluster, new)]
        found = reboots(new, changed, tables(cluster, new))
        return {reboot.node: [str(change) for change in reboot.why] for reboot in found}

    assert told(edited("n01", aliases=("x",))) == {}
    assert told(edited("n01", kernel_args=("quiet",))) == {"n01": ["n01: kernel_args nothing → quiet"]}
    assert told(edited("n01", state=BootState.LOCAL)) == {"n01": ["n01: state netboot → local"]}
    assert told(edited("mgt", kernel_args=("quiet",))) == {}
    image = cluster.osimages[0]
    line = FstabEntry(device="none", mountpoint="/x", type="tmpfs", options="rw", dump=0, check=0)
    new = replace(cluster, osimages=(replace(image, fstab=(line,)),))
    assert list(told(new)) == [node.name for node in cluster.nodes if node.osimage == image.name]
    assert told(new)["n01"][0].endswith("→ none /x tmpfs rw 0 0")


def test_top_is_the_models_field() -> None:
    """``bmc.address`` is told of the field bmc."""
    assert Change(Kind.CHANGED, "nodes", "n01", "bmc.address").top == "bmc"
