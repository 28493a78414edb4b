"""The exports before the programs that they are for."""

import os
import shutil
import socket
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from tasks import system
from tasks.exports import consoles, genders
from tasks.inventory.model import Cluster, Group, Management, Vm
from tests.exports.rendered import cluster, node, whole

pytestmark = pytest.mark.integration
NODES = [
    *(node(f"n{number:04d}", ip=IPv4Address(f"10.1.{number // 250}.{number % 250}")) for number in range(1, 2_001)),
    node("odd", vars=(("comment", "a, b=c # %n"), ("rack", "r 1"), ("compute", "x")), model="R-6.1 +"),
    node("123", groups=("all",), console=None),
    node("guest", management=Management.KVM, vm=Vm(host="kvm1")),
]
CLUSTER = cluster(NODES[:500], NODES[500:], groups=[Group(name="compute", groups=("site",)), Group(name="empty")])


def tool(name: str) -> str:
    """Return a program's path, or skip the test and say which package brings it."""
    found = shutil.which(name, path=system.PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {system.package_of(name)}")
    return found


def said(*argv: str | Path) -> str:
    """Run a program that must end well; return all that it says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def written(folder: Path, cluster: Cluster) -> Path:
    """Write the consoles' files and the genders file below a folder; the script is looked for there."""
    for family in (consoles.FAMILY, genders.AGGREGATE):
        for name, text in whole(family, cluster).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(consoles.SCRIPT, str(folder / "consoles/console.sh")))
    return folder


def nodes(text: str) -> set[str]:
    """Return the names of a nodeset."""
    return set(NodeSet(text))


def test_nodeattr_reads_the_genders_file(tmp_path: Path, cluster: Cluster) -> None:
    """No mistake in it, and each group and attribute has its nodes."""
    nodeattr, path = tool("nodeattr"), written(tmp_path, CLUSTER) / "genders"

    def those(query: str) -> set[str]:
        return nodes(said(nodeattr, "-f", path, "-c", query).strip())

    assert "0 parse errors" in said(nodeattr, "-f", path, "-k")
    names = {one.name for one in NODES}
    assert those("all") == names
    assert those("compute") == those("site") == names - {"123"}
    assert those("model=R-6.1_+") == those("rack=r_1") == {"odd"}
    assert "comment" not in said(nodeattr, "-f", path, "-l", "odd")
    path = written(tmp_path, cluster) / "genders"
    assert "0 parse errors" in said(nodeattr, "-f", path, "-k")
    assert those("pe860") == {"n01", "n02", "n03", "n04"}


def test_conserver_reads_its_consoles(tmp_path: Path) -> None:
    """Conserver finds no mistake, and one that is put there it finds."""
    conserver, path = tool("conserver"), written(tmp_path, CLUSTER) / "consoles/conserver.cf"
    assert path.read_text().count("\nconsole ") == len(NODES) - 1
    assert "ERROR" not in said(conserver, "-S", "-C", path)
    path.write_text(path.read_text().replace("type exec", "type exek", 1))
    done = subprocess.run([conserver, "-S", "-C", path], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "exek" in done.stderr


def test_conman_runs_its_consoles(tmp_path: Path) -> None:
    """Conmand knows every console and starts the script; the script tells that the password is not there."""
    conmand, conman = tool("conmand"), tool("conman")
    few = cluster([node("n1"), node("guest", management=Management.KVM, vm=Vm(host="kvm1"))])
    path = written(tmp_path, few) / "consoles/conman.conf"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = path.read_text().replace("/run/conmand.pid", f"{tmp_path}/pid").replace("/var/log/conman", str(tmp_path))
    path.write_text(f"{text}server port={port}\n")
    with subprocess.Popen([conmand, "-F", "-c", path], env={"PATH": os.environ["PATH"]}) as daemon:
        try:
            log = tmp_path / "console.n1"
            for _ in range(100):
                time.sleep(0.05)
                if log.exists() and "BMC_PASSWORD" in log.read_text():
                    break
            assert "BMC_PASSWORD is not set, not even in /etc/bootmill/secrets" in log.read_text()
            assert said(conman, "-d", f"127.0.0.1:{port}", "-q").split() == ["guest", "n1"]
        finally:
            daemon.terminate()
