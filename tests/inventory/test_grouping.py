"""The order of a node's groups, circles, and who joins a dynamic group."""

from collections.abc import Callable

import pytest

from tasks.inventory import grouping, schema
from tasks.inventory.model import Cluster, Group, Node
from tests.samples import node

Load = Callable[..., Cluster]


@pytest.mark.parametrize(
    ("named", "parents", "expected"),
    [
        ("", {}, "all"),
        ("a b", {}, "a b all"),
        ("all b", {}, "b all"),
        ("a a", {}, "a all"),
        ("a", {"a": ("b",), "b": ("c",)}, "a b c all"),
        ("a d", {"a": ("b",)}, "a b d all"),
        ("a b", {"a": ("s",), "b": ("s",)}, "a b s all"),
        ("s a", {"a": ("s",)}, "a s all"),
        ("a", {"a": ("x", "y"), "x": ("z",), "y": ("z",)}, "a x y z all"),
        ("a", {"a": ("all",)}, "a all"),
    ],
)
def test_order(named: str, parents: dict[str, tuple[str, ...]], expected: str) -> None:
    """As written, but a group before those that it is in; ``all`` last."""
    assert " ".join(grouping.order(named.split(), parents)) == expected


def test_order_of_many_diamonds_takes_no_time() -> None:
    """A chain of diamonds has a billion ways to its end; a deep chain is no recursion."""
    parents = {f"g{i}{side}": (f"g{i + 1}a", f"g{i + 1}b") for i in range(5000) for side in "ab"}
    found = grouping.order(["g0a", "g0b"], parents)
    assert len(found) == 10_003
    assert found.index("g7b") < found.index("g8a")


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ({"a": ("b",), "b": ("c",)}, []),
        ({"a": ("a",)}, ["a a"]),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, ["b c b"]),
        ({"a": ("b", "c"), "b": ("c",), "c": ()}, []),
    ],
)
def test_circles(parents: dict[str, tuple[str, ...]], expected: list[str]) -> None:
    """A circle is told as the way around it."""
    assert [" ".join(way) for way in grouping.circles(parents)] == expected


@pytest.mark.parametrize(
    ("attribute", "wanted", "expected"),
    [
        ("model", "PE 860", True),
        ("model", "pe 860", False),
        ("memory", "1024", True),
        ("groups", "a", True),
        ("bmc.address", "10.1.0.111", True),
        ("vm.host", "mgt", False),
        ("console.flow", "false", True),
        ("vars.rack", "r1", True),
        ("vars.row", "r1", False),
        ("osimage", "", False),
    ],
)
def test_joined(attribute: str, wanted: str, expected: bool) -> None:
    """Values are compared as the inventory writes them; what a node does not have equals nothing."""
    assert grouping.joined(machine(), ((attribute, wanted),)) is expected


def test_every_attribute_can_be_asked_for() -> None:
    """What a dynamic group may ask for are the node's attributes, secrets and lists of tables apart."""
    fields = set(schema.NodeIn.model_fields)
    assert fields == {name.partition(".")[0] for name in grouping.ASKABLE} | {"nics", "vars"}
    for attribute in grouping.ASKABLE:
        grouping.texts(machine(), attribute)


def machine() -> Node:
    """Return a node that has something of everything."""
    return node(
        "n1",
        ip="10.1.0.11",
        model="PE 860",
        groups=["a"],
        bmc={"address": "10.1.0.111"},
        vars={"rack": "r1"},
        console={},
    )


# -- groups.yaml -------------------------------------------------------------------------------------------------------


def test_nested_groups(load: Load) -> None:
    """A node in a group is in those that it is in, behind it; an attribute comes from the nearest."""
    cluster = load(
        groups="leaf: {groups: [rack, room]}\nrack: {groups: room, memory: 200}\nroom: {memory: 300, nic: r}\n"
        "all: {nic: a}\n",
        nodes="mgt: {ip: 10.1.0.1}\nn1: {ip: 10.1.0.11, groups: [leaf, other]}\n",
    )
    node = cluster.node("n1")
    assert node.groups == ("leaf", "rack", "room", "other", "all")
    assert (node.memory, node.nic, cluster.node("mgt").nic) == (200, "r", "a")


def test_dynamic_groups(load: Load) -> None:
    """Nodes join by what they are in the end, whoever said it; the group gives nothing."""
    cluster = load(
        groups="a: {model: PE 860, vars: {row: '{{ n[0] }}'}}\nold: {where: {model: PE 860}}\n"
        "second: {where: {vars.row: 2, groups: a}}\nbig: {where: {memory: 4096}}\n",
        nodes="mgt: {ip: 10.1.0.1}\nn[1-2]: {ip: '10.1.0.{{ 10 + n[0] }}', groups: a}\n"
        "n3: {ip: 10.1.0.13, model: PE 860}\n",
    )
    assert {node.name: node.groups for node in cluster.nodes} == {
        "mgt": ("all",),
        "n1": ("a", "old", "all"),
        "n2": ("a", "old", "second", "all"),
        "n3": ("old", "all"),
    }


def test_what_is_known_of_groups(load: Load) -> None:
    """The cluster knows its groups: parents, conditions, and variables that are the same for all their nodes."""
    cluster = load(
        groups="a: {groups: b, vars: {rack: r1, row: '{{ n[0] }}'}, memory: 99}\nb:\n"
        "c: {where: {state: local, nic: x}}\n"
    )
    assert cluster.groups == (
        Group(name="a", groups=("b",), vars=(("rack", "r1"),)),
        Group(name="b"),
        Group(name="c", where=(("nic", "x"), ("state", "local"))),
    )


def test_defaults_may_name_groups(load: Load) -> None:
    """Nodes that name no groups are in those of the defaults."""
    cluster = load(
        site="domain: a.b\nmaster: mgt\ndefaults: {groups: [a]}\n",
        groups="a: {memory: 99, groups: b}\n",
        nodes="mgt: {ip: 10.1.0.1}\nn1: {ip: 10.1.0.11, groups: c}\n",
    )
    assert [(node.groups, node.memory) for node in cluster.nodes] == [(("a", "b", "all"), 99), (("c", "all"), 1024)]
