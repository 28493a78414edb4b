"""Any cluster survives the way to xCAT's tables and back: import(export(x)) is x."""

import tempfile
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks.inventory.compile import load_cluster
from tasks.inventory.model import Cluster, Group
from tasks.inventory.reading import read
from tasks.tables import exported, imported, yamltext
from tests.tables import clusters as drawn

ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None
SAMPLE = load_cluster(Path(__file__).parents[2] / "inventory")


def there_and_back(cluster: Cluster, folder: Path) -> Cluster:
    """Return what is left of a cluster after an export and an import; nothing may be listed as lost."""
    exported.write(cluster, folder / "tables")
    result = imported.converted(folder / "tables")
    assert result.lost == ()
    assert result.secrets == {}
    imported.write(result, folder / "inventory")
    return load_cluster(folder / "inventory")


def same(one: Cluster, other: Cluster) -> None:
    """Compare clusters: first what is easy to read, then everything."""
    for mine, theirs in zip(one.nodes, other.nodes, strict=True):
        assert mine == theirs
    assert replace(one, shards=()) == replace(other, shards=())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn.clusters())
@example(SAMPLE)
def test_there_and_back(cluster: Cluster) -> None:
    """What was exported and imported again is the same cluster, to the last value."""
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        same(there_and_back(cluster, Path(folder)), cluster)


def test_a_large_group_is_written_once(tmp_path: Path) -> None:
    """What all nodes of a group say in rows of their own is written at the group, as an expression if there is one."""
    cluster = drawn.plain_cluster(40, groups=(Group(name="compute"),))
    same(there_and_back(cluster, tmp_path), cluster)
    groups = (tmp_path / "inventory/groups.yaml").read_text()
    assert 'ip: "10.1.0.{{ n[0] }}"' in groups
    assert 'eth1: {ip: "10.2.0.{{ n[0] }}"' in groups
    assert "n[01-40]: {groups: [compute]}" in (tmp_path / "inventory/nodes.yaml").read_text()
    assert cluster.node("n07").nics[0].ip == IPv4Address("10.2.0.7")


TEXTS = st.text("".join(map(chr, range(32, 127))) + "äß", min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    TEXTS
    | st.sampled_from(["~", "null", "a: b", "a #b", "a:", "- a", "", "{{ x }}", "'", '"', "!secret x", "&a", "*a"])
)
def test_any_text_is_the_same_in_yaml(text: str) -> None:
    """A text comes out of the YAML that we write as it went in, in a block and in braces."""
    with tempfile.TemporaryDirectory(dir=ROOM) as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(yamltext.lines({"a": {"b": text, "c": (text,)}}) + yamltext.block({"d": {"e": text}}))
        document = read(path)
        assert document.mistakes == []
        assert document.value == {"a": {"b": text, "c": [text]}, "d": {"e": text}}
