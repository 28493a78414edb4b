"""The genders file, read as libgenders reads it (`tests/integration/test_exports.py` asks nodeattr itself)."""

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from hypothesis import given

from tasks.errors import BootmillError
from tasks.exports.genders import AGGREGATE, MOST_NAMES, MOST_RANGES
from tasks.inventory.model import Cluster
from tests.exports.rendered import cluster, clusters, node, whole
from tests.exports.test_ansible import wider


def read(cluster: Cluster) -> dict[str, dict[str, str]]:
    """Return each node's attributes, by the rules of genders_parsing.c."""
    found: dict[str, dict[str, str]] = {}
    for line in whole(AGGREGATE, cluster)["genders"].splitlines():
        words = line.partition("#")[0].split()
        if words:
            names, attributes = words
            pairs = [word.partition("=")[::2] for word in attributes.split(",")]
            assert len(dict(pairs)) == len(pairs)  # the same attribute twice is an error
            for name in NodeSet(names, resolver=RESOLVER_NOGROUP):
                assert name not in found
                found[name] = dict(pairs)
    return found


def test_the_sample(cluster: Cluster) -> None:
    """Nodes that are alike share a line."""
    text = whole(AGGREGATE, cluster)["genders"]
    assert (
        "n[01-04] all,compute,pe860,model=PE_860,osimage=debian12-x86_64-netboot-compute,switch=linksys-mgt\n" in text
    )
    assert set(read(cluster)) == {one.name for one in cluster.nodes}


def test_what_genders_has_no_form_for() -> None:
    """Left out: variables called like a group or like ours, values with commas; a blank is an underscore."""
    site = (
        ("all", "x"),
        ("model", "y"),
        ("owner", "A, B"),
        ("rack", "r 1"),
        ("share", "50%"),
        ("team", "ä"),
        ("void", ""),
    )
    found = read(cluster([node("n1", vars=site)]))["n1"]
    assert found | {"osimage": "", "switch": ""} == {
        "all": "",
        "compute": "",
        "model": "PE_860",
        "osimage": "",
        "switch": "",
        "rack": "r_1",
    }


def test_lines_and_ranges_are_as_short_as_libgenders_wants_them() -> None:
    """Ranges of 16,384 names and lines of 65,536 bytes would be refused."""
    some = [node(f"n{number}") for number in range(25_000)]
    odd = [node(f"long-name-of-a-node-{number}") for number in range(0, 5_000, 2)]
    lines = [line for line in whole(AGGREGATE, cluster(some, odd))["genders"].splitlines() if line[0] != "#"]
    assert lines[0].startswith("long-name-of-a-node-[0,2,4,")
    assert lines[-1].startswith("n[0-9999,10000-19999,20000-24999] ")
    assert len(lines) == -(-(3 + 2_500) // MOST_RANGES)
    assert max(map(len, lines)) < 65_536
    assert MOST_NAMES < 16_384


@given(cluster=clusters())
def test_read_back_it_is_the_inventory(cluster: Cluster) -> None:
    """Whatever the names and the values are: every group, and nothing that was not said."""
    found = read(cluster)
    parents = {group.name: group.groups for group in cluster.groups}
    assert set(found) == {one.name for one in cluster.nodes}
    for one in cluster.nodes:
        groups = wider(one.groups, parents)
        told = found[one.name]
        assert {key for key, value in told.items() if not value} == groups
        known = {**dict(one.vars), "model": one.model, "osimage": one.osimage, "switch": one.port and one.port.switch}
        assert {key: value for key, value in told.items() if value} == {
            key: str(known[key]).replace(" ", "_") for key, value in told.items() if value
        }


def test_the_last_wall() -> None:
    """A name that no inventory lets through is in no file."""
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(AGGREGATE, cluster([node("n1 x")]))
