"""The ssh configuration, before ssh itself."""

import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tasks.errors import BootmillError
from tasks.exports.ssh import FAMILY
from tasks.inventory.model import Cluster
from tests.exports.rendered import NETWORK, cluster, clusters, node, whole

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is missing: apt-get install openssh-client")


def asked(folder: Path, cluster: Cluster, name: str) -> dict[str, str]:
    """Return what ssh makes of a name: ``ssh -G``.  It reads no other configuration."""
    path = folder / "config"
    path.write_text(whole(FAMILY, cluster)["ssh/config"])
    argv = ["ssh", "-T", "-G", "-F", str(path), name]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not done.stderr
    pairs = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
    return {key: value for key, value in pairs if key in {"hostname", "user", "identityfile", "proxyjump"}}


def scan_list(cluster: Cluster) -> dict[str, list[str]]:
    """Return each address of the list for ssh-keyscan with its names."""
    lines = [line.split() for line in whole(FAMILY, cluster)["ssh/hosts"].splitlines() if line[0] != "#"]
    return {address: names.split(",") for address, names in lines}


@pytest.mark.parametrize("name", ["n01", "n01.renci.ben"])
def test_the_sample(name: str, cluster: Cluster, tmp_path: Path) -> None:
    """A node is found by its short and by its full name; root logs in with the site's key."""
    assert asked(tmp_path, cluster, name) == {
        "hostname": "10.1.0.11",
        "user": "root",
        "identityfile": "inventory/keys/site_ed25519",
    }
    assert scan_list(cluster)["10.1.0.11"] == ["n01", "n01.renci.ben", "10.1.0.11"]


def test_what_is_not_ours(tmp_path: Path) -> None:
    """A node without an image of ours has its address and no more, a stranger has nothing."""
    some = cluster([node("n1", osimage=None)])
    found = asked(tmp_path, some, "n1")
    assert found["hostname"] == "10.1.0.10"
    assert "keys/k" not in found["identityfile"]
    assert asked(tmp_path, some, "n12")["hostname"] == "n12"


def test_a_remote_network(tmp_path: Path) -> None:
    """A node behind a relay is reached through the node that serves it; its names are in its network's domain."""
    far = replace(NETWORK, subnet=IPv4Network("10.2.0.0/24"), relay=IPv4Address("10.2.0.1"), domain="far.test")
    near = replace(NETWORK, subnet=IPv4Network("10.1.0.0/24"))
    nodes = [
        node("s1", aliases=("login",), service_node="mgt"),
        node("n1", ip=IPv4Address("10.2.0.5"), service_node="s1"),
        node("n2", ip=IPv4Address("10.2.0.6"), service_node="n2"),
    ]
    some = replace(cluster(nodes), networks=(near, far))
    assert asked(tmp_path, some, "n1.far.test") == asked(tmp_path, some, "n1")
    assert asked(tmp_path, some, "n1")["proxyjump"] == "s1"
    assert "proxyjump" not in asked(tmp_path, some, "login.renci.ben") | asked(tmp_path, some, "n2")
    assert asked(tmp_path, some, "login")["hostname"] == "10.1.0.10"


@pytest.mark.parametrize("key", ["${HOME}/x", "%h", 'a"b', "~x/y"])
def test_a_key_that_ssh_would_read_otherwise(key: str, tmp_path: Path) -> None:
    """A path that ssh would expand is left out: it tries the user's own keys then."""
    assert key not in asked(tmp_path, cluster([node("n1")], ssh_key=key), "n1")["identityfile"]


def test_the_frame_is_blind_to_what_ssh_does_not_ask() -> None:
    """A dynamic range, a name server, a MAC, a boot state: none of them makes the files anew."""
    one = cluster([node("n1")])
    network = replace(NETWORK, dynamic_range=(IPv4Address(1), IPv4Address(2)), mtu=9000)
    other = replace(
        cluster([node("n1", mac=None, vars=(("x", "y"),))], forwarders=(IPv4Address(1),)), networks=(network,)
    )
    frames = FAMILY.frame(one), FAMILY.frame(other)
    assert frames[0] == frames[1]
    assert FAMILY.rows(frames[0], one.nodes) == FAMILY.rows(frames[1], other.nodes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cluster=clusters())
def test_read_back_it_is_the_inventory(cluster: Cluster, tmp_path: Path) -> None:
    """Whatever the names are, ssh finds each node's address."""
    for one in cluster.nodes[:3]:
        assert asked(tmp_path, cluster, one.name)["hostname"] == str(one.ip)
    assert set(scan_list(cluster)) == {str(one.ip) for one in cluster.nodes}


@pytest.mark.parametrize("name", ["*", "!n1", "n?", "n1\n    ProxyCommand x", 'n"1', "n1 #"])
def test_the_last_wall(name: str) -> None:
    """A name that ssh would take for a pattern or more is in no file."""
    with pytest.raises(BootmillError, match="which is not its form"):
        whole(FAMILY, cluster([node(name)]))
