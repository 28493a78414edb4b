"""The hosts file."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from tasks import assemble, inventory
from tasks.configs.hosts import FAMILY
from tasks.configs.names import Domains
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Network, Nic, Whole
from tests.configs.whole import SAMPLE, plain, render


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


def lines(cluster: Cluster) -> list[list[str]]:
    """Return the words of each line behind the loopback's."""
    (text,) = render(FAMILY, cluster).values()
    return [line.split() for line in text.splitlines()[6:]]


def line(cluster: Cluster, address: str) -> list[str]:
    """Return the names at an address."""
    (found,) = [names for ip, *names in lines(cluster) if ip == address]
    return found


@pytest.fixture
def two(cluster: Cluster, edited: Callable[..., Cluster]) -> Cluster:
    """Return the sample with IPv6, a fast network with a domain of its own, and n01 in all of them."""
    nics = (
        Nic(name="ib0", names=("n01-ib", "fast1"), ip=IPv4Address("10.2.0.11"), ip6=IPv6Address("fd00:2::11")),
        Nic(name="eth1", names=("n01",), ip=IPv4Address("10.1.0.91")),
        Nic(name="eth2", names=("n01-eth2",)),
    )
    changed = edited("n01", ip6=IPv6Address("fd00:1::11"), nics=nics, aliases=("first", "one"))
    return replace(changed, networks=(replace(cluster.networks[0], subnet6=IPv6Network("fd00:1::/64")), fast(cluster)))


def fast(cluster: Cluster) -> Network:
    """Return a second network."""
    subnets = {"subnet": IPv4Network("10.2.0.0/25"), "subnet6": IPv6Network("fd00:2::/64")}
    return replace(cluster.networks[0], name="fast", domain="ib.renci.ben", dynamic_range=None, **subnets)  # type: ignore[arg-type]


def test_the_sample_clusters_hosts_file(golden: Callable[[str, str], None]) -> None:
    """The sample inventory gives the hosts file that was read and found good."""
    (text,) = render(FAMILY, inventory.load(SAMPLE)).values()
    golden("hosts", text)


def test_parts_make_the_same_file(two: Cluster) -> None:
    """However the nodes are divided, the file is the same."""
    assert render(FAMILY, two) == render(FAMILY, two, chunks=4) == render(FAMILY, two, chunks=100)


def test_the_canonical_name_comes_first(two: Cluster) -> None:
    """A line is: address, full name, name, aliases; programs take the first name for the machine's own."""
    assert line(two, "10.1.0.11") == ["n01.renci.ben", "n01", "first", "one"]
    assert line(two, "10.1.0.111") == ["n01-ipmi.renci.ben", "n01-ipmi"]
    assert line(two, "10.1.0.253") == ["linksys-mgt.renci.ben", "linksys-mgt"]


def test_short_names_first(two: Cluster) -> None:
    """A site may want the short name to be the canonical one."""
    short = replace(two, site=replace(two.site, short_names_first=True))
    assert line(short, "10.1.0.11") == ["n01", "n01.renci.ben", "first", "one"]


def test_every_address_of_every_interface_has_its_line(two: Cluster) -> None:
    """IPv6 beside IPv4, further interfaces with their names, in the domain of the network that the address lies in."""
    assert line(two, "fd00:1::11") == ["n01.renci.ben", "n01", "first", "one"]
    assert line(two, "10.2.0.11") == line(two, "fd00:2::11") == ["n01-ib.ib.renci.ben", "n01-ib", "fast1"]
    assert line(two, "10.1.0.91") == ["n01.renci.ben", "n01"]
    assert not [names for names in lines(two) if "n01-eth2" in names]


def test_the_head_node_has_its_name_in_the_sites_domain(two: Cluster) -> None:
    """The zones name it as their server, so it is known there even where its network has another domain."""
    elsewhere = replace(two, networks=(replace(two.networks[0], domain="mgmt.ben"), two.networks[1]))
    assert line(elsewhere, "10.1.0.1") == ["mgt.mgmt.ben", "mgt", "mgt.renci.ben"]
    assert line(elsewhere, "10.1.0.12") == ["n02.mgmt.ben", "n02"]


def test_domains_end_where_their_network_ends() -> None:
    """Networks of any size in one block of addresses, at both of their ends."""
    domains = Domains(default="d", others=((4, 64, 127, "x"), (4, 200, 200, "y"), (6, 64, 127, "z")))
    assert [domains.of(4, number) for number in (63, 64, 127, 128, 199, 200, 201)] == [*"dxxddyd"]
    assert [domains.of(6, number) for number in (63, 64, 127, 128)] == [*"dzzd"]
    assert (domains.finest(4, 8), domains.finest(6, 64)) == (0, 6)


def test_networks_of_two_domains_share_a_24(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """Halves of one /24 with domains of their own."""
    low, high = (
        replace(cluster.networks[0], name=name, subnet=IPv4Network(subnet), domain=domain)
        for name, subnet, domain in (("low", "10.1.0.0/26", None), ("high", "10.1.0.64/26", "high.ben"))
    )
    changed = replace(edited("n01", ip=IPv4Address("10.1.0.64")), networks=(low, high))
    assert line(changed, "10.1.0.64")[0] == "n01.high.ben"
    assert line(changed, "10.1.0.12")[0] == "n02.renci.ben"


def test_the_loopback_is_there_without_any_machine(cluster: Cluster) -> None:
    """An empty inventory leaves a machine that can still talk to itself."""
    empty = replace(cluster, shards=(Whole(()),), switches=())
    (text,) = render(FAMILY, empty).values()
    assert "\n127.0.0.1       localhost\n::1             localhost " in text


@pytest.mark.parametrize("values", [{"name": "localhost"}, {"aliases": ("x", "ip6-loopback")}])
def test_no_machine_is_called_like_the_loopback(edited: Callable[..., Cluster], values: dict[str, object]) -> None:
    """A node (or an alias) called localhost is an error that names it, not a head node that is cut off from itself."""
    with pytest.raises(BootmillError, match=r"localhost|ip6-loopback"):
        render(FAMILY, edited("n01", **values))


def test_what_a_line_depends_on(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """A MAC, a boot state or an osimage is in no row; a name is."""
    frame = FAMILY.frame(cluster)
    rows = FAMILY.rows(frame, cluster.nodes)
    for values in ({"mac": None}, {"osimage": None}, {"groups": ()}, {"memory": 64}):
        assert FAMILY.rows(frame, edited("n01", **values).nodes) == rows
    assert FAMILY.rows(frame, edited("n01", aliases=("x",)).nodes) != rows
    assert repr(FAMILY.frame(replace(cluster, site=replace(cluster.site, forwarders=())))) == repr(frame)
    assert "n01" not in repr(frame)


def staged(cluster: Cluster, root: Path) -> str:
    """Write the hosts file as the task does where `root` is the destdir; return it."""
    there = replace(cluster, site=replace(cluster.site, destdir=str(root)))
    frame = FAMILY.frame(there)
    code = assemble.code_digest("tasks.configs.hosts")
    assemble.write(FAMILY, frame, assemble.sliced(FAMILY, frame, there.shards, code), code)
    (text,) = assemble.render(FAMILY, frame, there.shards).values()
    assert text == (root / "etc/hosts").read_bytes()  # what a plan tells
    return text.decode()


def test_the_head_nodes_own_lines_stay(
    cluster: Cluster,
    edited: Callable[..., Cluster],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``destdir: /``: loopback and foreign lines are kept through every edit, those that contradict are told."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "root/etc/hosts"
    path.parent.mkdir(parents=True)
    path.write_text("127.0.0.1\tlocalhost\n127.0.1.1\tmgt\n192.0.2.7 printer\n")
    text = staged(cluster, tmp_path / "root")
    assert text.startswith(path.read_text().partition("# BEGIN bootmill\n")[0])
    assert text.startswith("127.0.0.1\tlocalhost\n127.0.1.1\tmgt\n192.0.2.7 printer\n# BEGIN bootmill\n")
    assert f"{path}: line 2 of the hosts file says that mgt is 127.0.1.1" in capsys.readouterr().err
    path.write_text(text.replace("192.0.2.7 printer", "192.0.2.8 printer") + "192.0.2.9 scanner\n")
    after = staged(edited("n01", name="gone"), tmp_path / "root")
    assert "192.0.2.8 printer\n# BEGIN bootmill\n" in after
    assert after.endswith("# END bootmill\n192.0.2.9 scanner\n")
    assert "n01.renci.ben" not in after


def test_every_line_of_ours_is_known_by_its_form(two: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the inventory lost its machines nothing of them stays, but what somebody added does, in either form."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "root/etc/hosts"
    empty = replace(two, shards=(Whole(()),), switches=())
    for full in (two, replace(two, site=replace(two.site, short_names_first=True))):
        path.unlink(missing_ok=True)
        before = staged(full, tmp_path / "root")
        path.write_text(before + "192.0.2.7 printer.example printer\n")
        after = staged(empty, tmp_path / "root")
        assert after.endswith("# END bootmill\n192.0.2.7 printer.example printer\n")
        assert "n01" not in after
        assert after.startswith("# BEGIN bootmill\n")
        path.write_text(before)
        assert staged(empty, tmp_path / "root").startswith("# Made by Bootmill")
