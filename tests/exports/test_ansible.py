"""Ansible's inventory, read as Ansible reads it."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given

from tasks.errors import BootmillError
from tasks.exports import ansible
from tasks.exports.ansible import AGGREGATE, FAMILY, innermost
from tasks.inventory.model import Cluster, Group
from tests.exports.rendered import PLAIN, cluster, clusters, node, whole


class Loader(yaml.SafeLoader):
    """YAML with Ansible's tag; a key that is there twice is an error, Ansible warns of it."""

    def construct_mapping(self, found: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping with as many keys as were written."""
        mapping = super().construct_mapping(found, deep)
        assert len(mapping) == len(found.value)
        return mapping


class Unsafe(str):
    """A text that is never taken for a template."""


def unsafe(loader: yaml.SafeLoader, found: yaml.ScalarNode) -> Unsafe:
    """Return a text that has Ansible's tag."""
    return Unsafe(loader.construct_scalar(found))


Loader.add_constructor("!unsafe", unsafe)


def read(cluster: Cluster) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the hosts with their variables and the groups' file."""
    hosts = yaml.load(whole(FAMILY, cluster)["ansible/hosts.yaml"], Loader)["all"]["hosts"] or {}
    return hosts, yaml.load(whole(AGGREGATE, cluster)["ansible/groups.yaml"], Loader)


def expanded(pattern: str) -> set[str]:
    """Return a host pattern's names, by Ansible's rules (plugins/inventory, expand_hostname_range())."""
    found = re.fullmatch(r"(.*)\[([0-9]+):([0-9]+)\]", pattern)
    if not found:
        return {pattern}
    stem, first, last = found.groups()
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    assert not width or len(last) == width
    return {f"{stem}{number:0{width}}" for number in range(int(first), int(last) + 1)}


def members(groups: dict[str, Any], name: str) -> set[str]:
    """Return who is in a group, those in its children included."""
    group = groups[name]
    own = {host for pattern in group.get("hosts", {}) for host in expanded(pattern)}
    return own.union(*(members(groups, child) for child in group.get("children", {})))


def test_the_sample(cluster: Cluster) -> None:
    """A node has its address, the site's user, what is known of it; its groups have it."""
    hosts, groups = read(cluster)
    assert hosts["n01"] == {
        "ansible_host": "10.1.0.11",
        "ansible_user": "root",
        "bootmill": {
            "ip": "10.1.0.11",
            "bmc": "10.1.0.111",
            "model": "PE 860",
            "osimage": "debian12-x86_64-netboot-compute",
            "switch": "linksys-mgt",
            "port": "1",
        },
    }
    assert "ansible_user" not in hosts["mgt"]  # nothing of ours runs there
    assert members(groups, "pe860") == {"n01", "n02", "n03", "n04"}


def test_groups_in_groups() -> None:
    """A group in others is their child, a node is listed in the innermost one; empty groups and variables are there."""
    groups = [
        Group(name="rack-1", groups=("row",), vars=(("rack", "1"),)),
        Group(name="row", groups=("site",)),
        Group(name="site"),
        Group(name="nobody"),
    ]
    nodes = [
        node("n09", groups=("rack-1", "row", "all")),
        node("n10", groups=("rack-1", "all")),
        node("n1", groups=("row",)),
    ]
    _, found = read(cluster(nodes[:1], nodes[1:], groups=groups))
    assert found == {
        "all": {},
        "nobody": {},
        "rack_1": {"hosts": {"n[09:10]": None}, "vars": {"rack": "1"}},
        "row": {"hosts": {"n1": None}, "children": {"rack_1": None}},
        "site": {"children": {"row": None}},
    }
    assert members(found, "site") == {"n09", "n10", "n1"}


def test_the_group_of_all() -> None:
    """It may have variables, and be in another group: never a child of one, Ansible would go in circles."""
    groups = [Group(name="all", groups=("cluster",), vars=(("x", "y"),)), Group(name="cluster", groups=("all",))]
    _, found = read(cluster([node("n1", groups=("a", "all"))], groups=groups))
    assert found == {"all": {"vars": {"x": "y"}}, "a": {"hosts": {"n1": None}}, "cluster": {"hosts": {"n1": None}}}


def test_a_group_that_only_others_name() -> None:
    """A group without a row of its own is made by those that are in it."""
    _, found = read(cluster([node("n1", groups=("a",))], groups=[Group(name="a", groups=("b",))]))
    assert members(found, "b") == {"n1"}


@pytest.mark.parametrize(
    ("name", "called"), [("a-b", "a_b"), ("3com", "_3com"), ("ungrouped", "_ungrouped"), ("no", "no")]
)
def test_a_groups_name_is_a_variables_name(name: str, called: str) -> None:
    """Ansible warns of every other name; two groups never become one."""
    _, found = read(cluster([node("n1", groups=(name,))]))
    assert list(found) == ["all", called]


def test_without_nodes_and_groups() -> None:
    """An empty inventory is one that Ansible reads."""
    assert read(cluster([])) == ({}, {"all": {}})


def test_the_sites_variables_win_but_not_over_ours() -> None:
    """`ansible_host` may be the site's own; `bootmill` is ours."""
    site = (("ansible_host", "10.9.9.9"), ("bootmill", "x"), ("rack", "no"))
    assert read(cluster([node("n1", vars=site)]))[0]["n1"] | {"bootmill": 0} == {
        "ansible_host": "10.9.9.9",
        "ansible_user": "root",
        "rack": "no",
        "bootmill": 0,
    }


def test_a_variable_that_is_a_keyword_of_playbooks() -> None:
    """Ansible would warn of it at every host: it is with what is ours."""
    site = (("port", "7"), ("serial", "S1"), ("tags", "a"))
    hosts, groups = read(cluster([node("n1", vars=site)], groups=[Group(name="g", vars=site)]))
    assert not {"port", "serial", "tags"} & {*hosts["n1"], *groups["g"].get("vars", {})}
    assert hosts["n1"]["bootmill"] | {"serial": "S1", "tags": "a", "port": "1"} == hosts["n1"]["bootmill"]


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "{% if x %}", "{# x"])
def test_a_value_is_never_a_template(text: str) -> None:
    """What Ansible would carry out is a text, at a node and at a group."""
    hosts, groups = read(cluster([node("n1", vars=(("x", text),))], groups=[Group(name="g", vars=(("x", text),))]))
    for value in (hosts["n1"]["x"], groups["g"]["vars"]["x"]):
        assert isinstance(value, Unsafe)
        assert value == text


@given(cluster=clusters())
def test_read_back_it_is_the_inventory(cluster: Cluster) -> None:
    """Whatever the names and the values are."""
    hosts, groups = read(cluster)
    assert list(hosts) == [one.name for shard in cluster.shards for one in shard.nodes()]
    for one in cluster.nodes:
        found = hosts[one.name]
        assert found.pop("bootmill")["ip"] == str(one.ip)
        assert found.pop("ansible_user", None) == ("root" if one.osimage else None)
        site = {key: value for key, value in one.vars if key != "bootmill" and key not in ansible.RESERVED}
        assert found == {"ansible_host": str(one.ip), **site}
    parents = {group.name: group.groups for group in cluster.groups}
    for name in {name for one in cluster.nodes for name in one.groups}.union(parents) - {"all"}:
        called = yaml.safe_load(ansible.called(name))
        expected = {one.name for one in cluster.nodes if name in wider(one.groups, parents)}
        assert members(groups, called) == expected
    for group in cluster.groups:
        assert groups[yaml.safe_load(ansible.called(group.name))].get("vars", {}) == {
            key: value for key, value in group.vars if key not in ansible.RESERVED
        }


def wider(groups: tuple[str, ...], parents: dict[str, tuple[str, ...]]) -> set[str]:
    """Return groups and those around them, by brute force."""
    found = set(groups)
    while True:
        more = found.union(*(parents.get(name, ()) for name in found))
        if more == found:
            return found
        found = more


def test_innermost() -> None:
    """Of a group and those around it only the group itself."""
    assert innermost(["a", "b", "c", "x"], {"a": ("b",), "b": ("c",)}) == {"a", "x"}


@pytest.mark.parametrize(
    "name",
    ['n1": {}\n    "evil', "n 1", "n1\n", "N1", "{{n}}"],
)
def test_the_last_wall(name: str) -> None:
    """A name that no inventory lets through is in no file."""
    odd = cluster([replace(PLAIN, name=name)])
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(FAMILY, odd)
    with pytest.raises(BootmillError, match=r"groups\.yaml: not replaced: its line"):
        whole(AGGREGATE, odd)
