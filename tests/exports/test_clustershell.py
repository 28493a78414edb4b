"""The groups, before ClusterShell's own library."""

import re
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet
from ClusterShell.NodeUtils import GroupResolverConfig
from hypothesis import HealthCheck, given, settings

from tasks.errors import BootmillError
from tasks.exports.clustershell import AGGREGATE
from tasks.inventory.model import Cluster, Group
from tests.exports.rendered import cluster, clusters, node, whole
from tests.exports.test_ansible import wider


def resolver(folder: Path, cluster: Cluster) -> GroupResolverConfig:
    """Return ClusterShell's resolver with the rendered files as its only configuration."""
    for name, text in whole(AGGREGATE, cluster).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return GroupResolverConfig(str(folder / "clustershell/groups.conf"))


def nodes(text: str, found: GroupResolverConfig) -> set[str]:
    """Return what ClusterShell takes a text for."""
    return set(NodeSet(text, resolver=found))


def test_the_sample(cluster: Cluster, tmp_path: Path) -> None:
    """Groups, and each thing in which nodes differ."""
    found = resolver(tmp_path, cluster)
    assert nodes("@all", found) == {one.name for one in cluster.nodes}
    assert nodes("@pe860", found) == nodes("@model:PE_860", found) == {"n01", "n02", "n03", "n04"}
    assert nodes("@switch:linksys-mgt & @model:PE_2950", found) == {"n05", "n06"}
    assert nodes("@osimage:debian12-x86_64-netboot-compute ! @guest", found) == {f"n0{n}" for n in range(1, 7)}


def test_a_variable_is_a_source_of_groups(tmp_path: Path) -> None:
    """Racks, for one; a value that no group can be called after has none; two that look alike are one."""
    some = [
        node("n1", vars=(("no", "1"), ("rack", "r1"))),
        node("n2", vars=(("groups", "x"), ("rack", "r,1"))),
        node("n3", model="PE_860", vars=(("model", "x"), ("rack", "r1"))),
    ]
    found = resolver(tmp_path, cluster(some[:1], some[1:], groups=[Group(name="empty")]))
    assert set(found.sources()) == {"groups", "model", "no", "osimage", "rack", "switch"}
    assert sorted(found.grouplist("rack")) == ["r1"]
    assert sorted(found.grouplist("groups")) == ["all", "compute", "empty"]
    assert sorted(found.grouplist("model")) == ["PE_860"]
    assert nodes("@rack:r1", found) == {"n1", "n3"}
    assert nodes("@no:1", found) == {"n1"}
    assert nodes("@model:PE_860", found) == {"n1", "n2", "n3"}
    assert nodes("@empty", found) == set()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cluster=clusters())
def test_read_back_it_is_the_inventory(cluster: Cluster, tmp_path: Path) -> None:
    """Whatever the names and the values are."""
    found = resolver(tmp_path, cluster)
    parents = {group.name: group.groups for group in cluster.groups}
    for name in {name for one in cluster.nodes for name in one.groups} | set(parents):
        assert nodes(f"@{name}", found) == {one.name for one in cluster.nodes if name in wider(one.groups, parents)}
    for name in {value for one in cluster.nodes for key, value in one.vars if key == "rack"}:
        if re.fullmatch("[a-z0-9]{1,20}", name):
            assert nodes(f"@rack:{name}", found) == {
                one.name for one in cluster.nodes if dict(one.vars).get("rack", "").replace(" ", "_") == name
            }


def test_the_last_wall() -> None:
    """A name that no inventory lets through is in no file."""
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(AGGREGATE, cluster([node('n1"\n"x": "y')]))
