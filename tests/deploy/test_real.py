"""Plan and deploy with the real families of the sample inventory, and with the daemons' own checkers."""

import importlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import assemble, exports, run
from tasks.configs import hosts
from tasks.deploy.control import Systemd
from tasks.deploy.deploying import deploy
from tasks.deploy.planned import Sight, planned
from tasks.deploy.render import Maker, whole
from tasks.family import Aggregate
from tasks.inventory.model import Cluster, SecretKind, SecretRef, Whole
from tasks.paths import SERIALS
from tests.deploy.conftest import DEBIAN, Head

pytestmark = pytest.mark.integration
CONFIGS = ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs")
CHECKERS = {"kea": "kea-dhcp4", "dnsmasq": "dnsmasq"}


def makers() -> list[Maker]:
    """Return every family and aggregate."""
    found = [importlib.import_module(f"tasks.configs.{name}").FAMILY for name in CONFIGS]
    return found + [
        getattr(importlib.import_module(f"tasks.exports.{module}"), holds) for module, holds, _ in exports.EXPORTS
    ]


def write(cluster: Cluster) -> None:
    """Do what a run does: render, write, keep serials, remove what is left over."""
    for maker in makers():
        texts = whole(maker, cluster)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def outputs(cluster: Cluster) -> list[Path]:
    """Return every file that may be rendered."""
    return [path for maker in makers() for path in maker.outputs(maker.frame(cluster))]


def edited(cluster: Cluster, name: str, **values: object) -> Cluster:
    """Return the cluster with a changed node, in its place."""
    nodes = [node for shard in cluster.shards for node in shard.nodes()]
    changed = [replace(node, **values) if node.name == name else node for node in nodes]  # type: ignore[arg-type]
    return replace(cluster, shards=(Whole(tuple(changed)),))


@pytest.fixture
def built(head: Head, cluster: Cluster) -> Head:
    """Stand in a checkout with the sample's files rendered, instead of the fixture's own."""
    shutil.rmtree(head.checkout / "build")
    write(cluster)
    return head


def test_whole_is_what_the_engine_writes(built: Head, cluster: Cluster) -> None:
    """Byte for byte, for every family: else a plan would tell what no run does."""
    for maker in makers():
        if not isinstance(maker, Aggregate):
            texts = {path: text.encode() for path, text in whole(maker, cluster).items() if path != SERIALS}
            assert texts == assemble.render(maker, maker.frame(cluster), cluster.shards), maker.name


def test_a_plan_keeps_the_lines_of_others(built: Head, cluster: Cluster) -> None:
    """A hosts file that somebody has lines in is told as a run would leave it, bytes that are no UTF-8 included."""
    path = Path("build/etc/hosts")
    path.write_bytes(b"192.0.2.7 printer # \xe9\n")
    sight = Sight(old=cluster, new=cluster, families=[hosts.FAMILY], places=lambda *_: None)
    (file,) = planned(sight).files
    (text,) = assemble.render(hosts.FAMILY, hosts.FAMILY.frame(cluster), cluster.shards).values()
    assert text.startswith(b"192.0.2.7 printer # \xe9\n# BEGIN bootmill\n")
    assert "-192.0.2.7" not in repr(file.diff)
    path.write_bytes(text)
    assert not planned(sight)


def test_a_plan_of_nothing_and_of_an_edit(built: Head, cluster: Cluster) -> None:
    """Nothing to write after a run; a MAC is in the files of DHCP, a BMC's password in none."""
    sight = Sight(old=cluster, new=cluster, families=makers(), places=lambda *_: None)
    assert not planned(sight)
    new = edited(cluster, "n02", mac="02:00:00:00:00:01")
    found = planned(replace(sight, new=new))
    names = {str(file.path).removeprefix("build/etc/") for file in found.files}
    assert "dhcp/dhcpd.conf" in names
    assert not {name for name in names if name.startswith(("hosts", "bind", "chrony", "exports", "default"))}
    for file in found.files:
        assert [str(one) for one in file.causes] == ["n02: mac 00:18:8b:f8:e3:5b → 02:00:00:00:00:01"]
    write(new)
    assert not planned(Sight(old=new, new=new, families=makers(), places=lambda *_: None))
    bmc = cluster.node("n01").bmc
    assert bmc is not None
    write(cluster)
    other = SecretRef(kind=SecretKind.FILE, where="keys/bmc")
    secret = planned(replace(sight, new=edited(cluster, "n01", bmc=replace(bmc, password=other))))
    assert {file.path.parent.name for file in secret.files} == {"consoles"}  # which name the reference


def test_deploy_of_every_file(built: Head, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemons' own checkers take what is rendered, within what Debian brings; each DHCP server for itself."""
    words = ["--root", str(built.root)]
    servers = [name for name, program in CHECKERS.items() if shutil.which(program, path=run.PATH)]
    for server in [*servers, "dhcpd"]:
        deploy(cluster.site, outputs(cluster), [*words, server], control=Systemd(settle=0))
        assert "not checked" not in capsys.readouterr().out
    built.told()
    deploy(cluster.site, outputs(cluster), words, control=Systemd(settle=0))
    assert built.told() == ["reload-or-restart named", "exportfs -ra"]
    assert "n01.renci.ben" in built.text("etc/hosts")
    for line in DEBIAN["etc/hosts"].splitlines():
        assert line in built.text("etc/hosts")
    deploy(cluster.site, outputs(cluster), words, control=Systemd(settle=0))
    assert built.told() == []


def test_ten_thousand_nodes(built: Head, cluster: Cluster) -> None:
    """One edit is planned in well under three seconds, all families together."""
    first = cluster.node("n01")
    assert first.bmc is not None
    nodes = []
    for number in range(1, 10_001):
        ip = first.ip + 65536 + number
        bmc = replace(first.bmc, name=f"x{number}-ipmi", address=ip + 65536)
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        nodes.append(replace(first, name=f"x{number}", ip=ip, mac=mac, bmc=bmc, port=None))
    network = replace(cluster.networks[0], subnet=cluster.networks[0].subnet.supernet(new_prefix=12))
    shards = tuple(Whole(tuple(nodes[start : start + 500])) for start in range(0, 10_000, 500))
    old = replace(cluster, networks=(network,), shards=(*cluster.shards, *shards))
    write(old)
    changed = Whole((replace(nodes[3500], mac="02:ff:ff:ff:ff:ff"), *nodes[3501:4000]))
    new = replace(old, shards=tuple(changed if index == 8 else shard for index, shard in enumerate(old.shards)))
    begun = time.perf_counter()
    found = planned(Sight(old=old, new=new, families=makers(), places=lambda *_: None), most=20)
    assert time.perf_counter() - begun < 3
    assert [node.name for node in found.nodes] == ["x3501"]


def test_serials_belong_to_what_zone_writes(built: Head, cluster: Cluster) -> None:
    """A new address is in the zones and in inventory/serials.yaml, which names the same cause."""
    new = edited(cluster, "n02", ip=cluster.node("n02").ip + 60)
    sight = Sight(old=cluster, new=new, families=makers(), places=lambda *_: None)
    files = {file.path: file for file in planned(sight).files}
    assert files[SERIALS].act == "change"
    assert [one.change.attribute for one in files[SERIALS].causes] == ["ip"]
    write(new)
    assert not planned(replace(sight, old=new))
