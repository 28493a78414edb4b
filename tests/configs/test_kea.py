"""Kea's configurations, as text and as what they mean."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tasks import files
from tasks.configs import kea
from tasks.configs.kea import FAMILY
from tasks.inventory.model import Cluster
from tests.configs import estates
from tests.configs.whole import render, write

FOLDER = Path("build/etc/kea")


def read(texts: dict[Path, str], name: str) -> Any:
    """Return what a configuration holds, its first line (a comment) and its includes put aside."""
    text = texts[FOLDER / name].partition("\n")[2]
    return json.loads(text.replace('<?include "', '"').replace('"?>', '"'))


def test_the_sample_clusters_files(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the files that were read and found good."""
    texts = render(FAMILY, cluster)
    for name in ("kea-dhcp4.conf", "kea-dhcp6.conf", "bootmill/dhcp4-mgmt.json"):
        golden(f"kea/{Path(name).name}", texts[FOLDER / name])


def test_everything_that_can_be_told(golden: Callable[[str, str], None]) -> None:
    """Shared and relayed networks, service nodes, IPv6, machines that do not boot."""
    for path, text in render(FAMILY, estates.estate()).items():
        golden(f"estate/kea/{path.name}", text)


def test_every_part_is_json() -> None:
    """The reservations of each subnet are a list's items, however the nodes are cut into parts."""
    for chunks in (1, 3, 30):
        texts = render(FAMILY, estates.estate(), chunks=chunks)
        items = {path.name: lines(text) for path, text in texts.items() if path.parent.name == "bootmill"}
        assert [one["ip-address"] for one in items["dhcp4-storage.json"]] == ["10.2.1.14", "10.2.0.15", "10.2.1.24"]
        assert items["dhcp4-mgmt.json"][-1]["hostname"] == "sw1"
        assert [one["ip-addresses"] for one in items["dhcp6-mgmt.json"]] == [["fd00:1::11"], ["fd00:1::13"]]
        assert "dhcp6-remote.json" not in items


def lines(text: str) -> Any:
    """Return the reservations of a file."""
    return json.loads(f"[{text.partition(chr(10))[2]}]")


def test_a_part_that_is_left_out_leaves_no_comma_to_the_checker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only new parts are shown to Kea; what comes behind them is as in the whole file."""
    monkeypatch.chdir(tmp_path)
    frame = FAMILY.frame(estates.estate())
    sums = dict.fromkeys(kea.keys(frame), sha256(b"something").hexdigest())
    around = FAMILY.around(frame, sums)
    asked: list[str] = []

    def ask(argv: list[Path], **_: object) -> None:
        asked.append((argv[-1].parent / "dhcp4-mgmt.json").read_text())

    monkeypatch.setattr(kea, "ask", ask)
    FAMILY.check(frame, {key: one.head + one.tail for key, one in around.items()})
    assert around["dhcp4-mgmt"].tail.startswith(",\n")
    assert [one["hostname"] for one in lines(asked[0])] == ["sw1"]


def test_every_class_that_is_asked_for_is_there() -> None:
    """Subnets and reservations name classes that are defined; a class is defined once, and after those it names."""
    texts = render(FAMILY, estates.everything())
    for name, key, subnets in (("kea-dhcp4.conf", "Dhcp4", "subnet4"), ("kea-dhcp6.conf", "Dhcp6", "subnet6")):
        config = read(texts, name)[key]
        defined = [one["name"] for one in config["client-classes"]]
        assert len(defined) == len(set(defined))
        networks = [subnet for network in config["shared-networks"] for subnet in network[subnets]]
        assert all(set(subnet["require-client-classes"]) <= set(defined) for subnet in networks)
        assert any(subnet["require-client-classes"] for subnet in networks)
    reserved = [line for path, text in texts.items() if path.name.startswith("dhcp4-") for line in lines(text)]
    named = {name for line in reserved for name in line.get("client-classes", [])}
    assert named <= {one["name"] for one in read(texts, "kea-dhcp4.conf")["Dhcp4"]["client-classes"]}
    assert "server-10.1.0.20" in named


def test_subnets_keep_their_ids() -> None:
    """Leases refer to them: a network that goes does not move the others'."""
    cluster = estates.estate()
    before, after = (ids(render(FAMILY, one)) for one in (cluster, without(cluster, "mgmt")))
    assert after == {name: number for name, number in before.items() if name != "mgmt"}
    assert len(set(before.values())) == len(before)


def ids(texts: dict[Path, str]) -> dict[str, int]:
    """Return the ids of the IPv4 subnets by name."""
    networks = read(texts, "kea-dhcp4.conf")["Dhcp4"]["shared-networks"]
    return {subnet["user-context"]["name"]: subnet["id"] for network in networks for subnet in network["subnet4"]}


def without(cluster: Cluster, name: str) -> Cluster:
    """Return the cluster without a network."""
    return replace(cluster, networks=tuple(network for network in cluster.networks if network.name != name))


def test_reservations_of_a_network_that_left_are_gone(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is removed; another's, and one of the user's own, stay."""
    monkeypatch.setattr(kea, "ask", lambda *_, **__: None)
    write(FAMILY, estates.estate())
    folder = scratch / FOLDER / "bootmill"
    files.write_atomic(folder / "dhcp4-own.json", "{}")
    write(FAMILY, without(estates.estate(), "remote"))
    assert not (folder / "dhcp4-remote.json").exists()
    assert (folder / "dhcp4-mgmt.json").exists()
    assert (folder / "dhcp4-own.json").exists()
