"""The zones and named's configuration, as text."""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from tasks.configs.slices import Record, records, subnets
from tasks.configs.zone import (
    CACHE,
    HEADER,
    parts,
    remove_others,
    render_named_conf,
    render_options,
    render_zone,
    zones,
)
from tasks.inventory.model import Cluster


def rendered(cluster: Cluster) -> dict[str, str]:
    """Return the cluster's zone files."""
    found = zones(cluster.site, subnets(cluster), records(cluster))
    return {zone.file: render_zone(cluster.site, zone) for zone in found}


def serials(cluster: Cluster) -> dict[str, int]:
    """Return the serial of each zone file."""
    found = {file: re.search(r"(\d+) ; serial", text) for file, text in rendered(cluster).items()}
    return {file: int(match[1]) for file, match in found.items() if match}


def test_the_sample_clusters_zones(cluster: Cluster, golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the zones and the named.conf parts that were read and found good."""
    texts = rendered(cluster)
    assert list(texts) == ["db.renci.ben", "db.0.1.10.in-addr.arpa"]
    for file, text in texts.items():
        golden(file, text)
    golden("named.conf.bootmill", render_named_conf(("renci.ben", "0.1.10.in-addr.arpa")))
    golden("named.conf.bootmill-options", render_options(cluster.site, subnets(cluster), CACHE))


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [
        ("10.1.0.0/24", ["0.1.10"]),
        ("10.1.0.128/25", ["0.1.10"]),
        ("10.1.2.3/32", ["2.1.10"]),
        ("10.1.0.0/23", ["0.1.10", "1.1.10"]),
        ("10.1.4.0/22", ["4.1.10", "5.1.10", "6.1.10", "7.1.10"]),
        ("10.1.0.0/16", ["1.10"]),
        ("172.16.0.0/15", ["16.172", "17.172"]),
        ("10.0.0.0/8", ["10"]),
    ],
)
def test_reverse_zones_end_at_octets(cluster: Cluster, subnet: str, expected: list[str]) -> None:
    """A subnet is covered by whole-octet zones that claim no more than the /24 around it."""
    network = replace(cluster.networks[0], subnet=IPv4Network(subnet))
    names = [part.name for part in zones(cluster.site, (network.subnet,), ())]
    assert names == ["renci.ben", *(f"{name}.in-addr.arpa" for name in expected)]


def test_no_subnet_makes_more_zones_than_a_server_likes(cluster: Cluster) -> None:
    """The worst cut, one bit behind an octet, makes 128 zones."""
    for length in range(8, 33):
        assert len({*parts((IPv4Network(f"10.0.0.0/{length}"),))}) <= 128


def test_two_subnets_of_one_24_share_its_zone(cluster: Cluster) -> None:
    """A zone is declared once, with the addresses of both halves in the order of addresses."""
    halves = (IPv4Network("10.1.0.0/25"), IPv4Network("10.1.0.128/25"))
    machines = [
        Record(name=name, aliases=(), ip=IPv4Address(ip)) for name, ip in (("b", "10.1.0.200"), ("a", "10.1.0.9"))
    ]
    reverse = list(zones(cluster.site, halves, tuple(machines)))[1:]
    assert [part.lines for part in reverse] == [("9 IN PTR a.renci.ben.", "200 IN PTR b.renci.ben.")]


def test_an_address_is_told_in_the_zone_that_owns_it(cluster: Cluster) -> None:
    """In a /16 zone a machine's label has two octets; a /24 inside a /8 takes its own machines."""
    machine = (Record(name="n", aliases=(), ip=IPv4Address("10.1.2.3")),)
    wide, narrow = IPv4Network("10.1.0.0/16"), IPv4Network("10.1.2.0/24")
    assert list(zones(cluster.site, (wide,), machine))[1].lines == ("3.2 IN PTR n.renci.ben.",)
    lines = {part.name: part.lines for part in zones(cluster.site, (wide, narrow), machine)}
    assert lines["2.1.10.in-addr.arpa"] == ("3 IN PTR n.renci.ben.",)
    assert lines["1.10.in-addr.arpa"] == ()


def test_aliases_are_cnames_and_have_no_reverse(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """An alias leads to the name; the address leads back to the name alone."""
    texts = rendered(edited("n01", aliases=("first",)))
    assert "\nfirst IN CNAME n01\n" in texts["db.renci.ben"]
    assert "first" not in texts["db.0.1.10.in-addr.arpa"]


def test_the_serial_changes_exactly_with_the_zone(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """An edited MAC keeps both serials, an alias changes the forward zone's, an address changes both."""
    before = serials(cluster)
    assert len(before) == 2
    assert all(0 < serial < 1 << 32 for serial in before.values())
    assert serials(edited("n01", mac="00:18:8b:f8:e3:77")) == before
    assert {file for file, serial in serials(edited("n01", aliases=("x",))).items() if serial != before[file]} == {
        "db.renci.ben"
    }
    moved = serials(edited("n01", ip=IPv4Address("10.1.0.99")))
    assert all(moved[file] != before[file] for file in before)


def test_zone_files_of_others_stay(tmp_path: Path) -> None:
    """Only a file that we made ourselves and no longer name is removed."""
    (tmp_path / "db.gone").write_text(f"{HEADER}$TTL 300\n")
    (tmp_path / "db.kept").write_text(f"{HEADER}$TTL 300\n")
    (tmp_path / "db.theirs").write_text("$TTL 300\n")
    remove_others(tmp_path, {"db.kept"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db.kept", "db.theirs"]
