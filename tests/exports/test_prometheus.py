"""Prometheus' targets, read as Prometheus reads them (file_sd_configs in discovery/file/file.go: YAML 1.1 and JSON)."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given

from tasks.errors import BootmillError
from tasks.exports.prometheus import FAMILY, OURS
from tasks.inventory.model import Cluster
from tests.exports.rendered import cluster, clusters, node, whole


def read(cluster: Cluster, key: str) -> dict[str, dict[str, Any]]:
    """Return each target's labels; a target group has targets and labels, and all of them are texts."""
    found: dict[str, dict[str, Any]] = {}
    for group in yaml.safe_load(whole(FAMILY, cluster)[f"prometheus/{key}.yaml"]) or []:
        assert list(group) == ["targets", "labels"]
        assert all(isinstance(text, str) for text in (*group["targets"], *group["labels"], *group["labels"].values()))
        found |= dict.fromkeys(group["targets"], group["labels"])
    return found


def test_the_sample(cluster: Cluster) -> None:
    """Nodes, BMCs and switches, by address, with what their series are selected by."""
    labels = {
        "node": "n01",
        "groups": ",compute,pe860,all,",
        "model": "PE 860",
        "osimage": "debian12-x86_64-netboot-compute",
        "switch": "linksys-mgt",
    }
    assert read(cluster, "nodes")["10.1.0.11:9100"] == {"instance": "n01", **labels}
    assert read(cluster, "bmcs")["10.1.0.111"] == {"instance": "n01-ipmi", **labels}
    assert read(cluster, "switches") == {
        "10.1.0.253": {"instance": "linksys-mgt", "switch": "linksys-mgt", "model": "generic", "snmp": "1"}
    }


def test_no_secret_and_no_reference_to_one(cluster: Cluster) -> None:
    """What a BMC or a switch logs in with is the exporters' own."""
    assert "BOOTMILL" not in "".join(whole(FAMILY, cluster).values())


def test_a_line_is_json() -> None:
    """Each line is JSON, too, for all that is in Unicode's first plane: other tools may split the file by lines."""
    text = whole(FAMILY, cluster([node("n1", vars=(("rack", 'ü\n"\\\x7f\u2028'),))]))["prometheus/nodes.yaml"]
    line = text.splitlines()[-1].removeprefix("- ")
    assert json.loads(line)["labels"]["rack"] == 'ü\n"\\\x7f\u2028'


@given(cluster=clusters())
def test_read_back_it_is_the_inventory(cluster: Cluster) -> None:
    """Whatever the values are, no label of ours is another's."""
    found = read(cluster, "nodes")
    assert set(found) == {f"{one.ip}:9100" for one in cluster.nodes}
    for one in cluster.nodes:
        labels = found[f"{one.ip}:9100"]
        assert labels["node"] == labels["instance"] == one.name
        assert labels["model"] == one.model
        site = {name: value for name, value in one.vars if name not in OURS and value}
        assert {name: value for name, value in labels.items() if name not in OURS} == site


@pytest.mark.parametrize("name", ['n1"}}\n- {"targets": ["x', 'n1", "job": "x', "N1", "n1\\"])
def test_the_last_wall(name: str) -> None:
    """A name that no inventory lets through is in no file."""
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(FAMILY, cluster([node(name)]))
