"""The zones and named's configuration, as text."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import inventory, paths
from tasks.configs.serial import read
from tasks.configs.zone import FAMILY
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, DnsRecord, Network, Nic, RecordType, Whole
from tasks.serials import Known
from tests.configs.whole import SAMPLE, plain, render

PTR = "in-addr.arpa"


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty checkout: the serials are written down there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rendered(cluster: Cluster, **values: Any) -> dict[str, str]:
    """Return the texts by file name."""
    return {path.name: text for path, text in render(FAMILY, cluster, **values).items()}


def records(cluster: Cluster) -> dict[str, list[str]]:
    """Return each zone's lines behind its SOA record."""
    found = rendered(cluster).items()
    return {name: text.partition("\n)\n")[2].splitlines() for name, text in found if name.startswith("db.")}


def serials(cluster: Cluster) -> dict[str, int]:
    """Return the serial of each zone file."""
    found = {name: re.search(r"(\d+) ; serial", text) for name, text in rendered(cluster).items()}
    return {name: int(match[1]) for name, match in found.items() if match}


def network(cluster: Cluster, subnet: str, **values: Any) -> Network:
    """Return the sample's network, changed."""
    return replace(cluster.networks[0], subnet=IPv4Network(subnet), dynamic_range=None, **values)


def with_site(cluster: Cluster, **values: Any) -> Cluster:
    """Return the cluster with other values of the site."""
    return replace(cluster, site=replace(cluster.site, **values))


@pytest.fixture
def full(cluster: Cluster, edited: Callable[..., Cluster]) -> Cluster:
    """Return the sample with everything that a zone can have."""
    nics = (
        Nic(name="ib0", names=("n01-ib", "fast1"), ip=IPv4Address("192.0.2.11"), ip6=IPv6Address("fd00:2::11")),
        Nic(name="eth1", names=("n01",), ip=IPv4Address("10.1.0.91")),
        Nic(name="eth2", names=("n01-eth2",)),
    )
    changed = edited("n01", ip6=IPv6Address("fd00:1::11"), nics=nics, aliases=("first",))
    site = replace(
        changed.site,
        secondaries=(IPv4Address("10.1.0.3"), IPv6Address("fd00:1::3")),
        serial_floor=2026112200,
        records=(
            DnsRecord(name="_ntp._udp", type=RecordType.SRV, value="0 0 123 mgt"),
            DnsRecord(name="@", type=RecordType.TXT, value="v=spf1 -all"),
            DnsRecord(name="www.ib", type=RecordType.CNAME, value="mgt"),
        ),
    )
    networks = (
        network(changed, "10.1.0.0/24", subnet6=IPv6Network("fd00:1::/64")),
        network(
            changed,
            "192.0.2.0/26",
            name="ib",
            subnet6=IPv6Network("fd00:2::/62"),
            domain="ib.renci.ben",
            delegation=True,
        ),
        network(changed, "192.0.2.128/25", name="dmz", domain="dmz.example"),
    )
    return replace(changed, site=site, networks=networks)


# -- golden files ----------------------------------------------------------------------------------------------------


def test_the_sample_clusters_zones(golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the zones and the named.conf parts that were read and found good."""
    for name, text in rendered(inventory.load(SAMPLE)).items():
        golden(name, text)


def test_a_site_with_everything(full: Cluster, golden: Callable[[str, str], None]) -> None:
    """Both families, several domains, a delegation, secondaries, records of the site's own: read and found good."""
    golden("full/zones", "".join(f"==> {name}\n{text}\n" for name, text in rendered(full).items()))


def test_parts_make_the_same_files(full: Cluster) -> None:
    """However the nodes are divided, the files are the same, serials included."""
    assert rendered(full) == rendered(full, chunks=4) == rendered(full, chunks=100)


# -- forward ---------------------------------------------------------------------------------------------------------


def test_names_lie_in_the_domain_of_their_network(full: Cluster) -> None:
    """Each address of each interface is told where its network's names are."""
    found = records(full)
    assert {"n01 IN A 10.1.0.11", "n01 IN AAAA fd00:1::11", "n01 IN A 10.1.0.91"} <= set(found["db.renci.ben"])
    assert {"n01-ib IN A 192.0.2.11", "n01-ib IN AAAA fd00:2::11"} <= set(found["db.ib.renci.ben"])
    assert not [line for lines in found.values() for line in lines if "n01-eth2" in line]
    assert [line for line in found["db.dmz.example"] if " IN NS " not in line] == []


def test_aliases_are_cnames_and_have_no_reverse(full: Cluster) -> None:
    """An alias leads to the name beside which it stands; the address leads back to the name alone."""
    found = records(full)
    assert "first IN CNAME n01" in found["db.renci.ben"]
    assert "fast1 IN CNAME n01-ib" in found["db.ib.renci.ben"]
    assert not [line for name, lines in found.items() if name.endswith("arpa") for line in lines if "first" in line]


def test_the_sites_records_lie_in_the_zone_around_them(full: Cluster) -> None:
    """A record below a domain of ours belongs into that zone: in the one above nobody would see it."""
    found = records(full)
    assert "_ntp._udp IN SRV 0 0 123 mgt.renci.ben." in found["db.renci.ben"]
    assert '@ IN TXT "v=spf1 -all"' in found["db.renci.ben"]
    assert "www IN CNAME mgt.renci.ben." in found["db.ib.renci.ben"]


def test_every_zone_names_its_servers(full: Cluster) -> None:
    """The head node and the secondaries; the latter have names of their own, for their addresses may be anybody's."""
    found = records(full)
    servers = [f"{name}.renci.ben." for name in ("mgt", "secondary-1", "secondary-2")]
    assert all(lines[:3] == [f"@ IN NS {server}" for server in servers] for lines in found.values())
    assert {"secondary-1 IN A 10.1.0.3", "secondary-2 IN AAAA fd00:1::3"} <= set(found["db.renci.ben"])


def test_a_zone_leads_to_those_below_it(full: Cluster) -> None:
    """ib.renci.ben is delegated from renci.ben, so that other servers find it; dmz.example is nobody's below."""
    found = records(full)
    assert "ib IN NS mgt.renci.ben." in found["db.renci.ben"]
    assert not [line for lines in found.values() for line in lines if line.startswith("dmz")]


def test_the_head_node_has_its_name_in_the_sites_domain(cluster: Cluster) -> None:
    """Zones name it as their server there, wherever its network's names are."""
    networks = (network(cluster, "10.1.0.0/24", domain="mgmt.ben", subnet6=IPv6Network("fd00:1::/64")),)
    head = replace(cluster.node("mgt"), ip6=IPv6Address("fd00:1::1"))
    found = records(replace(cluster, networks=networks, shards=(Whole((head,)),), switches=()))
    assert found["db.renci.ben"] == ["@ IN NS mgt.renci.ben.", "mgt IN AAAA fd00:1::1", "mgt IN A 10.1.0.1"]
    assert found["db.mgmt.ben"][1:] == ["mgt IN AAAA fd00:1::1", "mgt IN A 10.1.0.1"]
    assert found[f"db.0.1.10.{PTR}"][1:] == ["1 IN PTR mgt.mgmt.ben."]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ib", {"name": "ib"}),
        ("ib", {"aliases": ("ib",)}),
        ("ib", {"nics": (Nic(name="x", names=("ib",), ip6=IPv6Address("fd00:1::99")),)}),
        ("secondary-1", {"name": "secondary-1", "bmc": None}),
    ],
)
def test_names_of_zones_and_servers_are_taken(full: Cluster, name: str, values: dict[str, Any]) -> None:
    """A machine called like a zone below could not be found, one called like a server would be taken for it."""
    nodes = tuple(replace(node, **values) if node.name == "n02" else node for node in full.nodes)
    with pytest.raises(BootmillError, match=rf"^{name}\.renci\.ben: no machine can be called so, it is the "):
        rendered(replace(full, shards=(Whole(nodes),)))


# -- reverse ---------------------------------------------------------------------------------------------------------


def test_every_address_of_every_interface_leads_back(full: Cluster) -> None:
    """xCAT's issues 6901 and 7592: a machine with several addresses has a PTR for each."""
    found = records(full)
    lines = found[f"db.0.1.10.{PTR}"]
    assert {"11 IN PTR n01.renci.ben.", "91 IN PTR n01.renci.ben.", "111 IN PTR n01-ipmi.renci.ben."} <= set(lines)
    six = [line for name, lines in found.items() if name.endswith("ip6.arpa") for line in lines if "PTR" in line]
    label = "1.1" + ".0" * 14
    assert six == [f"{label} IN PTR n01.renci.ben.", f"{label} IN PTR n01-ib.ib.renci.ben."]


def test_a_delegated_network_is_reached_by_cnames(full: Cluster) -> None:
    """RFC 2317: the zone around, ours because of the network beside, has a CNAME for each address and the NS."""
    found = records(full)
    child = f"0-26.2.0.192.{PTR}"
    assert found[f"db.{child}"][3:] == ["11 IN PTR n01-ib.ib.renci.ben."]
    around = found[f"db.2.0.192.{PTR}"]
    assert "0-26 IN NS mgt.renci.ben." in around
    assert [line for line in around if "CNAME" in line] == [f"{n} IN CNAME {n}.{child}." for n in range(64)]


def test_the_zone_around_a_delegated_network_may_be_somebody_elses(cluster: Cluster) -> None:
    """Where no other network of ours is in the /24, that zone is not claimed: its owner has the CNAMEs."""
    only = replace(cluster, networks=(network(cluster, "10.1.0.0/25", delegation=True),), switches=())
    assert list(records(only)) == ["db.renci.ben", f"db.0-25.0.1.10.{PTR}"]
    assert "1 IN PTR mgt.renci.ben." in records(only)[f"db.0-25.0.1.10.{PTR}"]


def test_labels_have_as_many_octets_as_the_zone_leaves(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """In a /16 zone a machine's label has two octets, in a /8 zone three."""
    for subnet, zone, label in (("10.1.0.0/16", "1.10", "11.0"), ("10.0.0.0/8", "10", "11.0.1")):
        found = records(replace(cluster, networks=(network(cluster, subnet),)))
        assert f"{label} IN PTR n01.renci.ben." in found[f"db.{zone}.{PTR}"]


def test_an_address_in_no_network_leads_nowhere_back(edited: Callable[..., Cluster]) -> None:
    """Somebody else's addresses are somebody else's zone; the name is told all the same."""
    nics = (Nic(name="x", names=("out",), ip=IPv4Address("198.51.100.1"), ip6=IPv6Address("2001:db8::1")),)
    found = records(edited("n01", nics=nics))
    assert {"out IN A 198.51.100.1", "out IN AAAA 2001:db8::1"} <= set(found["db.renci.ben"])
    assert list(found) == ["db.renci.ben", f"db.0.1.10.{PTR}"]


# -- serials ---------------------------------------------------------------------------------------------------------


def test_the_serial_changes_exactly_with_the_zone(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """A MAC keeps all serials, an alias changes the forward zone's, an address changes both, and so does undoing it."""
    forward, reverse = "db.renci.ben", f"db.0.1.10.{PTR}"
    assert serials(cluster) == {forward: 1, reverse: 1}
    assert serials(edited("n01", mac="00:18:8b:f8:e3:77")) == {forward: 1, reverse: 1}
    assert serials(edited("n01", aliases=("x",))) == {forward: 2, reverse: 1}
    assert serials(edited("n01", ip=IPv4Address("10.1.0.99"))) == {forward: 3, reverse: 2}
    assert serials(cluster) == {forward: 4, reverse: 3}


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"dns_contact": "root.renci.ben"}, 2),
        ({"secondaries": (IPv4Address("10.1.0.3"),)}, 2),
        ({"records": (DnsRecord(name="x", type=RecordType.A, value="10.1.0.9"),)}, 1),
        ({"forwarders": ()}, 0),
        ({"serial_floor": 1}, 0),
    ],
)
def test_the_frame_is_content_too(cluster: Cluster, values: dict[str, Any], changed: int) -> None:
    """The SOA record's values, servers and the site's records count; what only named.conf says does not."""
    serials(cluster)
    assert sum(serial == 2 for serial in serials(with_site(cluster, **values)).values()) == changed


def test_a_floor_lifts_every_serial(cluster: Cluster) -> None:
    """A site that comes from elsewhere begins where its secondaries are."""
    assert set(serials(with_site(cluster, serial_floor=2026112200)).values()) == {2026112200}
    assert set(serials(cluster).values()) == {2026112200}


def test_a_deleted_build_takes_no_serial_back(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """The state file knows; without it, the published zone does."""
    for number in range(3):
        serials(edited("n01", aliases=(f"a{number}",)))
    assert serials(cluster)["db.renci.ben"] == 4
    for path, text in render(FAMILY, cluster).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    paths.SERIALS.unlink()
    assert serials(cluster)["db.renci.ben"] == 4
    assert serials(edited("n01", aliases=("x",)))["db.renci.ben"] == 5


steps = st.sampled_from(["alias a", "alias b", "address", "undo", "clean", "forget", "floor", "again"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=8))
def test_any_history_of_builds(cluster: Cluster, edited: Callable[..., Cluster], history: list[str]) -> None:
    """Edits, undone ones, a deleted build/, a lost state file, a floor: a serial rises exactly with its zone."""
    for folder in ("build", "inventory"):
        shutil.rmtree(folder, ignore_errors=True)
    now, floor = cluster, 1
    served: dict[str, tuple[int, str]] = {}
    for step in ["again", *history]:
        match step.split():
            case ["alias", name]:
                now = edited("n01", aliases=(name,))
            case ["address"]:
                now = edited("n01", ip=IPv4Address("10.1.0.99"))
            case ["undo"]:
                now = cluster
            case ["clean"]:
                shutil.rmtree("build", ignore_errors=True)
            case ["forget"] if Path("build").exists():
                paths.SERIALS.unlink()
            case ["floor"]:
                floor += 1000
        for path, text in render(FAMILY, with_site(now, serial_floor=floor)).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            match = re.search(r"^ +(\d+) ; serial.*$", text, re.MULTILINE)
            if match:
                content, serial = text.replace(match[0], ""), int(match[1])
                before, old = served.get(path.name, (0, ""))
                assert serial == before if content == old and before >= floor else serial > before
                assert serial >= floor
                served[path.name] = serial, content


def test_a_zone_that_comes_back_goes_on(cluster: Cluster) -> None:
    """The serial of a network that left is not forgotten."""
    serials(cluster)
    serials(replace(cluster, networks=(network(cluster, "10.2.0.0/24"),), switches=(), shards=(Whole(()),)))
    assert read(paths.SERIALS)[f"0.1.10.{PTR}"].serial == 1
    assert serials(replace(cluster, switches=()))[f"db.0.1.10.{PTR}"] == 2


def test_a_damaged_state_file_stops_the_zones(cluster: Cluster) -> None:
    """Nothing is guessed about serials."""
    paths.SERIALS.parent.mkdir()
    paths.SERIALS.write_text("renci.ben: 7\n")
    with pytest.raises(BootmillError, match=r"serials\.yaml:1: 'renci\.ben: 7' is no zone's serial"):
        rendered(cluster)


def test_the_state_file_says_what_the_zones_say(cluster: Cluster) -> None:
    """Zone file and state file have the same serial and digest."""
    texts = rendered(cluster)
    for zone, known in read(paths.SERIALS).items():
        assert f"    {known.serial} ; serial, content {known.digest}\n" in texts[f"db.{zone}"]
        assert known == Known(1, known.digest)


# -- named's configuration -------------------------------------------------------------------------------------------


def test_secondaries_may_transfer_and_are_told(full: Cluster, cluster: Cluster) -> None:
    """They alone, and only where there are any; the part for them names the head node."""
    texts = rendered(full)
    assert texts["named.conf.bootmill"].count("also-notify { 10.1.0.3; fd00:1::3; };") == len(records(full))
    assert texts["named.conf.bootmill"].count("allow-transfer { 10.1.0.3; fd00:1::3; };") == len(records(full))
    assert texts["named.conf.bootmill-secondary"].count("primaries { 10.1.0.1; };") == len(records(full))
    assert 'allow-query { "bootmill-networks"; "bootmill-secondaries"; };' in texts["named.conf.bootmill-options"]
    texts = rendered(cluster)
    assert "allow-transfer { none; };" in texts["named.conf.bootmill"]
    assert "named.conf.bootmill-secondary" not in texts


@pytest.mark.parametrize(
    ("asked", "primaries"),
    [
        (["10.1.0.3", "10.1.0.1"], ("10.1.0.1",)),
        (["10.1.0.2", "fd00:1::2"], ("10.1.0.2", "fd00:1::2")),
        (["10.1.0.3"], ("10.1.0.1",)),
        (["198.51.100.1"], ("10.1.0.1",)),
    ],
)
def test_secondaries_ask_the_head_node(full: Cluster, asked: list[str], primaries: tuple[str, ...]) -> None:
    """Nodes may be told to ask the secondaries or somebody else, too: those are no primaries."""
    frame = FAMILY.frame(with_site(full, nameservers=tuple(map(ip_address, asked))))
    assert frame.primaries == primaries


def test_files_of_others_stay(cluster: Cluster) -> None:
    """Only a file that we made ourselves and no longer name is left over."""
    folder = paths.zone_dir(cluster.site)
    folder.mkdir(parents=True)
    made = "; Made by Bootmill from inventory/: edits are lost.\n"
    for name, text in {"db.gone": made, "db.renci.ben": made, "db.theirs": "$TTL 300\n", "other": made}.items():
        (folder / name).write_text(text)
    paths.named_secondary(cluster.site).write_text("// Made by Bootmill\n")
    assert FAMILY.leftovers is not None
    found = FAMILY.leftovers(FAMILY.frame(cluster))
    assert [path.name for path in found] == ["db.gone", "named.conf.bootmill-secondary"]


# -- slices ----------------------------------------------------------------------------------------------------------


def test_what_the_zones_depend_on(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """Names and addresses; never a MAC, never a value of the site that no file tells."""
    frame = FAMILY.frame(cluster)
    rows = FAMILY.rows(frame, cluster.nodes)
    for values in ({"mac": None}, {"osimage": None}, {"groups": ()}, {"memory": 64}):
        assert FAMILY.rows(frame, edited("n01", **values).nodes) == rows
    assert FAMILY.rows(frame, edited("n01", aliases=("x",)).nodes) != rows
    assert repr(FAMILY.frame(with_site(cluster, ssh_key="x", nameservers=(IPv4Address("10.1.0.9"),)))) == repr(frame)
    assert repr(FAMILY.frame(with_site(cluster, forwarders=()))) != repr(frame)
    assert "n01" not in repr(frame)
